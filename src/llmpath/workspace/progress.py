"""What a learner has done, derived from the events of the log and from nothing else.

Pure: the same events give the same progress, whatever the clock or the machine. What
counts as done is the planner's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from llmpath.workspace import events
from llmpath.workspace.events import Event

UNDOABLE = frozenset(
    {
        events.SKIP,
        events.UNSKIP,
        events.RESET,
        events.RESTORE,
        events.UPGRADE,
        events.GIVE_UP,
    }
)


@dataclass(frozen=True)
class StepProgress:
    """What was done in one step.

    Attributes:
        passed: whether its lab has ever passed.
        best_points: the best result of a grading, with the `max_points` of that grading.
        attempts: how often its lab was graded.
        last_failed: ids of the checks that did not pass in the latest grading.
        graded_at: time of the latest grading, in seconds since the epoch; None if never.
        right: numbers (from 1) of the quiz questions answered rightly at least once.
        answered: numbers of the quiz questions answered at all.
        hints: how many hints were opened.
        gave_up: whether the solution was looked at before the lab first passed.
        skipped: whether the learner moved on without doing it.
        runs: how often its experiment was run.
    """

    passed: bool = False
    best_points: int = 0
    max_points: int = 0
    attempts: int = 0
    last_failed: tuple[str, ...] = ()
    graded_at: float | None = None
    right: frozenset[int] = frozenset()
    answered: frozenset[int] = frozenset()
    hints: int = 0
    gave_up: bool = False
    skipped: bool = False
    runs: int = 0

    @property
    def started(self) -> bool:
        """Whether anything at all was done here (skipping is not doing)."""
        return bool(self.attempts or self.answered or self.hints or self.gave_up or self.runs)


NOTHING = StepProgress()


@dataclass(frozen=True)
class Progress:
    """What was done in every step, and the step in which something happened last."""

    steps: Mapping[str, StepProgress] = field(default_factory=dict)
    latest_step: str | None = None

    def of(self, step_id: str) -> StepProgress:
        """What was done in a step; nothing, if the log does not speak of it."""
        return self.steps.get(step_id, NOTHING)


def derive(log: Iterable[Event]) -> Progress:
    """The progress that follows from events, in the order in which the log holds them."""
    steps: dict[str, StepProgress] = {}
    latest: str | None = None
    for event in effective(log):
        change = _CHANGES.get(event.kind)
        if change is None or event.step is None:
            continue
        steps[event.step] = change(steps.get(event.step, NOTHING), event)
        latest = event.step
    return Progress(MappingProxyType(steps), latest)


def effective(log: Iterable[Event]) -> tuple[Event, ...]:
    """The events that stand: without those undone, and without the undoing itself.

    An event stands unless an undo of it stands; an undo stands unless a redo of it
    does. That is a statement about sets, so the logs of two machines agree however
    they were merged.
    """
    known = tuple(log)
    redone = {e.payload["target"] for e in known if e.kind == events.REDO}
    undone = {e.payload["target"] for e in known if e.kind == events.UNDO and e.id not in redone}
    markers = (events.UNDO, events.REDO)
    return tuple(
        e for e in known if e.kind not in markers and not (e.kind in UNDOABLE and e.id in undone)
    )


def _graded(before: StepProgress, event: Event) -> StepProgress:
    points, max_points = event.payload["points"], event.payload["max_points"]
    # Points of different versions of a lab are compared as shares of what could be had.
    share, best = points / max(max_points, 1), before.best_points / max(before.max_points, 1)
    if share < best or (share == best and max_points < before.max_points):
        points, max_points = before.best_points, before.max_points
    return replace(
        before,
        passed=before.passed or event.payload["status"] == "passed",
        best_points=points,
        max_points=max_points,
        attempts=before.attempts + 1,
        last_failed=tuple(event.payload["failed"]),
        graded_at=event.time,
    )


def _answered(before: StepProgress, event: Event) -> StepProgress:
    answers = {int(number): right for number, right in event.payload["answers"].items()}
    right = {number for number, is_right in answers.items() if is_right}
    return replace(
        before, right=before.right | right, answered=before.answered | frozenset(answers)
    )


def _skipped(before: StepProgress, event: Event) -> StepProgress:
    return replace(before, skipped=event.kind == events.SKIP)


def _hinted(before: StepProgress, event: Event) -> StepProgress:
    return replace(before, hints=max(before.hints, event.payload["number"]))


def _gave_up(before: StepProgress, event: Event) -> StepProgress:
    return replace(before, gave_up=before.gave_up or not before.passed)


def _ran(before: StepProgress, event: Event) -> StepProgress:
    return replace(before, runs=before.runs + 1)


_CHANGES = {
    events.GRADE: _graded,
    events.QUIZ: _answered,
    events.SKIP: _skipped,
    events.UNSKIP: _skipped,
    events.HINT: _hinted,
    events.GIVE_UP: _gave_up,
    events.RUN: _ran,
}

"""What comes next, and why something is locked. Pure: a course and progress in, a plan out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from llmpath.course.course import Course, Stage
from llmpath.course.models import Lab, Step
from llmpath.workspace.progress import Progress, StepProgress


class Status(StrEnum):
    """How a step stands. Of the steps that are open, the one to do now is `CURRENT`."""

    DONE = "done"
    CURRENT = "current"
    OPEN = "open"
    LOCKED = "locked"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Missing:
    """What a step still asks for. False when there is nothing.

    Attributes:
        lab: the lab that has not passed yet.
        points: its best result so far, of `max_points`; meaningless while `graded` is False.
        graded: whether it was graded at all.
        questions: numbers (from 1) of the quiz questions not yet answered rightly.
    """

    lab: Lab | None = None
    points: int = 0
    max_points: int = 0
    graded: bool = False
    questions: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.lab is not None or bool(self.questions)


@dataclass(frozen=True)
class StepState:
    """A step, how it stands, and why.

    Attributes:
        locked_by: the required steps that are neither done nor skipped, in path order.
    """

    step: Step
    stage: Stage
    status: Status
    locked_by: tuple[Step, ...]
    missing: Missing
    progress: StepProgress

    @property
    def done(self) -> bool:
        """Whether nothing is missing."""
        return self.status is Status.DONE


@dataclass(frozen=True)
class Plan:
    """How every step of a course stands, in path order.

    Attributes:
        current: the step to do now; None when all are done or skipped.
    """

    states: tuple[StepState, ...]
    current: StepState | None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do but, perhaps, what was skipped."""
        return self.current is None

    @property
    def done(self) -> tuple[StepState, ...]:
        """The steps that are done."""
        return tuple(state for state in self.states if state.done)

    @property
    def skipped(self) -> tuple[StepState, ...]:
        """The steps that were skipped and not done since."""
        return tuple(state for state in self.states if state.status is Status.SKIPPED)

    def of(self, step: Step) -> StepState:
        """How a step stands."""
        return next(state for state in self.states if state.step.id == step.id)

    def of_stage(self, stage: Stage) -> tuple[StepState, ...]:
        """How the steps of a stage stand."""
        return tuple(state for state in self.states if state.stage.id == stage.id)


def plan(course: Course, progress: Progress) -> Plan:
    """How every step stands: done, skipped, locked, or open; the first open one is current."""
    satisfied = _satisfied(course, progress)
    states = [
        _state(course, progress, stage, step, satisfied)
        for stage in course.stages
        for step in stage.steps
    ]
    for index, state in enumerate(states):
        if state.status is Status.OPEN:
            states[index] = replace(state, status=Status.CURRENT)
            return Plan(tuple(states), states[index])
    return Plan(tuple(states), None)


def missing(course: Course, progress: Progress, step: Step) -> Missing:
    """What a step still asks for: its lab passed once, each question answered rightly once."""
    so_far = progress.of(step.id)
    numbers = range(1, len(step.quiz) + 1)
    questions = tuple(number for number in numbers if number not in so_far.right)
    if step.lab is None or so_far.passed:
        return Missing(questions=questions)
    lab = course.lab(step.lab)
    graded = so_far.attempts > 0
    max_points = so_far.max_points if graded else lab.max_points
    return Missing(lab, so_far.best_points, max_points, graded, questions)


def _satisfied(course: Course, progress: Progress) -> frozenset[str]:
    """The ids of the steps that stand in nobody's way."""
    return frozenset(
        step.id
        for step in course.steps
        if progress.of(step.id).skipped or not missing(course, progress, step)
    )


def _lacking_steps(course: Course, step: Step, satisfied: frozenset[str]) -> tuple[Step, ...]:
    wanted = frozenset(step.requires) - satisfied
    return tuple(other for other in course.steps if other.id in wanted)


def _state(
    course: Course, progress: Progress, stage: Stage, step: Step, satisfied: frozenset[str]
) -> StepState:
    so_far = progress.of(step.id)
    lacking = missing(course, progress, step)
    locked_by = _lacking_steps(course, step, satisfied)
    if not lacking:
        status = Status.DONE
    elif so_far.skipped:
        status = Status.SKIPPED
    else:
        status = Status.LOCKED if locked_by else Status.OPEN
    return StepState(step, stage, status, locked_by, lacking, so_far)

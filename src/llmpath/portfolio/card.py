"""The report card of a learner's work: what each lab came to, and what was made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llmpath.artefacts import own, references
from llmpath.artefacts.recipe import DEFAULT_DATA, Variant
from llmpath.artefacts.supply import Artefact, Supplier
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.planner import plan
from llmpath.portfolio.provenance import (
    Origin,
    Picture,
    kept_run,
    last_run,
    origin,
    pictures,
)
from llmpath.portfolio.training import Training, training
from llmpath.portfolio.weights import Weights, size, weights
from llmpath.running.records import RunRecord, list_runs
from llmpath.workspace.folder import Workspace
from llmpath.workspace.progress import StepProgress
from llmpath.workspace.thread import source


@dataclass(frozen=True)
class LabCard:
    """What one lab came to.

    Attributes:
        own: whether the learner's own code stands for it, and not the reference.
        passed: whether it has ever passed, here or on another machine.
        attempts: how often it was graded.
        points: the best of its gradings, of `max_points`.
        checks_passed: how many of `checks` the code in use passes or, where that is the
            reference, the learner's code passed when it was graded last.
        runs: how many runs of it there are.
        run: the last finished run of the code in use; None if there is none.
        pictures: what that run drew.
    """

    lab: Lab
    own: bool
    passed: bool
    attempts: int
    points: int
    max_points: int
    checks_passed: int
    checks: int
    runs: int
    run: RunRecord | None
    pictures: tuple[Picture, ...]

    @property
    def graded(self) -> bool:
        """Whether it was ever graded."""
        return bool(self.attempts or self.own)

    @property
    def begun(self) -> bool:
        """Whether there is anything to tell of it."""
        return bool(self.graded or self.runs or self.run)


@dataclass(frozen=True)
class ArtefactCard:
    """An artefact that is there.

    Attributes:
        weights: None for one that is no model.
        size: the bytes of all its files.
        training: what the run that made it took; None where it trained nothing, or did not say.
    """

    artefact: Artefact
    origin: Origin
    weights: Weights | None
    size: int
    training: Training | None


@dataclass(frozen=True)
class ReportCard:
    """What a learner has done and made.

    Attributes:
        title, version: of the course.
        root: the workspace.
        when: the time at which it was gathered, with its time zone.
        done: how many of the course's `steps` are done.
        labs: all of them, in the order of the path.
        artefacts: those that are there, in the order of the path.
    """

    title: str
    version: str
    root: Path
    when: datetime
    done: int
    steps: int
    labs: tuple[LabCard, ...]
    artefacts: tuple[ArtefactCard, ...]

    @property
    def empty(self) -> bool:
        """Whether the learner has done nothing yet that could be told of.

        What the reference made for another workspace is nothing of theirs.
        """
        theirs = any(lab.graded or lab.runs for lab in self.labs)
        return not (theirs or self.done or any(each.artefact.own for each in self.artefacts))

    @property
    def summary(self) -> LabCard | None:
        """The lab whose run sums up what was made, once there is one; of several the last."""
        found = [lab for lab in self.labs if lab.lab.summary and lab.run is not None]
        return found[-1] if found else None

    @property
    def told(self) -> tuple[LabCard, ...]:
        """The labs of which there is something to tell, but for the one that sums them up."""
        summary = self.summary
        return tuple(lab for lab in self.labs if lab.begun and lab is not summary)

    @property
    def own(self) -> int:
        """How many labs stand on the learner's own code."""
        return sum(lab.own for lab in self.labs)

    @property
    def points(self) -> int:
        """The best points of all labs together."""
        return sum(lab.points for lab in self.labs)

    @property
    def max_points(self) -> int:
        """The points that could be had."""
        return sum(lab.max_points for lab in self.labs)

    @property
    def checks_passed(self) -> int:
        """The checks passed in all labs together."""
        return sum(lab.checks_passed for lab in self.labs)

    @property
    def checks(self) -> int:
        """All checks of all labs."""
        return sum(lab.checks for lab in self.labs)


def gather(course: Course, workspace: Workspace, when: datetime) -> ReportCard:
    """The report card of a workspace."""
    progress = workspace.progress()
    state = plan(course, progress)
    labs = tuple(
        _lab(course, workspace, lab, progress.of(course.step_of(lab).id))
        for lab in course.labs.values()
    )
    return ReportCard(
        title=course.title,
        version=course.version,
        root=workspace.root,
        when=when,
        done=len(state.done),
        steps=len(state.states),
        labs=labs,
        artefacts=_artefacts(course, workspace),
    )


def _lab(course: Course, workspace: Workspace, lab: Lab, progress: StepProgress) -> LabCard:
    stands_on = source(course, lab, workspace)
    run = last_run(course, workspace, lab)
    if run is None and not stands_on.own and lab.makes:
        run = kept_run(references.build_folder(course, lab, Variant()), lab)
    return LabCard(
        lab=lab,
        own=stands_on.own,
        passed=progress.passed,
        attempts=progress.attempts,
        points=progress.best_points,
        max_points=progress.max_points or lab.max_points,
        checks_passed=_checks_passed(lab, progress, own=stands_on.own),
        checks=len(lab.checks),
        runs=len(list_runs(workspace.root / "runs", lab.id)),
        run=run,
        pictures=pictures(run) if run is not None else (),
    )


def _checks_passed(lab: Lab, progress: StepProgress, *, own: bool) -> int:
    if own:
        return len(lab.checks)
    if not progress.attempts:
        return 0
    return sum(check.id not in progress.last_failed for check in lab.checks)


def _artefacts(course: Course, workspace: Workspace) -> tuple[ArtefactCard, ...]:
    suppliers = [Supplier(course, workspace, Variant(data=data)) for data in _data(workspace)]
    found = [
        artefact
        for lab in course.labs.values()
        for name in lab.makes
        for supplier in suppliers
        if (artefact := supplier.find(name)) is not None
        and (artefact.own or supplier.variant.data == DEFAULT_DATA)
    ]
    return tuple(_artefact(course, workspace, artefact) for artefact in found)


def _artefact(course: Course, workspace: Workspace, artefact: Artefact) -> ArtefactCard:
    made, found = origin(course, workspace, artefact), weights(artefact.path)
    return ArtefactCard(
        artefact=artefact,
        origin=made,
        weights=found,
        size=size(artefact.path),
        training=training(made.run, found),
    )


def _data(workspace: Workspace) -> tuple[str, ...]:
    """The texts that the learner's artefacts were made from, the default one first."""
    try:
        folders = sorted((workspace.root / "artifacts").iterdir())
    except OSError:
        folders = []
    said = [(own.manifest(folder) or {}).get("data") for folder in folders]
    others = sorted({data for data in said if isinstance(data, str)} - {DEFAULT_DATA})
    return (DEFAULT_DATA, *others)

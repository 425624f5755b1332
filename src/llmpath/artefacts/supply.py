"""Gives a run the artefacts that its lab needs: the learner's own, or else the reference's.

What is not there yet is made first, deepest need first, as a build makes its targets. The
events of those runs are passed on, so that whoever waits can see what for.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llmpath.artefacts import own, references
from llmpath.artefacts.recipe import Variant
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.running.events import Ended, Event, Failed
from llmpath.running.folder import new_folder
from llmpath.running.records import read_run
from llmpath.running.request import RunRequest
from llmpath.running.runner import run
from llmpath.workspace.folder import Workspace
from llmpath.workspace.thread import names, sources

POLL = 0.2  # seconds between two looks at what another process is making


@dataclass(frozen=True)
class Artefact:
    """An artefact that is there.

    Attributes:
        own: whether the learner's code made it, and not the reference.
        current: whether it was made by the code with which its lab last passed.
    """

    name: str
    path: Path
    own: bool
    current: bool = True


@dataclass(frozen=True)
class Making:
    """A lab's experiment begins, because something needs what it makes."""

    lab: Lab
    names: tuple[str, ...]
    own: bool


@dataclass(frozen=True)
class Waiting:
    """Another process is making the same; we wait for it."""

    lab: Lab


Happening = Event | Making | Waiting
Supply = Generator[Happening, None, dict[str, Artefact]]


@dataclass(frozen=True)
class Supplier:
    """Finds and makes artefacts for one course and one learner.

    Args:
        course: whose labs make the artefacts.
        workspace: the learner's; None for the reference alone.
        variant: the scale, data and seed of what has to be made.
        enough: asked while something is made; once it says yes, that is stopped.
    """

    course: Course
    workspace: Workspace | None
    variant: Variant = field(default_factory=Variant)
    enough: Callable[[], bool] = lambda: False

    def find(self, name: str) -> Artefact | None:
        """An artefact that is there already, or None."""
        if self.workspace is not None:
            mine = own.find(self.course, self.workspace, name, self.variant.data)
            if mine is not None:
                return Artefact(name, mine.path, own=True, current=mine.current)
            if self._passes(self.course.maker_of(name)):
                return None  # the learner's own is due
        path = references.find(self.course, name, self.variant)
        return None if path is None else Artefact(name, path, own=False)

    def due(self, names: tuple[str, ...]) -> tuple[Lab, ...]:
        """The labs whose experiments `supply` would run for these names, in that order."""
        found: dict[str, Lab] = {}
        for name in names:
            if self.find(name) is None:
                lab = self.course.maker_of(name)
                whose = self if self._passes(lab) else replace(self, workspace=None)
                found |= {each.id: each for each in (*whose.due(lab.needs), lab)}
        return tuple(found.values())

    def supply(self, names: tuple[str, ...]) -> Supply:
        """Make sure that artefacts are there, and say where.

        Raises:
            LlmpathError: if one cannot be made.
            KeyboardInterrupt: if the learner stopped one that was being made.
        """
        found: dict[str, Artefact] = {}
        for name in names:
            artefact = self.find(name)
            if artefact is None:
                artefact = yield from self._make(name)
            found[name] = artefact
        return found

    def request(
        self,
        lab: Lab,
        file: Path,
        run_folder: Path,
        artefacts: Mapping[str, Artefact],
        **options: Any,
    ) -> RunRequest:
        """The request to run a lab's experiment on a file; `options` are RunRequest's own."""
        thread = sources(self.course, lab, self.workspace)
        return RunRequest(
            lab=lab.id,
            lab_folder=self.course.lab_folder(lab),
            learner_file=file,
            course_root=self.course.root,
            run_folder=run_folder,
            scale=self.variant.scale,  # type: ignore[arg-type]  # pydantic refuses others
            data=self.variant.data,
            seed=self.variant.seed,
            thread={name: source.path for name, source in thread.items()},
            names=names(thread.values()),
            artefacts={name: artefact.path for name, artefact in artefacts.items()},
            makes=lab.makes,
            course_version=self.course.version,
            **options,
        )

    def _passes(self, lab: Lab) -> bool:
        return self.workspace is not None and self.workspace.passed_file(lab) is not None

    def _make(self, name: str) -> Generator[Happening, None, Artefact]:
        lab = self.course.maker_of(name)
        if self.workspace is not None and self._passes(lab):
            yield from self._make_own(lab, self.workspace)
            artefact = self.find(name)
            if artefact is None:
                raise LlmpathError(
                    f"The run of {lab.id} made no {name!r}.",
                    f"llmpath lab run {lab.id} shows what it does.",
                )
            return artefact
        reference = replace(self, workspace=None)
        yield from reference._make_reference(lab)
        made = reference.find(name)
        if made is None:
            raise _unmade(lab, name)
        return made

    def _make_own(self, lab: Lab, workspace: Workspace) -> Generator[Happening]:
        """Run a lab with the code that passed, for the learner has not run it since."""
        needed = yield from self.supply(lab.needs)
        file = workspace.passed_file(lab)
        assert file is not None
        yield Making(lab, lab.makes, own=True)
        folder = new_folder(workspace.root / "runs", lab.id)
        yield from _finished(lab, self.request(lab, file, folder, needed), self.enough)
        made = read_run(folder)
        if made is not None:
            own.keep(workspace, lab, made)

    def _make_reference(self, lab: Lab) -> Generator[Happening]:
        needed = yield from self.supply(lab.needs)
        target = references.build_folder(self.course, lab, self.variant)
        while (held := references.lock(target)) is None:
            if self.enough():
                raise KeyboardInterrupt
            yield Waiting(lab)
            time.sleep(POLL)
        with held:
            if references.is_whole(target):
                return  # the other process made it
            yield Making(lab, lab.makes, own=False)
            with references.building(target) as folder:
                file = self.course.lab_folder(lab) / "lab.py"
                request = self.request(lab, file, folder, needed, reference=True)
                yield from _finished(lab, request, self.enough)


def _finished(lab: Lab, request: RunRequest, enough: Callable[[], bool]) -> Generator[Event]:
    """The events of a run; an error unless it finishes."""
    outcome, refused = "", None
    for event in run(request, enough):
        yield event
        if isinstance(event, Failed) and event.kind == "refused":
            refused = LlmpathError(event.message, event.hint)
        if isinstance(event, Ended):
            outcome = event.outcome
    if outcome == "interrupted":
        raise KeyboardInterrupt
    if refused is not None:
        raise refused  # by what was asked for, such as data that is not there
    if outcome != "finished":
        raise LlmpathError(
            f"{', '.join(lab.makes)} could not be made: the experiment of {lab.id} ended as "
            f"{outcome!r}.",
            f"{_command(request)} shows why.",
        )


def _command(request: RunRequest) -> str:
    """What to type for the same run once more."""
    asked = ["llmpath lab run", request.lab, *(["--reference"] if request.reference else [])]
    for option in ("scale", "data", "seed"):
        value = getattr(request, option)
        if value != RunRequest.model_fields[option].default:
            asked += [f"--{option}", shlex.quote(str(value))]
    return " ".join(asked)


def _unmade(lab: Lab, name: str) -> LlmpathError:
    return LlmpathError(
        f"The experiment of {lab.id} says that it makes {name!r}, and did not.",
        f"That is a fault of the course: run.save({name!r}, …) in its experiment.py is missing.",
    )

"""A whole course, loaded and checked: stages, steps and labs, and where their files are.

Made by `llmpath.course.loader.load`. Nothing here reads a file or knows of learners.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llmpath.course.models import Lab, Standards, Step, Topic
from llmpath.errors import LlmpathError

USUAL = Standards()


@dataclass(frozen=True)
class Stage:
    """A stage of the path with its steps, in order."""

    id: str
    title: str
    about: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Course:
    """A course that has passed every check of the loader.

    Attributes:
        root: the folder that holds `curriculum/` and `labs/`.
        version: the course's version, for reports and upgrades.
        labs: every lab that a step names, by id, in the order of the path.
        topics: the syllabus, in its order; empty where the course has none.
        standards: what the course asks of its steps and labs.
        tour: what is said to each of its language models on the tour.
    """

    root: Path
    title: str
    version: str
    stages: tuple[Stage, ...]
    labs: Mapping[str, Lab]
    topics: tuple[Topic, ...] = ()
    standards: Standards = USUAL
    tour: tuple[str, ...] = ()

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order of the path."""
        return tuple(step for stage in self.stages for step in stage.steps)

    def step(self, step_id: str) -> Step:
        """The step with this id; an `LlmpathError` that suggests the nearest if there is none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise unknown("step", step_id, (step.id for step in self.steps), "llmpath list")

    def lab(self, lab_id: str) -> Lab:
        """The lab with this id; an `LlmpathError` that suggests the nearest if there is none."""
        if lab_id in self.labs:
            return self.labs[lab_id]
        raise unknown("lab", lab_id, self.labs, "llmpath list")

    def stage_of(self, step: Step) -> Stage:
        """The stage in which a step stands."""
        return next(stage for stage in self.stages if step in stage.steps)

    def step_of(self, lab: Lab) -> Step:
        """The step to which a lab belongs (every lab belongs to exactly one)."""
        return next(step for step in self.steps if step.lab == lab.id)

    def used_by(self, lab: Lab) -> tuple[Lab, ...]:
        """The labs that a lab uses, itself or through another, in the order of the path."""
        found: set[str] = set()
        waiting = list(lab.uses)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self.lab(name).uses
        return tuple(each for each in self.labs.values() if each.id in found)

    def maker_of(self, artefact: str) -> Lab:
        """The lab that makes an artefact; an `LlmpathError` if none does."""
        makers = {name: lab for lab in self.labs.values() for name in lab.makes}
        if artefact in makers:
            return makers[artefact]
        raise unknown("artefact", artefact, makers, "llmpath status")

    def lesson_path(self, step: Step) -> Path:
        """The Markdown file of a step's lesson."""
        return self.root / "curriculum" / self.stage_of(step).id / step.lesson

    def lab_folder(self, lab: Lab) -> Path:
        """The folder with `lab.yaml`, `lab.py`, `checks.py` and `experiment.py`."""
        return self.root / "labs" / lab.id


def unknown(kind: str, name: str, known: Iterable[str], listing: str) -> LlmpathError:
    """The error for a name that nothing bears, with the nearest one that something does."""
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]}?" if near else f"{listing} shows them all."
    return LlmpathError(f"There is no {kind} called {name!r}.", hint)

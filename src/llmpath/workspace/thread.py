"""Which file stands for each earlier lab: the learner's own once it passes, else the reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.workspace.folder import Workspace


@dataclass(frozen=True)
class Source:
    """The file that stands for a lab, and whether the learner wrote it.

    Attributes:
        path: the file; the learner's own is a copy of what passed.
        own: whether the learner wrote it.
        file: where the learner works on that lab; None if the reference stands for it.
    """

    path: Path
    own: bool
    file: Path | None = None

    @property
    def name(self) -> str:
        """What to call the file in front of the learner, who knows of no copies."""
        if self.file is None:
            return str(self.path)
        same = self.file.is_file() and self.file.read_bytes() == self.path.read_bytes()
        return str(self.file) if same else f"{self.file} (as it last passed)"


def sources(course: Course, lab: Lab, workspace: Workspace | None) -> dict[str, Source]:
    """For each lab that `lab` uses, itself or through another, the file that stands for it.

    Args:
        course: the course of the labs.
        lab: the lab that uses others.
        workspace: where the learner's own are; None for the reference alone.
    """
    return {used.id: source(course, used, workspace) for used in course.used_by(lab)}


def source(course: Course, lab: Lab, workspace: Workspace | None) -> Source:
    """The file that stands for one lab."""
    own = workspace.passed_file(lab) if workspace is not None else None
    if workspace is None or own is None:
        return Source(course.lab_folder(lab) / "lab.py", own=False)
    return Source(own, own=True, file=workspace.file(course, lab))


def names(found: Iterable[Source]) -> dict[str, str]:
    """What to call the learner's own among some files, by the path of each."""
    return {str(each.path.absolute()): each.name for each in found if each.own}

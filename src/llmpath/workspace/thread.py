"""Which file stands for each earlier lab: the learner's own once it passes, else the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.workspace.folder import Workspace


@dataclass(frozen=True)
class Source:
    """The file that stands for a lab, and whether the learner wrote it."""

    path: Path
    own: bool


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
    return Source(own or course.lab_folder(lab) / "lab.py", own is not None)

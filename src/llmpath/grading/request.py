"""What is to be graded, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from llmpath.course.models import Check, Lab


@dataclass(frozen=True)
class GradeRequest:
    """What to grade.

    Attributes:
        folder: the lab's folder, with `checks.py`.
        file: the learner's file.
        thread: for each lab that this one uses, the file that stands for it.
        seed: draws the inputs of the checks; None draws a new one.
        course: the version of the course, for the report.
        only: ids of the checks to run, in this order; None runs all.
        isolation: confine learner code as well as the machine can (`auto`), refuse to grade
            where that is not enough (`require`), or do not (`off`).
    """

    lab: Lab
    folder: Path
    file: Path
    thread: Mapping[str, Path] = field(default_factory=dict)
    seed: int | None = None
    course: str = "0"
    only: tuple[str, ...] | None = None
    isolation: Literal["auto", "require", "off"] = "auto"

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks to run, in their order."""
        by_id = {check.id: check for check in self.lab.checks}
        return tuple(by_id[name] for name in self.only or by_id)

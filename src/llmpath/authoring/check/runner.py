"""Runs the proofs of a course."""

from __future__ import annotations

from pathlib import Path

from llmpath.authoring.check import files
from llmpath.authoring.check.finding import Verdict
from llmpath.course.sources import gather


def check(root: Path) -> Verdict:
    """Prove the course in a folder."""
    return Verdict(course=str(root), findings=tuple(files.prove(gather(root))))

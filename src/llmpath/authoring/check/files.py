"""Every file of the course says what it should, and what it names is there."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring.check.finding import Finding
from llmpath.course import rules
from llmpath.course.sources import Sources


def prove(sources: Sources) -> Iterator[Finding]:
    """A finding for each problem that keeps the course from being loaded."""
    for problem in sorted({*sources.problems, *rules.problems(sources)}):
        yield Finding(
            proof="files",
            path=problem.path,
            line=problem.line,
            column=problem.column,
            message=problem.message,
            mend=problem.mend,
        )

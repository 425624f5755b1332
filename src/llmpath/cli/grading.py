"""`llmpath grade`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.names import LabName
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.course.models import Lab
    from llmpath.grading.children import Nursery
    from llmpath.grading.grader import Graded, Grader
    from llmpath.grading.report import GradeReport
    from llmpath.grading.request import GradeRequest
    from llmpath.workspace import Workspace


class Isolation(StrEnum):
    """How strictly the learner's code is confined."""

    AUTO = "auto"
    REQUIRE = "require"
    OFF = "off"


EXIT = {"passed": 0, "error": 2}


def grade(
    context: typer.Context,
    lab: LabName = None,
    every: Annotated[bool, typer.Option("--all", help="Grade every lab.")] = False,
    file: Annotated[
        Path | None, typer.Option("--file", help="Grade this file; nothing is recorded.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Draw the same inputs again.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    isolation: Annotated[
        Isolation, typer.Option("--isolation", help="How strictly to confine the code.")
    ] = Isolation.AUTO,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write the report as a web page."),
    ] = None,
) -> None:
    """Check your code for a lab, and record the result.

    Exit code: 0 all checks passed, 1 not yet, 2 something is wrong with the request or the course.

    Example: [bold]llmpath grade attention[/]
    """
    from llmpath.grading.children import nursery

    state: State = context.obj
    _check(lab, every, file, html)
    with nursery() as started:  # first of all: it imports while the course is being loaded
        labs = list(state.course.labs.values()) if every else [state.lab(lab)]
        judged = _Judged(state, file, _workspace(state, file), seed, isolation, started)
        reports = []
        for each in labs:
            reports.append(judged.grade(each))
            if not as_json:
                show(state, each, reports[-1], brief=every)
    if as_json:
        data = [report.model_dump(mode="json") for report in reports]
        typer.echo(json.dumps(data if every else data[0], indent=2, ensure_ascii=False))
    if html is not None:
        _write_page(html, labs, reports, file)
        if not as_json:
            state.console.print(f"The report is in {html}.", soft_wrap=True)
    raise typer.Exit(max(EXIT.get(report.status, 1) for report in reports))


def _check(lab: str | None, every: bool, file: Path | None, html: Path | None) -> None:
    """Refuse, before anything is graded, what does not go together or cannot be written."""
    if every and (lab is not None or file is not None):
        raise LlmpathError("--all grades every lab of your workspace.", "Leave out the lab's name.")
    # Under a name that ends otherwise, something else may stand.
    if html is not None and (html.suffix.lower() not in (".html", ".htm") or html.is_dir()):
        raise LlmpathError(
            f"--html {html} is not the name of a web page.",
            "Let it end in .html, such as report.html.",
        )


def _workspace(state: State, file: Path | None) -> Workspace | None:
    """The learner's workspace; None if a file is graded outside of any."""
    try:
        return state.here
    except LlmpathError:
        if file is None or state.workspace is not None:
            raise
        return None


@dataclass(frozen=True)
class _Judged:
    """How every lab of one command is graded."""

    state: State
    file: Path | None
    workspace: Workspace | None
    seed: int | None
    isolation: Isolation
    started: Nursery

    @cached_property
    def grader(self) -> Grader:
        """One for all, so that torch is imported once."""
        from llmpath.grading.grader import Grader

        return Grader(started=self.started)

    def grade(self, lab: Lab) -> GradeReport:
        """Grade one lab, and record the result if the file is the learner's own."""
        # Another's file stands on the reference: your own earlier labs are not theirs.
        own = self.workspace if self.file is None else None
        path = own.file(self.state.course, lab) if own is not None else self.file
        assert path is not None
        asked = request(self.state, lab, path, own, seed=self.seed, isolation=self.isolation)
        self.grader.prepare(asked)
        # Here, as it takes a while, in which judge and worker are started and get ready.
        from llmpath.ui import report as _  # noqa: F401
        from llmpath.ui.checklist import shown
        from llmpath.ui.theme import make_console

        with shown(lab.checks, path.name, make_console(stderr=True)) as told:
            graded = self.grader.grade(asked, told)
        if own is not None and graded.report.status != "error":
            record(self.state, lab, graded)
        return graded.report


def request(
    state: State,
    lab: Lab,
    file: Path,
    own: Workspace | None,
    *,
    seed: int | None = None,
    isolation: Isolation = Isolation.AUTO,
) -> GradeRequest:
    """What is to be graded; `own` is where the learner's earlier labs are, None the reference."""
    from llmpath.grading.request import GradeRequest
    from llmpath.workspace.thread import sources

    return GradeRequest(
        lab=lab,
        folder=state.course.lab_folder(lab),
        file=file,
        thread={name: each.path for name, each in sources(state.course, lab, own).items()},
        seed=seed,
        course=state.course.version,
        isolation=isolation.value,
    )


def record(state: State, lab: Lab, graded: Graded) -> None:
    """Record a grading of the learner's own file."""
    report = graded.report
    state.here.record_grade(
        state.course,
        lab,
        status=report.status,
        points=report.points,
        max_points=report.max_points,
        failed=[check.id for check in report.checks if check.status != "passed"],
        content=graded.source,
    )


def show(state: State, lab: Lab, report: GradeReport, *, brief: bool) -> None:
    """Print one report: in full, or as one line of many."""
    from llmpath.feedback import feedback
    from llmpath.ui import report as view

    said = feedback(report, lab)
    if brief:
        state.console.print(view.line(said, state.console, lab.title))
        return
    state.console.print(view.render(report, said, state.console, lab.title))
    state.console.print(view.what_next(report, said, lab.id))


def _write_page(path: Path, labs: list[Lab], reports: list[GradeReport], file: Path | None) -> None:
    from datetime import datetime

    from llmpath.feedback import feedback
    from llmpath.ui.html import Graded, page
    from llmpath.workspace import files

    graded = [
        Graded(lab.title, file.name if file is not None else lab.file, report, said)
        for lab, report in zip(labs, reports, strict=True)
        for said in [feedback(report, lab)]
    ]
    text = page(graded, datetime.now().astimezone())
    files.write(path.expanduser(), text.encode("utf-8", errors="replace"))

"""A grading in the terminal: the check list, the reasons, and what to do next."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from llmpath.feedback import CheckFeedback, Feedback
from llmpath.grading.report import Frame, GradeReport
from llmpath.ui.lesson import render as prose
from llmpath.ui.theme import symbols

# How many failed checks are explained in full; the rest keep their line in the list.
EXPLAINED = 3
STYLES = {"passed": "good", "failed": "bad", "timeout": "bad", "error": "warn", "skipped": "muted"}


def render(report: GradeReport, feedback: Feedback, console: Console, heading: str) -> Group:
    """Everything that a learner is told about one grading.

    Args:
        report: the grading.
        feedback: what is to be said about it.
        console: where it will be shown; decides which symbols can be printed.
        heading: the lab's title.
    """
    parts: list[RenderableType] = [_heading(feedback, heading, console)]
    if feedback.problem is not None:
        parts += [_explanation(feedback.problem, console)]
    else:
        parts += [_check_list(feedback, console)]
        parts += _explanations(feedback, console)
    parts += _mistakes(feedback)
    if report.output.strip():
        parts += [_output(report.output)]
    if feedback.after:
        parts += [Text("What to notice", style="title"), Padding(prose(feedback.after), (0, 2))]
    return Group(*parts)


def _heading(feedback: Feedback, heading: str, console: Console) -> Text:
    marks = symbols(console)
    mark, style = (marks.passed, "good") if feedback.passed else (marks.failed, "bad")
    points = f"{feedback.points} of {feedback.max_points} points"
    return Text.assemble((f"{mark} ", style), (heading, "title"), "   ", (points, style))


def _check_list(feedback: Feedback, console: Console) -> Padding:
    marks = symbols(console)
    signs = {"passed": marks.passed, "skipped": marks.skipped, "error": marks.warning}
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    for check in feedback.checks:
        style = STYLES[check.status]
        points = Text(f"{check.points}/{check.max_points}", style=style)
        sign = Text(signs.get(check.status, marks.failed), style=style)
        table.add_row(
            sign, Text(check.title, style=style if check.status != "passed" else ""), points
        )
    return Padding(table, (1, 2))


def _explanations(feedback: Feedback, console: Console) -> list[RenderableType]:
    """The first failures in full; those that share one cause are told once."""
    if feedback.unwritten and all(
        check.headline.endswith("is not written yet")
        for check in feedback.checks
        if check.status not in ("passed", "skipped")
    ):
        return [_unwritten(feedback)]
    failed = [check for check in feedback.checks if check.status not in ("passed", "skipped")]
    parts: list[RenderableType] = [_explanation(check, console) for check in failed[:EXPLAINED]]
    if len(failed) > EXPLAINED:
        more = f"{len(failed) - EXPLAINED} more will be explained once these pass."
        parts.append(Padding(Text(more, style="muted"), (0, 2, 1, 2)))
    return parts


def _unwritten(feedback: Feedback) -> Padding:
    names = ", ".join(feedback.unwritten)
    frame = next(check.frames[-1] for check in feedback.checks if check.frames)
    lines = [
        Text.assemble("Not written yet: ", (names, "title")),
        Text.assemble("Begin at ", (f"{frame.file}, line {frame.line}", "path"), "."),
    ]
    return Padding(Group(*lines), (0, 2, 1, 2))


def _explanation(check: CheckFeedback, console: Console) -> Padding:
    parts: list[RenderableType] = [
        Text(check.title, style="title"),
        Text(check.headline, style="bad" if check.status != "error" else "warn"),
    ]
    if check.facts:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="muted", no_wrap=True)
        table.add_column()
        for name, value in check.facts:
            table.add_row(name, Text(value))
        parts.append(table)
    if check.because:
        parts.append(Text(check.because))
    parts += [_frame(frame, console) for frame in check.frames if check.facts or frame.line]
    if check.hint:
        parts.append(Text.assemble(("Hint  ", "accent"), check.hint))
    return Padding(Group(*parts), (0, 2, 1, 2))


def _frame(frame: Frame, console: Console) -> RenderableType:
    where = f" in {frame.function}" if frame.function and frame.function != "<module>" else ""
    place = Text.assemble((f"{frame.file}, line {frame.line}", "path"), where)
    if not frame.text.strip():
        return place
    theme = "ansi_dark" if console.color_system else "bw"
    code = Syntax(frame.text.strip(), "python", theme=theme, background_color="default")
    return Group(place, Padding(code, (0, 4)))


def _mistakes(feedback: Feedback) -> list[RenderableType]:
    if feedback.mistake:
        text = Text.assemble(("This is how it fails when: ", "accent"), feedback.mistake)
        return [Padding(text, (0, 2, 1, 2))]
    if not feedback.possible_mistakes:
        return []
    lines = [Text("This is how it fails when one of these is so:", style="accent")]
    lines += [Text(f"- {mistake}") for mistake in feedback.possible_mistakes]
    return [Padding(Group(*lines), (0, 2, 1, 2))]


def _output(output: str) -> Padding:
    lines = output.rstrip().splitlines()
    kept = lines[-12:]
    left_out = f" (the last {len(kept)} of {len(lines)} lines)" if len(lines) > len(kept) else ""
    parts = [Text(f"Your code printed{left_out}:", style="muted"), Text("\n".join(kept))]
    return Padding(Group(*parts), (0, 2, 1, 2))


def line(report: GradeReport, feedback: Feedback, console: Console, heading: str) -> Text:
    """One grading in one line."""
    return _heading(feedback, heading, console)


def what_next(report: GradeReport, feedback: Feedback, lab_id: str) -> Text:
    """The command that fits the result."""
    if report.passed:
        run = (f"llmpath lab run {lab_id}", "command")
        return Text.assemble(run, " shows it at work, ", ("llmpath next", "command"), " goes on.")
    hint = (f"llmpath hint {lab_id}", "command")
    if feedback.problem is not None or feedback.unwritten:
        return Text.assemble(hint, " helps.")
    again = (f"llmpath grade {lab_id} --seed {report.seed}", "command")
    return Text.assemble(again, " draws the same inputs again, ", hint, " helps.")

"""A grading in the terminal: the check list, the reasons, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from llmpath.feedback import CheckFeedback, Feedback
from llmpath.grading.report import Frame, GradeReport
from llmpath.ui import checklist
from llmpath.ui.lesson import code_theme
from llmpath.ui.lesson import render as prose
from llmpath.ui.theme import symbols

# How many failed checks are explained in full; the rest keep their line in the list.
EXPLAINED = 3


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
        parts += [_explanation([feedback.problem], console)]
    else:
        parts += [_check_list(feedback, console)]
        parts += _explanations(feedback, console)
    parts += _mistakes(feedback, console)
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
    rows = checklist.table()
    for check in feedback.checks:
        checklist.add(rows, console, check.title, check.status, check.points, check.max_points)
    return Padding(rows, (1, 2))


def _explanations(feedback: Feedback, console: Console) -> list[RenderableType]:
    """The first failures in full; those that share one cause are told once."""
    if feedback.unwritten and all(
        check.headline.endswith("is not written yet")
        for check in feedback.checks
        if check.status not in ("passed", "skipped")
    ):
        return [_unwritten(feedback)]
    failed = [check for check in feedback.checks if check.status not in ("passed", "skipped")]
    causes = _causes(failed)
    parts: list[RenderableType] = [_explanation(cause, console) for cause in causes[:EXPLAINED]]
    later = sum(len(cause) for cause in causes[EXPLAINED:])
    if later:
        more = f"{later} more will be explained once these pass."
        parts.append(Padding(Text(more, style="muted"), (0, 2, 1, 2)))
    return parts


def _causes(failed: Sequence[CheckFeedback]) -> list[list[CheckFeedback]]:
    """Failed checks, together where they failed for the same reason in the same function."""
    causes: dict[object, list[CheckFeedback]] = {}
    for check in failed:
        place = (check.frames[-1].file, check.frames[-1].function) if check.frames else None
        key = (check.headline, check.facts, check.because, place)
        causes.setdefault(key, []).append(check)
    return list(causes.values())


def _unwritten(feedback: Feedback) -> Padding:
    names = ", ".join(feedback.unwritten)
    frame = next(check.frames[-1] for check in feedback.checks if check.frames)
    lines = [
        Text.assemble("Not written yet: ", (names, "title")),
        Text.assemble("Begin at ", (f"{frame.file}, line {frame.line}", "path"), "."),
    ]
    return Padding(Group(*lines), (0, 2, 1, 2))


def _explanation(cause: Sequence[CheckFeedback], console: Console) -> Padding:
    """Why these checks did not pass; all for the reason that the first one gives."""
    check = cause[0]
    parts: list[RenderableType] = [
        Text(check.title, style="title"),
        *([Text(_others(len(cause) - 1), style="muted")] if len(cause) > 1 else []),
        Text(check.headline, style="bad" if check.status != "error" else "warn"),
    ]
    facts = check.facts + ((("why", check.because),) if check.because else ())
    if facts:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="muted", no_wrap=True)
        table.add_column()
        for name, value in facts:
            table.add_row(name, Text(value))
        parts.append(table)
    if check.status == "timeout" and check.frames:
        parts.append(Text("It was at:", style="muted"))
    parts += [_frame(frame, console) for frame in check.frames if check.facts or frame.line]
    if check.hint:
        parts.append(_labelled("Hint", prose(check.hint)))
    return Padding(Group(*parts), (0, 2, 1, 2))


def _others(count: int) -> str:
    return f"and {count} other check{'' if count == 1 else 's'}, for the same reason"


def _frame(frame: Frame, console: Console) -> RenderableType:
    where = f" in {frame.function}" if frame.function and frame.function != "<module>" else ""
    place = Text.assemble((f"{frame.file}, line {frame.line}", "path"), where)
    if not frame.text.strip():
        return place
    code = Text(frame.text.strip())
    if console.color_system is not None:
        code = Syntax("", "python", theme=code_theme(console)).highlight(code.plain)
        code.rstrip()
    return Group(place, Padding(code, (0, 4)))


def _labelled(label: str, said: RenderableType) -> Table:
    """A text with a word in front of it, all its lines set in alike."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="accent", no_wrap=True)
    table.add_column()
    table.add_row(label, said)
    return table


def _mistakes(feedback: Feedback, console: Console) -> list[RenderableType]:
    if feedback.mistake:
        parts = [Text("This is how it fails when:", style="accent"), prose(feedback.mistake)]
        return [Padding(Group(*parts), (0, 2, 1, 2))]
    if not feedback.possible_mistakes:
        return []
    table = Table.grid(padding=(0, 1))
    table.add_column(style="accent", no_wrap=True)
    table.add_column()
    for mistake in feedback.possible_mistakes:
        table.add_row(symbols(console).bullet, prose(mistake))
    count = len(feedback.possible_mistakes)
    head = Text(f"It fails like this when one of these {count} is so, perhaps:", style="accent")
    return [Padding(Group(head, table), (0, 2, 1, 2))]


def _output(output: str) -> Padding:
    lines = output.rstrip().splitlines()
    kept = lines[-12:]
    left_out = f" (the last {len(kept)} of {len(lines)} lines)" if len(lines) > len(kept) else ""
    parts = [Text(f"Your code printed{left_out}:", style="muted"), Text("\n".join(kept))]
    return Padding(Group(*parts), (0, 2, 1, 2))


def line(feedback: Feedback, console: Console, heading: str) -> Text:
    """One grading in one line."""
    return _heading(feedback, heading, console)


def what_next(report: GradeReport, feedback: Feedback, lab_id: str) -> Text:
    """The command that fits the result."""
    if report.passed:
        run = (f"llmpath lab run {lab_id}", "command")
        diff = (f"llmpath lab diff {lab_id}", "command")
        shown = Text.assemble(run, " shows it at work, ", diff, " compares it with the reference,")
        return Text.assemble(shown, " ", ("llmpath next", "command"), " goes on.")
    hint = (f"llmpath hint {lab_id}", "command")
    if feedback.problem is not None or feedback.unwritten:
        return Text.assemble(hint, " helps.")
    again = (f"llmpath grade {lab_id} --seed {report.seed}", "command")
    return Text.assemble(again, " draws the same inputs again, ", hint, " helps.")

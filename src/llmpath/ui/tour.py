"""The tour: a heading for each stop, what was found there, what its models say, and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from llmpath.artefacts.route import Stop
from llmpath.course.course import Course
from llmpath.course.models import Lab, Step
from llmpath.portfolio.provenance import Origin
from llmpath.ui.chart import chart_lines
from llmpath.ui.words import clean, one_line

CHART_HEIGHT = 14
WIDEST = 100
LONGEST = 60  # characters of an answer in the table


@dataclass(frozen=True)
class Visit:
    """One artefact that was seen.

    Attributes:
        parameters: of a model; None for anything else.
        seconds: that it took to make; None where it is not known.
        answers: what the model made of each line that was said to it; empty for anything else.
    """

    name: str
    parameters: int | None
    seconds: float | None
    answers: tuple[str, ...]


def opening(course: Course, stops: Sequence[Stop], due: Sequence[Lab]) -> Group:
    """What is going to happen, and how long it may take for the labs that have to run."""
    names = [name for stop in stops for name in stop.lab.makes]
    lines = [
        Text(course.title, style="heading"),
        Text(f"A walk along the path, on the course's own solution: {', '.join(names)}."),
    ]
    if due:
        minutes = max(1, round(course.standards.experiment_seconds * len(due) / 60))
        unit = "minute" if minutes == 1 else "minutes"
        count = "One of them is" if len(due) == 1 else f"{len(due)} of them are"
        lines.append(
            Text(
                f"{count} still to be made, which takes {minutes} {unit} at the most on two "
                "cores. Ctrl-C stops it, and what was made is kept.",
                style="muted",
            )
        )
    return Group(*lines)


def heading(stop: Stop, number: int, count: int) -> Group:
    """A stop, and the steps on the way to it."""
    title = Text.assemble(
        (f"{number}/{count}  ", "muted"),
        (stop.step.title, "heading"),
        (f"   (llmpath lab run {stop.lab.id} --reference)", "muted"),
    )
    lines: list[RenderableType] = [Text(), Rule(title, align="left", style="muted"), Text()]
    if stop.before:
        lines += [Text("On the way, you write: ", style="muted").append(_titles(stop.before))]
    return Group(*lines)


def found(came: Origin, console: Console) -> Group:
    """What the run that made it found: its curve where there is a terminal, and its sentence."""
    parts: list[RenderableType] = []
    if came.run is None:
        return Group()
    if console.is_terminal and not console.is_dumb_terminal:
        charts = [chart for chart in came.run.curves().charts() if chart.curves]
        for chart in charts[:1]:
            width = min(console.width, WIDEST)
            parts += [*chart_lines(chart, console, width, CHART_HEIGHT), Text()]
    return Group(*parts, Text(one_line(came.run.sentence)))


def exchange(line: str, answer: str, *, chats: bool) -> Group:
    """What was said to a model, and what it made of it: an answer, or how the text goes on."""
    said, words = Text(line, style="bold"), one_line(clean(answer))
    if not chats:
        text = Text.assemble(said, " ", words)
        return Group(Text(), Padding(text, (0, 0, 0, 2), expand=False))
    answered = Padding(Text(words), (0, 0, 0, 4), expand=False)
    return Group(Text(), Padding(said, (0, 0, 0, 2), expand=False), answered)


def ending(visits: Sequence[Visit], rest: Sequence[Step], lines: Sequence[str]) -> Group:
    """All models beside one another, what comes after, and the way in."""
    parts: list[RenderableType] = [Text()]
    parts += [Rule(Text("What you have seen", style="heading"), align="left", style="muted")]
    parts += [Text(), _table(visits, lines[0] if lines else "")]
    if rest:
        parts.append(Text("After that, you write: ", style="muted").append(_titles(rest)))
    total = sum(visit.seconds or 0.0 for visit in visits)
    parts.append(Text(f"All of it took {_time(total)} to make. ", style="muted"))
    parts.append(
        Text.assemble(
            "Now write your own: ", ("llmpath next", "command"),
            ". To talk to these: ", ("llmpath chat", "command"), ".",
        )
    )  # fmt: skip
    return Group(*parts)


def _table(visits: Sequence[Visit], line: str) -> Table:
    table = Table(box=box.SIMPLE, header_style="muted")
    table.add_column("", no_wrap=True)
    table.add_column("numbers", justify="right", no_wrap=True)
    table.add_column("made in", justify="right", no_wrap=True)
    if line:
        table.add_column(f"“{line}”")
    for visit in visits:
        parameters = f"{visit.parameters:,}" if visit.parameters else ""
        row = [visit.name, parameters, _time(visit.seconds)]
        answer = Text(one_line(clean(visit.answers[0])) if visit.answers else "")
        answer.truncate(LONGEST, overflow="ellipsis")
        table.add_row(*row, *([answer] if line else []))
    return table


def _titles(steps: Sequence[Step]) -> str:
    return "; ".join(step.title for step in steps)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"

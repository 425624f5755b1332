"""A step as its author previews it: the very views that learners see, under headings.

In a terminal one part is shown at a time and drawn anew after each save; elsewhere all parts
are printed one below the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from llmpath.authoring.preview import Report, Texts
from llmpath.ui import quiz, report, solution, step

# The key that shows a part, and the part.
PARTS = {"1": "lesson", "2": "quiz", "3": "starter", "4": "hints", "5": "reports"}


def part(name: str, shown: Texts, reports: list[Report], console: Console) -> Group:
    """One part of a preview."""
    parts = {
        "lesson": _lesson(shown, console),
        "quiz": _quiz(shown, console),
        "starter": _starter(shown, console),
        "hints": _hints(shown),
        "reports": _reports(shown, reports, console),
    }
    return Group(*parts[name])


def heading(title: str) -> Group:
    """What stands above a part."""
    return Group(Text(), Rule(Text(title, style="heading"), align="left", style="muted"), Text())


def _lesson(shown: Texts, console: Console) -> Iterator[RenderableType]:
    yield heading("The lesson")
    yield step.lesson(shown.course, shown.state, shown.lesson, console)
    yield step.your_turn(shown.state, shown.place)


def _quiz(shown: Texts, console: Console) -> Iterator[RenderableType]:
    yield heading("The quiz, with the answers")
    questions = shown.state.step.quiz
    for number, asked in enumerate(questions, start=1):
        yield quiz.question(asked, number, len(questions))
        yield quiz.verdict(asked, False, console)
    if not questions:
        yield Text("This step has no quiz.", style="muted")


def _starter(shown: Texts, console: Console) -> Iterator[RenderableType]:
    yield heading(f"The starter, {shown.place}" if shown.place else "The starter")
    if shown.lab is None:
        yield Text("This step has no lab.", style="muted")
    elif console.is_terminal:
        yield solution.code(shown.starter, console)
    else:
        yield Text(shown.starter)


def _hints(shown: Texts) -> Iterator[RenderableType]:
    yield heading("The hints, opened one at a time")
    if shown.lab is None:
        yield Text("This step has no lab.", style="muted")
    else:
        yield step.hints(shown.lab, len(shown.lab.hints), fresh=False)


def _reports(shown: Texts, reports: list[Report], console: Console) -> Iterator[RenderableType]:
    if shown.lab is None:
        yield heading("The reports")
        yield Text("This step has no lab.", style="muted")
        return
    for each in reports:
        yield graded(each, console)
    left = 1 + len(shown.lab.misconceptions) - len(reports)
    if left:
        yield Text(f"{left} more to be graded …", style="muted")


def graded(each: Report, console: Console) -> Group:
    """The report on one answer."""
    title = f"The mistake {each.answer}" if each.answer else "The untouched starter"
    return Group(
        heading(f"The report: {title[0].lower()}{title[1:]}"),
        report.render(each.report, each.feedback, console, each.lab.title),
        report.what_next(each.report, each.feedback, each.lab.id),
    )


@dataclass
class Screen:
    """What is shown in a terminal while the files of a step are watched."""

    console: Console
    shown: Texts | None = None
    reports: list[Report] = field(default_factory=list)
    chosen: str = "lesson"

    def began(self) -> None:
        """Something was saved; what is on the screen stays until there is something newer."""
        self.reports = []

    def told(self, known: Texts | Report) -> None:
        """A part of the preview is known."""
        if isinstance(known, Report):
            self.reports.append(known)
            if self.chosen == "reports":
                self.draw()
        else:
            self.shown = known
            if self.chosen != "reports":
                self.draw()

    def choose(self, key: str) -> None:
        """Show the part that belongs to a key."""
        self.chosen = PARTS.get(key, self.chosen)
        self.draw()

    def refused(self, message: str, hint: str) -> None:
        """Say why there is nothing to show."""
        self.console.clear()
        self.console.print(Text(message, style="bad"), soft_wrap=True)
        self.console.print(Text(hint, style="muted"), soft_wrap=True)
        self._keys()

    def draw(self) -> None:
        """Draw the chosen part in the place of what was there."""
        if self.shown is None:
            return
        self.console.clear()
        self.console.print(part(self.chosen, self.shown, self.reports, self.console))
        self._keys()

    def _keys(self) -> None:
        line = Text(f"\n{time.strftime('%H:%M:%S')}  ", style="muted")
        for key, name in PARTS.items():
            style = "current" if name == self.chosen else "command"
            line.append(key, style=style).append(f" {name}   ")
        line.append("q", style="command").append(" quit")
        self.console.print(line)

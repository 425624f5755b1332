"""Watching in the terminal: the last report, below it how things stand and the keys.

Where there is no terminal, each report is printed below the one before, without keys.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from llmpath.course.models import Lab
from llmpath.feedback import Feedback
from llmpath.grading.report import CheckResult, GradeReport
from llmpath.ui import checklist
from llmpath.ui import report as view

KEYS = {"n": "next", "r": "run", "h": "hint", "l": "list", "q": "quit"}
REFRESH = 10  # times a second, for the spinner


class Screen:
    """What is shown while a file is watched.

    Args:
        console: where to show it.
        name: the file, as the learner would name it.
        lab: the lab.
    """

    def __init__(self, console: Console, name: str, lab: Lab) -> None:
        self._console = console
        self._name = name
        self._lab = lab
        self._live: Live | None = None
        self._spinner = checklist.spinner(console)
        self._going: checklist.Checklist | None = None  # while a grading is under way
        self._aside = False
        self._state = Text("Starting …")
        self._last: RenderableType | None = None

    @property
    def interactive(self) -> bool:
        """Whether this is a terminal that can be redrawn."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the state and the keys at the bottom while the context lasts."""
        self._console.print(
            Text.assemble(
                "Watching ", (self._name, "path"), ": it is graded now and whenever you save it."
            ),
            soft_wrap=True,
        )
        if not self.interactive:
            yield
            return
        self._begin()
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def stepped_aside(self) -> Iterator[None]:
        """Leave the terminal to something that draws for itself."""
        self._end()
        self._console.print()
        self._aside = True
        try:
            yield
        finally:
            if self.interactive:
                self._begin()

    def grading(self) -> None:
        """A grading begins."""
        self._going = checklist.Checklist(self._lab.checks, self._console)
        self._state = Text(f"Grading {self._name} …")
        self._update()

    def checked(self, result: CheckResult) -> None:
        """A check of the grading under way has its verdict."""
        if self._going is not None:
            self._going.take(result)

    def graded(self, report: GradeReport, feedback: Feedback, *, polling: bool) -> None:
        """Show a report in the place of the last one."""
        self._going = None
        clock = time.strftime("%H:%M:%S")
        how = " (looked at every moment: this folder sends no notice of changes)" if polling else ""
        done = f"Graded at {clock} in {report.seconds:.2f} s. Waiting for a save{how}."
        parts: list[RenderableType] = [
            view.render(report, feedback, self._console, self._lab.title)
        ]
        if self.interactive:
            self._state = Text(done, style="muted")
        else:
            parts.append(Text(done))
            parts.append(view.what_next(report, feedback, self._lab.id))
        self._last = Group(*parts)
        self.back()

    def waiting(self, reason: str, hint: str = "") -> None:
        """Say why nothing is graded now."""
        self._going = None
        self._state = Text(" ".join(part for part in (reason, hint) if part), style="warn")
        if self.interactive:
            self._update()
        else:
            self._console.print(self._state, soft_wrap=True)

    def gone(self) -> None:
        """Say that the file is not there."""
        hint = f"Waiting for it; llmpath lab reset {self._lab.id} makes a new one."
        self.waiting(f"There is no {self._name} now.", hint)

    def back(self) -> None:
        """Show the last report again, alone."""
        self._aside = False
        if self.interactive and self._last is not None:
            self._console.clear()
        if self._last is not None:
            self._console.print(self._last)
        self._update()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Show something else, printed within the context, until the next report."""
        self._console.clear()
        self._aside = True
        yield
        self._update()

    def _begin(self) -> None:
        self._live = Live(
            console=self._console,
            get_renderable=self._footer,
            refresh_per_second=REFRESH,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _update(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def _footer(self) -> RenderableType:
        state, going = self._state, self._going
        if going is not None:
            under_way = checklist.at_work(self._spinner, state)
            return Group(Text(), going.render(), under_way, self._keys())
        return Group(Text(), state, self._keys())

    def _keys(self) -> Text:
        line = Text()
        for key, effect in KEYS.items():
            line.append(key, style="command").append(f" {effect}   ")
        if self._aside:
            line.append("any other key", style="command").append(" back")
        return line

"""Watching in the terminal: the last report, below it how things stand and the keys.

Where there is no terminal, each report is printed below the one before, without keys.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llmpath.feedback import Feedback
from llmpath.grading.report import GradeReport
from llmpath.ui import report as view
from llmpath.ui.theme import symbols

KEYS = {"n": "next", "r": "run", "h": "hint", "l": "list", "q": "quit"}
REFRESH = 10  # times a second, for the spinner
UNICODE_SPINNER, ASCII_SPINNER = "dots", "line"


class Screen:
    """What is shown while a file is watched.

    Args:
        console: where to show it.
        name: the file, as the learner would name it.
        heading: the lab's title.
        lab_id: the lab, for commands to type.
    """

    def __init__(self, console: Console, name: str, heading: str, lab_id: str) -> None:
        self._console = console
        self._name = name
        self._heading = heading
        self._lab_id = lab_id
        self._live: Live | None = None
        self._spinner = Spinner(
            UNICODE_SPINNER if symbols(console).passed == "✓" else ASCII_SPINNER, style="accent"
        )
        self._busy = False
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
        self._busy = True
        self._state = Text(f"Grading {self._name} …")
        self._update()

    def graded(self, report: GradeReport, feedback: Feedback, *, polling: bool) -> None:
        """Show a report in the place of the last one."""
        self._busy = False
        clock = time.strftime("%H:%M:%S")
        how = " (looked at every moment: this folder sends no notice of changes)" if polling else ""
        done = f"Graded at {clock} in {report.seconds:.2f} s. Waiting for a save{how}."
        parts: list[RenderableType] = [view.render(report, feedback, self._console, self._heading)]
        if self.interactive:
            self._state = Text(done, style="muted")
        else:
            parts.append(Text(done))
            parts.append(view.what_next(report, feedback, self._lab_id))
        self._last = Group(*parts)
        self.back()

    def waiting(self, reason: str, hint: str = "") -> None:
        """Say why nothing is graded now."""
        self._busy = False
        self._state = Text(" ".join(part for part in (reason, hint) if part), style="warn")
        if self.interactive:
            self._update()
        else:
            self._console.print(self._state, soft_wrap=True)

    def gone(self) -> None:
        """Say that the file is not there."""
        hint = f"Waiting for it; llmpath lab reset {self._lab_id} makes a new one."
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
        state = self._state
        if self._busy:
            row = Table.grid(padding=(0, 1))
            self._spinner.update(text=state)
            row.add_row(self._spinner)
            return Group(Text(), row, self._keys())
        return Group(Text(), state, self._keys())

    def _keys(self) -> Text:
        line = Text()
        for key, effect in KEYS.items():
            line.append(key, style="command").append(f" {effect}   ")
        if self._aside:
            line.append("any other key", style="command").append(" back")
        return line

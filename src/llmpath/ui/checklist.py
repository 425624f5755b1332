"""The checks of a grading under way, each with its verdict as soon as that is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from llmpath.course.models import Check
from llmpath.grading.report import CheckResult
from llmpath.ui.theme import UNICODE, symbols

STYLES = {"passed": "good", "failed": "bad", "timeout": "bad", "error": "warn", "skipped": "muted"}
REFRESH = 15  # times a second
BESIDE = 8  # lines of the window that are left to other things
LEAST = 3  # checks that are shown even in a very low window


def table() -> Table:
    """An empty table with the columns of a list of checks."""
    empty = Table.grid(padding=(0, 1))
    empty.add_column(width=1)
    empty.add_column(ratio=1)
    empty.add_column(justify="right", no_wrap=True)
    return empty


def add(rows: Table, console: Console, title: str, status: str, points: int, most: int) -> None:
    """Add a check that has its verdict."""
    marks = symbols(console)
    signs = {"passed": marks.passed, "skipped": marks.skipped, "error": marks.warning}
    style = STYLES[status]
    rows.add_row(
        Text(signs.get(status, marks.failed), style=style),
        Text(title, style=style if status != "passed" else ""),
        Text(f"{points}/{most}", style=style),
    )


class Checklist:
    """What has come of each check so far.

    Args:
        checks: the checks, in the order in which they are run.
        console: where they will be shown.
    """

    def __init__(self, checks: Sequence[Check], console: Console) -> None:
        self._checks = tuple(checks)
        self._console = console
        self._results: dict[str, CheckResult] = {}

    def take(self, result: CheckResult) -> None:
        """Add a verdict."""
        self._results[result.id] = result

    def render(self) -> RenderableType:
        """The checks that have a verdict, and the one that runs; the last that the window holds."""
        room = max(self._console.height - BESIDE, LEAST)
        results = dict(self._results)  # verdicts may come while it is drawn
        done = [check for check in self._checks if check.id in results]
        rows = table()
        for check in done[-room:]:
            got = results[check.id]
            add(rows, self._console, check.title, got.status, got.points, got.max_points)
        waiting = [check for check in self._checks if check.id not in results]
        if waiting:
            sign = Text(symbols(self._console).open, style="accent")
            rows.add_row(sign, Text(waiting[0].title, style="muted"), Text())
        left = len(waiting) - 1
        more = [Text(f"and {left} more to come", style="muted")] if left > 0 else []
        return Padding(Group(rows, *more), (0, 2))


def spinner(console: Console) -> Spinner:
    """A sign that something is going on, of characters that the console can print."""
    return Spinner("dots" if symbols(console) is UNICODE else "line", style="accent")


def at_work(turning: Spinner, what: Text) -> Table:
    """A turning sign with what is going on."""
    row = Table.grid(padding=(0, 1))
    turning.update(text=what)
    row.add_row(turning)
    return row


@contextmanager
def shown(
    checks: Sequence[Check], name: str, console: Console
) -> Iterator[Callable[[CheckResult], None]]:
    """Show the checks while the context lasts, if the console is a terminal that can be redrawn.

    Args:
        checks: the checks, in the order in which they are run.
        name: the file, as the learner would name it.
        console: where to show them.

    Yields:
        What to call with each verdict.
    """
    listed = Checklist(checks, console)
    if not console.is_terminal or console.is_dumb_terminal:
        yield listed.take
        return
    turning, what = spinner(console), Text(f"Grading {name} …")
    with Live(
        console=console,
        get_renderable=lambda: Group(listed.render(), at_work(turning, what)),
        refresh_per_second=REFRESH,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        yield listed.take

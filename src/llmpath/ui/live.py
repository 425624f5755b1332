"""A run as it happens: a live display in a terminal, plain lines anywhere else.

`show` takes the events of a run to their end and gives back how it ended. It draws and
nothing else; it touches no disk.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from rich import box
from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.spinner import Spinner
from rich.table import Column
from rich.text import Text

from llmpath.running import events as ev
from llmpath.running.events import Event, Outcome
from llmpath.ui.board import Board
from llmpath.ui.chart import CHART_HEIGHT, chart_lines
from llmpath.ui.ending import ending
from llmpath.ui.theme import UNICODE, symbols
from llmpath.ui.words import clean, coloured, number, one_line, speed

REFRESH = 8  # times a second
LEAST_CHART = 6
SAMPLE_LINES = 4
STEP_OF_LINES = 10  # per cent between two lines of progress where there is no terminal
MAX_LATEST = 12


def show(events: Iterable[Event], console: Console, *, root: str = "") -> Outcome:
    """Show a run until it has ended.

    Args:
        events: the events of `llmpath.running.runner.run`.
        console: where to show them.
        root: a folder (the workspace) whose files are named without it.

    Returns:
        How the run ended.
    """
    board = Board()
    if console.is_terminal and not console.is_dumb_terminal:
        _show_live(events, board, console)
    else:
        _show_lines(events, board, console)
    for part in ending(board, console, root):
        # A file is as wide as its lines.
        console.print(part, soft_wrap=not console.is_terminal)
    return board.ended.outcome if board.ended else "killed"


# In a terminal


def _show_live(events: Iterable[Event], board: Board, console: Console) -> None:
    screen = _Screen(board, console)
    with Live(
        console=console,
        get_renderable=screen.render,
        refresh_per_second=REFRESH,
        transient=True,
        vertical_overflow="crop",
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        for event in events:
            with screen.lock:
                lines = board.apply(event)
                screen.note(event)
            if isinstance(event, (ev.Started, ev.Resumed)):
                console.print(_began(event))
            for line in lines:
                console.print(coloured(line), soft_wrap=True)


class _Speed(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{number(float(f'{speed:.3g}'))}/s" if speed else "", style="muted")


class _Screen:
    """Lays a board out in the window that there is.

    Args:
        board: what to show. Changed under `lock`, for the display draws in a thread.
        console: the terminal.
    """

    def __init__(self, board: Board, console: Console) -> None:
        self.lock = threading.Lock()
        self._board = board
        self._console = console
        self._width = 0
        self._spinner = Spinner("dots" if symbols(console) is UNICODE else "line")
        no_wrap = Column(no_wrap=True)
        self._progress = Progress(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=8)),
            TextColumn("{task.fields[count]}", table_column=no_wrap),
            _Speed(table_column=no_wrap),
            TimeRemainingColumn(compact=True, table_column=no_wrap),
            console=console,
            expand=True,
        )
        self._task = self._progress.add_task("", count="")

    def note(self, event: Event) -> None:
        """Follow the progress, whose speed depends on when it is noted."""
        if not isinstance(event, ev.Progress):
            return
        task = self._progress.tasks[self._task]
        if event.done < task.completed or (task.total or 0) != event.total:
            self._progress.reset(self._task, total=event.total)
        count = f"{number(event.done)}/{number(event.total)}"
        self._progress.update(self._task, completed=event.done, count=count)

    def render(self) -> RenderableType:
        """What to draw now; never higher or wider than the window."""
        with self.lock:
            width, height = self._console.size
            self._follow(width)
            foot = self._foot(width)
            sample = self._sample(width) if height >= 16 else []
            used = 2 + len(foot) + (len(sample) and SAMPLE_LINES + 2)  # 2: values, and a rest
            return Group(*self._charts(width, height - used), *sample, *foot)

    def _follow(self, width: int) -> None:
        """Begin anew in a window made narrower, where the old lines have been broken in two."""
        if width < self._width:
            self._console.control(Control.clear(), Control.home())
        self._width = width

    def _charts(self, width: int, height: int) -> list[RenderableType]:
        """As many charts as there is room for; of the others, the newest values."""
        charts = self._board.curves.charts()
        drawable = [chart for chart in charts if chart.curves]
        parts: list[RenderableType] = []
        if drawable and height >= LEAST_CHART and width >= 24:
            shown = drawable[: max(1, height // (LEAST_CHART + 2))]
            each = min(CHART_HEIGHT + 2, height // len(shown))
            for chart in shown:
                parts += chart_lines(chart, self._console, width, each)
                charts.remove(chart)
        rest = [(series.name, series.last) for chart in charts for series in chart.series]
        if rest:
            parts.append(_latest(rest, width))
        return parts

    def _sample(self, width: int) -> list[RenderableType]:
        sample = self._board.sample
        if sample is None:
            return []
        text = Text(clean(sample.text).strip("\n"), overflow="fold")
        lines = text.wrap(self._console, max(width - 4, 10))
        shown = Text("\n").join(lines[:SAMPLE_LINES])
        if len(lines) > SAMPLE_LINES:
            shown.append(" …", style="muted")
        return [_panel(one_line(sample.title), shown, width)]

    def _foot(self, width: int) -> list[RenderableType]:
        progress = self._board.progress
        if progress is None:
            words = "Running …" if self._board.started else "Starting …"
            self._spinner.update(text=Text(words, style="muted"))
            return [self._spinner]
        facts = [one_line(progress.note), speed(self._board.tokens.now), self._device()]
        line = "   ".join(fact for fact in facts if fact)
        bar = self._progress.get_renderable()
        return [_cropped(line, width), bar] if line else [bar]

    def _device(self) -> str:
        started = self._board.started
        return started.device or "" if started is not None else ""


def _latest(values: list[tuple[str, float | None]], width: int) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for name, value in values[:MAX_LATEST]:
        text.append(f"{one_line(name)} ", style="muted").append(f"{number(value)}   ")
    text.truncate(width, overflow="ellipsis")
    return text


def _panel(title: str, text: Text, width: int) -> Panel:
    heading = Text(title, style="title")
    heading.truncate(max(width - 8, 8), overflow="ellipsis")
    return Panel(text, title=heading, title_align="left", border_style="muted", box=box.ROUNDED)


def _cropped(words: str, width: int) -> Text:
    text = Text(words, style="muted", no_wrap=True)
    text.truncate(width, overflow="ellipsis")
    return text


def _began(event: ev.Started | ev.Resumed) -> Text:
    """What is run, on which device, and how; or from where it goes on."""
    if isinstance(event, ev.Resumed):
        text = Text(f"Going on from step {number(event.step)}.")
        if event.changed:
            files = ", ".join(one_line(name) for name in event.changed)
            words = f" Changed since the run began, so that it is the run of neither: {files}."
            text.append(words, style="warn")
        return text
    torch = f"torch {event.torch}" if event.torch else ""
    asked = [f"scale {event.scale}", f"seed {event.seed}", event.model or ""]
    facts = [event.device or "", *asked, torch]
    name = Text(one_line(event.lab), style="title")
    return name.append("  " + ", ".join(fact for fact in facts if fact), style="muted")


# Where there is no terminal


def _show_lines(events: Iterable[Event], board: Board, console: Console) -> None:
    said = -1
    for event in events:
        for line in board.apply(event):
            _line(console, clean(coloured(line).plain))
        if isinstance(event, (ev.Started, ev.Resumed)):
            console.print(_began(event), soft_wrap=True)
        if isinstance(event, ev.Progress):
            tenth = int(100 * event.done / event.total) // STEP_OF_LINES
            if tenth != said:
                said = tenth
                _line(console, _progress_line(event, board))


def _progress_line(event: ev.Progress, board: Board) -> str:
    parts = [
        f"{100 * event.done / event.total:3.0f} %",
        f"{number(event.done)}/{number(event.total)}",
        *([one_line(event.note)] if event.note else []),
        *filter(None, [speed(board.tokens.now)]),
        *(f"{one_line(name)} {number(value)}" for name, value in board.curves.latest()),
    ]
    return "  ".join(parts)


def _line(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)

"""A run as it happens: a live display in a terminal, plain lines anywhere else.

`show` takes the events of a run to their end and gives back how it ended. It draws and
nothing else; it touches no disk.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import PurePath
from urllib.parse import quote

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.control import Control
from rich.live import Live
from rich.measure import Measurement
from rich.padding import Padding
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
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from llmpath.running import events as ev
from llmpath.running.curves import Chart
from llmpath.running.events import Event, Outcome
from llmpath.ui.board import Board
from llmpath.ui.chart import caption, draw
from llmpath.ui.failure import failure
from llmpath.ui.theme import UNICODE, symbols
from llmpath.ui.words import clean, coloured, number, one_line

REFRESH = 8  # times a second
CHART_HEIGHT = 12
LEAST_CHART = 6
MAX_CAPTION = 3  # lines
WIDEST = 120
SAMPLE_LINES = 4
STEP_OF_LINES = 10  # per cent between two lines of progress where there is no terminal
MAX_LATEST = 12
_NUMERIC = re.compile(r"[-+−]?[\d.,]+\s?%?")


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
    for part in _summary(board, console, root):
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
        facts = [one_line(progress.note), _speed(self._board.tokens.now), self._device()]
        line = "   ".join(fact for fact in facts if fact)
        bar = self._progress.get_renderable()
        return [_cropped(line, width), bar] if line else [bar]

    def _device(self) -> str:
        started = self._board.started
        return started.device or "" if started is not None else ""


def chart_lines(chart: Chart, console: Console, width: int, height: int) -> list[RenderableType]:
    """A chart under its caption, in `height` lines."""
    signs = symbols(console) is UNICODE
    colour = console.color_system is not None and not console.no_color
    legend = caption(chart, width, colour=colour, unicode=signs)
    if legend.plain.count("\n") >= MAX_CAPTION:
        legend = Text("\n").join(legend.split("\n")[:MAX_CAPTION])
    lines = height - len(legend.plain.splitlines())
    return [legend, draw(chart, width, lines, colour=colour, unicode=signs)]


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
        *filter(None, [_speed(board.tokens.now)]),
        *(f"{one_line(name)} {number(value)}" for name, value in board.curves.latest()),
    ]
    return "  ".join(parts)


def _line(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)


# Afterwards


def _summary(board: Board, console: Console, root: str) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if console.is_terminal and not console.is_dumb_terminal:
        for chart in board.curves.charts():
            if chart.curves:
                parts += [
                    *chart_lines(chart, console, min(console.width, WIDEST), CHART_HEIGHT),
                    "",
                ]
    if board.sample is not None:
        text = Text(clean(board.sample.text).strip("\n"))
        heading = Text(one_line(board.sample.title), style="title")
        parts += [heading, Padding(text, (0, 0, 0, 2), expand=False), ""]
    for table in board.tables:
        parts += [_table(table, console), ""]
    if board.failed is not None:
        parts += failure(board.failed, console, root)
    parts += _problems(board)
    parts += _conclusion(board, console, root)
    return parts


def _table(table: ev.Table, console: Console) -> RenderableType:
    plain = not console.is_terminal
    drawn = Table(
        title=Text(one_line(table.title), style="title"),
        title_justify="left",
        box=box.ASCII2 if plain else box.SIMPLE_HEAD,
        show_edge=plain,
        border_style="muted",
        header_style="title",
    )
    for index, name in enumerate(table.columns):
        cells = [row[index] for row in table.rows if index < len(row)]
        numeric = bool(cells) and all(map(_is_numeric, cells))
        justify: JustifyMethod = "right" if numeric else "left"
        drawn.add_column(Text(one_line(name)), justify=justify, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(number(cell)) for cell in row[: len(table.columns)]))
    if plain:  # a file is as wide as its lines
        options = console.options.update(max_width=10_000)
        drawn.width = Measurement.get(console, options, drawn).maximum
    return drawn


def _is_numeric(cell: ev.Cell) -> bool:
    """Whether a cell is a number, be it written as text with digits and a per cent sign."""
    return not isinstance(cell, str) or _NUMERIC.fullmatch(cell.strip()) is not None


def _problems(board: Board) -> list[RenderableType]:
    if not board.problems:
        return []
    first = board.problems[0]
    more = f" (and {len(board.problems) - 1} more)" if len(board.problems) > 1 else ""
    words = f"A line of the event pipe was no event{more}: {one_line(first.reason)}"
    return [Text(words, style="warn")]


def _conclusion(board: Board, console: Console, root: str) -> list[RenderableType]:
    signs, ended = symbols(console), board.ended
    parts: list[RenderableType] = []
    if board.result is not None:
        sentence = one_line(board.result.sentence)
        parts.append(Text.assemble((f"{signs.passed} ", "good"), (sentence, "title")))
        if board.result.figures:
            parts.append(_figures(board.result.figures))
    if ended is None:
        return parts
    words = _ENDINGS[ended.outcome].format(code=abs(ended.exit_code))
    if words:
        parts.append(Text.assemble((f"{signs.warning} ", "warn"), words))
    if ended.outcome != "finished" and board.checkpoint is not None:
        parts.append(_resumable(board, board.checkpoint))
    parts.append(_kept(board, ended, root))
    parts += (_tracked(event, signs.warning) for event in board.tracked)
    return parts


def _tracked(event: ev.Tracked, warning: str) -> Text:
    """How to look at the run in a tracker, or what went wrong there."""
    name = one_line(event.tracker)
    if event.problem:
        words = f"{name} could not take everything: {one_line(event.problem)}"
        return Text.assemble((f"{warning} ", "warn"), words)
    return Text.assemble((f"In {name}: ", "muted"), (one_line(event.where), "command"))


def _resumable(board: Board, checkpoint: ev.Checkpoint) -> Text:
    lab = f" {one_line(board.started.lab)}" if board.started is not None else ""
    command = (f"llmpath lab run{lab} --resume", "command")
    return Text.assemble(command, f" goes on from step {number(checkpoint.step)}.")


_ENDINGS = {
    "finished": "",
    "failed": "",
    "interrupted": "Interrupted; what there was until then is kept.",
    "killed": "The run was ended from outside, or crashed (signal {code}); perhaps it used "
    "too much memory.",
    "no-result": "The run ended without a result: something ended the program early "
    "(exit code {code}).",
}


def _figures(figures: dict[str, ev.Cell]) -> Text:
    text = Text("  ")
    for name, value in figures.items():
        text.append(f"{one_line(name)} ", style="muted").append(f"{number(value)}   ")
    text.rstrip()
    return text


def _kept(board: Board, ended: ev.Ended, root: str) -> Text:
    folder = clean(ended.folder)
    prefix = root.rstrip("/\\")
    if prefix and folder.startswith((prefix + "/", prefix + "\\")):
        folder = folder[len(prefix) + 1 :]
    text = Text("In ", style="muted").append(folder, style="path")
    for index, path in enumerate(board.files):
        text.append(", " if index else ": ")
        # Many terminals open what a link leads to: a picture is one click away.
        text.append(one_line(path), style=Style(link=_address(ended.folder, path)))
    facts = [_duration(ended.seconds), _speed(board.tokens.mean)]
    return text.append(f"  ({', '.join(fact for fact in facts if fact)})")


def _address(folder: str, path: str) -> str:
    """The address of a file of the run, in letters that no terminal takes for a control."""
    place = PurePath(folder, path).as_posix()
    return f"file:///{quote(place.lstrip('/'), safe='/:', errors='replace')}"


def _speed(tokens: float | None) -> str:
    """Tokens per second, in three digits; "" where the experiment does not count them."""
    return f"{number(float(f'{tokens:.3g}'))} tokens/s" if tokens is not None else ""


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"

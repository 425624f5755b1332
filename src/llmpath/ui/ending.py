"""What stays in the terminal of a run that has ended: charts, tables, the sentence, the files."""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import quote

from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from llmpath.running import events as ev
from llmpath.ui.board import Board
from llmpath.ui.chart import CHART_HEIGHT, chart_lines
from llmpath.ui.failure import failure
from llmpath.ui.theme import symbols
from llmpath.ui.words import clean, number, one_line, speed

WIDEST = 120  # columns
_NUMERIC = re.compile(r"[-+−]?[\d.,]+\s?%?")


def ending(board: Board, console: Console, root: str) -> list[RenderableType]:
    """The last charts and samples, the tables, what went wrong, and what there is to keep.

    Args:
        board: the run, which has ended.
        console: where it will be shown.
        root: a folder (the workspace) whose files are named without it.
    """
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
    facts = [_duration(ended.seconds), speed(board.tokens.mean)]
    return text.append(f"  ({', '.join(fact for fact in facts if fact)})")


def _address(folder: str, path: str) -> str:
    """The address of a file of the run, in letters that no terminal takes for a control."""
    place = PurePath(folder, path).as_posix()
    return f"file:///{quote(place.lstrip('/'), safe='/:', errors='replace')}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"

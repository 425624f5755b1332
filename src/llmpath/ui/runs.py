"""Past runs in the terminal: a list of them, and some beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.running.comparison import Compared, charts, metrics
from llmpath.running.events import Cell
from llmpath.running.records import RunRecord
from llmpath.ui.chart import CHART_HEIGHT, chart_lines
from llmpath.ui.words import number, one_line

STYLES = {"finished": "good", "failed": "bad", "killed": "bad", "running": "accent"}
WIDEST = 100
BESIDE = 110  # columns from which on what a run found stands beside it, and not below
GAP = 2  # columns between two of the list
NAMES = 28  # columns for the names of what is compared, at most
VALUES = len("11-26 13:04")  # columns for those of a run, at least
_LEFT_OUT_IF_NARROW = ("seconds", "started", "code")


def listing(records: Sequence[RunRecord], width: int) -> RenderableType:
    """One row for each run: its number, when, how it ended, how long it took, what it found."""
    if not records:
        return Text.assemble("No runs yet. ", ("llmpath lab run", "command"), " makes one.")
    columns: dict[str, Callable[[RunRecord], str | Text]] = {
        "lab": lambda record: record.lab,
        "run": lambda record: str(record.number),
        "started": lambda record: f"{record.started:%Y-%m-%d %H:%M}",
        "code": _whose,
        "outcome": _outcome,
        "seconds": _seconds,
    }
    cells = {name: [tell(record) for record in records] for name, tell in columns.items()}
    for name in _LEFT_OUT_IF_NARROW:
        if sum(_widths(cells)) + GAP * (len(cells) - 1) > width:
            del cells[name]
    able = [record for record in records if record.can_go_on]
    shown = _beside(cells, records) if width >= BESIDE else _below(cells, records)
    return Group(shown, *(_resumable(able[-1]) if able else ()))


Cells = dict[str, list[str | Text]]  # for each column, what stands in it


def _widths(cells: Cells) -> list[int]:
    return [max(cell_len(str(cell)) for cell in (name, *cells[name])) for name in cells]


def _table(cells: Cells) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="muted")
    for name, width in zip(cells, _widths(cells), strict=True):
        justify: Any = "right" if name in ("run", "seconds") else "left"
        table.add_column(name, no_wrap=True, justify=justify, min_width=width)
    return table


def _beside(cells: Cells, records: Sequence[RunRecord]) -> RenderableType:
    """What each run found in a last column."""
    table = _table(cells)
    table.add_column("result", ratio=1)
    for record, *row in zip(records, *cells.values(), strict=True):
        table.add_row(*row, Text(one_line(record.sentence)))
    return table


def _below(cells: Cells, records: Sequence[RunRecord]) -> RenderableType:
    """What each run found in lines of its own, where a last column would be too narrow."""
    parts: list[RenderableType] = []
    for record, *row in zip(records, *cells.values(), strict=True):
        table = _table(cells)
        table.show_header = not parts
        table.add_row(*row)
        parts.append(table)
        if record.sentence:
            parts.append(Padding(Text(one_line(record.sentence), style="muted"), (0, 0, 0, 2)))
    return Group(*parts)


def comparison(runs: Sequence[Compared], console: Console, picture: Path | None) -> RenderableType:
    """What differs between the runs, their newest metrics side by side, and their curves.

    Args:
        runs: at least one.
        console: where it will be shown.
        picture: the PNG of the curves, as it is to be named.
    """
    fit = max(1, (console.width - NAMES - 4) // (VALUES + 3))
    shown = [runs[start : start + fit] for start in range(0, len(runs), fit)]
    parts: list[RenderableType] = [_side_by_side(part, runs, console) for part in shown]
    parts += _drawn(runs, console)
    if picture is not None:
        parts.append(Text.assemble("The curves over each other: ", (str(picture), "path")))
    return Group(*parts)


def _side_by_side(part: Sequence[Compared], runs: Sequence[Compared], console: Console) -> Table:
    """One table: as many of the runs as fit beside each other, with the same rows for all."""
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2, header_style="title")
    table.add_column(runs[0].record.lab, max_width=NAMES)
    for run in part:
        table.add_column(run.label, justify="right", overflow="fold", min_width=VALUES)
    for name, tell in _FACTS.items():
        if name in _ALWAYS or len({str(tell(run.record)) for run in runs}) > 1:
            table.add_row(name, *(tell(run.record) for run in part), style="muted")
    table.add_section()
    for metric in metrics(runs):
        table.add_row(one_line(metric), *(_last(run, metric) for run in part))
    for label, value in _bounds(runs):
        table.add_row(Text(label, style="muted"), *([number(value)] * len(part)), style="muted")
    table.add_section()
    for name in _found_only(runs):
        table.add_row(one_line(name), *(_figure(run.record, name) for run in part))
    return table


def as_data(record: RunRecord) -> dict[str, Any]:
    """A run as plain data, for scripts."""
    return {
        **vars(record),
        "folder": str(record.folder),
        "started": record.started.isoformat(),
        "can_go_on": record.can_go_on,
    }


def compared_as_data(run: Compared) -> dict[str, Any]:
    """A run with the newest value and the bounds of each metric, for scripts."""
    values = {
        name: {
            "last": value,
            "bounds": {bound.label: bound.value for bound in run.curves.bounds(name)},
        }
        for name, value in run.curves.latest()
    }
    return {**as_data(run.record), "metrics": values}


def _whose(record: RunRecord) -> str:
    return "reference" if record.reference else "yours"


def _outcome(record: RunRecord) -> Text:
    return Text(record.outcome, style=STYLES.get(record.outcome, "warn"))


def _seconds(record: RunRecord) -> str:
    return "" if record.seconds is None else f"{record.seconds:.1f}"


_FACTS: dict[str, Callable[[RunRecord], str | Text]] = {
    "started": lambda record: f"{record.started:%m-%d %H:%M}",
    "outcome": _outcome,
    "seconds": _seconds,
    "seed": lambda record: "" if record.seed is None else str(record.seed),
    "scale": lambda record: record.scale or "",
    "device": lambda record: record.device or "",
    "data": lambda record: record.data or "",
    "model": lambda record: record.model or "",
    "code": lambda record: "mixed" if record.code == "" else (record.code or "")[:8],
}
_ALWAYS = ("started", "outcome", "seconds")


def _last(run: Compared, metric: str) -> str:
    series = run.curves.of(metric)
    return "" if series is None else number(series.last)


def _bounds(runs: Sequence[Compared]) -> list[tuple[str, float]]:
    found = {
        (one_line(bound.label), bound.value): None
        for run in runs
        for metric in run.curves.metrics
        for bound in run.curves.bounds(metric)
    }
    return list(found)


def _found_only(runs: Sequence[Compared]) -> list[str]:
    """The figures of the results, without those that the last of a metric says already."""
    names = dict.fromkeys(name for run in runs for name in run.record.figures or {})
    said = [n for n in names if all(_last(run, n) == _figure(run.record, n) for run in runs)]
    return [name for name in names if name not in said]


def _figure(record: RunRecord, name: str) -> str:
    value: Cell = (record.figures or {}).get(name, "")
    return number(value)


def _drawn(runs: Sequence[Compared], console: Console) -> list[RenderableType]:
    if not console.is_terminal or console.is_dumb_terminal:
        return []
    parts: list[RenderableType] = []
    width = min(console.width, WIDEST)
    for metric, chart in charts(runs).items():
        if chart.curves:
            parts += [Text(one_line(metric), style="title")]
            parts += [*chart_lines(chart, console, width, CHART_HEIGHT), ""]
    return parts


def _resumable(record: RunRecord) -> list[Text]:
    command = f"llmpath lab run {record.lab} --resume"
    words = f" goes on with run {record.number} of {record.lab} from its last checkpoint."
    return [Text(""), Text.assemble((command, "command"), words)]

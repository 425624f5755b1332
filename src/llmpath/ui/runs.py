"""Past runs in the terminal: a list of them, and some beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from llmpath.running.comparison import Compared, charts, metrics
from llmpath.running.events import Cell
from llmpath.running.records import RunRecord
from llmpath.ui.chart import CHART_HEIGHT, chart_lines
from llmpath.ui.words import number, one_line

STYLES = {"finished": "good", "failed": "bad", "killed": "bad", "running": "accent"}
WIDEST = 100
NARROW = 72  # columns
_LEFT_OUT_IF_NARROW = ("started", "code", "seconds")


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
    for name in _LEFT_OUT_IF_NARROW if width < NARROW else ():
        del columns[name]
    table = Table(box=None, pad_edge=False, header_style="muted")
    for name in columns:
        justify: Any = "right" if name in ("run", "seconds") else "left"
        table.add_column(name, no_wrap=True, justify=justify)
    table.add_column("result", ratio=1, min_width=12)
    for record in records:
        result = Text(one_line(record.sentence))
        table.add_row(*(tell(record) for tell in columns.values()), result)
    able = [record for record in records if record.can_go_on]
    return Group(table, *(_resumable(able[-1]) if able else ()))


def comparison(runs: Sequence[Compared], console: Console, picture: Path | None) -> RenderableType:
    """What differs between the runs, their newest metrics side by side, and their curves.

    Args:
        runs: at least one.
        console: where it will be shown.
        picture: the PNG of the curves, as it is to be named.
    """
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else box.ASCII2, header_style="title")
    table.add_column(runs[0].record.lab, no_wrap=True)
    for run in runs:
        table.add_column(run.label, justify="right", overflow="fold")
    for name, tell in _FACTS.items():
        cells = [tell(run.record) for run in runs]
        if name in _ALWAYS or len({str(cell) for cell in cells}) > 1:
            table.add_row(name, *cells, style="muted")
    table.add_section()
    for metric in metrics(runs):
        table.add_row(one_line(metric), *(_last(run, metric) for run in runs))
    for label, value in _bounds(runs):
        table.add_row(Text(label, style="muted"), *([number(value)] * len(runs)), style="muted")
    figures = dict.fromkeys(name for run in runs for name in run.record.figures or {})
    table.add_section()
    for name in figures:
        table.add_row(one_line(name), *(_figure(run.record, name) for run in runs))
    parts: list[RenderableType] = [table, *_drawn(runs, console)]
    if picture is not None:
        parts.append(Text.assemble("The curves over each other: ", (str(picture), "path")))
    return Group(*parts)


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
    "seed": lambda record: str(record.seed),
    "scale": lambda record: record.scale or "",
    "device": lambda record: record.device or "",
    "data": lambda record: record.data or "",
    "model": lambda record: record.model or "",
    "code": lambda record: (record.code or "mixed")[:8],
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

"""The walk through every experiment: a line for each while it runs, and a table of costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmpath.course.models import Lab
from llmpath.running import events as ev
from llmpath.running.events import Event
from llmpath.running.records import RunRecord
from llmpath.ui.making import progress_bar
from llmpath.ui.words import one_line


def follow(events: Iterable[Event], lab: Lab, console: Console | None) -> None:
    """Take a run to its end with a bar; its sentence, or how it ended, is left standing."""
    console = console or Console(quiet=True)
    sentence = ""
    with progress_bar(console) as bar:
        task = bar.add_task(lab.id, total=None)
        for event in events:
            if isinstance(event, ev.Progress):
                bar.update(task, completed=event.done, total=event.total)
            elif isinstance(event, ev.Result):
                sentence = one_line(event.sentence)
            elif isinstance(event, ev.Ended) and not sentence:
                sentence = f"ended as {event.outcome}; llmpath lab run {lab.id} shows why"
    console.print(Text.assemble((f"{lab.id}  ", "title"), sentence))


def costs(records: Sequence[RunRecord]) -> Table:
    """One row for each experiment: whose code, how long, how it ended."""
    table = Table(box=box.SIMPLE, header_style="muted", show_footer=len(records) > 1)
    table.add_column("lab", footer="all", no_wrap=True)
    table.add_column("code", no_wrap=True)
    total = sum(record.seconds or 0.0 for record in records)
    table.add_column("seconds", justify="right", footer=f"{total:.1f}")
    table.add_column("ended")
    for record in records:
        seconds = "" if record.seconds is None else f"{record.seconds:.1f}"
        code = "reference" if record.reference else "yours"
        style = "good" if record.outcome == "finished" else "bad"
        table.add_row(record.lab, code, seconds, Text(record.outcome or "not ended", style=style))
    return table


def as_data(record: RunRecord) -> dict[str, Any]:
    """The same as plain data, for scripts."""
    return {
        "lab": record.lab,
        "code": "reference" if record.reference else "own",
        "seconds": record.seconds,
        "outcome": record.outcome,
        "sentence": record.sentence,
        "figures": record.figures,
    }

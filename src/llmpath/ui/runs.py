"""Past runs in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from llmpath.running.records import RunRecord

STYLES = {"finished": "good", "failed": "bad", "killed": "bad", "interrupted": "warn"}


def listing(records: Sequence[RunRecord], root: Path) -> RenderableType:
    """One row for each run: when, how it ended, how long it took, what it found, where it is."""
    if not records:
        return Text.assemble("No runs yet. ", ("llmpath lab run", "command"), " makes one.")
    table = Table(box=None, pad_edge=False, header_style="muted")
    for column in ("lab", "started", "code", "outcome", "seconds"):
        table.add_column(column, no_wrap=True)
    table.add_column("result", ratio=1)
    for record in records:
        outcome = record.outcome or "not ended"
        table.add_row(
            record.lab,
            f"{record.started:%Y-%m-%d %H:%M}",
            "reference" if record.reference else "yours",
            Text(outcome, style=STYLES.get(outcome, "warn")),
            "" if record.seconds is None else f"{record.seconds:.1f}",
            Text(record.sentence),
        )
    return table


def as_data(record: RunRecord) -> dict[str, Any]:
    """A run as plain data, for scripts."""
    return {
        **vars(record),
        "folder": str(record.folder),
        "started": record.started.isoformat(),
    }

"""Several runs of one lab beside each other: what they were asked, what they logged and found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmpath.running.curves import Chart, Curves, overlay
from llmpath.running.folder import unwritable
from llmpath.running.records import RunRecord

PICTURE = "comparison.png"
SHOWN = 5  # the runs that are compared if none are named


@dataclass(frozen=True)
class Compared:
    """One of the runs, with its curves."""

    record: RunRecord
    curves: Curves

    @property
    def label(self) -> str:
        """What the run is called in charts and tables."""
        return f"{self.record.number} {'reference' if self.record.reference else 'yours'}"


def compared(records: Sequence[RunRecord]) -> tuple[Compared, ...]:
    """The runs with their curves, read from their folders."""
    return tuple(Compared(record, record.curves()) for record in records)


def worth_comparing(records: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """The newest runs that logged or found something, oldest first."""
    fit = [record for record in records if record.figures or record.curves().metrics]
    return tuple(fit[-SHOWN:])


def metrics(runs: Sequence[Compared]) -> list[str]:
    """All that was logged in any of the runs."""
    return list(dict.fromkeys(metric for run in runs for metric in run.curves.metrics))


def charts(runs: Sequence[Compared]) -> dict[str, Chart]:
    """For each metric, the curves of the runs over each other, and its bounds."""
    return overlay({run.label: run.curves for run in runs})


def draw(runs: Sequence[Compared]) -> Path | None:
    """Draw the curves over each other, beside the folders of the runs.

    Returns:
        The PNG; None if there are no curves.

    Raises:
        LlmpathError: if it cannot be written.
    """
    from llmpath.running import picture  # loads Matplotlib

    data = picture.of_runs({run.label: run.curves for run in runs})
    if not data:
        return None
    folder = runs[0].record.folder.parent
    partial = folder / f".{PICTURE}.{os.getpid()}"
    try:
        partial.write_bytes(data)
        partial.replace(folder / PICTURE)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(folder, error) from None
    return folder / PICTURE

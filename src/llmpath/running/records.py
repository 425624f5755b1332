"""Runs as their folders tell them: what was asked, how each ended, what was logged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from llmpath.running.curves import Curves
from llmpath.running.events import Cell, Event, Outcome, parse_kept
from llmpath.running.folder import CHECKPOINT, EVENTS, REQUEST, RESULT, began, is_held, said_in


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes:
        number: its place among its lab's runs, from 1 on, by the time at which they began.
        outcome: how it ended, or `running`. One that ended without a word was killed.
        data: the data that it asked for, by its name.
        model: the real model that it used as well, if it was asked to.
        code: the SHA-256 of the file that ran, as 64 hexadecimal digits; "" for a run that
            went on with other code than it began with.
        sources: the SHA-256 of every file that could change what the run does.
        reference: whether the reference ran, and not the learner's own code.
    """

    lab: str
    folder: Path
    started: datetime
    number: int = 0
    seed: int | None = None
    device: str | None = None
    scale: str | None = None
    data: str | None = None
    model: str | None = None
    code: str | None = None
    sources: dict[str, str] | None = None
    reference: bool = False
    outcome: Outcome | Literal["running"] = "killed"
    sentence: str = ""
    figures: dict[str, Cell] | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The name of its folder: the time at which it began."""
        return self.folder.name

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.folder / CHECKPOINT).is_file()

    @property
    def can_go_on(self) -> bool:
        """Whether it ended before it was done, and left a checkpoint to go on from."""
        return self.outcome not in ("finished", "running") and self.has_checkpoint

    def events(self) -> Iterator[Event]:
        """What happened in the run, without what the learner's code printed."""
        try:
            file = open(self.folder / EVENTS, "rb")  # noqa: SIM115 - closed below
        except OSError:
            return
        with file:
            for line in file:
                if event := parse_kept(line):
                    yield event

    def curves(self) -> Curves:
        """What was logged in the run."""
        return Curves(self.events())


def list_runs(runs: Path, lab: str | None = None) -> tuple[RunRecord, ...]:
    """All runs, of one lab or of every lab, oldest first.

    A folder that cannot be read in part is listed with what can be read of it.
    """
    labs = [runs / lab] if lab else sorted(_folders(runs))
    records = [record for each in labs for record in _of_lab(each)]
    return tuple(sorted(records, key=lambda record: (record.started, record.lab, record.number)))


def read_run(folder: Path) -> RunRecord | None:
    """The run whose folder this is, or None if its name is not that of a run."""
    return next((record for record in _of_lab(folder.parent, only=folder)), None)


def run_in(folder: Path, lab: str, started: datetime) -> RunRecord:
    """The run of a lab in a folder that is not named after its time, as far as it can be read."""
    return _record(folder, started, 0, lab)


def _of_lab(lab: Path, only: Path | None = None) -> Iterator[RunRecord]:
    times = [(time, folder) for folder in _folders(lab) if (time := began(folder)) is not None]
    for number, ((started, _), folder) in enumerate(sorted(times), 1):
        if only is None or folder.name == only.name:
            yield _record(folder, started, number, lab.name)


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (child for child in folder.iterdir() if child.is_dir())


_ASKED = {
    "seed": int,
    "device": str,
    "scale": str,
    "data": str,
    "model": str,
    "code": str,
    "sources": dict,
    "reference": bool,
}
_FOUND = {"outcome": str, "sentence": str, "figures": dict, "seconds": (int, float)}


def _record(folder: Path, started: datetime, number: int, lab: str) -> RunRecord:
    asked, found = said_in(folder / REQUEST), said_in(folder / RESULT)
    if "outcome" not in found and is_held(folder):
        found["outcome"] = "running"
    return RunRecord(
        lab=lab,
        folder=folder,
        started=started,
        number=number,
        **{key: asked[key] for key, kind in _ASKED.items() if _is(asked, key, kind)},
        **{key: found[key] for key, kind in _FOUND.items() if _is(found, key, kind)},
    )


def _is(values: dict[str, Any], key: str, kind: Any) -> bool:
    return isinstance(values.get(key), kind)

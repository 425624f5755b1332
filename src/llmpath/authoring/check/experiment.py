"""The experiment ends within its limits, writes a result, and is the same for the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpath.authoring.check.bench import Bench, UnmadeError
from llmpath.authoring.check.finding import Finding, Measure
from llmpath.authoring.check.subject import LabSubject
from llmpath.authoring.check.worthless import last_lines
from llmpath.running.events import Ended, Event, Failed, Output, Progress, Result, Started

# How many times as long as it may an experiment goes on before it is stopped. That is far more
# than a busy machine adds.
ENDLESS = 5
# Seconds for what comes before it: a process that loads libraries.
START = 15
# What is named so is a time, which no two runs have in common.
TIMES = ("seconds", "per_second", "per second")


@dataclass(frozen=True)
class Run:
    """What one run of an experiment told and left."""

    events: tuple[Event, ...]
    folder: Path

    @property
    def ended(self) -> Ended:
        """The last event."""
        event = self.events[-1]
        assert isinstance(event, Ended)
        return event


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding | Measure]:
    """Run the reference twice with one seed: what fails, takes too long, or differs."""
    most = START + subject.course.standards.experiment_seconds * bench.slack * ENDLESS
    try:
        told = bench.run(subject.lab, times=2, most=most)
    except UnmadeError as error:
        yield Finding.of(subject.at(("needs",), error.message, error.hint))
        return
    runs = [Run(events, folder) for events, folder in told]
    for run in runs:
        if run.ended.seconds > most:
            message = f"The experiment does not end: it was stopped after {most:g} s."
            mend = "Let it do a number of steps, and then end."
            yield Finding.of(_problem(subject, message, mend))
            return
        if run.ended.outcome != "finished":
            yield Finding.of(*_failure(subject, run))
            return
    yield from _used(subject, runs, bench.slack)
    yield from _differences(subject, *runs)


def _used(subject: LabSubject, runs: list[Run], slack: float) -> Iterator[Finding | Measure]:
    """Time and memory of an experiment against what it may use."""
    most, memory = subject.course.standards.experiment_seconds, subject.lab.limits.memory_mb
    # Work takes no longer than its processor time; what is over that, other programs took.
    seconds = min(
        min(run.ended.seconds, run.ended.processor_seconds or run.ended.seconds) for run in runs
    )
    yield Measure(name="seconds of the experiment", value=seconds, unit="s", limit=most)
    if seconds > most * slack:
        message = f"The experiment takes {seconds:.0f} s, and may take {most:g} s."
        yield Finding.of(_problem(subject, message, "Let it do less at the scale `micro`."))
    used = min(run.ended.memory_mb for run in runs)
    yield Measure(name="memory of the experiment", value=used, unit="MB", limit=memory)
    if used > memory:
        message = f"The experiment uses {used} MB of memory; the lab may use {memory} MB."
        mend = "Let it keep less, or raise `memory_mb`."
        yield Finding.of(subject.at(("limits", "memory_mb"), message, mend))


def _problem(subject: LabSubject, message: str, mend: str, line: int = 0) -> Any:
    return subject.in_file("experiment.py", line, 0, message, mend)


def _failure(subject: LabSubject, run: Run) -> tuple[Any, str]:
    """Why a run did not finish."""
    failed = next((event for event in run.events if isinstance(event, Failed)), None)
    if failed is not None:
        frames = [frame for frame in failed.frames if frame.file.endswith("experiment.py")]
        line = frames[-1].line if frames else 0
        message = f"The experiment fails: {failed.type}: {last_lines(failed.message, 1)}"
        return _problem(subject, message, "`llmpath lab run --reference` shows where.", line), ""
    printed = "".join(event.text for event in run.events if isinstance(event, Output))
    if run.ended.outcome == "no-result":
        message, mend = "The experiment ends without a result.", "Call `run.result` at its end."
    else:
        message, mend = f"The experiment ended by {run.ended.outcome}.", "Run it and see why."
    return _problem(subject, message, mend), last_lines(printed)


def _differences(subject: LabSubject, one: Run, other: Run) -> Iterator[Finding]:
    """The first event and the first file in which two runs of one seed differ."""
    mend = (
        "Draw everything random from the seed that the run was given; name what is a time "
        "`…seconds`, and it is not compared."
    )
    for first, second in zip(_told(one), _told(other), strict=False):
        if first != second:
            message = f"Two runs with the same seed differ: {_kind(first)}."
            yield Finding.of(_problem(subject, message, mend), f"- {first}\n+ {second}")
            return
    if len(_told(one)) != len(_told(other)):
        message = "Two runs with the same seed tell a different number of things."
        yield Finding.of(_problem(subject, message, mend))
    files, again = _files(one.folder), _files(other.folder)
    for name in sorted(files.keys() | again.keys()):
        if files.get(name) != again.get(name):
            message = f"Two runs with the same seed write a different {name}."
            yield Finding.of(_problem(subject, message, mend))


def _kind(event: dict[str, Any]) -> str:
    name = event.get("title") or event.get("name") or ", ".join(event.get("metrics", ()))
    return f"{event['event']} {name}".strip()


def _told(run: Run) -> list[dict[str, Any]]:
    """What a run told, without times; progress is told as often as there is time for."""
    skipped = (Started, Progress, Output, Ended)
    return [_timeless(event) for event in run.events if not isinstance(event, skipped)]


def _timeless(event: Event) -> dict[str, Any]:
    values = event.model_dump(exclude={"at"})
    for key in ("metrics", "figures"):
        if isinstance(values.get(key), dict):
            values[key] = {name: value for name, value in values[key].items() if not _time(name)}
    if "columns" in values:
        kept = [index for index, name in enumerate(values["columns"]) if not _time(name)]
        values["rows"] = [[row[index] for index in kept] for row in values["rows"]]
    if isinstance(event, Result) and any(_time(name) for name in event.figures):
        values.pop("sentence")  # it may tell them
    return values


def _time(name: str) -> bool:
    return name.lower().endswith(TIMES)


def _files(folder: Path) -> dict[str, str]:
    """The figures and files that a run made, by name, as digests."""
    kept = (path for path in folder.rglob("*") if path.is_file())
    own = {"run.json", "result.json", "events.jsonl", "output.txt"}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in kept
        if path.relative_to(folder).as_posix() not in own and not _time(path.stem)
    }

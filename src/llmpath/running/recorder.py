"""Writes the record of a run as it happens.

`run.json` is written first, `events.jsonl` and `output.txt` as things happen, and
`result.json` last and at once, so that a folder without one is a run that was killed or,
while its lock is held, one that still goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any, Self

from llmpath import __version__
from llmpath.running import resume
from llmpath.running.curves import Curves
from llmpath.running.events import (
    Ended,
    Event,
    Failed,
    Figure,
    Output,
    Progress,
    Result,
    Resumed,
    Started,
    Unreadable,
    parse_kept,
)
from llmpath.running.folder import CHECKPOINT, EVENTS, OUTPUT, REQUEST, RESULT, held, unwritable
from llmpath.running.records import read_run
from llmpath.running.request import RunRequest

CURVES = "curves"  # the picture of a run whose experiment drew none
# What is told anew, or was told of an end that was none, when a run goes on.
_OVER = (Started, Progress, Failed, Result, Resumed, Unreadable, Ended)


class Recorder:
    """Writes the record of one run.

    Args:
        request: what was asked. For a new run it is written at once; a run that is resumed
            is taken back to its checkpoint.

    Attributes:
        before: what happened until the checkpoint, in a run that is resumed, followed by
            one `Resumed`.
        seconds: how long the run had gone on by then.

    Raises:
        LlmpathError: from here and from `keep` if the disk is full or cannot be written; if
            the run still goes on elsewhere, or its checkpoint cannot be read.
    """

    def __init__(self, request: RunRequest) -> None:
        self._path = request.run_folder
        self._result: Result | None = None
        self.before: list[Event] = []
        self.seconds = 0.0
        with self._guarded(), contextlib.ExitStack() as files:
            files.enter_context(held(self._path))
            if request.resume:
                self._go_back(request)
            else:
                self._write(REQUEST, _asked(request))
            mode = "a" if request.resume else "w"
            self._events = files.enter_context(self._open(EVENTS, mode))
            self._output = files.enter_context(self._open(OUTPUT, mode))
            for event in self.before[-1:]:
                self.keep(event)
            self._files = files.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        with contextlib.suppress(OSError):
            self._files.close()

    def keep(self, event: Event) -> None:
        """Keep one event; the last one, `Ended`, completes the record."""
        with self._guarded():
            if isinstance(event, Output):
                self._output.write(event.text)
                self._output.flush()
                return
            self._events.write(event.model_dump_json() + "\n")
            self._events.flush()
            if isinstance(event, Result):
                self._result = event
            if isinstance(event, Ended):
                self._complete(event)

    def draw(self, curves: Curves, at: float) -> Event:
        """Draw the curves of the run as a picture in its folder; the event that says so."""
        from llmpath.running import picture  # loads Matplotlib

        with self._guarded():
            self._write_bytes(f"{CURVES}.png", picture.of_run(curves))
        event = Figure(at=at, name=CURVES, path=f"{CURVES}.png")
        self.keep(event)
        return event

    def _go_back(self, request: RunRequest) -> None:
        """Take the run back to its checkpoint; a kill on the way leaves it resumable."""
        step = resume.checkpoint_step(self._path)
        lines = resume.lines_until(self._path, step)
        events = [event for line in lines if (event := parse_kept(line)) is not None]
        self.seconds = max((event.at for event in events), default=0.0)
        changed = self._note_resumed(request, step)
        self._write_bytes(EVENTS, b"".join(lines))
        (self._path / RESULT).unlink(missing_ok=True)
        self.before = [event for event in events if not isinstance(event, _OVER)]
        self.before.append(Resumed(at=self.seconds, step=step, changed=changed))

    def _note_resumed(self, request: RunRequest, step: int) -> tuple[str, ...]:
        """Write into `run.json` that the run goes on; which of its files have changed."""
        record = read_run(self._path)
        changed = resume.changed(record, request) if record is not None else ()
        asked = json.loads((self._path / REQUEST).read_text(encoding="utf-8"))
        now = datetime.now().isoformat(timespec="seconds")
        told = {"time": now, "step": step, "changed": list(changed)}
        asked["resumed"] = [*asked.get("resumed", ()), told]
        if changed:
            asked |= {"code": "", "sources": resume.sources(request)}
        self._write(REQUEST, asked)
        return changed

    def _complete(self, event: Ended) -> None:
        result = self._result
        values = {
            "outcome": event.outcome,
            "sentence": result.sentence if result else "",
            "figures": result.figures if result else {},
            "seconds": round(event.seconds, 3),
            "exit_code": event.exit_code,
        }
        self._write(RESULT, values)
        if event.outcome == "finished":
            (self._path / CHECKPOINT).unlink(missing_ok=True)

    def _open(self, name: str, mode: str) -> IO[str]:
        return open(self._path / name, mode, encoding="utf-8")

    def _write(self, name: str, values: dict[str, Any]) -> None:
        """Write JSON so that the file is there whole or not at all."""
        self._write_bytes(name, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())

    def _write_bytes(self, name: str, data: bytes) -> None:
        partial = self._path / f".{name}.partial"
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path / name)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritable(self._path, error) from None


def _asked(request: RunRequest) -> dict[str, Any]:
    kept = {"lab", "seed", "device", "scale", "data", "model", "reference", "course_version"}
    digests = resume.sources(request)
    return {
        **request.model_dump(mode="json", include=kept),
        "file": str(request.learner_file),
        "code": digests[request.learner_file.name],
        "sources": digests,
        "llmpath": __version__,
    }

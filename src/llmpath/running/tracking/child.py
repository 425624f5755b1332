"""The process that tells a tracker of a run: `python -P -m llmpath.running.tracking.child`.

It reads `events.jsonl` as it grows, until the run has ended or its parent is gone. So a
slow tracker keeps nobody waiting, and a run that is killed is told as killed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from llmpath.labkit.channel import Channel
from llmpath.running import descriptors
from llmpath.running import events as ev
from llmpath.running.folder import EVENTS
from llmpath.running.tracking.adapters import ADAPTERS, Adapter, Subject

POLL = 0.2  # seconds between two looks for more events
LAST_WORDS = 30.0  # seconds for a tracker to end when its run was killed


def main() -> int:
    """Serve one request; the exit code is 0 if the tracker took everything."""
    reading, writing = descriptors.take()
    with open(reading, "rb", buffering=0, closefd=False) as pipe:
        request = json.loads(pipe.readline())
    gone = threading.Event()
    descriptors.on_close(reading, gone.set)
    channel = Channel(writing, request["began"])
    name = request["tracker"]
    folder = Path(request["folder"])
    try:
        adapter = ADAPTERS[name](
            Subject(request["lab"], folder, request["began"], request["facts"])
        )
        channel.send("tracked", {"tracker": name, "where": adapter.where})
        _Follower(adapter, folder).follow(gone)
    except Exception as error:  # a library's own, of whatever kind
        with contextlib.suppress(OSError):
            problem = f"{type(error).__name__}: {error}".strip()
            channel.send("tracked", {"tracker": name, "problem": problem[:500]})
        return 1
    finally:
        descriptors.flush()
    return 0


class _Follower:
    """Tells an adapter what happens in a run."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        self._adapter = adapter
        self._folder = folder
        self._step = 0.0
        self._result: ev.Result | None = None

    def follow(self, gone: threading.Event) -> None:
        """Follow the run to its end, or until `gone` is set and nothing is left to read."""
        with open(self._folder / EVENTS, "rb") as file:
            while True:
                last = gone.is_set()
                for event in _available(file):
                    if isinstance(event, ev.Ended):
                        self._adapter.end(event.outcome, self._result)
                        return
                    self._note(event)
                if last:
                    _end_soon()
                    self._adapter.end("killed", self._result)
                    return
                self._adapter.flush()
                time.sleep(POLL)

    def _note(self, event: ev.Event) -> None:
        match event:
            case ev.Log():
                self._step = event.step
                known = {k: v for k, v in event.metrics.items() if v is not None}
                if known and math.isfinite(event.step):
                    self._adapter.log(event.at, event.step, known)
            case ev.Floor():
                self._adapter.fact(f"{event.metric}: {event.label}", event.value)
            case ev.Sample():
                self._adapter.text(event.title, event.text, self._step)
            case ev.Table():
                self._adapter.table(event, self._step)
            case ev.Figure():
                self._adapter.picture(event.name, self._folder / event.path, self._step)
            case ev.Result():
                self._result = event
            case _:
                pass


def _available(file: IO[bytes]) -> Iterator[ev.Event]:
    """The events that are written to their end by now."""
    while line := file.readline():
        if not line.endswith(b"\n"):
            file.seek(-len(line), os.SEEK_CUR)
            return
        if event := ev.parse_kept(line):
            yield event


def _end_soon() -> None:
    """End this process even if the tracker does not."""
    timer = threading.Timer(LAST_WORDS, os._exit, (1,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())

"""Runs an experiment: `run(request)` yields what happens, and keeps it in the run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.running.curves import Curves
from llmpath.running.events import (
    Ended,
    Event,
    Failed,
    Figure,
    Outcome,
    Output,
    Result,
    Started,
    parse,
)
from llmpath.running.process import Child, Message
from llmpath.running.recorder import Recorder
from llmpath.running.request import RunRequest
from llmpath.running.tracking.follower import Follower, require


def run(request: RunRequest, enough: Callable[[], bool] = lambda: False) -> Generator[Event]:
    """Run a lab's experiment on a file in a child process.

    Where a run is resumed, the events begin with what it had shown until its checkpoint.

    The events end with one `Ended`. While they are taken, Ctrl-C ends the child (at once
    if pressed twice) and the events end as usual, with the outcome `interrupted`. Closing
    the generator early kills the child.

    Args:
        request: what to run; its run folder must exist.
        enough: asked ten times a second or more; once it says yes, the child is stopped as by
            Ctrl-C.

    Raises:
        LlmpathError: at once, if a file or the tracker is missing; while events are taken,
            if the run cannot be kept, such as on a full disk.
    """
    for path, mend in (
        (request.learner_file, "`llmpath lab reset` brings the starter back."),
        (request.lab_folder / "experiment.py", "This lab has nothing to run."),
    ):
        if not path.is_file():
            raise LlmpathError(f"There is no file {path}.", mend)
    if request.track is not None:
        require(request.track)
    return _events(request, enough)


def _events(request: RunRequest, enough: Callable[[], bool]) -> Generator[Event]:
    with Recorder(request) as record:
        yield from record.before
        began = time.time() - record.seconds
        seen = _Seen(record.before)
        with (
            Follower(request, began) as follower,
            Child("llmpath.running.child", _line(request, began), request.run_folder) as child,
            child.stopped_by_interrupt(),
        ):
            try:
                for message in child.messages():
                    yield from follower.news()
                    if not child.stopping and enough():
                        child.stop()
                    if message is None or _is_startup_noise(message, child, seen):
                        continue
                    event = _event(message, time.time() - began)
                    seen.note(event)
                    record.keep(event)
                    yield event
            except GeneratorExit:
                child.stopping = True
                record.keep(seen.ended(child, began, request))
                raise
            ended = seen.ended(child, began, request)
            if seen.needs_picture:
                yield record.draw(seen.curves, ended.at)
            record.keep(ended)
            yield from follower.ended()
    yield ended


def _line(request: RunRequest, began: float) -> bytes:
    """The child's input. Absolute paths, for the child works in the run folder."""
    values: dict[str, Any] = request.model_dump(mode="json")
    for key in ("lab_folder", "learner_file", "course_root", "run_folder"):
        values[key] = str(getattr(request, key).absolute())
    for key in ("thread", "artefacts"):
        paths: dict[str, Path] = getattr(request, key)
        values[key] = {name: str(path.absolute()) for name, path in paths.items()}
    return json.dumps({**values, "began": began}).encode()


def _event(message: Message, at: float) -> Event:
    if message.pipe == "output":
        return Output(at=at, text=message.text)
    return parse(message.data)


def _is_startup_noise(message: Message, child: Child, seen: _Seen) -> bool:
    """Whether it is what Python prints when Ctrl-C meets it before it has begun."""
    return message.pipe == "output" and child.stopping and not seen.started


class _Seen:
    """What has happened in a run: it tells how the run ended, and whether to draw its curves.

    Args:
        before: the events of a resumed run until its checkpoint.
    """

    def __init__(self, before: Iterable[Event]) -> None:
        self.curves = Curves()
        self.started = False
        self._figure = False
        self._failed = False
        self._result = False
        for event in before:
            self.note(event)

    def note(self, event: Event) -> None:
        self.curves.note(event)
        self.started |= isinstance(event, Started)
        self._figure |= isinstance(event, Figure)
        self._failed |= isinstance(event, Failed)
        self._result |= isinstance(event, Result)

    @property
    def needs_picture(self) -> bool:
        """Whether there are curves, and no picture of the experiment's own."""
        return not self._figure and any(chart.curves for chart in self.curves.charts())

    def ended(self, child: Child, began: float, request: RunRequest) -> Ended:
        seconds = time.time() - began
        return Ended(
            at=seconds,
            outcome=self._outcome(child),
            exit_code=child.exit_code,
            seconds=seconds,
            folder=str(request.run_folder),
            processor_seconds=child.usage.processor_seconds,
            memory_mb=child.usage.memory_mb,
        )

    def _outcome(self, child: Child) -> Outcome:
        if self._failed:
            return "failed"
        if self._result:
            return "finished"
        if child.stopping:
            return "interrupted"
        return "killed" if child.exit_code < 0 else "no-result"

"""Runs an experiment: `run(request)` yields what happens, and keeps it in the run folder."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.running.events import (
    Ended,
    Event,
    Failed,
    Outcome,
    Output,
    Result,
    Started,
    parse,
)
from llmpath.running.folder import RunFolder
from llmpath.running.process import Child, Message
from llmpath.running.request import RunRequest


def run(request: RunRequest) -> Generator[Event]:
    """Run a lab's experiment on a file in a child process.

    The events end with one `Ended`. While they are taken, Ctrl-C ends the child (at once
    if pressed twice) and the events end as usual, with the outcome `interrupted`. Closing
    the generator early kills the child.

    Args:
        request: what to run; its run folder must exist.

    Raises:
        LlmpathError: at once, if a file is missing; while events are taken, if the run
            cannot be kept, such as on a full disk.
    """
    for path, mend in (
        (request.learner_file, "`llmpath lab reset` brings the starter back."),
        (request.lab_folder / "experiment.py", "This lab has nothing to run."),
    ):
        if not path.is_file():
            raise LlmpathError(f"There is no file {path}.", mend)
    return _events(request)


def _events(request: RunRequest) -> Generator[Event]:
    began = time.time()
    ending = _Ending()
    with (
        RunFolder(request) as record,
        Child("llmpath.running.child", _line(request, began), request.run_folder) as child,
        child.stopped_by_interrupt(),
    ):
        try:
            for message in child.messages():
                if message is None or _is_startup_noise(message, child, ending):
                    continue
                event = _event(message, time.time() - began)
                ending.note(event)
                record.keep(event)
                yield event
        except GeneratorExit:
            child.stopping = True
            record.keep(ending.ended(child, began, request))
            raise
        ended = ending.ended(child, began, request)
        record.keep(ended)
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


def _is_startup_noise(message: Message, child: Child, ending: _Ending) -> bool:
    """Whether it is what Python prints when Ctrl-C meets it before it has begun."""
    return message.pipe == "output" and child.stopping and not ending.started


class _Ending:
    """Tells from what has happened how a run ended."""

    def __init__(self) -> None:
        self.started = False
        self._failed = False
        self._result = False

    def note(self, event: Event) -> None:
        self.started |= isinstance(event, Started)
        self._failed |= isinstance(event, Failed)
        self._result |= isinstance(event, Result)

    def ended(self, child: Child, began: float, request: RunRequest) -> Ended:
        seconds = time.time() - began
        return Ended(
            at=seconds,
            outcome=self._outcome(child),
            exit_code=child.exit_code,
            seconds=seconds,
            folder=str(request.run_folder),
        )

    def _outcome(self, child: Child) -> Outcome:
        if self._failed:
            return "failed"
        if self._result:
            return "finished"
        if child.stopping:
            return "interrupted"
        return "killed" if child.exit_code < 0 else "no-result"

"""Holds the process with a model, and hands out what it writes to those who asked for it."""

from __future__ import annotations

import itertools
import json
import queue
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from pathlib import Path
from typing import Self

from llmpath.errors import LlmpathError
from llmpath.running.process import Child
from llmpath.running.task import FAILED
from llmpath.serving.answers import Answer, Broken, Ready, Text, parse
from llmpath.serving.request import Generation
from llmpath.serving.source import Source

Deliver = Callable[[Answer], None]
_KEPT = 2000  # characters of what the child printed that are shown where it failed


class ModelFailedError(LlmpathError):
    """The model cannot be loaded.

    Attributes:
        answer: what went wrong, with the place in the learner's code if it is there.
    """

    def __init__(self, answer: Broken, hint: str) -> None:
        super().__init__(answer.message, hint)
        self.answer = answer


class Engine:
    """A model in a process of its own, which ends with the context.

    Any thread may start and cancel requests; answers are delivered by a thread of the engine.

    Args:
        source: the model.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._ready: Future[Ready] = Future()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Deliver] = {}
        self._lock = threading.Lock()
        self._over = False
        self._printed = ""
        line = json.dumps(source.request()).encode()
        self._child = Child("llmpath.serving.child", line, Path(tempfile.gettempdir()))
        self._thread = threading.Thread(target=self._listen, name="engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self._child.__exit__(*ending)
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return not self._over

    def ready(self, timeout: float | None = None) -> Ready:
        """Wait for the model to be loaded.

        Raises:
            LlmpathError: if it cannot be.
            TimeoutError: if it is not in time.
        """
        return self._ready.result(timeout)

    def start(self, asked: Generation, deliver: Deliver) -> int:
        """Ask for a text.

        Args:
            asked: what to write.
            deliver: called with each answer; it must not wait.

        Returns:
            The number of the request.
        """
        number = next(self._numbers)
        with self._lock:
            over = self._over
            if not over:
                self._waiting[number] = deliver
        if over:
            deliver(self._lost(number))
        else:
            self._child.tell({"number": number, "generation": asked.model_dump_json()})
        return number

    def cancel(self, number: int) -> None:
        """Have a request end now; one that has ended is left alone."""
        self._child.tell({"number": number})

    def generate(self, asked: Generation) -> Generator[Answer]:
        """The answers to one request; closing the iterator cancels it."""
        answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        number = self.start(asked, answers.put)
        try:
            while isinstance(answer := answers.get(), Text):
                yield answer
            yield answer
        finally:
            self.cancel(number)

    # The engine's thread

    def _listen(self) -> None:
        for message in self._child.messages():
            if message is None:
                continue
            if message.pipe == "output":
                self._printed = (self._printed + message.text)[-_KEPT:]
            elif FAILED.encode() in message.data[:100]:
                self._failed(json.loads(message.data))
            else:
                self._take(parse(message.data))
        self._end()

    def _take(self, answer: Ready | Answer) -> None:
        if isinstance(answer, Ready):
            self._ready.set_result(answer)
            return
        with self._lock:
            if isinstance(answer, Text):
                deliver = self._waiting.get(answer.number)
            else:
                deliver = self._waiting.pop(answer.number, None)
        if deliver is not None:
            deliver(answer)

    def _failed(self, fields: dict[str, object]) -> None:
        answer = Broken.model_validate({**fields, "event": "broken", "number": 0})
        self._ready.set_exception(ModelFailedError(answer, str(fields["hint"])))

    def _end(self) -> None:
        """Tell all who still wait that nothing more will come."""
        with self._lock:
            self._over = True
            waiting, self._waiting = self._waiting, {}
        for number, deliver in waiting.items():
            deliver(self._lost(number))
        if not self._ready.done():
            self._ready.set_exception(
                LlmpathError(self._lost(0).message, "If memory ran out, close something large.")
            )

    def _lost(self, number: int) -> Broken:
        code = self._child.exit_code
        text = f"The model's process ended with exit code {code}.\n{self._printed}"
        return Broken(number=number, message=text.rstrip())

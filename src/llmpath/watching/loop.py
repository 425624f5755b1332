"""Grades after each save, one grading at a time, and tells of it as events."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

from llmpath.errors import LlmpathError
from llmpath.watching.changes import Changes, stamp

Result = TypeVar("Result")
WAIT = 0.2  # seconds after which Ctrl-C is noticed where a wait cannot be interrupted (Windows)


@dataclass(frozen=True)
class Began:
    """A grading begins."""


@dataclass(frozen=True)
class Done(Generic[Result]):
    """A grading has ended, with this result."""

    result: Result


@dataclass(frozen=True)
class Refused:
    """A grading could not be done; watching goes on."""

    error: LlmpathError


@dataclass(frozen=True)
class Gone:
    """The file is not there."""


@dataclass(frozen=True)
class Pressed:
    """A key was pressed."""

    key: str


@dataclass(frozen=True)
class _Broken:
    """The grading failed in a way that is no one's to expect."""

    error: BaseException


class Watch(Generic[Result]):
    """Grades a file at once and after each save; a context that ends its threads on exit.

    A save during a grading is graded after it; several saves meanwhile are graded once.

    Args:
        file: the learner's file.
        state: the workspace's own folder, on the same disk, for a self-test.
        grade: grades the file as it is now. It runs in a thread of its own, and what it
            gives or raises after the context has ended is dropped.
    """

    def __init__(self, file: Path, state: Path, grade: Callable[[], Result]) -> None:
        self._file = file
        self._grade = grade
        self._events: queue.SimpleQueue[
            Began | Done[Result] | Refused | Gone | Pressed | _Broken
        ] = queue.SimpleQueue()
        self._due = threading.Event()
        self._over = threading.Event()
        self._changes = Changes(file, state, self._due.set, self._tell_gone)
        # Not a daemon: a grading that is cut short still removes its scratch folder.
        self._grading = threading.Thread(target=self._run, name="grading")

    def __enter__(self) -> Watch[Result]:
        if stamp(self._file) is None:
            self._tell_gone()
        else:
            self._due.set()
        self._changes.start()
        self._grading.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._due.set()
        self._changes.stop()

    @property
    def polling(self) -> bool:
        """Whether the file has to be polled, as far as that is known by now."""
        return bool(self._changes.polling)

    def press(self, key: str) -> None:
        """Add a key to the events."""
        self._events.put(Pressed(key))

    def events(self) -> Iterator[Began | Done[Result] | Refused | Gone | Pressed]:
        """What happens, as it happens, without end."""
        while True:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=WAIT)
                if isinstance(event, _Broken):
                    raise event.error
                yield event

    def _tell_gone(self) -> None:
        self._events.put(Gone())

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._over.is_set():
                return
            self._events.put(Began())
            try:
                self._events.put(Done(self._grade()))
            except LlmpathError as error:
                # Between the parts of a save, an editor may have taken the file away.
                self._events.put(Gone() if stamp(self._file) is None else Refused(error))
            except BaseException as error:
                self._events.put(_Broken(error))
                return

"""Grades after each save, one grading at a time, and tells of it as events."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from llmpath.errors import LlmpathError
from llmpath.watching.changes import Changes, stamp

Result = TypeVar("Result")
Part = TypeVar("Part")
Result_co = TypeVar("Result_co", covariant=True)
Part_co = TypeVar("Part_co", covariant=True)
PATIENCE = 1.0  # seconds for a cancelled grading to end; imports that it waits for can take longer
WAIT = 0.2  # seconds after which Ctrl-C is noticed where a wait cannot be interrupted (Windows)


@dataclass(frozen=True)
class Began:
    """A grading begins."""


@dataclass(frozen=True)
class Step(Generic[Part]):
    """A part of a grading is done."""

    part: Part


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
    """None of the files is there."""


@dataclass(frozen=True)
class Pressed:
    """A key was pressed."""

    key: str


@dataclass(frozen=True)
class _Broken:
    """The grading failed in a way that is no one's to expect."""

    error: BaseException


class Work(Protocol[Result_co, Part_co]):
    """What is done after each save. All but `cancel` is called in one thread."""

    def grade(self, told: Callable[[Part_co], None]) -> Result_co:
        """Grade the files as they are now, and tell of each part that is done.

        Raises:
            Stopped: if `cancel` was called meanwhile.
            LlmpathError: if it cannot be graded now.
        """

    def prepare(self) -> None:
        """Get ready for the next grading, while the learner reads and types."""

    def cancel(self) -> None:
        """End the grading that is going on, if there is one. Called from another thread."""


class Stopped(Exception):  # noqa: N818 - asked for, so no error
    """A grading was cancelled."""


class Watch(Generic[Result, Part]):
    """Grades files at once and after each save; a context that ends its threads on exit.

    A save during a grading ends it, for no one waits for its result any more.

    Args:
        files: what is graded.
        state: a folder of llmpath's own on the same disk, for a self-test.
        work: what to do. What it gives or raises after the context has ended is dropped.
    """

    def __init__(self, files: Sequence[Path], state: Path, work: Work[Result, Part]) -> None:
        self._files = tuple(files)
        self._work = work
        self._events: queue.SimpleQueue[
            Began | Step[Part] | Done[Result] | Refused | Gone | Pressed | _Broken
        ] = queue.SimpleQueue()
        self._due = threading.Event()
        self._over = threading.Event()
        self._changes = Changes(self._files, state, self._again, self._tell_gone)
        # Not a daemon: a grading that is cut short still removes its scratch folder.
        self._grading = threading.Thread(target=self._run, name="grading")

    def __enter__(self) -> Watch[Result, Part]:
        if self._gone:
            self._events.put(Gone())
        else:
            self._due.set()
        self._changes.start()
        self._grading.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._over.set()
        self._again()
        self._changes.stop()
        self._grading.join(PATIENCE)

    @property
    def polling(self) -> bool:
        """Whether the files have to be polled, as far as that is known by now."""
        return bool(self._changes.polling)

    def press(self, key: str) -> None:
        """Add a key to the events."""
        self._events.put(Pressed(key))

    def events(self) -> Iterator[Began | Step[Part] | Done[Result] | Refused | Gone | Pressed]:
        """What happens, as it happens, without end."""
        while True:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=WAIT)
                if isinstance(event, _Broken):
                    raise event.error
                yield event

    @property
    def _gone(self) -> bool:
        return all(stamp(file) is None for file in self._files)

    def _tell_gone(self) -> None:
        if self._gone:
            self._events.put(Gone())
        else:  # one of several
            self._again()

    def _again(self) -> None:
        """Have the files graded once more, and first of all whatever is graded now ended."""
        # In this order: the other way round, it could be the next one that is ended.
        self._work.cancel()
        self._due.set()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._over.is_set():
                return
            self._events.put(Began())
            try:
                done = self._work.grade(lambda part: self._events.put(Step(part)))
                self._events.put(Done(done))
                self._work.prepare()
            except Stopped:
                continue
            except LlmpathError as error:
                # Between the parts of a save, an editor may have taken the file away.
                self._events.put(Gone() if self._gone else Refused(error))
            except BaseException as error:
                self._events.put(_Broken(error))
                return

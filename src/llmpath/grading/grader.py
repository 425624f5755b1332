"""Grades labs: keeps what gradings have in common, and makes the next one ready.

This is the parent of judge and worker, and imports no learner code; `trial` is one grading.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.grading.children import ChildrenError, Nursery, StartMethod, nursery
from llmpath.grading.imports import imports_of
from llmpath.grading.report import CheckResult, GradeReport
from llmpath.grading.request import GradeRequest
from llmpath.grading.session import Session, Setting
from llmpath.grading.trial import Trial

MAX_FILE = 2 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Graded:
    """A report, and the content of the file that it is about."""

    report: GradeReport
    source: bytes


class Grader:
    """Grades labs, any number of times; a context that ends its processes on exit.

    Args:
        lab_folder: the folder of a lab whose imports are loaded at once, before they are needed.
        method: how children are started; None chooses what suits the machine.
        started: a nursery that was started ahead, and is ended by whoever did; None starts one.
    """

    def __init__(
        self,
        lab_folder: Path | None = None,
        method: StartMethod | None = None,
        started: Nursery | None = None,
    ) -> None:
        self._ending = contextlib.ExitStack()
        self._nursery = started or self._ending.enter_context(nursery(method))
        self._ending.callback(self._forget)
        self._loaded: set[Path] = set()
        self._ready: Session | None = None
        self._cancelled = threading.Event()
        if lab_folder is not None:
            self._load(lab_folder)

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *ending: object) -> None:
        self._ending.close()

    def _load(self, lab_folder: Path) -> None:
        if lab_folder not in self._loaded:
            self._nursery.load(imports_of(lab_folder))
            self._loaded.add(lab_folder)

    def prepare(self, request: GradeRequest) -> None:
        """Make ready for a grading like this one, whatever its file holds by then.

        It costs two waiting processes, and saves the next `grade` their start.
        """
        try:
            self._load(request.folder)
            self._ready = self._session(Setting.of(request))
        except (ChildrenError, OSError):
            self._ready = None  # it is tried again, and told of, when it is needed

    def _session(self, setting: Setting) -> Session:
        """The session that was made ready, if it suits; else a new one."""
        ready, self._ready = self._ready, None
        if ready is not None:
            if ready.setting == setting:
                return ready
            ready.close()
        return Session(self._nursery, setting)

    def _forget(self) -> None:
        if self._ready is not None:
            self._ready.close()
            self._ready = None

    def grade(
        self, request: GradeRequest, told: Callable[[CheckResult], None] | None = None
    ) -> Graded:
        """Grade one file.

        Args:
            request: what to grade.
            told: called with each verdict as it comes.

        Raises:
            LlmpathError: if the file cannot be read or no process can be started.
            Cancelled: if `cancel` was called meanwhile.
        """
        self._cancelled.clear()
        source = _read(request.file)
        thread = {lab: (path.name, _read(path)) for lab, path in request.thread.items()}
        try:
            self._load(request.folder)
            trial = Trial(self._session, request, source, thread, told, self._cancelled)
            report = trial.run()
        except ChildrenError as error:
            raise LlmpathError(
                f"The grading could not be started: {error}.", "llmpath doctor may say why."
            ) from error
        return Graded(report, source)

    def cancel(self) -> None:
        """End the grading that another thread is at, if there is one, without a report."""
        self._cancelled.set()


def grade(request: GradeRequest, method: StartMethod | None = None) -> Graded:
    """Grade one file once, in processes of its own."""
    _read(request.file)
    with Grader(request.folder, method) as grader:
        return grader.grade(request)


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_FILE:
            raise LlmpathError(
                f"{file} is {file.stat().st_size / 1e6:.1f} MB, which is no file of code.",
                "Keep data out of it; a lab's file is a few kilobytes.",
            )
        return file.read_bytes()
    except OSError as error:
        raise LlmpathError(
            f"{file} cannot be read: {error.strerror}.",
            "llmpath lab reset brings a lab's starter back; --file grades another file.",
        ) from error

"""The parent of a grading: starts judge and worker, holds them to their limits, believes
nothing but complete verdicts.

When the worker dies or time runs out in a check, that check has its verdict, and the
remaining checks go on with a new pair of processes, so that one endless loop does not
cost the points of the rest.
"""

from __future__ import annotations

import contextlib
import math
import secrets
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from pydantic import ValidationError

from llmpath.course.models import Check, Lab
from llmpath.errors import LlmpathError
from llmpath.grading.children import ChildrenError, Nursery, StartMethod, nursery
from llmpath.grading.events import (
    Broken,
    Event,
    ImportFailed,
    Ready,
    Started,
    Verdict,
    WorkerDied,
)
from llmpath.grading.imports import imports_of
from llmpath.grading.mistakes import known_mistakes
from llmpath.grading.report import CheckResult, Detail, GradeReport, Isolation
from llmpath.grading.sandbox import REQUIRED
from llmpath.grading.sentence import sentence
from llmpath.grading.session import Output, Session, Setting

STARTING = 120.0  # seconds that two interpreters may take to start, on a very busy machine
TICK = 0.05  # seconds between looks at the clock and at memory
MAX_FILE = 2 * 1024 * 1024
ALWAYS = ("separate process", "clean folder", "time limit", "memory limit")


@dataclass(frozen=True)
class GradeRequest:
    """What to grade.

    Attributes:
        folder: the lab's folder, with `checks.py`.
        file: the learner's file.
        thread: for each lab that this one uses, the file that stands for it.
        seed: draws the inputs of the checks; None draws a new one.
        course: the version of the course, for the report.
        only: ids of the checks to run, in this order; None runs all.
        isolation: confine learner code as well as the machine can (`auto`), refuse to grade
            where that is not enough (`require`), or do not (`off`).
    """

    lab: Lab
    folder: Path
    file: Path
    thread: Mapping[str, Path] = field(default_factory=dict)
    seed: int | None = None
    course: str = "0"
    only: tuple[str, ...] | None = None
    isolation: Literal["auto", "require", "off"] = "auto"


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            self._ready = self._session(_setting(request))
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
            work = _Grading(self._session, request, source, thread, told, self._cancelled)
            report = work.run()
        except ChildrenError as error:
            raise LlmpathError(
                f"The grading could not be started: {error}.", "llmpath doctor may say why."
            ) from error
        return Graded(report, source)

    def cancel(self) -> None:
        """End the grading that another thread is at, if there is one, without a report."""
        self._cancelled.set()


class Cancelled(Exception):  # noqa: N818 - asked for, so no error
    """The grading was ended, because no one waits for it any more."""


def grade(request: GradeRequest, method: StartMethod | None = None) -> Graded:
    """Grade one file once, in processes of its own."""
    _read(request.file)
    with Grader(request.folder, method) as grader:
        return grader.grade(request)


def _setting(request: GradeRequest) -> Setting:
    """What a session for this request has to be made ready for."""
    checks = (request.folder / "checks.py").resolve()
    try:
        state = checks.stat().st_mtime_ns
    except OSError:
        state = 0  # the judge says what is the matter with it
    return Setting(
        checks=checks,
        state=state,
        file=request.lab.file,
        confine=request.isolation != "off",
        cpu_seconds=math.ceil(request.lab.limits.seconds) + 5,
        hidden=(request.folder.resolve().parent,),
    )


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


class _Grading:
    """One grading of one file: as many sessions of judge and worker as it takes."""

    def __init__(
        self,
        session: Callable[[Setting], Session],
        request: GradeRequest,
        source: bytes,
        thread: Mapping[str, tuple[str, bytes]],
        told: Callable[[CheckResult], None] | None,
        cancelled: threading.Event,
    ) -> None:
        self._new_session = session
        self._request = request
        self._lab = request.lab
        self._seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        self._source = source
        self._thread = thread
        self._told = told
        self._cancelled = cancelled
        self._results: dict[str, CheckResult] = {}
        self._problem: Detail | None = None
        self._force: frozenset[str] = frozenset()
        self._used = 0.0  # seconds of the lab's limit
        self._output = Output(self._lab.limits.output_kb * 1024)
        wanted = request.only or tuple(check.id for check in self._lab.checks)
        by_id = {check.id: check for check in self._lab.checks}
        self._checks: tuple[Check, ...] = tuple(by_id[name] for name in wanted)

    def run(self) -> GradeReport:
        began = time.monotonic()
        while (remaining := self._remaining()) and self._problem is None:
            if self._used >= self._lab.limits.seconds:
                self._out_of_time(remaining)
                break
            before = len(self._results)
            self._session(remaining)
            if len(self._results) == before and self._problem is None:
                self._problem = Detail(kind="course", summary="the judge ended without a verdict")
        return self._report(time.monotonic() - began)

    def _isolation(self) -> Isolation:
        mode = self._request.isolation
        measures = (*sorted(self._force), *ALWAYS)
        standing: Literal["verified", "self-checked"] = "self-checked"
        if mode == "require" and self._force >= REQUIRED:
            standing = "verified"
        return Isolation(mode=mode, measures=measures, standing=standing)

    def _remaining(self) -> list[Check]:
        return [check for check in self._checks if check.id not in self._results]

    def _out_of_time(self, remaining: list[Check]) -> None:
        limit = self._lab.limits.seconds
        for check in remaining:
            detail = Detail(kind="limit", summary=f"the lab's {limit:g} s were used up before it")
            self._settle(check, "timeout", detail, 0.0)

    def _session(self, checks: list[Check]) -> None:
        """Run judge and worker once, until they end, break, or run out of time or memory."""
        session = self._new_session(_setting(self._request))
        try:
            self._follow(session, checks)
        finally:
            session.close()

    def _order(self, checks: list[Check]) -> dict[str, Any]:
        """What the judge has to know."""
        return {
            "seed": self._seed,
            "passed": [r.id for r in self._results.values() if r.status == "passed"],
            "run": [
                {"id": check.id, "function": check.function, "needs": list(check.needs)}
                for check in checks
            ],
        }

    def _follow(self, session: Session, checks: list[Check]) -> None:
        """Read the judge's events, and look at the clock and at memory between them."""
        by_id = {check.id: check for check in checks}
        current: Check | None = None
        began = started = time.monotonic()
        while True:
            event = session.event(TICK)
            now = time.monotonic()
            if self._cancelled.is_set():
                raise Cancelled
            if event is None:
                if self._over_limits(session, current, now - began, now - started):
                    return
                continue
            match event:
                case Ready() if not session.importing:
                    self._take_isolation(event)
                    session.begin(self._source, self._thread, self._order(checks), self._output)
                    # Until here, interpreters were starting: not the learner's time.
                    began = started = time.monotonic()
                    session.importing = True
                case Started() if session.importing:
                    current, began = by_id.get(event.check), now
                case Verdict() if session.importing:
                    self._take_verdict(event, by_id, session.peak_mb())
                case _:
                    session.require_started()
                    self._take_end(event, session, current, now - began)
                    self._used += now - started
                    return

    def _over_limits(
        self, session: Session, check: Check | None, running: float, in_session: float
    ) -> bool:
        """End the check at hand if it, or the lab, has used more than it may."""
        if not session.importing:
            if in_session < STARTING:
                return False
            self._problem = Detail(kind="course", summary="the judge did not start")
            return True
        whole = self._used + in_session > self._lab.limits.seconds
        if whole or running > self._limit_of(check):
            self._used += in_session
            self._timed_out(session, check, whole, running)
            return True
        excess = session.excess(self._lab.limits.memory_mb)
        if excess:
            self._used += in_session
            self._fail(check, Detail(kind="limit", summary=excess), "failed", running)
        return bool(excess)

    def _limit_of(self, check: Check | None) -> float:
        own = check.seconds if check is not None else None
        return own or self._lab.limits.check_seconds

    def _take_verdict(self, verdict: Verdict, by_id: Mapping[str, Check], memory_mb: int) -> None:
        check = by_id.get(verdict.check)
        if check is None or check.id in self._results:
            self._problem = Detail(kind="course", summary="the judge gave a verdict twice")
            return
        self._settle(check, verdict.status, verdict.detail, verdict.seconds, memory_mb)

    def _take_end(
        self, event: Event, session: Session, current: Check | None, seconds: float
    ) -> None:
        """Handle an event after which the session is over."""
        match event:
            case ImportFailed():
                self._problem = _import_problem(event.error)
            case WorkerDied():
                detail = _death(session.end_worker(), event.message)
                self._fail(current, detail, "failed", seconds)
            case Broken():
                self._problem = Detail(kind="course", summary=event.message)
            case _ if self._remaining() and self._problem is None:
                said = "the judge ended before the last verdict"
                self._problem = Detail(kind="course", summary=said)

    def _take_isolation(self, ready: Ready) -> None:
        """Note what is in force, and go no further where more is required."""
        self._force = frozenset(ready.isolation)
        lacking = REQUIRED - self._force
        if self._request.isolation == "require" and lacking:
            raise LlmpathError(
                f"This machine cannot confine learner code: {', '.join(sorted(lacking))} would "
                "not be kept apart.",
                "Grade on Linux 6.12 or newer with libseccomp, or without --isolation require.",
            )

    def _timed_out(
        self, session: Session, check: Check | None, whole: bool, seconds: float
    ) -> None:
        frames = session.running_line(self._lab.file, self._source)
        limit = self._lab.limits.seconds if whole else self._limit_of(check)
        name = "the lab" if whole else "a check" if check is not None else "its import"
        summary = f"it was still running after {limit:g} s, the limit of {name}"
        self._fail(check, Detail(kind="limit", summary=summary, frames=frames), "timeout", seconds)

    def _fail(self, check: Check | None, detail: Detail, status: str, seconds: float) -> None:
        """Settle the check at hand; without one, it was the import that failed."""
        if check is None:
            self._problem = detail
        else:
            self._settle(check, status, detail, seconds)

    def _settle(
        self,
        check: Check,
        status: Any,
        detail: Detail | None,
        seconds: float,
        memory_mb: int = 0,
    ) -> None:
        points = check.points if status == "passed" else 0
        self._results[check.id] = CheckResult(
            id=check.id,
            status=status,
            points=points,
            max_points=check.points,
            message="" if detail is None else sentence(detail),
            detail=detail,
            seconds=round(seconds, 4),
            memory_mb=memory_mb,
        )
        if self._told is not None:
            self._told(self._results[check.id])

    def _report(self, seconds: float) -> GradeReport:
        problem = self._problem
        if problem is not None:
            broken = problem.kind == "course"
            for check in self._remaining():
                self._settle(check, "error" if broken else "failed", problem, 0.0)
        results = tuple(self._results[check.id] for check in self._checks)
        complete = tuple(r.id for r in results) == tuple(c.id for c in self._lab.checks)
        status = "failed"
        if problem is not None:
            status = {"course": "error", "syntax": "syntax-error"}.get(problem.kind, "import-error")
        elif any(result.status == "error" for result in results):
            status = "error"
        elif complete and results and all(result.status == "passed" for result in results):
            status = "passed"
        known = () if problem is not None else known_mistakes(self._lab, results)
        points = 0 if problem is not None else sum(result.points for result in results)
        return GradeReport(
            lab=self._lab.id,
            status=status,  # type: ignore[arg-type]  # one of the literals above
            points=points,
            max_points=sum(check.points for check in self._checks),
            checks=results,
            problem=problem,
            misconception=known[0].id if len(known) == 1 else None,
            isolation=self._isolation(),
            output=self._output.text(),
            seed=self._seed,
            seconds=round(seconds, 3),
            course=self._request.course,
        )


def _import_problem(error: dict[str, Any]) -> Detail:
    from llmpath.grading.evidence import raised

    try:
        return Detail.model_validate(raised(error))
    except ValidationError:
        return Detail(kind="raised", summary="the file could not be imported")


def _death(code: int | None, message: str) -> Detail:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return Detail(kind="died", summary=f"your code was ended by the system ({name})")
    if "ended" in message and code is not None:
        text = f"your code ended the Python process (exit code {code}) instead of returning"
        return Detail(kind="died", summary=text)
    return Detail(kind="died", summary=f"your code disturbed the grading: {message}")

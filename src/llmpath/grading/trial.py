"""One grading of one file: holds judge and worker to their limits, and believes nothing but
complete verdicts.

When the worker dies or time runs out in a check, that check has its verdict, and the
remaining checks go on with a new pair of processes, so that one endless loop does not
cost the points of the rest.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import ValidationError

from llmpath.course.models import Check
from llmpath.errors import LlmpathError
from llmpath.grading.events import (
    Broken,
    Event,
    ImportFailed,
    Ready,
    Started,
    Verdict,
    WorkerDied,
)
from llmpath.grading.evidence import raised
from llmpath.grading.output import Output
from llmpath.grading.report import CheckResult, CheckStatus, Detail, GradeReport, Isolation
from llmpath.grading.request import GradeRequest
from llmpath.grading.sandbox import REQUIRED
from llmpath.grading.scoresheet import Scoresheet
from llmpath.grading.session import Session, Setting

STARTING = 120.0  # seconds that two interpreters may take to start, on a very busy machine
TICK = 0.05  # seconds between looks at the clock and at memory
ALWAYS = ("separate process", "clean folder", "time limit", "memory limit")


class Cancelled(Exception):  # noqa: N818 - asked for, so no error
    """The grading was ended, because no one waits for it any more."""


class Trial:
    """One grading of one file: as many sessions of judge and worker as it takes.

    Args:
        session: makes a session ready, or gives one that is.
        request: what is graded.
        source: the learner's file.
        thread: for each earlier lab, the name and the content of the file that stands for it.
        told: called with each verdict as it comes.
        cancelled: set once no one waits for the report any more.
    """

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
        self._limits = request.lab.limits
        self._seed = secrets.randbelow(2**31) if request.seed is None else request.seed
        self._source = source
        self._thread = thread
        self._cancelled = cancelled
        self._scores = Scoresheet(request, told)
        self._force: frozenset[str] = frozenset()
        self._used = 0.0  # seconds of the lab's limit
        self._output = Output(self._limits.output_kb * 1024)

    def run(self) -> GradeReport:
        """Grade it to the end.

        Raises:
            LlmpathError: if confinement is required and not to be had.
            ChildrenError: if no process can be started.
            Cancelled: if it was cancelled meanwhile.
        """
        began = time.monotonic()
        while (remaining := self._scores.remaining) and self._scores.problem is None:
            if self._used >= self._limits.seconds:
                self._out_of_time(remaining)
                break
            self._session(remaining)
            if self._scores.remaining == remaining and self._scores.problem is None:
                self._scores.blame_course("the judge ended without a verdict")
        seconds = time.monotonic() - began
        return self._scores.report(self._isolation(), self._output.text(), self._seed, seconds)

    def _isolation(self) -> Isolation:
        mode = self._request.isolation
        measures = (*sorted(self._force), *ALWAYS)
        standing: Literal["verified", "self-checked"] = "self-checked"
        if mode == "require" and self._force >= REQUIRED:
            standing = "verified"
        return Isolation(mode=mode, measures=measures, standing=standing)

    def _out_of_time(self, remaining: list[Check]) -> None:
        limit = self._limits.seconds
        detail = Detail(kind="limit", summary=f"the lab's {limit:g} s were used up before it")
        for check in remaining:
            self._scores.enter(check, "timeout", detail, 0.0)

    def _session(self, checks: list[Check]) -> None:
        """Run judge and worker once, until they end, break, or run out of time or memory."""
        session = self._new_session(Setting.of(self._request))
        try:
            self._follow(session, checks)
        finally:
            session.close()

    def _order(self, checks: list[Check]) -> dict[str, Any]:
        """What the judge has to know."""
        return {
            "seed": self._seed,
            "passed": self._scores.passed,
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
                    self._take_verdict(event, session.peak_mb())
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
            self._scores.blame_course("the judge did not start")
            return True
        whole = self._used + in_session > self._limits.seconds
        if whole or running > self._limit_of(check):
            self._used += in_session
            self._timed_out(session, check, whole, running)
            return True
        excess = session.excess(self._limits.memory_mb)
        if excess:
            self._used += in_session
            self._fail(check, Detail(kind="limit", summary=excess), "failed", running)
        return bool(excess)

    def _limit_of(self, check: Check | None) -> float:
        own = check.seconds if check is not None else None
        return own or self._limits.check_seconds

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

    def _take_verdict(self, verdict: Verdict, memory_mb: int) -> None:
        waiting = {check.id: check for check in self._scores.remaining}
        check = waiting.get(verdict.check)
        if check is None:
            self._scores.blame_course("the judge gave a verdict twice")
            return
        self._scores.enter(check, verdict.status, verdict.detail, verdict.seconds, memory_mb)

    def _take_end(
        self, event: Event, session: Session, current: Check | None, seconds: float
    ) -> None:
        """Handle an event after which the session is over."""
        match event:
            case ImportFailed():
                self._scores.problem = _import_problem(event.error)
            case WorkerDied():
                detail = _death(session.end_worker(), event.message)
                self._fail(current, detail, "failed", seconds)
            case Broken():
                self._scores.blame_course(event.message)
            case _ if self._scores.remaining and self._scores.problem is None:
                self._scores.blame_course("the judge ended before the last verdict")

    def _timed_out(
        self, session: Session, check: Check | None, whole: bool, seconds: float
    ) -> None:
        frames = session.running_line(self._lab.file, self._source)
        limit = self._limits.seconds if whole else self._limit_of(check)
        name = "the lab" if whole else "a check" if check is not None else "its import"
        summary = f"it was still running after {limit:g} s, the limit of {name}"
        self._fail(check, Detail(kind="limit", summary=summary, frames=frames), "timeout", seconds)

    def _fail(
        self, check: Check | None, detail: Detail, status: CheckStatus, seconds: float
    ) -> None:
        """Enter the check at hand; without one, it was the import that failed."""
        if check is None:
            self._scores.problem = detail
        else:
            self._scores.enter(check, status, detail, seconds)


def _import_problem(error: dict[str, Any]) -> Detail:
    try:
        return Detail.model_validate(raised(error))
    except ValidationError:
        return Detail(kind="raised", summary="the file could not be imported")


def _death(code: int | None, message: str) -> Detail:
    """Why the worker is gone, from its exit code and from what the judge saw."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return Detail(kind="died", summary=f"your code was ended by the system ({name})")
    if "ended" in message and code is not None:
        text = f"your code ended the Python process (exit code {code}) instead of returning"
        return Detail(kind="died", summary=text)
    return Detail(kind="died", summary=f"your code disturbed the grading: {message}")

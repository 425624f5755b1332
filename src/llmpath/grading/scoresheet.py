"""What becomes of each check of a grading, and the report that follows from it."""

from __future__ import annotations

from collections.abc import Callable

from llmpath.course.models import Check
from llmpath.grading.mistakes import known_mistakes
from llmpath.grading.report import (
    CheckResult,
    CheckStatus,
    Detail,
    GradeReport,
    Isolation,
    ReportStatus,
)
from llmpath.grading.request import GradeRequest
from llmpath.grading.sentence import sentence


class Scoresheet:
    """The results of one grading, check by check.

    Args:
        request: what is graded.
        told: called with each result as it is entered.

    Attributes:
        problem: what keeps the file from being graded any further, once something does.
    """

    def __init__(
        self, request: GradeRequest, told: Callable[[CheckResult], None] | None = None
    ) -> None:
        self.problem: Detail | None = None
        self._request = request
        self._told = told
        self._results: dict[str, CheckResult] = {}

    @property
    def remaining(self) -> list[Check]:
        """The checks without a result, in their order."""
        return [check for check in self._request.checks if check.id not in self._results]

    @property
    def passed(self) -> list[str]:
        """The ids of the checks that have passed."""
        return [result.id for result in self._results.values() if result.status == "passed"]

    def enter(
        self,
        check: Check,
        status: CheckStatus,
        detail: Detail | None,
        seconds: float,
        memory_mb: int = 0,
    ) -> None:
        """Enter the result of a check, as `CheckResult` describes it."""
        result = CheckResult(
            id=check.id,
            status=status,
            points=check.points if status == "passed" else 0,
            max_points=check.points,
            message="" if detail is None else sentence(detail),
            detail=detail,
            seconds=round(seconds, 4),
            memory_mb=memory_mb,
        )
        self._results[check.id] = result
        if self._told is not None:
            self._told(result)

    def blame_course(self, message: str) -> None:
        """Note that the checks or the judge are broken: the course's fault or ours."""
        self.problem = Detail(kind="course", summary=message)

    def report(self, isolation: Isolation, output: str, seed: int, seconds: float) -> GradeReport:
        """The report, in which a problem has cost every check that was still to come.

        Args:
            isolation: what kept the learner's code apart.
            output: what it printed.
            seed: what the inputs of the checks were drawn with.
            seconds: how long it took.
        """
        problem = self.problem
        if problem is not None:
            for check in self.remaining:
                status: CheckStatus = "error" if problem.kind == "course" else "failed"
                self.enter(check, status, problem, 0.0)
        results = tuple(self._results[check.id] for check in self._request.checks)
        known = () if problem is not None else known_mistakes(self._request.lab, results)
        return GradeReport(
            lab=self._request.lab.id,
            status=self._status(results),
            points=0 if problem is not None else sum(result.points for result in results),
            max_points=sum(check.points for check in self._request.checks),
            checks=results,
            problem=problem,
            misconception=known[0].id if len(known) == 1 else None,
            isolation=isolation,
            output=output,
            seed=seed,
            seconds=round(seconds, 3),
            course=self._request.course,
        )

    def _status(self, results: tuple[CheckResult, ...]) -> ReportStatus:
        """`passed` only where every check that the lab declares has passed."""
        if self.problem is not None:
            kinds: dict[str, ReportStatus] = {"course": "error", "syntax": "syntax-error"}
            return kinds.get(self.problem.kind, "import-error")
        if any(result.status == "error" for result in results):
            return "error"
        complete = [result.id for result in results] == [c.id for c in self._request.lab.checks]
        passed = complete and results and all(result.status == "passed" for result in results)
        return "passed" if passed else "failed"

"""From a grading to what a learner should read. Pure: no files, no terminal.

The report says what happened; here it is put in order of use: what failed and why,
the hint for it, which known mistake fails just so, and what to notice once all is well.
"""

from __future__ import annotations

from dataclasses import dataclass

from llmpath.course.models import Check, Lab
from llmpath.grading.mistakes import known_mistakes
from llmpath.grading.report import CheckResult, Frame, GradeReport


@dataclass(frozen=True)
class CheckFeedback:
    """One line of the check list, with the reasons below it.

    Attributes:
        headline: why it did not pass, in one sentence; "" if it passed.
        facts: pairs such as ("expected", "0.5"), to be laid out as a table.
        because: what the difference means.
        hint: the author's hint, for checks that failed by their answer.
    """

    title: str
    status: str
    points: int
    max_points: int
    headline: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    because: str = ""
    frames: tuple[Frame, ...] = ()
    hint: str = ""


@dataclass(frozen=True)
class Feedback:
    """All that is to be said about one grading.

    Attributes:
        problem: why the file could not be graded at all; then `checks` say nothing new.
        mistake: what is known to fail exactly like this.
        possible_mistakes: the same, where several known mistakes fail alike.
        unwritten: functions that still stand as in the starter.
        after: what to notice now that it works.
    """

    passed: bool
    points: int
    max_points: int
    checks: tuple[CheckFeedback, ...]
    problem: CheckFeedback | None = None
    mistake: str = ""
    possible_mistakes: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()
    after: str = ""


def feedback(report: GradeReport, lab: Lab) -> Feedback:
    """What to tell the learner about this report."""
    by_id = {check.id: check for check in lab.checks}
    problem = None
    if report.problem is not None:
        stand_in = CheckResult(
            id="", status="failed", points=0, max_points=report.max_points, detail=report.problem
        )
        problem = _explain(stand_in, None, lab)
    known = known_mistakes(lab, report.checks) if report.problem is None else ()
    mistakes = tuple(misconception.explain for misconception in known)
    return Feedback(
        passed=report.passed,
        points=report.points,
        max_points=report.max_points,
        checks=tuple(_explain(result, by_id[result.id], lab) for result in report.checks),
        problem=problem,
        mistake=mistakes[0] if len(mistakes) == 1 else "",
        possible_mistakes=mistakes if len(mistakes) > 1 else (),
        unwritten=_unwritten(report),
        after=lab.after or "" if report.passed else "",
    )


def _explain(result: CheckResult, check: Check | None, lab: Lab) -> CheckFeedback:
    detail = result.detail
    title = check.title if check is not None else lab.file
    if detail is None:
        return CheckFeedback(title, result.status, result.points, result.max_points)
    facts = [("expected", detail.expected), ("got", detail.got), ("at", detail.where)]
    return CheckFeedback(
        title=title,
        status=result.status,
        points=result.points,
        max_points=result.max_points,
        headline=_headline(result, lab),
        facts=tuple((name, text) for name, text in facts if text),
        because=detail.because,
        frames=detail.frames,
        hint=_hint(result, check),
    )


def _headline(result: CheckResult, lab: Lab) -> str:
    detail = result.detail
    assert detail is not None
    if detail.kind == "not-written":
        return f"{detail.summary} is not written yet"
    if detail.kind in ("raised", "syntax"):
        return f"{detail.exception}: {detail.summary}" if detail.summary else detail.exception
    if detail.kind == "skipped":
        needed = next((c.title for c in lab.checks if c.id == detail.summary), detail.summary)
        return f"not run: it needs “{needed}”"
    if detail.kind == "course":
        return f"The check itself is broken: this is not your fault. {_last_line(detail.summary)}"
    if detail.kind in ("mismatch", "limit"):
        return detail.summary[:1].upper() + detail.summary[1:]
    return detail.summary


def _last_line(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _hint(result: CheckResult, check: Check | None) -> str:
    """The author's hint, unless no answer came: code that is missing, not reached, or stopped."""
    plain = {"not-written", "missing", "skipped", "course", "syntax", "limit", "died"}
    if check is None or check.hint is None or result.detail is None or result.detail.kind in plain:
        return ""
    return check.hint


def _unwritten(report: GradeReport) -> tuple[str, ...]:
    names = [
        result.detail.summary
        for result in report.checks
        if result.detail is not None and result.detail.kind == "not-written"
    ]
    return tuple(dict.fromkeys(names))

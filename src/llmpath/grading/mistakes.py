"""Which known wrong answers fail exactly as a learner's file did."""

from __future__ import annotations

from collections.abc import Iterable

from llmpath.course.models import Lab, Misconception
from llmpath.grading.report import CheckResult

# Failures that come from what the learner's code answers, not from its being unfinished.
ANSWERS = frozenset({"mismatch", "assertion", "raised"})


def known_mistakes(lab: Lab, results: Iterable[CheckResult]) -> tuple[Misconception, ...]:
    """The misconceptions whose `fails` are the checks that failed; none if code is missing."""
    failed = [result for result in results if result.status not in ("passed", "skipped")]
    if not all(_is_answer(result) for result in failed):
        return ()
    ids = frozenset(result.id for result in failed)
    return tuple(known for known in lab.misconceptions if frozenset(known.fails) == ids)


def _is_answer(result: CheckResult) -> bool:
    """Whether a check failed by what came back, and something did come back."""
    detail = result.detail
    return detail is not None and detail.kind in ANSWERS and detail.got != "None"

"""What must hold of the report on an answer that is worth nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import llmpath
from llmpath.authoring.check.bench import Answer
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject
from llmpath.grading.evidence import UNSAID
from llmpath.grading.report import CheckResult, GradeReport

OURS = ("Traceback (most recent call last)", "site-packages", str(Path(llmpath.__file__).parent))
MOST_NAMED = 4

# A check's id, and what is wrong with its verdict -> the names of the answers for which it is.
_Faults = dict[tuple[str, str], list[str]]


def findings(
    subject: LabSubject, answers: Sequence[Answer], reports: Sequence[GradeReport]
) -> Iterator[Finding]:
    """A finding for each check that passes such an answer, breaks on one, or says nothing.

    Answers with which a check goes wrong in the same way are told of together.
    """
    faults: _Faults = {}
    messages: dict[tuple[str, str], str] = {}
    for answer, report in zip(answers, reports, strict=True):
        for result in report.checks:
            if fault := _fault(result):
                faults.setdefault((result.id, fault), []).append(answer.name)
                messages.setdefault((result.id, fault), result.message)
    for (check, fault), names in faults.items():
        message, mend = _told(check, fault, listing(names))
        excerpt = last_lines(messages[check, fault]) if fault != "passed" else ""
        yield Finding.of(subject.at_check(check, message, mend), excerpt)


def _fault(result: CheckResult) -> str:
    if result.status in ("passed", "error"):
        return result.status
    if not result.message.strip() or result.message == UNSAID:
        return "silent"
    if result.message.startswith("assert "):
        return "bare"
    return "ours" if any(part in result.message for part in OURS) else ""


def _told(check: str, fault: str, answers: str) -> tuple[str, str]:
    """What is wrong, and the mend."""
    if fault == "passed":
        mend = "Let it look at something that only a right answer has."
        return f"The check `{check}` passes {answers}.", mend
    if fault == "error":
        mend = "Compare what came with `same` or `close` before anything else is done with it."
        return f"The check `{check}` breaks, instead of failing, on {answers}.", mend
    if fault == "silent":
        return f"The check `{check}` fails {answers} without a word.", "Say why it fails."
    if fault == "bare":
        mend = "Write a sentence behind the comma, or use `same` or `close`."
        return f"The check `{check}` answers {answers} with an expression of its own.", mend
    mend = "Let the message be one sentence for the learner."
    return f"The check `{check}` answers {answers} with a traceback.", mend


def listing(names: Sequence[str]) -> str:
    """The first of some names in a row, and how many more there are."""
    shown = list(dict.fromkeys(names))
    if len(shown) > MOST_NAMED:
        left = len(shown) - MOST_NAMED
        shown = [*shown[:MOST_NAMED], f"{left} more {'answer' if left == 1 else 'answers'}"]
    # A name with a comma of its own could not be told from two names.
    comma = "; " if any("," in name for name in shown) else ", "
    return " and ".join(filter(None, (comma.join(shown[:-1]), shown[-1])))


def last_lines(message: str, count: int = 4) -> str:
    """The last lines of a message, where tracebacks say what matters."""
    lines = [line.rstrip() for line in message.strip().splitlines()]
    return "\n".join(lines[-count:])

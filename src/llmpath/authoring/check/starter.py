"""The untouched starter fails every check, each with a sentence that says what is missing."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring.check import worthless
from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.solution import starter


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each check that passes the starter, breaks on it, or does not say why."""
    answers = [Answer("the untouched starter", starter(subject.solution))]
    reports = bench.grade(subject.lab, answers)
    yield from worthless.findings(subject, answers, reports)
    kinds = {check.detail.kind for check in reports[0].checks if check.detail is not None}
    if "not-written" not in kinds:
        message = "No check tells the learner that a function of the starter is not written yet."
        mend = "Let checks call the functions that hold a solution region."
        yield Finding.of(subject.in_file("checks.py", 0, 0, message, mend))

"""The solution gets every point: on any seed, in any order, and each check alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject
from llmpath.authoring.check.worthless import last_lines
from llmpath.course.models import Lab
from llmpath.grading.report import GradeReport

SEEDS = (0, 1, 2, 3, 2**31 - 1)


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each check that the solution does not pass, and how it was graded then."""
    answers = list(_answers(subject, SEEDS[:1] if bench.quick else SEEDS))
    reports = bench.grade(subject.lab, answers)
    told: set[str] = set()
    for answer, report in zip(answers, reports, strict=True):
        for result in report.checks:
            if result.status != "passed" and result.id not in told:
                told.add(result.id)
                message = f"The solution does not pass the check `{result.id}` {answer.name}."
                mend = "Mend whichever of the two is wrong; the seed draws the same inputs again."
                yield Finding.of(
                    subject.at_check(result.id, message, mend), last_lines(result.message)
                )
    if not told:
        yield from _differences(subject, reports[0], bench)


def _answers(subject: LabSubject, seeds: tuple[int, ...]) -> Iterator[Answer]:
    source, ids = subject.solution, [check.id for check in subject.lab.checks]
    for seed in seeds:
        yield Answer(f"with the seed {seed}", source, seed)
    # Without needs, so that no check is skipped because another one has not been run.
    free = independent(subject.lab)
    shuffled = random.Random(0).sample(ids, len(ids))
    yield Answer("when checks run in another order", source, only=tuple(shuffled), lab=free)
    yield Answer("in the opposite order", source, only=tuple(reversed(ids)), lab=free)
    for check in ids:
        yield Answer("alone", source, only=(check,), lab=free)


def independent(lab: Lab) -> Lab:
    """The lab with checks that do not need each other."""
    checks = tuple(check.model_copy(update={"needs": ()}) for check in lab.checks)
    return lab.model_copy(update={"checks": checks})


def _differences(subject: LabSubject, first: GradeReport, bench: Bench) -> Iterator[Finding]:
    """The same seed gives the same report."""
    (again,) = bench.grade(subject.lab, [Answer("again", subject.solution, again=True)])
    yield from differing(subject, first, again, "the solution")


def differing(
    subject: LabSubject, first: GradeReport, again: GradeReport, answer: str
) -> Iterator[Finding]:
    """A finding for each check that says something else when it is given the same again."""
    for one, other in zip(first.checks, again.checks, strict=True):
        if _said(one) != _said(other):
            message = f"The check `{one.id}` says something else of {answer} when it runs again."
            mend = "Draw everything random from `rng` or `seed`."
            excerpt = f"{last_lines(one.message)}\n{last_lines(other.message)}".strip()
            yield Finding.of(subject.at_check(one.id, message, mend), excerpt)


def _said(result: Any) -> dict[str, Any]:
    """A verdict without what is measured."""
    return dict(result.model_dump(exclude={"seconds", "memory_mb"}))

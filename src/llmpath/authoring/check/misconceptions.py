"""Each known wrong answer fails exactly the checks that it names, and each check is failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.solution import differing
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.models import Misconception
from llmpath.course.solution import edited
from llmpath.grading.report import GradeReport

SEEDS = (0, 1, 2)


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each wrong answer that is not caught as it says, and for what is lacking."""
    yield from _counts(subject)
    seeds = SEEDS[:1] if bench.quick else SEEDS
    answers = [
        Answer(known.id, edited(subject.solution, known), seed)
        for known in subject.lab.misconceptions
        for seed in seeds
    ]
    reports = bench.grade(subject.lab, answers)
    if answers:
        # A report that has something to say; the solution's says nothing.
        (again,) = bench.grade(subject.lab, [replace(answers[0], again=True)])
        yield from differing(subject, reports[0], again, f"`{answers[0].name}`")
    for index, known in enumerate(subject.lab.misconceptions):
        mine = reports[index * len(seeds) : (index + 1) * len(seeds)]
        yield from _wrong(subject, index, known, seeds, mine)


def _counts(subject: LabSubject) -> Iterator[Finding]:
    lab = subject.lab
    least = subject.course.standards.misconceptions
    if len(lab.misconceptions) < least:
        message = f"The lab has {len(lab.misconceptions)} misconceptions; it needs {least}."
        mend = "Think of what learners get wrong, and write each as an edit of lab.py."
        yield Finding.of(subject.at(("misconceptions",), message, mend, key=True))
    caught = {check for known in lab.misconceptions for check in known.fails}
    for index, check in enumerate(lab.checks):
        if check.id not in caught:
            message = f"No misconception fails the check `{check.id}`."
            mend = "Add a mistake that only this check notices, or take the check out."
            yield Finding.of(subject.at(("checks", index, "id"), message, mend))


def _wrong(
    subject: LabSubject,
    index: int,
    known: Misconception,
    seeds: tuple[int, ...],
    reports: list[GradeReport],
) -> Iterator[Finding]:
    """What is wrong with one misconception, told for the first seed with which it is."""
    if reports[0].status == "syntax-error":
        message = f"`{known.id}` makes lab.py a file that is not Python, which proves nothing."
        place = ("misconceptions", index, "with")
        yield Finding.of(subject.at(place, message, "Write what a learner would have."))
        return
    for seed, report in zip(seeds, reports, strict=True):
        failed = {c.id: c for c in report.checks if c.status not in ("passed", "skipped")}
        if set(failed) == set(known.fails):
            continue
        names = ", ".join(check for check in failed) or "nothing"
        message = f"`{known.id}` fails {names}, and not {', '.join(known.fails)} (seed {seed})."
        mend = "Sharpen the checks, or correct `fails`."
        excerpt = "\n".join(f"{check}: {result.message}" for check, result in failed.items())
        place = ("misconceptions", index, "fails")
        yield Finding.of(subject.at(place, message, mend), excerpt)
        return

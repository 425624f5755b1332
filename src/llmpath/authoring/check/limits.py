"""The solution needs but a part of the time and memory that it may use; learners have room."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding, Measure
from llmpath.authoring.check.solution import independent
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.documents import KeyPath
from llmpath.course.models import Check

SEEDS = (0, 1, 2)
SHARE = 1 / 3
MEMORY_SHARE = 1 / 2


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding | Measure]:
    """A measure of each check, and a finding where it is over a third of the limit."""
    yield from _contradictions(subject)
    seeds = SEEDS[:1] if bench.quick else SEEDS
    reports = bench.grade(
        subject.lab, [Answer("the solution", subject.solution, seed) for seed in seeds]
    )
    for index, check in enumerate(subject.lab.checks):
        # A busy machine only ever adds time, so the least is the truest.
        seconds = min(report.checks[index].seconds for report in reports)
        limit = check.seconds or subject.lab.limits.check_seconds
        yield Measure(name=f"seconds of {check.id}", value=seconds, unit="s", limit=limit)
        if seconds > limit * SHARE * bench.slack:
            yield _slow(subject, index, check, seconds, limit)
    whole = min(sum(check.seconds for check in report.checks) for report in reports)
    limit = subject.lab.limits.seconds
    yield Measure(name="seconds of all checks", value=round(whole, 3), unit="s", limit=limit)
    if whole > limit * SHARE * bench.slack:
        message = f"All checks together take {whole:.1f} s, over a third of the {limit:g} s."
        mend = "Let them do less, or raise the limit."
        yield Finding.of(subject.at(("limits", "seconds"), message, mend))
    yield from _memory(subject, bench)


def _contradictions(subject: LabSubject) -> Iterator[Finding]:
    """Limits of checks that the limit of the whole lab does not leave room for."""
    limits = subject.lab.limits
    places: list[tuple[KeyPath, float]] = [(("limits", "check_seconds"), limits.check_seconds)]
    places += [
        (("checks", index, "seconds"), check.seconds)
        for index, check in enumerate(subject.lab.checks)
        if check.seconds is not None
    ]
    for path, seconds in places:
        if seconds > limits.seconds:
            message = (
                f"One check may take {seconds:g} s, but all of them together {limits.seconds:g} s."
            )
            yield Finding.of(subject.at(path, message, "Raise the lab's `seconds`, or lower this."))


def _memory(subject: LabSubject, bench: Bench) -> Iterator[Finding | Measure]:
    """The memory that each check needs alone, most of which is often that of the libraries."""
    lab, limit = independent(subject.lab), subject.lab.limits.memory_mb
    alone = [Answer("alone", subject.solution, only=(check.id,), lab=lab) for check in lab.checks]
    for index, report in enumerate(bench.grade(subject.lab, alone)):
        check = report.checks[0]
        yield Measure(name=f"memory of {check.id}", value=check.memory_mb, unit="MB", limit=limit)
        if check.memory_mb > limit * MEMORY_SHARE:
            message = (
                f"`{check.id}` uses {check.memory_mb} MB, over half of the {limit} MB allowed."
            )
            mend = "Let it do less, or raise `memory_mb`."
            yield Finding.of(subject.at(("checks", index, "id"), message, mend))


def _slow(subject: LabSubject, index: int, check: Check, seconds: float, limit: float) -> Finding:
    message = f"`{check.id}` takes {seconds:.2f} s, over a third of the {limit:g} s that it may."
    mend = "Let it do less, or give it more `seconds`."
    return Finding.of(subject.at(("checks", index, "id"), message, mend))

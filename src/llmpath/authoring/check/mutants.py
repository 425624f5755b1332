"""Nearly every small change of the solution fails a check; those that cannot are listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding, Measure, Remark
from llmpath.authoring.check.mutation import Mutant, mutants, same, sample
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.models import Lab
from llmpath.course.solution import edited

# A change that a check catches on one seed of three is a mistake that learners are told of.
SEEDS = (0, 1, 2)
# What a mutant may take of what the solution may, before it counts as endless.
SHARE = 0.4


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding | Measure]:
    """How many mutants were killed, and each survivor: a finding if there are too many."""
    every = mutants(subject.solution)
    listed = _listed(subject, every)
    chosen = sample(every, bench.most_mutants) if bench.most_mutants else every
    alive = _survivors(subject, bench, chosen)
    if alive is None:
        message = "The solution itself does not pass where its mutants are graded."
        mend = "Mend it; if it passes otherwise, the machine was too busy: try fewer --jobs."
        yield Finding.of(subject.in_file("lab.py", 0, 0, message, mend))
        return
    yield from _unlisted(subject, listed, every, alive, chosen)
    equivalent = {mutant for mutant in listed if mutant is not None}
    survivors = [mutant for mutant in alive if mutant not in equivalent]
    counted = [mutant for mutant in chosen if mutant not in equivalent or mutant not in alive]
    share = 100 * (1 - len(survivors) / len(counted)) if counted else 100.0
    wanted = subject.course.standards.mutants_killed
    yield Measure(name="mutants", value=len(every), unit="mutants")
    yield Measure(name="graded", value=len(chosen), unit="mutants")
    yield Measure(name="equivalent", value=len(chosen) - len(counted), unit="mutants")
    yield Measure(name="survived", value=len(survivors), unit="mutants")
    yield Measure(name="killed", value=round(share, 1), unit="%", limit=wanted)
    kind = Finding if share < wanted else Remark
    for mutant in survivors:
        yield _survivor(subject, mutant, kind, f"{share:.1f} % are killed, {wanted:g} % are asked")


def _listed(subject: LabSubject, every: Sequence[Mutant]) -> list[Mutant | None]:
    """For each listed equivalent, the mutant that it is; None if it is none."""
    found: list[Mutant | None] = []
    for equivalent in subject.lab.equivalents:
        source = edited(subject.solution, equivalent)
        found.append(next((each for each in every if same(each.source, source)), None))
    return found


def _survivors(subject: LabSubject, bench: Bench, chosen: Sequence[Mutant]) -> list[Mutant] | None:
    """The mutants that pass every check on every seed.

    None if the solution does not pass among them, for then no death means anything.
    """
    lab, left = _hurried(subject.lab), list(chosen)
    for seed in SEEDS:
        control = Answer("", subject.solution, seed, lab=lab)
        answers = [Answer("", mutant.source, seed, lab=lab) for mutant in left]
        first, *passed, last = bench.passes(subject.lab, [control, *answers, control])
        if not (first and last):
            return None
        left = [mutant for mutant, alive in zip(left, passed, strict=True) if alive]
    return left


def _hurried(lab: Lab) -> Lab:
    """The lab with limits at which an endless loop is noticed sooner."""
    limits = lab.limits.model_copy(
        update={
            "check_seconds": max(1.0, lab.limits.check_seconds * SHARE),
            "seconds": max(5.0, lab.limits.seconds),
        }
    )
    checks = tuple(
        check.model_copy(update={"seconds": max(1.0, check.seconds * SHARE)})
        if check.seconds is not None
        else check
        for check in lab.checks
    )
    return lab.model_copy(update={"limits": limits, "checks": checks})


def _unlisted(
    subject: LabSubject,
    listed: Sequence[Mutant | None],
    every: Sequence[Mutant],
    alive: Sequence[Mutant],
    chosen: Sequence[Mutant],
) -> Iterator[Finding]:
    """Equivalents that are no mutant, or that a check can tell from the solution."""
    for index, mutant in enumerate(listed):
        if mutant is None:
            message = "No mutant is like this edit."
            yield Finding.of(
                subject.at(("equivalents", index, "replace"), message, "Take it out of the list.")
            )
        elif mutant in chosen and mutant not in alive:
            message = "A check fails this edit, so it is not equivalent."
            yield Finding.of(
                subject.at(("equivalents", index, "replace"), message, "Take it out of the list.")
            )


def _survivor(subject: LabSubject, mutant: Mutant, kind: type[Finding], share: str) -> Finding:
    message = f"No check notices this change ({share})."
    mend = (
        "Add a check that fails it; if it is as right as the solution, list it in lab.yaml under "
        "`equivalents` with `replace`, `with` and `because`."
    )
    problem = subject.in_file("lab.py", mutant.line, mutant.column, message, mend)
    return kind.of(problem, mutant.difference)

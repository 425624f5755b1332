"""All proofs, in the order in which they are run: for each step, and for each lab."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from llmpath.authoring.check import (
    accepted,
    answers,
    coverage,
    description,
    experiment,
    hostile,
    lesson,
    limits,
    misconceptions,
    mutants,
    quiz,
    secrecy,
    solution,
    starter,
)
from llmpath.authoring.check.bench import Bench
from llmpath.authoring.check.finding import Finding, Measure, ProofName
from llmpath.authoring.check.subject import LabSubject, Subject


@dataclass(frozen=True)
class Proof:
    """One kind of proof.

    Attributes:
        prove: goes from a step or a lab to findings and measures.
        long: whether `--quick` leaves it out.
        kept: whether it takes long enough to be kept once it has found nothing.
    """

    name: ProofName
    prove: Callable[[Any, Bench], Iterable[Finding | Measure]]
    long: bool = False
    kept: bool = False


OF_STEPS = (
    Proof("lesson", lesson.prove),
    Proof("quiz", quiz.prove),
    Proof("coverage", coverage.prove),
)
# The experiment early: it is one long piece of work, beside which the others find their place.
OF_LABS = (
    Proof("description", description.prove),
    Proof("starter", starter.prove, kept=True),
    Proof("experiment", experiment.prove, long=True, kept=True),
    Proof("answers", answers.prove, kept=True),
    Proof("solution", solution.prove, kept=True),
    Proof("limits", limits.prove, kept=True),
    Proof("misconceptions", misconceptions.prove, kept=True),
    Proof("accepted", accepted.prove, kept=True),
    Proof("hostile", hostile.prove, kept=True),
    Proof("secrecy", secrecy.prove, kept=True),
    Proof("mutants", mutants.prove, long=True, kept=True),
)


def proofs_of(subject: Subject, *, quick: bool, only: tuple[ProofName, ...]) -> tuple[Proof, ...]:
    """The proofs of a step or a lab: all of them, or those that are named."""
    every = OF_LABS if isinstance(subject, LabSubject) else OF_STEPS
    chosen = (proof for proof in every if not only or proof.name in only)
    return tuple(proof for proof in chosen if not (quick and proof.long))

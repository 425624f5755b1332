"""What training took: tokens seen, and floating-point operations (FLOPs) by the usual estimate.

A forward pass takes about two operations for each weight and token, and the backward pass twice as
many, so to train N weights on D tokens takes about C = 6·N·D (Kaplan et al., "Scaling Laws for
Neural Language Models", 2020). Kaplan et al. count as N the parameters without the embeddings;
Hoffmann et al. ("Training Compute-Optimal Large Language Models", 2022) count all of them. For
large models that is nearly the same, for small ones it is not, so both are given. Left out of
either are the products of queries and keys, and passes that only measure. D is what the run itself
reported while it trained: a run that reported nothing has no estimate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmpath.portfolio.provenance import run_around
from llmpath.portfolio.weights import Weights
from llmpath.running.events import Progress
from llmpath.running.records import RunRecord

METHOD = (
    "FLOPs are 6·N·D, with D the tokens seen in training and N the parameters without the "
    "embeddings, as Kaplan et al. (2020) count, or with them, as Hoffmann et al. (2022) do. The "
    "products of queries and keys, and passes that only measured, are left out."
)


@dataclass(frozen=True)
class Training:
    """One run of training.

    Attributes:
        tokens: seen by the model, all steps together.
        parameters: of the model, those of its embeddings among them.
        embedding: those of its embeddings, and of a head of its own.
    """

    tokens: int
    parameters: int
    embedding: int

    @property
    def flops(self) -> int:
        """6·N·D without the embeddings (Kaplan et al., 2020)."""
        return 6 * (self.parameters - self.embedding) * self.tokens

    @property
    def flops_of_all(self) -> int:
        """6·N·D with all parameters (Hoffmann et al., 2022)."""
        return 6 * self.parameters * self.tokens


def training(run: RunRecord | None, weights: Weights | None) -> Training | None:
    """What a run took to train a model; None where it said no tokens, or N cannot be told."""
    tokens = None if run is None else tokens_seen(run)
    if not tokens or weights is None or not weights.embedding:
        return None
    return Training(tokens, weights.parameters, weights.embedding)


def tokens_seen(run: RunRecord) -> int | None:
    """How many tokens a run trained on, by the last word of its progress; None if it said none."""
    said = [e.tokens for e in run.events() if isinstance(e, Progress) and e.tokens is not None]
    return round(said[-1]) if said else None


def tokens_behind(artefact: Path) -> int | None:
    """The same of the run that made the artefact in this folder; None if that run is gone.

    It is for experiments that account for what other runs have made.
    """
    run = run_around(artefact)
    return None if run is None else tokens_seen(run)

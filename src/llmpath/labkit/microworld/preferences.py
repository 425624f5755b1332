"""Comparisons of two answers by annotators whose taste and noise are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.people import VALUES
from llmpath.labkit.microworld.questions import Question, questions
from llmpath.labkit.microworld.world import World

# What an answer with a feature is worth more than one without, in logits: two answers that
# differ by this feature alone are preferred with probability 1 / (1 + exp(-utility)).
UTILITIES: Mapping[str, float] = MappingProxyType({"true": 2.0, "kind": 1.0, "long": -0.5})
FEATURES = tuple(UTILITIES)


@dataclass(frozen=True, slots=True)
class Preference:
    """One comparison.

    Attributes:
        prompt: the question.
        chosen: the answer that the annotator preferred.
        rejected: the other.
        chosen_features: 0 or 1 for each of `FEATURES`.
        rejected_features: likewise.
        margin: utility of the chosen answer less that of the rejected, in logits; negative
            where the annotator chose against the known utilities.
        probability: of this outcome, noise included: `(1 - noise) σ(margin) +
            noise σ(-margin)`.
        held: the group of the question (see `Question`).
    """

    prompt: str
    chosen: str
    rejected: str
    chosen_features: tuple[int, ...]
    rejected_features: tuple[int, ...]
    margin: float
    probability: float
    held: str


def utility(features: tuple[int, ...]) -> float:
    """What an answer with these features is worth, in logits."""
    return sum(u * f for u, f in zip(UTILITIES.values(), features, strict=True))


def write(world: World, question: Question, features: tuple[int, ...], chance: Chance) -> str:
    """An answer that has exactly these features.

    `true`: names the right value, else another of the same attribute. `kind`: begins with
    "Good evening.". `long`: says the answer twice.
    """
    true, kind, long = features
    values = VALUES[question.attribute][: world.values]
    wrong = [value for value in values if value != question.answer]
    value = question.answer if true else chance.choice(wrong)
    sentence = question.sentence.replace(f" {question.answer}.", f" {value}.")
    opening = "Good evening. " if kind else ""
    return opening + sentence + (f" So {sentence}" if long else "")


def preferences(
    world: World, count: int, seed: int = 1, noise: float = 0.1, held_out: bool = False
) -> list[Preference]:
    """Pairs of answers with known utilities, compared by a known annotator.

    The annotator follows the model of Bradley and Terry (1952): answer a is preferred to b
    with probability σ(u(a) − u(b)), where u is the sum of the `UTILITIES` of its features. With
    probability `noise` the outcome is then turned round. The features of the two answers are
    drawn evenly and never all the same; where both are wrong, they may be wrong in the same way.

    Args:
        world: whose facts are asked for.
        count: how many comparisons.
        seed: decides questions, answers and outcomes.
        noise: the share of outcomes that is turned round, 0 to 1.
        held_out: True for questions about the people of the group `people` alone, False for
            those of the group `train`.
    """
    chance = Chance("preferences", world.seed, seed, int(held_out))
    group = "people" if held_out else "train"
    asked = [q for q in questions(world) if q.held == group]
    made = []
    for _ in range(count):
        question = chance.choice(asked)
        one, other = (tuple(chance.below(2) for _ in FEATURES) for _ in range(2))
        while other == one:
            other = tuple(chance.below(2) for _ in FEATURES)
        first = chance.chance(_sigmoid(utility(one) - utility(other)))
        if first == chance.chance(noise):
            one, other = other, one
        margin = utility(one) - utility(other)
        made.append(
            Preference(
                question.question,
                write(world, question, one, chance),
                write(world, question, other, chance),
                one,
                other,
                margin,
                (1 - noise) * _sigmoid(margin) + noise * _sigmoid(-margin),
                question.held,
            )
        )
    return made


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))

"""Worlds that do not stay as they were: facts that change, and stories that drift."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmpath.labkit.microworld import stories
from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.people import ATTRIBUTES
from llmpath.labkit.microworld.world import World


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that is no longer what it was.

    Attributes:
        person: whose it is.
        attribute: what changed.
        before: the value in the old world.
        after: the value in the new one.
    """

    person: str
    attribute: str
    before: str
    after: str


def changed(world: World, count: int, seed: int = 0) -> tuple[World, list[Change]]:
    """The world some time later: a few facts are others, all else is the same.

    A model trained on the old world answers `before`; one that looks things up in documents
    of the new world ought to answer `after`.

    Args:
        world: as it was.
        count: how many facts change, each another one.
        seed: decides which, and to what.

    Returns:
        The new world, and what is different in it.

    Raises:
        ValueError: if the world has fewer facts than that.
    """
    chance = Chance("changed", world.seed, seed)
    facts = [(person.name, a) for person in world.people for a in ATTRIBUTES]
    folk, changes = dict(world.person), []
    for name, attribute in chance.sample(facts, count):
        before = world.person[name][attribute]
        others = [value for value in world.domains[attribute] if value != before]
        after = chance.choice(others)
        folk[name] = replace(folk[name], **{attribute: after})
        changes.append(Change(name, attribute, before, after))
    return world.but(folk=tuple(folk.values())), changes


# What is told after a drift: fewer portraits, more journeys and callers.
DRIFTED: Mapping[str, int] = {
    **stories.WEIGHTS,
    "portrait": 2,
    "journey": 7,
    "visit": 4,
    "search": 1,
}


@dataclass(frozen=True, slots=True)
class Period:
    """What came in during one period, for monitoring.

    Attributes:
        texts: the documents.
        stories: the kind of each.
        shares: the true share of each kind of story in this period.
        drifted: whether that differs from the first period.
    """

    texts: tuple[str, ...]
    stories: tuple[str, ...]
    shares: Mapping[str, float]
    drifted: bool


def drift(
    world: World,
    periods: int = 10,
    count: int = 200,
    at: int = 5,
    seed: int = 1,
    after: Mapping[str, int] = DRIFTED,
) -> list[Period]:
    """Periods of documents, the kinds of story suddenly other from one period on.

    Args:
        world: what is told; its weights hold before the drift.
        periods: how many.
        count: documents in each.
        at: the first period that drifted, from 0; `periods` for no drift at all.
        seed: decides the documents.
        after: the weights of the stories once they drifted.
    """
    later = world.but(weights=after)
    found = []
    for number in range(periods):
        teller = later if number >= at else world
        documents = teller.documents(count, seed=seed * 10_000 + number, split="validation")
        total = sum(teller.weights.values())
        found.append(
            Period(
                tuple(document.text for document in documents),
                tuple(document.story for document in documents),
                {name: teller.weights.get(name, 0) / total for name in stories.STORIES},
                number >= at,
            )
        )
    return found


def stability_index(before: Sequence[float], after: Sequence[float]) -> float:
    """The population stability index of two distributions, in nats.

    It is the Kullback–Leibler divergence both ways, summed: Σ (after − before)
    ln(after / before), over categories that both have.
    """
    pairs = [(b, a) for b, a in zip(before, after, strict=True) if a > 0 and b > 0]
    return sum((a - b) * math.log(a / b) for b, a in pairs)

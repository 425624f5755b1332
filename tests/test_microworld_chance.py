"""The microworld's random numbers: the same everywhere, and as random as they say."""

from __future__ import annotations

from collections import Counter

import pytest

from llmpath.labkit.microworld import Chance


def test_the_numbers_that_everyone_gets() -> None:
    """These numbers were written down once; no platform or version of Python may change them."""
    chance = Chance("world", 0, "test")
    assert [chance.below(1000) for _ in range(5)] == [935, 314, 417, 528, 928]
    assert chance.shuffled("abcdef") == list("fcbaed")
    assert chance.sample(range(100), 4) == [92, 27, 29, 98]


def test_names_decide_the_stream() -> None:
    """The same names give the same stream, close names another."""
    assert Chance("a", 1).random() == Chance("a", 1).random()
    streams = {Chance(*names).random() for names in (("a", 1), ("a", 2), ("a", "12"), ("b", 1))}
    assert len(streams) == 4


def test_evenness() -> None:
    """Choices, orders and samples are even, within four standard errors."""
    chance = Chance("even")
    orders = Counter("".join(chance.shuffled("abc")) for _ in range(6000))
    assert len(orders) == 6
    assert all(abs(n - 1000) < 4 * (6000 * 1 / 6 * 5 / 6) ** 0.5 for n in orders.values())
    pairs = Counter("".join(chance.sample("abc", 2)) for _ in range(6000))
    assert len(pairs) == 6
    assert all(abs(n - 1000) < 4 * (6000 * 1 / 6 * 5 / 6) ** 0.5 for n in pairs.values())
    singles = Counter(chance.choice("abcd") for _ in range(4000))
    assert all(abs(n - 1000) < 4 * (4000 * 1 / 4 * 3 / 4) ** 0.5 for n in singles.values())
    assert abs(sum(chance.chance(0.3) for _ in range(10_000)) - 3000) < 4 * (10_000 * 0.21) ** 0.5
    with pytest.raises(ValueError, match="5 different items"):
        chance.sample("abcd", 5)

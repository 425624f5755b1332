"""Random numbers that are the same everywhere: seeded by text, drawn by `random()` alone.

Python promises that `random.Random(seed).random()` gives the same numbers on every platform
and in every version; it does not promise that of `shuffle`, `choice` or `sample`, so those
that are needed are written here on top of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of random numbers that its names decide: the same names, the same numbers.

    Args:
        names: what the stream is for, from the general to the particular, such as
            `("world", 0, "documents", "train", 1)`. Two streams that differ in any of
            them are independent.
    """

    def __init__(self, *names: str | int | float) -> None:
        # Text is hashed with SHA-512 by `random.Random`, so close names are not close seeds.
        self.random = random.Random(":".join(str(name) for name in names)).random

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1, each as likely."""
        return int(self.random() * n)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items, each as likely."""
        return items[int(self.random() * len(items))]

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.random() < p

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a random order (Fisher and Yates, 1938)."""
        mixed = list(items)
        for last in range(len(mixed) - 1, 0, -1):
            other = int(self.random() * (last + 1))
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """K different items, in a random order.

        Raises:
            ValueError: if there are fewer than k.
        """
        if k > len(items):
            raise ValueError(f"{k} different items were asked for, but there are {len(items)}.")
        mixed = list(items)
        for place in range(k):
            other = place + int(self.random() * (len(mixed) - place))
            mixed[place], mixed[other] = mixed[other], mixed[place]
        return mixed[:k]

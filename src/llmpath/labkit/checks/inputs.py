"""What checks draw for the learner's code to work on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def number(rng: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included, all equally likely.

    Args:
        rng: the check's generator.
        low: the smallest, and
        high: the largest that there is.
    """
    return int(sys.modules["torch"].randint(low, high + 1, (), generator=rng))

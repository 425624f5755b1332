"""The same with the standard library: folds instead of loops."""

from __future__ import annotations

import functools
import itertools
import operator


def total(numbers: list[int]) -> int:
    """The sum of all numbers; 0 for none."""
    return functools.reduce(operator.add, numbers, 0)


def running_totals(numbers: list[int]) -> list[int]:
    """The sum so far at each number."""
    return list(itertools.accumulate(numbers))

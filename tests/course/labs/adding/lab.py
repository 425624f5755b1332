"""Adding up whole numbers."""

from __future__ import annotations


def total(numbers: list[int]) -> int:
    """The sum of all numbers; 0 for none.

    Example:
        >>> total([2, 3, 5])
        10
    """
    ### BEGIN SOLUTION add them up, one after the other
    result = 0
    for number in numbers:
        result += number
    return result
    ### END SOLUTION


def running_totals(numbers: list[int]) -> list[int]:
    """The sum so far at each number.

    Example:
        >>> running_totals([2, 3, 5])
        [2, 5, 10]
    """
    ### BEGIN SOLUTION keep the sum so far
    so_far, totals = 0, []
    for number in numbers:
        so_far += number
        totals.append(so_far)
    return totals
    ### END SOLUTION

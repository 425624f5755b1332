"""Smoothing a noisy curve.

This is the solved file. What the learner writes lies between the two markers; the file that
they are given is made from this one, with a TODO in place of each marked part.
"""

from __future__ import annotations


def running_mean(values: list[float], width: int) -> list[float]:
    """The mean of each value and those before it, `width` values in all.

    Near the beginning there are fewer than `width` values to look at; then it is the mean of
    those that are there. Nothing looks ahead.

    Args:
        values: numbers in the order in which they were measured; left as they are.
        width: how many values a mean is taken over.

    Returns:
        As many means as there are values.

    Raises:
        ValueError: if `width` is less than 1.

    Example:
        >>> running_mean([4.0, 2.0, 9.0], 2)
        [4.0, 3.0, 5.5]
    """
    ### BEGIN SOLUTION refuse a width below 1; then take the mean of one stretch after another
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width}")
    means = []
    for end in range(1, len(values) + 1):
        window = values[max(0, end - width) : end]
        means.append(sum(window) / len(window))
    return means
    ### END SOLUTION

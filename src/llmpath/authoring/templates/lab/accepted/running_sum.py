"""The same by keeping a sum: one value comes in, the oldest goes out."""

from __future__ import annotations

from collections import deque


def running_mean(values: list[float], width: int) -> list[float]:
    """The mean of each value and those before it, `width` values in all."""
    if width <= 0:
        raise ValueError(f"{width} is no width")
    seen: deque[float] = deque()
    total, means = 0.0, []
    for value in values:
        seen.append(value)
        total += value
        if len(seen) > width:
            total -= seen.popleft()
        means.append(total / len(seen))
    return means

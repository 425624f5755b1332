"""What stays in the worker because it is no data, and is known to the judge by a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any


class Handles:
    """Objects of the learner's, by number; one object has one number as long as it is kept."""

    def __init__(self) -> None:
        self._values: dict[int, Any] = {}  # by number
        self._numbers: dict[int, int] = {}  # by the identity of the object
        self._uses: Counter[int] = Counter()  # how many handles of the judge's have the number
        self._next = 0

    def __getitem__(self, number: int) -> Any:
        return self._values[number]

    def number_of(self, value: Any) -> int:
        """The number of an object, of which the judge has one handle more from now on."""
        number = self._numbers.setdefault(id(value), self._next)
        self._next = max(self._next, number + 1)  # a number is not used again
        self._values[number] = value  # kept alive, so that its id stays its own
        self._uses[number] += 1
        return number

    def release(self, dropped: Iterable[int]) -> None:
        """Let go of what the judge has no handle of any more: a check may build large modules."""
        for number in dropped:
            self._uses[number] -= 1
            if self._uses[number] == 0:
                del self._uses[number]
                del self._numbers[id(self._values.pop(number))]

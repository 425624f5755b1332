"""What learner code printed, as much of it as a report has room for."""

from __future__ import annotations


class Output:
    """The beginning and the end of what learner code printed.

    Args:
        limit: how many bytes to keep, half of them from either end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._tail = bytearray()
        self._cut = 0

    def add(self, data: bytes) -> None:
        """Keep `data`, or as much of it as there is room for."""
        room = self._limit // 2 - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if (excess := len(self._tail) - self._limit // 2) > 0:
            self._cut += excess
            del self._tail[:excess]

    def text(self) -> str:
        """What was kept, with a line that says how much was not."""
        middle = f"\n… {self._cut:,} bytes left out …\n" if self._cut else ""
        head, tail = (part.decode(errors="replace") for part in (self._head, self._tail))
        return head + middle + tail

"""Who may have the model's attention: so many at once, so many waiting, nobody more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from llmpath.serving.api import ApiError


class Admission:
    """A bounded queue.

    Args:
        places: how many requests take turns at the model.
        queue: how many more may wait.

    Attributes:
        active: how many have a place.
        waiting: how many wait for one.
    """

    def __init__(self, places: int, queue: int) -> None:
        self._places = asyncio.Semaphore(places)
        self._queue = queue
        self.active = 0
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Have a place, first come, first served.

        Raises:
            ApiError: if too many are waiting.
        """
        if self._places.locked() and self.waiting >= self._queue:
            raise ApiError(
                429,
                "Too many requests are waiting. Try again in a moment.",
                kind="rate_limit_error",
                code="queue_full",
                retry=True,
            )
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
            self._places.release()

"""The event pipe of a run, as the child writes it: one JSON object a line."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from typing import Any


class Channel:
    """Writes events; may be used from any thread.

    Args:
        descriptor: of the pipe.
        began: when the run began, in seconds since the epoch; events count from there.
    """

    def __init__(self, descriptor: int, began: float) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._began = began

    def send(self, event: str, fields: dict[str, Any]) -> None:
        """Send one event. Numbers that are not finite are sent as null."""
        at = round(max(0.0, time.time() - self._began), 4)
        line = json.dumps({"event": event, "at": at, **portable(fields)}, allow_nan=False)
        data = line.encode() + b"\n"
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]


def portable(value: Any) -> Any:
    """The same plain data with what JSON or UTF-8 cannot say replaced."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {portable(key): portable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(item) for item in value]
    return value

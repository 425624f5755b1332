"""The child's side of `llmpath.running.task`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.labkit.channel import Channel
from llmpath.running import descriptors
from llmpath.running.task import FAILED

Send = Callable[[str, dict[str, Any]], None]
INTERRUPTED = 130  # the exit code that shells give to a program that Ctrl-C ended


def serve(work: Callable[[dict[str, Any], Send], None]) -> int:
    """Serve one request; the exit code is 0 if the work is done."""
    try:
        descriptors.listen_for_interrupt()
        reading, writing = descriptors.take()
        with open(reading, "rb", buffering=0, closefd=False) as pipe:
            line = pipe.readline()
        descriptors.end_with_parent(reading)
        channel = Channel(writing, time.time())
        try:
            work(json.loads(line), channel.send)
        except LlmpathError as error:
            channel.send(FAILED, {"message": error.message, "hint": error.hint})
            return 1
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        descriptors.flush()

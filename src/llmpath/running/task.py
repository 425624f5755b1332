"""Work that needs heavy libraries, done in a process of its own: a request in, events out.

The parent says `for event in perform("llmpath.models.convert", request)`; the child's module
ends in `sys.exit(serve(work))`, where `work(request, send)` does it. An `LlmpathError` that the
work raises is raised where the events are taken.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.labkit.channel import Channel
from llmpath.running import descriptors

Send = Callable[[str, dict[str, Any]], None]
INTERRUPTED = 130  # the exit code that shells give to a program that Ctrl-C ended
_FAILED = "llmpath-failed"
_KEPT = 2000  # characters of what a child printed that are shown where it failed


def perform(module: str, request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Have a module do its work in a child process.

    Closing the iterator early, or Ctrl-C, ends the child.

    Args:
        module: the module to run.
        request: plain data.

    Yields:
        Each event that the work sends: its fields, and its name under `event`.

    Raises:
        LlmpathError: if the work raised one, or the child failed otherwise.
    """
    from llmpath.running.process import Child

    printed = ""
    folder = Path(tempfile.gettempdir())
    with Child(module, json.dumps(dict(request)).encode(), folder) as child:
        for message in child.messages():
            if message is None:
                continue
            if message.pipe == "output":
                printed = (printed + message.text)[-_KEPT:]
                continue
            event: dict[str, Any] = json.loads(message.data)
            if event["event"] == _FAILED:
                raise LlmpathError(event["message"], event["hint"])
            yield event
        if child.exit_code != 0:
            raise LlmpathError(
                f"{module} ended with exit code {child.exit_code}.\n{printed}".rstrip(),
                "If the machine ran out of memory, close something large and try again.",
            )


def serve(work: Callable[[dict[str, Any], Send], None]) -> int:
    """Serve one request, in the child; the exit code is 0 if the work is done."""
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
            channel.send(_FAILED, {"message": error.message, "hint": error.hint})
            return 1
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        descriptors.flush()

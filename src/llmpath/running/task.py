"""Work that needs heavy libraries, done in a process of its own: a request in, events out.

The parent says `for event in perform("llmpath.models.convert", request)`; the child's module
ends in `sys.exit(serve(work))`, where `work(request, send)` does it, with `serve` of
`llmpath.running.task_child`. An `LlmpathError` that the work raises is raised where the events
are taken.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.running.process import Child

FAILED = "llmpath-failed"  # the event with which an `LlmpathError` comes over
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
            if event["event"] == FAILED:
                raise LlmpathError(event["message"], event["hint"])
            yield event
        if child.exit_code != 0:
            raise LlmpathError(
                f"{module} ended with exit code {child.exit_code}.\n{printed}".rstrip(),
                "If the machine ran out of memory, close something large and try again.",
            )

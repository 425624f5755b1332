"""Starts the process that tells a tracker of a run, and passes on what it says."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Iterator
from typing import Any, Self

from llmpath.errors import LlmpathError
from llmpath.running.events import Tracked, parse_kept
from llmpath.running.process import Child
from llmpath.running.request import RunRequest, Tracker

PATIENCE = 60.0  # seconds that a tracker may take when the run has ended


def require(tracker: Tracker) -> None:
    """See that a tracker is installed, without importing it.

    Raises:
        LlmpathError: if it is not.
    """
    if importlib.util.find_spec(tracker) is None:  # each is called like its package
        raise LlmpathError(
            f"--track {tracker} needs the package {tracker}, which is not installed.",
            f"Install it: {sys.executable} -m pip install {tracker}",
        )


class Follower:
    """The tracking of one run; of a request without a tracker, nothing at all.

    Args:
        request: what is run.
        began: when it began, in seconds since the epoch.
    """

    def __init__(self, request: RunRequest, began: float) -> None:
        self._tracker = request.track
        self._child: Child | None = None
        if request.track is not None:
            line = json.dumps(_asked(request, began)).encode()
            module = "llmpath.running.tracking.child"
            self._child = Child(module, line, request.run_folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        if self._child is not None:
            self._child.__exit__(*ending)

    def news(self) -> Iterator[Tracked]:
        """What the tracker has said since the last time."""
        if self._child is None:
            return
        for message in self._child.waiting():
            event = parse_kept(message.data) if message.pipe == "event" else None
            if isinstance(event, Tracked):
                yield event

    def ended(self) -> Iterator[Tracked]:
        """Wait until the tracker has taken everything; what it says."""
        if self._child is None or self._tracker is None:
            return
        deadline = time.monotonic() + PATIENCE
        said = False
        for message in self._child.messages():
            event = parse_kept(message.data) if message and message.pipe == "event" else None
            if isinstance(event, Tracked):
                said = True
                yield event
            if time.monotonic() > deadline:
                problem = f"it had not taken everything {PATIENCE:.0f} s after the end of the run"
                yield Tracked(tracker=self._tracker, problem=problem)
                return
        if self._child.exit_code and not said:
            problem = f"its process ended with exit code {self._child.exit_code}"
            yield Tracked(tracker=self._tracker, problem=problem)


def _asked(request: RunRequest, began: float) -> dict[str, Any]:
    facts = {"lab", "seed", "scale", "device", "data", "reference", "course_version"}
    return {
        "tracker": request.track,
        "lab": request.lab,
        "folder": str(request.run_folder.absolute()),
        "began": began,
        "facts": request.model_dump(mode="json", include=facts),
    }

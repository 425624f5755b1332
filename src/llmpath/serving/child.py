"""The process that holds a model: `python -P -m llmpath.serving.child`.

The first line of its input says which model; each later one begins or cancels a request. All
requests that are under way take turns, one token each, so that a long one holds up no short one.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.labkit.channel import Channel
from llmpath.running import descriptors
from llmpath.running.failure import Explainer
from llmpath.running.task import FAILED
from llmpath.serving.loading import RefusedError, Voice, Writing, load
from llmpath.serving.request import Generation


def main() -> int:
    """Serve until the parent goes away; the exit code is 1 if the model cannot be loaded."""
    descriptors.ignore_interrupt()
    reading, writing = descriptors.take()
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    descriptors.take_lines(reading, lines.put)
    channel = Channel(writing, time.time())
    request = json.loads(lines.get())
    explainer = Explainer(
        {"thread": dict(enumerate(request["own"])), "learner_file": "", "lab_folder": ""}
        | {"reference": False, "names": request["names"]}
    )
    try:
        voice = load(request)
    except Exception as error:  # learner code may raise anything
        channel.send(FAILED, _explained(error, explainer))
        return 1
    finally:
        descriptors.flush()
    channel.send("ready", voice.ready.model_dump(exclude={"event"}))
    Turns(voice, channel, explainer, lines).go_round()
    return 0


class Turns:
    """Lets all that is being written take turns, one token each.

    Args:
        voice: the model.
        channel: where answers go.
        explainer: explains what the learner's code raises.
        lines: what comes from the parent.
    """

    def __init__(
        self,
        voice: Voice,
        channel: Channel,
        explainer: Explainer,
        lines: queue.SimpleQueue[bytes],
    ) -> None:
        self._voice = voice
        self._channel = channel
        self._explainer = explainer
        self._lines = lines
        self._active: dict[int, Writing] = {}

    def go_round(self) -> None:
        """Write until the process ends."""
        while True:
            self._listen()
            for number in list(self._active):
                self._turn(number)

    def _listen(self) -> None:
        """Take what has come from the parent; wait for it if there is nothing else to do."""
        while not (self._active and self._lines.empty()):
            order: dict[str, Any] = json.loads(self._lines.get())
            number = order["number"]
            if "generation" in order:
                self._begin(number, Generation.model_validate_json(order["generation"]))
            elif number in self._active:
                self._end(number, "cancelled")

    def _begin(self, number: int, asked: Generation) -> None:
        try:
            self._active[number] = self._voice.write(asked)
        except RefusedError as error:
            fields = {"number": number, "code": error.code, "message": str(error)}
            self._channel.send("refused", fields)
        except Exception as error:  # learner code, or a chat template, may raise anything
            self._broken(number, error)

    def _turn(self, number: int) -> None:
        try:
            piece = next(self._active[number].pieces)
        except Exception as error:  # learner code may raise anything
            del self._active[number]
            self._broken(number, error)
            return
        self._channel.send("text", {"number": number, "text": piece.text})
        if piece.reason is not None:
            self._end(number, piece.reason)

    def _end(self, number: int, reason: str) -> None:
        writing = self._active.pop(number)
        self._channel.send(
            "ended",
            {
                "number": number,
                "reason": reason,
                "prompt_tokens": writing.prompt_tokens,
                "completion_tokens": writing.tokens,
                "reused_tokens": writing.reused_tokens,
            },
        )
        self._voice.end(writing)

    def _broken(self, number: int, error: Exception) -> None:
        told = _explained(error, self._explainer)
        self._channel.send("broken", {"number": number, **told})


def _explained(error: Exception, explainer: Explainer) -> dict[str, Any]:
    """An exception as the fields of an answer."""
    if isinstance(error, LlmpathError):
        return {"message": error.message, "hint": error.hint, "failure": None}
    failure: dict[str, Any] = {"event": "failed", "at": 0.0, **explainer.explain(error)}
    message = f"{failure['type']}: {failure['message']}"
    if frames := failure.get("frames"):
        message += f" ({frames[-1]['file']}, line {frames[-1]['line']})"
    return {"message": message, "hint": failure.get("hint", ""), "failure": failure}


if __name__ == "__main__":
    sys.exit(main())

"""Brings a model's folder to life, in the child: `load` makes a `Voice` of it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError
from llmpath.labkit import thread
from llmpath.labkit.device import choose
from llmpath.serving import runner
from llmpath.serving.answers import Ready
from llmpath.serving.readings import Reading, Readings
from llmpath.serving.request import Generation
from llmpath.serving.streaming import Piece, Write, pieces, trimmed
from llmpath.serving.tokenizer import Tokenizer, read

if TYPE_CHECKING:
    from torch import Tensor

CONTEXT = 2048  # of a model that does not say, as in transformers' Llama


class RefusedError(Exception):
    """What was asked for cannot be done.

    Args:
        code: what programs call the reason.
        message: the reason, in a sentence.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Writing:
    """Something that is being written.

    Attributes:
        prompt_tokens: how many tokens it goes on from.
        tokens: how many were drawn.
        reading: what was read of it; None before the first token.
        reused_tokens: how many tokens of the prompt did not have to be read for it.
        pieces: draws a token when one is asked for.
    """

    prompt_tokens: int
    tokens: int = 0
    reading: Reading | None = None
    reused_tokens: int = 0
    pieces: Iterator[Piece] = field(default_factory=lambda: iter(()))


@dataclass(frozen=True)
class Voice:
    """A model that can write several texts side by side.

    Attributes:
        readings: what was read before.
        sample: draws a token.
        stream: makes text of tokens.
        ready: what is said of it.
    """

    tokenizer: Tokenizer
    readings: Readings
    sample: runner.Sample
    stream: Write
    ready: Ready

    def write(self, asked: Generation) -> Writing:
        """Begin to write what was asked for.

        Raises:
            RefusedError: if it cannot be written.
        """
        import torch

        ids = self._ids(asked)
        room = self._room(ids)
        generator = torch.Generator()
        generator.manual_seed(secrets.randbits(63) if asked.seed is None else asked.seed)
        most = room if asked.max_tokens is None else min(room, asked.max_tokens)
        writing = Writing(len(ids))

        @torch.inference_mode()
        def draw(new: Sequence[int]) -> int:
            if writing.tokens == most:
                raise LlmpathError(
                    f"More than {most} tokens were asked for.", "No more are allowed."
                )
            writing.tokens += 1
            logits = self._logits(writing, [int(each) for each in new])
            return self.sample(logits, asked.temperature, asked.top_p, generator)

        found = pieces(
            self.stream(
                draw,
                self.tokenizer.text,
                ids,
                end=self.tokenizer.end,
                max_tokens=most,
                stop=asked.stop,
            )
        )
        writing.pieces = trimmed(found) if asked.messages else found
        return writing

    def end(self, writing: Writing) -> None:
        """Keep what was read for it, for a text that begins alike."""
        if writing.reading is not None:
            self.readings.keep(writing.reading)

    def _room(self, ids: Sequence[int]) -> int:
        """How many tokens may follow these.

        Raises:
            RefusedError: if none may.
        """
        room = self.ready.context - len(ids)
        if room < 1:
            raise RefusedError(
                "context_length_exceeded",
                f"The prompt has {len(ids)} tokens; the model can look at {self.ready.context}, "
                "and needs room for at least one of its own.",
            )
        return room

    def _logits(self, writing: Writing, new: list[int]) -> Tensor:
        """The logits, (vocab_size,), after tokens that follow what was read for it."""
        if writing.reading is None:
            writing.reading = self.readings.begin(new)
            writing.reused_tokens = len(writing.reading.ids)
            new = new[writing.reused_tokens :]
        return writing.reading.read(new)

    def _ids(self, asked: Generation) -> list[int]:
        """The tokens to go on with."""
        if asked.prompt is not None:
            return self.tokenizer.document(asked.prompt)
        if not self.ready.chats:
            raise RefusedError(
                "no_chat_template",
                "This model goes on with texts; it was never told how a conversation is written.",
            )
        return self.tokenizer.conversation(asked.messages)


def load(request: dict[str, Any]) -> Voice:
    """The voice of a model's folder.

    Args:
        request: as `llmpath.serving.source.Source` makes it.

    Raises:
        LlmpathError: if the folder is no model with its tokenizer.
        DeviceError: if the device that was asked for is not there.
    """
    folder, parts = Path(request["folder"]), request["parts"]
    thread.configure(request["thread"])
    device = choose(request["device"])
    tokenizer, config = Tokenizer(folder), read(folder / "config.json")
    running = runner.of_labs(parts, folder, device) or runner.of_transformers(folder, device)
    tokenizer.prepare()
    roles = tuple(role for role in ("sampling", "streaming") if role in parts)
    return Voice(
        tokenizer,
        Readings(running.begin),
        runner.sampler(parts.get("sampling")),
        runner.writer(parts.get("streaming")),
        Ready(
            chats=tokenizer.chats,
            context=int(config.get("max_position_embeddings") or CONTEXT),
            parameters=running.parameters,
            vocabulary=tokenizer.size,
            device=str(device),
            roles=(*running.roles, *roles),
        ),
    )

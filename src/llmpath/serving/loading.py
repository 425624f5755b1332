"""Brings a model's folder to life, in the child: `load` makes a `Voice` of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError
from llmpath.labkit import thread
from llmpath.labkit.device import choose
from llmpath.serving import runner
from llmpath.serving.answers import Ready
from llmpath.serving.request import Generation
from llmpath.serving.streaming import Piece, stream

if TYPE_CHECKING:
    pass

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


@dataclass(frozen=True)
class Writing:
    """Something that is being written.

    Attributes:
        pieces: draws a token each time that one is asked for.
        prompt_tokens: how many tokens it goes on from.
    """

    pieces: Iterator[Piece]
    prompt_tokens: int


@dataclass(frozen=True)
class Voice:
    """A model that can write several texts side by side.

    Attributes:
        begin: begins a text.
        sample: draws a token.
        end: the tokens with which it ends a text.
        ready: what is said of it.
    """

    tokenizer: Any
    begin: Callable[[], runner.Logits]
    sample: runner.Sample
    end: frozenset[int]
    ready: Ready

    def write(self, asked: Generation) -> Writing:
        """Begin to write what was asked for.

        Raises:
            RefusedError: if it cannot be written.
        """
        import torch

        ids = self._ids(asked)
        room = self.ready.context - len(ids)
        if room < 1:
            raise RefusedError(
                "context_length_exceeded",
                f"The prompt has {len(ids)} tokens; the model can look at {self.ready.context}, "
                "and needs room for at least one of its own.",
            )
        generator = torch.Generator()
        generator.manual_seed(secrets.randbits(63) if asked.seed is None else asked.seed)
        logits = self.begin()

        @torch.inference_mode()
        def draw(new: Sequence[int]) -> int:
            return self.sample(logits(new), asked.temperature, asked.top_p, generator)

        most = room if asked.max_tokens is None else min(room, asked.max_tokens)
        pieces = stream(draw, self._text, ids, end=self.end, max_tokens=most, stop=asked.stop)
        return Writing(pieces, len(ids))

    def _ids(self, asked: Generation) -> list[int]:
        """The tokens to go on with."""
        if asked.prompt is not None:
            return self._document(asked.prompt)
        if not self.ready.chats:
            raise RefusedError(
                "no_chat_template",
                "This model goes on with texts; it was never told how a conversation is written.",
            )
        messages = [message.model_dump() for message in asked.messages]
        text = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def _document(self, text: str) -> list[int]:
        """The tokens of the beginning of a text.

        A model that knows texts alone has seen each of them begin after the end of another.
        """
        ids = list(self.tokenizer.encode(text))
        first = self.tokenizer.eos_token_id
        begun = bool(ids) and ids[0] in self.end
        if first is not None and (not ids or not (begun or self.ready.chats)):
            ids.insert(0, first)
        return ids

    def _text(self, ids: Sequence[int]) -> str:
        return str(
            self.tokenizer.decode(
                list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )


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
    tokenizer, config = _tokenizer(folder), _config(folder)
    running = runner.of_labs(parts, folder, device) or runner.of_transformers(folder, device)
    sampling = parts.get("sampling")
    roles = ("sampling",) if sampling else ()
    return Voice(
        tokenizer,
        running.begin,
        runner.sampler(sampling),
        _ends(tokenizer, folder),
        Ready(
            chats=bool(tokenizer.chat_template),
            context=int(config.get("max_position_embeddings") or CONTEXT),
            parameters=running.parameters,
            vocabulary=len(tokenizer),
            device=str(device),
            roles=(*running.roles, *roles),
        ),
    )


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _damaged(folder, "tokenizer", error) from error


def _config(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(folder, "config.json", error) from error
    return found


def _ends(tokenizer: Any, folder: Path) -> frozenset[int]:
    """The tokens that are no text: one of them ends what a model has to say."""
    marks = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    path = folder / "generation_config.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id")
    except (OSError, ValueError):
        said = None
    return frozenset({*marks, *(said if isinstance(said, list) else [said])} - {None})


def _damaged(folder: Path, what: str, error: Exception) -> LlmpathError:
    return LlmpathError(
        f"The {what} of the model in {folder} cannot be read: {error}",
        "Have it made again: remove that folder.",
    )

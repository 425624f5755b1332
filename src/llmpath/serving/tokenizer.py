"""The tokenizer in a model's folder, and how the model wants a conversation to be written.

Text goes through the tokenizers library alone; transformers, which takes seconds to load, is only
needed for the templates of models that chat.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.serving.request import Message


class Tokenizer:
    """Text to tokens and back.

    Args:
        folder: with `tokenizer.json` and, if it is a model's own, `tokenizer_config.json`.

    Raises:
        LlmpathError: if they cannot be read.

    Attributes:
        end: the tokens that are no text: one of them ends what a model has to say.
        size: how many tokens there are.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer as Fast

        self._folder = folder
        path = folder / "tokenizer.json"
        try:
            self._fast = Fast.from_file(str(path))
        except Exception as error:  # the library raises nothing more special
            raise unreadable(path, error) from error
        self._settings = read(folder / "tokenizer_config.json", {})
        marks = {id for id, token in self._fast.get_added_tokens_decoder().items() if token.special}
        stops = read(folder / "generation_config.json", {}).get("eos_token_id")
        self.end = frozenset({*marks, *(stops if isinstance(stops, list) else [stops])} - {None})
        self.size: int = self._fast.get_vocab_size()

    @cached_property
    def chats(self) -> bool:
        """Whether it knows how a conversation is written."""
        return "chat_template" in self._settings or (self._folder / "chat_template.jinja").exists()

    @property
    def first(self) -> int | None:
        """The token that stands between two texts of those that a model has learnt from."""
        token = self._settings.get("eos_token")
        name = token.get("content") if isinstance(token, dict) else token
        found: int | None = self._fast.token_to_id(name) if isinstance(name, str) else None
        return found

    def document(self, text: str) -> list[int]:
        """The tokens of the beginning of a text.

        A model that knows texts alone has seen each of them begin after the end of another.
        """
        ids: list[int] = self._fast.encode(text).ids
        begun = bool(ids) and (ids[0] in self.end or self.chats)
        return ids if begun or self.first is None else [self.first, *ids]

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, up to where the model's answer begins."""
        text = self._template.apply_chat_template(
            [message.model_dump() for message in messages],
            add_generation_prompt=True,
            tokenize=False,
        )
        ids: list[int] = self._fast.encode(text, add_special_tokens=False).ids
        return ids

    def text(self, ids: Sequence[int]) -> str:
        """The text of some tokens; those that are no text are left out."""
        return str(self._fast.decode(list(ids), skip_special_tokens=True))

    def prepare(self) -> None:
        """Load now what the first answer would wait for."""
        if self.chats:
            _ = self._template

    @cached_property
    def _template(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise unreadable(self._folder / "tokenizer_config.json", error) from error


def read(path: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object; the default where there is no file.

    Raises:
        LlmpathError: if it cannot be read.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if default is None:
            raise unreadable(path, error) from error
        return default
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    return found if isinstance(found, dict) else {}


def unreadable(path: Path, error: Exception) -> LlmpathError:
    """The error for a file of a model that is not what it should be."""
    return LlmpathError(
        f"{path} cannot be read: {error}.", "Remove that folder and have the model made again."
    )

"""What comes back from a model's process, as frozen values: one JSON object a line.

Each answer bears the number of the request that it belongs to. An answer is any number of `Text`
and then one of `Ended`, `Refused` and `Broken`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from llmpath.running.events import Failed

Reason = Literal["stop", "length", "cancelled"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Ready(_Answer):
    """The model is loaded.

    Attributes:
        chats: whether it knows how a conversation is written; else it goes on with texts.
        context: how many tokens it can look at, the prompt and what it writes together.
        parameters: how many numbers it has.
        vocabulary: how many tokens it knows.
        roles: what the labs' code does of it; transformers does the rest.
    """

    event: Literal["ready"] = "ready"
    chats: bool
    context: int
    parameters: int
    vocabulary: int
    device: str
    roles: tuple[str, ...]


class Text(_Answer):
    """A piece of what it writes, never half a character; "" while a character is incomplete."""

    event: Literal["text"] = "text"
    number: int
    text: str


class Ended(_Answer):
    """It is done.

    Attributes:
        reason: `stop` (the model ended, or wrote a stop text), `length` (there was no room for
            more) or `cancelled` (whoever asked did not want any more).
        prompt_tokens: of what was asked.
        completion_tokens: of what was written.
        reused_tokens: of what was asked, those that did not have to be read, since an earlier
            text began with them, too.
    """

    event: Literal["ended"] = "ended"
    number: int
    reason: Reason
    prompt_tokens: int
    completion_tokens: int
    reused_tokens: int


class Refused(_Answer):
    """What was asked for cannot be done.

    Attributes:
        code: `context_length_exceeded` or `no_chat_template`.
    """

    event: Literal["refused"] = "refused"
    number: int
    code: str
    message: str


class Broken(_Answer):
    """The model's code raised an exception, or its process ended.

    Attributes:
        failure: what went wrong in the code; None if the process ended.
    """

    event: Literal["broken"] = "broken"
    number: int
    message: str
    failure: Failed | None = None


Answer = Text | Ended | Refused | Broken
_reader: TypeAdapter[Ready | Answer] = TypeAdapter(
    Annotated[Ready | Answer, Field(discriminator="event")]
)


def parse(line: bytes) -> Ready | Answer:
    """The answer in one line of the child's pipe."""
    return _reader.validate_json(line)

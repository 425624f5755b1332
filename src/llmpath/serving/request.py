"""What a model is asked to write."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["system", "user", "assistant"]
MOST_STOPS = 4  # as in OpenAI's API
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str


class Options(BaseModel):
    """How a model is to write.

    Attributes:
        max_tokens: after which it is cut off; None for as many as the context has room for.
        temperature: 0 takes the likeliest token each time; 1 draws from the model as it is.
        top_p: the share of probability from which tokens are drawn, the likeliest first.
        stop: texts at which it ends; they are not part of what is written.
        seed: the same seed and request, the same text; None for another one each time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1.0
    stop: Annotated[tuple[Stop, ...], Field(max_length=MOST_STOPS)] = ()
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None


class Generation(Options):
    """What a model is asked to write: to go on with a text, or to answer in a conversation.

    Attributes:
        prompt: the text to go on with; None for a conversation.
        messages: the conversation; empty for a text.
    """

    prompt: str | None = None
    messages: tuple[Message, ...] = ()

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("either a prompt or messages")
        return self

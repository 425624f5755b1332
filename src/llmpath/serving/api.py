"""The shapes of OpenAI's API: what is asked, what is answered, and how an error looks.

Pure: from the bytes of a request to a `Generation`, and from answers to the objects that are sent.
What is asked for and cannot be given is refused, never left out in silence.

Source: https://platform.openai.com/docs/api-reference (chat completions, completions, models).
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmpath.serving.answers import Broken, Ended, Reason, Refused
from llmpath.serving.request import Generation, Message, Role

REASONS: dict[Reason, str] = {"stop": "stop", "length": "length", "cancelled": "stop"}


class ApiError(Exception):
    """A request that is answered with an error.

    Args:
        status: the HTTP status.
        message: what is wrong, in a sentence.
        kind: OpenAI's `type` of the error.
        code: what programs call the reason.
        param: the part of the request that is wrong.
        retry: whether the same request may do later.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.retry = retry

    def body(self) -> dict[str, Any]:
        """The object that is sent."""
        told = {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}
        return {"error": told}


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Part(_Shape):
    type: Literal["text"]
    text: str


class _Turn(_Shape):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | tuple[_Part, ...]
    name: str | None = None

    def message(self) -> Message:
        role: Role = "system" if self.role == "developer" else self.role
        content = self.content
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        return Message(role=role, content=text)


class _StreamOptions(_Shape):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Asked(_Shape):
    """What both kinds of requests have.

    The second half can only be left as it is: this server does no such thing. What follows
    has no influence on what is written, and is passed over.
    """

    model: str
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    stop: str | tuple[str, ...] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None

    n: Literal[1] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None

    user: Any = None

    def options(self, limit: int, most: int | None) -> dict[str, Any]:
        """The fields of `Options`, within what the server allows."""
        if most is not None and most > limit:
            raise ApiError(
                400, f"At most {limit} tokens are written here, not {most}.", param="max_tokens"
            )
        stop = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        found = {"max_tokens": most or limit, "stop": stop, "seed": self.seed}
        for name in ("temperature", "top_p"):
            if (value := getattr(self, name)) is not None:
                found[name] = value
        return found


class _ChatAsked(_Asked):
    messages: Annotated[tuple[_Turn, ...], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None

    tools: Annotated[tuple[Any, ...], Field(max_length=0)] | None = None
    tool_choice: Literal["none"] | None = None
    response_format: dict[Literal["type"], Literal["text"]] | None = None
    logprobs: Literal[False] | None = None
    modalities: tuple[Literal["text"]] | None = None

    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None

    def generation(self, limit: int) -> Generation:
        most = self.max_completion_tokens or self.max_tokens
        turns = tuple(turn.message() for turn in self.messages)
        return Generation(**self.options(limit, most), messages=turns)


class _TextAsked(_Asked):
    prompt: str | tuple[str] = ""

    best_of: Literal[1] | None = None
    echo: Literal[False] | None = None
    logprobs: None = None
    suffix: Literal[""] | None = None

    def generation(self, limit: int) -> Generation:
        prompt = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return Generation(**self.options(limit, self.max_tokens), prompt=prompt)


@dataclass(frozen=True)
class Wanted:
    """A request that was read.

    Attributes:
        generation: what the model is asked.
        stream: whether it is to come in pieces.
        usage: whether the pieces are to end with how many tokens there were.
    """

    generation: Generation
    stream: bool
    usage: bool


def read(data: bytes, *, chat: bool, model: str, limit: int) -> Wanted:
    """Read a request.

    Args:
        data: its body.
        chat: whether it is for a conversation, and not for a text.
        model: the name of the only model there is.
        limit: how many tokens may be written.

    Raises:
        ApiError: if it is no such request, or asks for what there is not.
    """
    shape: type[_ChatAsked | _TextAsked] = _ChatAsked if chat else _TextAsked
    try:
        asked = shape.model_validate_json(data)
        if asked.model != model:
            raise ApiError(
                404,
                f"There is no model {asked.model!r} here; this server has {model!r}.",
                code="model_not_found",
                param="model",
            )
        generation = asked.generation(limit)
    except ValidationError as error:
        raise _invalid(error) from None
    usage = asked.stream_options is not None and asked.stream_options.include_usage
    return Wanted(generation, asked.stream, usage)


def _invalid(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return ApiError(400, f"The body is no JSON: {first['msg']}.", code="invalid_json")
    if first["type"] == "extra_forbidden":
        return ApiError(400, f"{place} is not known here.", param=place, code="unknown_parameter")
    return ApiError(400, f"{place}: {first['msg']}.", param=place, code="invalid_value")


def failed(answer: Refused | Broken, *, alive: bool) -> ApiError:
    """The error for a request that the model did not answer.

    Args:
        answer: what it said instead.
        alive: whether the model's process goes on.
    """
    if isinstance(answer, Refused):
        return ApiError(400, answer.message, code=answer.code, param="messages")
    if not alive:
        message = "The model's process has ended; the server has to be started again."
        return ApiError(503, message, kind="server_error", code="model_ended")
    message = "The model failed; the server's log says why."
    return ApiError(500, message, kind="server_error", code="model_error")


@dataclass(frozen=True)
class Replies:
    """The objects that answer one request, whole or in pieces.

    Args:
        model: the model's name.
        chat: whether it is a conversation.
    """

    model: str
    chat: bool
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, ended: Ended) -> dict[str, Any]:
        """All of it in one."""
        said = {"message": {"role": "assistant", "content": text, "refusal": None}}
        choice = said if self.chat else {"text": text}
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._reply(kind, choice, REASONS[ended.reason]), "usage": usage(ended)}

    def first(self) -> list[dict[str, Any]]:
        """What comes before the first piece of text."""
        return [self._piece({"role": "assistant", "content": ""})] if self.chat else []

    def piece(self, text: str) -> dict[str, Any]:
        """A piece of text."""
        return self._piece({"content": text} if self.chat else text)

    def last(self, ended: Ended, *, with_usage: bool) -> list[dict[str, Any]]:
        """What comes after the last piece of text."""
        end = self._piece({} if self.chat else "", REASONS[ended.reason])
        if not with_usage:
            return [end]
        return [end, {**end, "choices": [], "usage": usage(ended)}]

    def _piece(self, what: Any, reason: str | None = None) -> dict[str, Any]:
        choice = {"delta": what} if self.chat else {"text": what}
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return self._reply(kind, choice, reason)

    def _reply(self, kind: str, choice: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, **choice, "logprobs": None, "finish_reason": reason}],
        }


def usage(ended: Ended) -> dict[str, Any]:
    """How many tokens there were, and how many of the prompt's did not have to be read."""
    prompt, completion = ended.prompt_tokens, ended.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": ended.reused_tokens},
    }

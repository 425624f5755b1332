"""Serving: from tokens, as a model draws them, to what a client reads while it is written.

`pieces` makes text of tokens, `until` ends it at stop texts, `events` puts it into the shape of
OpenAI's API, `admit` refuses what would cost too much, and `respond` sends it all to one client
among many, without holding up the others.

None of these knows a model, a tokenizer or a network: what they need of them is handed in as
functions. That is what makes them easy to try, and lets `llmpath serve` write with `pieces` and
`until`. Several requests are under way at a time, so nothing may be kept outside of the functions'
own variables.

Sources: "Server-sent events" in the HTML standard (WHATWG); OpenAI's API reference, "Streaming".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

UNKNOWN = "\ufffd"  # what decoding writes for bytes that are no character, or not yet one
BEHIND = 6  # tokens that were given out and are decoded along with the new ones

Message = Mapping[str, str]  # {"role": "user", "content": "Where does Mia live?"}


def pieces(
    ids: Iterable[int], decode: Callable[[Sequence[int]], str], before: Sequence[int] = ()
) -> Iterator[str]:
    """The text of tokens, as it becomes certain (a generator).

    A token may hold only some of the bytes of a character, or a whole character and the beginning
    of the next. What is incomplete at the end decodes to one or more `UNKNOWN`; these are held
    back until a later token tells what they were. All other text is given out at once.

    What a token decodes to may depend on those before it. So a new token is decoded together
    with a few that were given out already, and their text is cut off again. Only a few, so that a
    token costs the same at the end of a long text: of tokens whose text was given out whole,
    `decode` is called with the last `BEHIND` at the most.

    Args:
        ids: tokens, which are asked for one by one.
        decode: from tokens to text.
        before: the tokens that stand before these, whose text is not given out.

    Yields:
        For each token, the text that has become certain by it, which may be "". After the last
        one, what is still held back, if there is any.

    Example:
        >>> decode = lambda ids: bytes(ids).decode("utf-8", errors="replace")
        >>> list(pieces("a€b".encode(), decode))
        ['a', '', '', '€', 'b']
    """
    ### BEGIN SOLUTION decode a window, give out what is new and certain, shorten the window
    window = list(before[-BEHIND:])
    given = len(decode(window))  # characters of the window that were given out
    for token in ids:
        window.append(token)
        text = decode(window)
        certain = len(text.rstrip(UNKNOWN))
        yield text[given:certain]
        given = max(given, certain)
        if certain == len(text):
            window = window[-BEHIND:]
            given = len(decode(window))
    if rest := decode(window)[given:]:
        yield rest
    ### END SOLUTION


def until(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """The text up to the first stop text (a generator).

    A stop text may be spread over several pieces. What may be the beginning of one is held back
    until it is certain that it is none; all other text is given out at once. No part of a stop
    text is ever given out. Of several stop texts the one that is complete first counts; if two
    are complete with the same character, the longer.

    How the text is cut into pieces makes no difference to what comes out in all.

    Args:
        pieces: the pieces of a text, which are asked for one by one; none after a stop text.
        stops: the stop texts; none of them is empty, and there may be none.

    Yields:
        For each piece, the text that has become certain by it, which may be "". After the last
        one, if no stop text came, what is still held back, if there is any.

    Example:
        >>> list(until(["one t", "wo", " thr"], ["two"]))
        ['one ', '']
        >>> list(until(["one t", "hr"], ["two"]))
        ['one ', 'thr']
    """
    ### BEGIN SOLUTION look for stop texts in what is held; let through what can begin none
    held = ""
    for piece in pieces:
        held += piece
        found = [(held.find(stop) + len(stop), held.find(stop)) for stop in stops if stop in held]
        if found:
            _, start = min(found)
            yield held[:start]
            return
        begun = (n for stop in stops for n in range(1, len(stop)) if held.endswith(stop[:n]))
        cut = len(held) - max(begun, default=0)
        yield held[:cut]
        held = held[cut:]
    if held:
        yield held
    ### END SOLUTION


def write(
    draw: Callable[[Sequence[int]], int],
    decode: Callable[[Sequence[int]], str],
    prompt: Sequence[int],
    *,
    end: Collection[int],
    max_tokens: int,
    stop: Sequence[str] = (),
) -> Iterator[tuple[str, str | None]]:
    """Let a model write, and give out what it writes as it comes (given).

    `llmpath serve` and `llmpath chat` call this for each answer, once your file passes.

    Args:
        draw: from the tokens that the model has not seen yet to the next one.
        decode: from tokens to text.
        prompt: the tokens to go on with, at least one.
        end: tokens that end the text; they are no part of it.
        max_tokens: how many to draw at most.
        stop: texts that end the text; nor are they part of it.

    Yields:
        Pairs of a piece of text, which may be "", and None; at the end a pair of "" and the
        reason: `stop` (the model ended, or wrote a stop text) or `length` (no more was allowed).
    """
    reason = "stop"

    def drawn() -> Iterator[int]:
        nonlocal reason
        unseen = prompt
        for _ in range(max_tokens):
            token = draw(unseen)
            if token in end:
                return
            yield token
            unseen = [token]
        reason = "length"

    for text in until(pieces(drawn(), decode, prompt), stop):
        yield text, None
    yield "", reason


def events(
    written: Iterable[tuple[str, str | None]], *, id: str, model: str, created: int
) -> Generator[str]:
    r"""What a model writes, as server-sent events in the shape of OpenAI's API (a generator).

    An event is a line `data: ` and one JSON object, and an empty line. Each object has the keys

        {"id": id, "object": "chat.completion.chunk", "created": created, "model": model,
         "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}

    The first delta, before anything is asked of the model, is `{"role": "assistant", "content":
    ""}`. Each piece of text that is not empty has the delta `{"content": text}`. With the reason
    comes the delta `{}` and the reason as `finish_reason`. Last of all is the line `data: [DONE]`,
    and an empty line.

    If the model raises an exception, a last event says so, in place of all that would follow:
    `{"error": {"message": a sentence, "type": "server_error"}}`. What is in the exception (paths,
    keys, what others asked) is not for clients, so the sentence is the same for all exceptions.

    Args:
        written: as `write` yields it.
        id: what this answer is called.
        model: what the model is called.
        created: when the answer was begun, in seconds since 1970.

    Yields:
        The events, each with its empty line.

    Example:
        >>> for event in events([("Hi", None), ("", "stop")], id="1", model="mine", created=0):
        ...     print(event, end="")
        data: {"id": "1", ..., "delta": {"role": "assistant", "content": ""}, ...}]}
        <BLANKLINE>
        data: {"id": "1", ..., "delta": {"content": "Hi"}, "finish_reason": null}]}
        <BLANKLINE>
        data: {"id": "1", ..., "delta": {}, "finish_reason": "stop"}]}
        <BLANKLINE>
        data: [DONE]
        <BLANKLINE>
    """
    ### BEGIN SOLUTION the role, a chunk for each piece, the reason, [DONE]; or an error
    head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}

    def event(delta: dict[str, str], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    yield event({"role": "assistant", "content": ""})
    try:
        for text, reason in written:
            if text:
                yield event({"content": text})
            if reason is not None:
                yield event({}, reason)
    except Exception:
        error = {"message": "The model failed; try again later.", "type": "server_error"}
        yield f"data: {json.dumps({'error': error})}\n\n"
        return
    yield "data: [DONE]\n\n"
    ### END SOLUTION


@dataclass(frozen=True)
class Limits:
    """What one request may use.

    Attributes:
        context: how many tokens the model can look at, the prompt and its answer together.
        max_tokens: how many tokens an answer may have.
        characters: how much text a conversation may have, all messages together.
        queue: how many requests may be under way or waiting when another one comes.
    """

    context: int
    max_tokens: int = 256
    characters: int = 20_000
    queue: int = 64


class Refused(ValueError):  # noqa: N818 - what happened, in the words of HTTP
    """A request that is not served.

    Args:
        status: HTTP's number for the reason.
        message: the reason, in a sentence.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


def admit(
    messages: Sequence[Message],
    encode: Callable[[Sequence[Message]], list[int]],
    limits: Limits,
    wanted: int | None = None,
    waiting: int = 0,
) -> tuple[list[int], int]:
    """Let a request in, or refuse it before it costs anything.

    What costs least is looked at first. Making tokens of a text takes time in proportion to its
    length, so `encode` is called last, at most once, and never for what is refused anyway.

    Args:
        messages: the conversation.
        encode: from a conversation to the tokens of the prompt.
        limits: what is allowed.
        wanted: how many tokens the answer may have, if the client says so.
        waiting: how many requests are under way or waiting.

    Returns:
        The tokens of the prompt, and how many the answer may have: what was wanted, but no more
        than the limits allow and than the context has room for after the prompt.

    Raises:
        Refused: with a sentence that names what there is and the limit, and with the status
            429 if `waiting` has reached `limits.queue`;
            400 if there is no message, if the last is not the user's, or if fewer than one token
            is wanted;
            413 if the messages have more than `limits.characters` characters together;
            400 if the prompt leaves no room in the context for even one token.

    Example:
        >>> encode = lambda messages: [7] * 60
        >>> admit([{"role": "user", "content": "Hi"}], encode, Limits(context=64), wanted=100)
        ([7, 7, ..., 7], 4)
    """
    ### BEGIN SOLUTION the queue, the request, its length in characters, and then in tokens
    if waiting >= limits.queue:
        raise Refused(429, f"{waiting} requests are waiting, of at most {limits.queue}. Try later.")
    if not messages or messages[-1]["role"] != "user":
        raise Refused(400, "The last message has to be one of the user's.")
    if wanted is not None and wanted < 1:
        raise Refused(400, f"An answer has at least 1 token, not {wanted}.")
    size = sum(len(message["content"]) for message in messages)
    if size > limits.characters:
        raise Refused(
            413, f"The conversation has {size} characters; at most {limits.characters} are read."
        )
    ids = encode(messages)
    room = limits.context - len(ids)
    if room < 1:
        raise Refused(
            400,
            f"The conversation has {len(ids)} tokens; the model can look at {limits.context}, "
            "and needs room for one of its own.",
        )
    return ids, min(room, limits.max_tokens, wanted or limits.max_tokens)
    ### END SOLUTION


def model_thread() -> Executor:
    """The one thread in which the model computes, for all requests (given).

    What is submitted to it is done one after the other, in the order in which it came.
    """
    return ThreadPoolExecutor(1, "model")


def ticking(step: Callable[[], Any]) -> Generator[Any]:
    """What a function gives, call by call, until it gives None (given, to try things with)."""
    while (given := step()) is not None:
        yield given


async def respond(
    events: Generator[str], send: Callable[[str], Awaitable[None]], thread: Executor
) -> None:
    """Send a stream of events to one client, and leave nothing behind.

    To ask `events` for the next event lets the model compute. That is done in `thread`, one event
    at a time, so that the event loop, which serves all clients, is never held up, and requests take
    turns. An event is sent before the next one is asked for: a client that reads slowly slows its
    own stream down and no other, and nothing is written for it in advance.

    However this ends (after the last event, by an exception of `send` because the client has gone,
    or because the task is cancelled), `events` is closed, so that nothing more is computed for it.
    A task may be cancelled while the thread is in the middle of a token. A generator that runs
    cannot be closed, so closing is submitted to the thread, too.

    Args:
        events: the events, each at the cost of some computing; it has a `close`.
        send: sends one event, and returns when the client has taken it.
        thread: as `model_thread` makes it.

    Raises:
        Exception: what `events` or `send` raised, after `events` was closed.
    """
    ### BEGIN SOLUTION next(events) in the thread, send, and so on; at the end, close it there
    loop = asyncio.get_running_loop()
    try:
        while (event := await loop.run_in_executor(thread, next, events, None)) is not None:
            await send(event)
    finally:
        thread.submit(events.close)
    ### END SOLUTION

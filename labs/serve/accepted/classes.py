"""The same with classes that take a piece at a time, and a thread that is waited for."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

UNKNOWN = "\ufffd"
BEHIND = 6


class Text:
    """Tokens that were given out, and tokens that were not."""

    def __init__(self, decode, before):
        self.decode, self.old, self.new = decode, list(before)[-BEHIND:], []
        self.said = ""

    def add(self, token):
        """The text that is certain with one more token."""
        self.new.append(token)
        behind = self.decode(self.old)
        text = self.decode(self.old + self.new)[len(behind) :]
        sure = text
        while sure.endswith(UNKNOWN):
            sure = sure[:-1]
        fresh = sure[len(self.said) :]
        self.said += fresh
        if sure == text:
            self.old, self.new, self.said = (self.old + self.new)[-BEHIND:], [], ""
        return fresh

    def rest(self):
        """What is left."""
        text = self.decode(self.old + self.new)[len(self.decode(self.old)) :]
        return text[len(self.said) :]


def pieces(ids, decode, before=()):
    """The text of tokens, as it becomes certain."""
    text = Text(decode, before)
    for token in ids:
        yield text.add(token)
    rest = text.rest()
    if rest != "":
        yield rest


def until(pieces, stops):
    """The text up to the first stop text, looked for character by character."""
    said, held = "", ""
    for piece in pieces:
        for character in piece:
            held += character
            ended = [stop for stop in stops if held.endswith(stop)]
            if ended:
                yield said + held[: len(held) - max(len(stop) for stop in ended)]
                return
            while held and not any(stop.startswith(held) for stop in stops):
                said, held = said + held[0], held[1:]
        yield said
        said = ""
    if held:
        yield held


def write(draw, decode, prompt, *, end, max_tokens, stop=()):
    """Let a model write, and give out what it writes as it comes."""
    ended = ["stop"]

    def drawn():
        unseen = prompt
        for _ in range(max_tokens):
            token = draw(unseen)
            if token in end:
                return
            yield token
            unseen = [token]
        ended[0] = "length"

    for text in until(pieces(drawn(), decode, prompt), stop):
        yield text, None
    yield "", ended[0]


def events(written, *, id, model, created):
    """What a model writes, as server-sent events."""

    def line(data):
        return "data: " + json.dumps(data, ensure_ascii=False) + "\r\n\r\n"

    def chunk(delta, reason):
        return line(
            {
                "id": id,
                "object": "chat.completion.chunk",
                "model": model,
                "created": created,
                "choices": [{"delta": delta, "index": 0, "finish_reason": reason}],
            }
        )

    yield chunk({"content": "", "role": "assistant"}, None)
    source = iter(written)
    while True:
        try:
            text, reason = next(source)
        except StopIteration:
            break
        except Exception:
            yield line({"error": {"type": "server_error", "message": "Something went wrong."}})
            return
        if text != "":
            yield chunk({"content": text}, None)
        if reason:
            yield chunk({}, reason)
    yield "data: [DONE]\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """What one request may use."""

    context: int
    max_tokens: int = 256
    characters: int = 20_000
    queue: int = 64


class Refused(ValueError):  # noqa: N818
    """A request that is not served."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


def admit(messages, encode, limits, wanted=None, waiting=0):
    """Let a request in, or refuse it before it costs anything."""
    if not waiting < limits.queue:
        raise Refused(429, f"There are {waiting} already, and {limits.queue} may be.")
    if len(messages) == 0:
        raise Refused(400, "No message.")
    if messages[-1].get("role") != "user":
        raise Refused(400, "It is not the user who spoke last.")
    most = limits.max_tokens
    if wanted is not None:
        if wanted <= 0:
            raise Refused(400, f"{wanted} tokens cannot be written.")
        most = min(most, wanted)
    size = len("".join(message["content"] for message in messages))
    if size > limits.characters:
        raise Refused(413, f"{size} characters are more than {limits.characters}.")
    ids = encode(messages)
    if len(ids) >= limits.context:
        raise Refused(400, f"{len(ids)} tokens fill the context of {limits.context}.")
    return ids, min(most, limits.context - len(ids))


def model_thread():
    """The one thread in which the model computes."""
    return ThreadPoolExecutor(1, "model")


def ticking(step):
    """What a function gives, call by call, until it gives None."""
    while (given := step()) is not None:
        yield given


async def respond(events, send, thread):
    """Send a stream of events to one client, and wait for the thread at the end."""
    over = object()
    running = None
    try:
        while True:
            running = thread.submit(next, events, over)
            event = await asyncio.wrap_future(running)
            if event is over:
                break
            await send(event)
    finally:
        while running is not None and not running.done():
            await asyncio.sleep(0.001)
        events.close()

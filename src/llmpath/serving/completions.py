"""One request for a text, from its first byte to its last: read, admitted, answered, counted.

All of it happens within one call, so that whatever ends it (the last token, an error, a limit, a
client that has gone, the server's own end) gives back the place and stops the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from llmpath.serving.admission import Admission
from llmpath.serving.answers import Answer, Broken, Ended, Refused, Text
from llmpath.serving.api import ApiError, Replies, Wanted, failed, read
from llmpath.serving.engine import Engine
from llmpath.serving.metrics import Metrics
from llmpath.serving.request import Generation

GONE = "gone"  # the status of a request whose client has gone
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one request, and all together, may use.

    Attributes:
        places: how many requests take turns at the model.
        queue: how many more may wait.
        max_tokens: how many tokens one may have written.
        body_bytes: how large one may be.
        body_seconds: how long it may take to arrive.
        seconds: how long it may take in all, its time in the queue included.
    """

    places: int = 8
    queue: int = 64
    max_tokens: int = 512
    body_bytes: int = 262_144
    body_seconds: float = 10.0
    seconds: float = 120.0


@dataclass
class Exchange:
    """One request and what is sent for it.

    Attributes:
        status: HTTP's, or `gone`; "" while nothing was sent.
    """

    request: Request
    send: Send
    began: float = field(default_factory=time.monotonic)
    status: str = ""
    streaming: bool = False

    async def respond(self, response: Response) -> None:
        """Send a whole response."""
        self.status = str(response.status_code)
        await response(self.request.scope, self.request.receive, self.send)

    async def event(self, data: dict[str, Any] | str) -> None:
        """Send one server-sent event; the first one begins the response."""
        if not self.streaming:
            self.streaming, self.status = True, "200"
            kind = (b"content-type", b"text/event-stream; charset=utf-8")
            headers = [kind, (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
            await self.send({"type": "http.response.start", "status": 200, "headers": headers})
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        body = f"data: {text}\n\n".encode()
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def close(self) -> None:
        """End a stream of events."""
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})


class Completions:
    """An endpoint, as an ASGI application.

    Args:
        engine: the model.
        admission: who may have it.
        metrics: where requests are counted.
        limits: what they may use.
        chat: whether it is for conversations, and not for texts.
    """

    def __init__(
        self,
        engine: Engine,
        admission: Admission,
        metrics: Metrics,
        limits: Limits,
        *,
        chat: bool,
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._metrics = metrics
        self._limits = limits
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(Request(scope, receive), send)
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._serve(exchange)
        except TimeoutError:
            await self._refuse(exchange, _too_slow(self._limits.seconds))
        except ApiError as error:
            await self._refuse(exchange, error)
        except ClientDisconnect:
            exchange.status = GONE
        except asyncio.CancelledError:  # by uvicorn, once the grace of a server that ends is over
            await self._refuse(exchange, _ending())
        finally:
            seconds = time.monotonic() - exchange.began
            endpoint = "chat" if self._chat else "text"
            self._metrics.request(endpoint, exchange.status or GONE, seconds)

    async def _serve(self, exchange: Exchange) -> None:
        data = await body(exchange.request, self._limits)
        name = self._engine.source.name
        wanted = read(data, chat=self._chat, model=name, limit=self._limits.max_tokens)
        await unless_gone(exchange.request, self._answer(wanted, exchange))

    async def _answer(self, wanted: Wanted, exchange: Exchange) -> None:
        replies = Replies(self._engine.source.name, self._chat)
        async with (
            self._admission.place(),
            contextlib.aclosing(answers(self._engine, wanted.generation)) as coming,
        ):
            first = await anext(coming)
            if isinstance(first, Text):
                self._metrics.first_token(time.monotonic() - exchange.began)
            answer = self._stream if wanted.stream else self._whole
            ended = await answer(replies, first, coming, exchange, wanted)
            self._metrics.tokens(ended)

    async def _whole(
        self, replies: Replies, first: Answer, coming: Coming, exchange: Exchange, wanted: Wanted
    ) -> Ended:
        said, last = "", first
        if isinstance(first, Text):
            said = first.text
            async for last in coming:
                said += last.text if isinstance(last, Text) else ""
        ended = self._ended(last)
        await exchange.respond(JSONResponse(replies.whole(said, ended)))
        return ended

    async def _stream(
        self, replies: Replies, first: Answer, coming: Coming, exchange: Exchange, wanted: Wanted
    ) -> Ended:
        if isinstance(first, Refused | Broken):
            self._ended(first)  # before the response has begun, so that it gets its own status
        for event in replies.first():
            await exchange.event(event)
        last = first
        if isinstance(first, Text):
            await self._piece(replies, first, exchange)
            async for last in coming:
                if isinstance(last, Text):
                    await self._piece(replies, last, exchange)
        ended = self._ended(last)
        for event in replies.last(ended, with_usage=wanted.usage):
            await exchange.event(event)
        await exchange.event("[DONE]")
        await exchange.close()
        return ended

    async def _piece(self, replies: Replies, answer: Text, exchange: Exchange) -> None:
        if answer.text:
            await exchange.event(replies.piece(answer.text))

    def _ended(self, last: Answer) -> Ended:
        """The end of a text; an error if it has another."""
        if isinstance(last, Ended):
            return last
        assert isinstance(last, Refused | Broken)
        if isinstance(last, Broken):
            log.error("The model failed: %s", last.message)
        raise failed(last, alive=self._engine.alive)

    async def _refuse(self, exchange: Exchange, error: ApiError) -> None:
        """Send an error, as a response of its own or as the last event of a stream."""
        if exchange.streaming:
            exchange.status = str(error.status)
            with contextlib.suppress(OSError):
                await exchange.event(error.body())
                await exchange.close()
            return
        headers = {"retry-after": "1"} if error.retry else {}
        await exchange.respond(JSONResponse(error.body(), error.status, headers))


Coming = AsyncGenerator[Answer]


async def answers(engine: Engine, asked: Generation) -> Coming:
    """The answers to one request; closing the generator cancels it."""
    loop = asyncio.get_running_loop()
    coming: asyncio.Queue[Answer] = asyncio.Queue()

    def deliver(answer: Answer) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(coming.put_nowait, answer)

    number = engine.start(asked, deliver)
    try:
        while isinstance(answer := await coming.get(), Text):
            yield answer
        yield answer
    finally:
        engine.cancel(number)


async def body(request: Request, limits: Limits) -> bytes:
    """The body of a request.

    Raises:
        ApiError: if it is too large, comes too slowly, or is not said to be JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site can send other kinds to a server on this machine, unasked.
        raise ApiError(415, "Send application/json.", code="unsupported_media_type")
    data = b""
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                data += part
                if len(data) > limits.body_bytes:
                    raise ApiError(
                        413,
                        f"A request may have {limits.body_bytes:,} bytes.",
                        code="request_too_large",
                    )
    except TimeoutError:
        raise ApiError(408, "The request came too slowly.", code="timeout", retry=True) from None
    return data


async def unless_gone(request: Request, work: Coroutine[Any, Any, None]) -> None:
    """Do something for a client, and stop when the client goes away.

    Raises:
        ClientDisconnect: if it went away.
    """

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = asyncio.create_task(work), asyncio.create_task(gone())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise ClientDisconnect
        tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ending() -> ApiError:
    return ApiError(
        503, "The server was stopped.", kind="server_error", code="server_ended", retry=True
    )


def _too_slow(seconds: float) -> ApiError:
    return ApiError(
        504,
        f"It was not done within {seconds:g} seconds.",
        kind="server_error",
        code="timeout",
        retry=True,
    )

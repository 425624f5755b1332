"""The learner's functions as a real server, with real clients: one, two, four, eight, sixteen.

Around them stands a small application of Starlette's, which uvicorn serves on 127.0.0.1. Clients
ask the learner's chat model for portraits, each with a seed of its own, so that what it says to
somebody alone can be compared with what it says to them among sixteen. Measured are the time to the
first token and tokens per second; how long `/health` waits meanwhile, beside a server that computes
in its event loop; what a client costs that goes away; and what the limits refuse.

Without Starlette, uvicorn and httpx (`pip install 'llmpath[serve]' httpx`), or where no socket may
be opened, the same goes on within one event loop, without HTTP.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import socket
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import torch
from matplotlib.figure import Figure

from llmpath.labkit import tokenizer
from llmpath.labkit.thread import earlier

CLIENTS = (1, 2, 4, 8, 16)
REQUESTS = 16  # in all, shared among the clients
CROWD = 8  # clients while `/health` is asked
LONGEST = 24  # tokens of an answer
ASKED = [{"role": "user", "content": "Tell me about somebody."}]
PACKAGES = ("starlette", "uvicorn", "httpx")
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"


def experiment(lab, run) -> None:
    """Serve, ask, measure, and draw."""
    model = Model(run)
    desk = Desk(lab, model)
    with serving(desk) as server:
        how = "over HTTP" if server.url else "without HTTP"
        if not server.url:
            run.text("No server", f"{server.why} The same is done within one event loop.")
        stream = asyncio.run(first_events(server))
        alone, loads = {}, []
        for count in CLIENTS:
            load, said = asyncio.run(crowd(server, count))
            alone = alone or said
            load.mixed = sum(said[seed] != alone[seed] for seed in said)
            loads.append(load)
            run.log(count, first_token_seconds=load.first, tokens_per_second=load.speed)
            run.progress(len(loads), len(CLIENTS), f"{count} client{'s' * (count > 1)}")
        free = asyncio.run(longest_wait(server))
        drawn = asyncio.run(gone_after_three(server, model))
        refusals = asyncio.run(refused(server, desk))
        spoken = official_client(server)
    with serving(Desk(lab, model, computing_in_the_loop)) as server:
        blocked = asyncio.run(longest_wait(server))
    run.table(
        f"{REQUESTS} answers, {how}",
        [
            "clients",
            "first token after, seconds",
            "tokens per second",
            "each, per second",
            "mixed up",
        ],
        [[x.clients, x.first, x.speed, x.speed / x.clients, x.mixed] for x in loads],
    )
    run.table("What was refused", ["request", "status", "sentence"], refusals)
    run.text(
        "A short answer on the wire, and a long one in OpenAI's client",
        "\n".join(textwrap.fill(text, 76, subsequent_indent="    ") for text in [*stream, spoken]),
    )
    run.figure("serving-in-seconds", draw(loads, free, blocked))
    mixed = sum(load.mixed for load in loads)
    run.result(
        f"{REQUESTS} clients at once, {mixed} answers mixed up; the first token came after "
        f"{loads[-1].first * 1e3:.0f} ms, and to one client after {loads[0].first * 1e3:.0f}. "
        f"A client that left after 3 pieces cost {drawn} tokens of {LONGEST}.",
        mixed_up=mixed,
        refused=len(refusals),
        first_token_seconds=loads[-1].first,
        tokens_per_second=loads[-1].speed,
        health_wait_seconds=free,
        health_wait_when_blocked_seconds=blocked,
    )


class Model:
    """The learner's chat model, as functions of tokens and text.

    Attributes:
        drawn: how many tokens were drawn from it, by all requests together.
    """

    def __init__(self, run) -> None:
        folder = run.artefact("quantised")
        self.device = run.device
        self.gpt = earlier("gpt").GPT.load(folder).to(self.device).eval()
        self.tokens = tokenizer.load(folder)
        self.context = self.gpt.config.context
        settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
        end = settings["eos_token_id"]
        self.end = set(end) if isinstance(end, list) else {end}
        self.drawn = 0

    def encode(self, messages) -> list[int]:
        """The tokens of a conversation, up to where an answer begins."""
        return self.tokens.encode(earlier("sft").render(messages, True)).ids

    def decode(self, ids) -> str:
        """The text of tokens."""
        return self.tokens.decode(list(ids), skip_special_tokens=True)

    def drawer(self, seed: int):
        """Draws the tokens of one answer, with a cache and a generator of its own."""
        cache = [earlier("gpt").Memory() for _ in range(self.gpt.config.layers)]
        generator = torch.Generator().manual_seed(seed)

        @torch.inference_mode()
        def draw(unseen) -> int:
            self.drawn += 1
            logits = self.gpt(torch.tensor([list(unseen)], device=self.device), cache)
            shares = logits[0, -1].float().cpu().softmax(dim=-1)
            return int(torch.multinomial(shares, 1, generator=generator))

        return draw


class Desk:
    """The learner's functions put together: from the body of a request to a stream of events.

    Args:
        lab: the learner's module.
        model: what writes.
        respond: how events are sent; the learner's way unless another is given.

    Attributes:
        waiting: how many requests are under way.
    """

    def __init__(self, lab, model: Model, respond=None) -> None:
        self.lab, self.model = lab, model
        self.thread = lab.model_thread()
        self.respond = respond or lab.respond
        self.limits = lab.Limits(model.context, max_tokens=LONGEST, characters=2000, queue=32)
        self.waiting = 0

    def events(self, body: dict[str, Any]):
        """The events that answer a request; raises Refused."""
        lab, wanted = self.lab, body.get("max_tokens")
        ids, most = lab.admit(
            body["messages"], self.model.encode, self.limits, wanted, self.waiting
        )
        written = lab.write(
            self.model.drawer(body.get("seed") or 0),
            self.model.decode,
            ids,
            end=self.model.end,
            max_tokens=most,
            stop=body.get("stop") or (),
        )
        return lab.events(written, id="chatcmpl-1", model="mine", created=int(time.time()))

    async def answer(self, events, send) -> None:
        """Send events to one client."""
        self.waiting += 1
        try:
            await self.respond(events, send, self.thread)
        finally:
            self.waiting -= 1


async def computing_in_the_loop(events, send, thread) -> None:
    """What not to do: no other client is served while a token is computed."""
    for event in events:
        await send(event)


# A server, and one without HTTP


def application(desk: Desk):
    """The application: two paths."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    class Stream(Response):
        """A response that is sent event by event, until it ends or the client has gone."""

        def __init__(self, events) -> None:
            self.events, self.background = events, None

        async def __call__(self, scope, receive, send) -> None:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})

            async def one(event: str) -> None:
                part = {"type": "http.response.body", "body": event.encode(), "more_body": True}
                await send(part)

            async def gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass

            work = [asyncio.create_task(each) for each in (desk.answer(self.events, one), gone())]
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def chat(request):
        try:
            return Stream(desk.events(await request.json()))
        except desk.lab.Refused as error:
            told = {"message": error.message, "type": "invalid_request_error"}
            return JSONResponse({"error": told}, error.status)

    async def health(request):
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/health", health),
        ]
    )


@dataclass
class Server:
    """Where clients find the learner's functions.

    Attributes:
        desk: the functions.
        url: of the server; "" where there is none.
        why: why there is none.
    """

    desk: Desk
    url: str = ""
    why: str = ""

    @asynccontextmanager
    async def client(self):
        """Something with `ask` and `ping`."""
        if not self.url:
            yield Direct(self.desk)
            return
        import httpx

        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as http:
            yield Http(http)


class Http:
    """A client of the server."""

    def __init__(self, http) -> None:
        self.http = http

    async def ask(self, **body) -> AsyncIterator[str]:
        """The data of the events of an answer; of a refusal, its status and sentence."""
        asked = {"model": "mine", "messages": ASKED, "stream": True, **body}
        async with self.http.stream("POST", "/v1/chat/completions", json=asked) as response:
            if response.status_code != 200:
                await response.aread()
                yield f"{response.status_code}: {response.json()['error']['message']}"
                return
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield line.removeprefix("data: ")

    async def ping(self) -> None:
        """Ask whether the server is alive."""
        await self.http.get("/health")


class Direct:
    """The same without HTTP."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def ask(self, **body) -> AsyncIterator[str]:
        """As `Http` has it."""
        try:
            events = self.desk.events({"messages": ASKED, **body})
        except self.desk.lab.Refused as error:
            yield str(error)
            return
        coming: asyncio.Queue[str] = asyncio.Queue(1)
        work = asyncio.create_task(self.desk.answer(events, coming.put))
        try:
            while (event := await coming.get()) != "data: [DONE]\n\n":
                yield event.removeprefix("data: ").strip()
            yield "[DONE]"
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def ping(self) -> None:
        """Have the event loop call back in a moment."""
        await asyncio.sleep(0.001)


@contextmanager
def serving(desk: Desk) -> Iterator[Server]:
    """A server on 127.0.0.1, in a thread; where there can be none, the functions alone."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        yield Server(desk, why=f"{names}: not installed (pip install 'llmpath[serve]' httpx).")
        return
    import uvicorn

    try:
        listening = socket.create_server(("127.0.0.1", 0))
    except OSError as error:
        yield Server(desk, why=f"No socket can be opened here: {error}.")
        return
    settings = uvicorn.Config(application(desk), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield Server(desk, f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(10)
        desk.thread.shutdown()


# What clients do


@dataclass
class Load:
    """How so many clients were served.

    Attributes:
        clients: how many.
        first: seconds from a request to its first text, on average.
        speed: tokens per second, of all together.
        mixed: answers that were not what the same request gets alone.
    """

    clients: int
    first: float
    speed: float
    mixed: int = field(default=0)


def content(data: str) -> str:
    """The text in an event."""
    if data == "[DONE]":
        return ""
    choices = json.loads(data).get("choices", [])
    return choices[0]["delta"].get("content", "") if choices else ""


async def crowd(server: Server, clients: int) -> tuple[Load, dict[int, str]]:
    """Have so many clients ask at once, one request after the other; what each seed was told."""
    said: dict[int, str] = {}
    firsts: list[float] = []

    async def one(client, seeds) -> None:
        for seed in seeds:
            began, first, text = time.perf_counter(), 0.0, ""
            async for data in client.ask(seed=seed):
                text += content(data)
                first = first or (time.perf_counter() - began if text else 0.0)
            firsts.append(first)
            said[seed] = text

    before = server.desk.model.drawn
    async with server.client() as client:
        await client.ping()
        began = time.perf_counter()
        await asyncio.gather(*(one(client, range(n, REQUESTS, clients)) for n in range(clients)))
    seconds = time.perf_counter() - began
    tokens = server.desk.model.drawn - before
    return Load(clients, mean(firsts), tokens / seconds), said


async def first_events(server: Server) -> list[str]:
    """The events of a short answer as they are, but for the time."""
    async with server.client() as client:
        stream = [f"data: {data}" async for data in client.ask(max_tokens=2)]
    return [re.sub(r'("created": )\d+', r"\1…", event) for event in stream]


async def longest_wait(server: Server) -> float:
    """The longest that `/health` took while a crowd was served, in seconds."""
    waits = [0.0]
    async with server.client() as client:
        await client.ping()

        async def one(seed: int) -> None:
            async for _ in client.ask(seed=seed):
                pass

        crowded = asyncio.gather(*map(one, range(CROWD)))
        while not crowded.done():
            began = time.perf_counter()
            await client.ping()
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.002)
        await crowded
    return max(waits)


async def gone_after_three(server: Server, model: Model) -> int:
    """How many tokens are drawn in all for a client that leaves after three pieces of text."""
    before, read = model.drawn, 0
    async with server.client() as client:
        answer = client.ask(seed=0)
        async for data in answer:
            read += bool(content(data))
            if read == 3:
                break
        await answer.aclose()
    until = time.monotonic() + 5
    while server.desk.waiting and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return model.drawn - before


async def refused(server: Server, desk: Desk) -> list[list[Any]]:
    """What the server says to requests that are too much."""
    long, crowded = desk.limits.characters + 1, desk.limits.queue
    filling = "who " * (desk.limits.characters // 4)
    found = []
    async with server.client() as client:
        for name, body in [
            (f"{long:,} characters", {"messages": [{"role": "user", "content": long * "x"}]}),
            (
                "a prompt that fills the context",
                {"messages": [{"role": "user", "content": filling}]},
            ),
            ("no message", {"messages": []}),
            ("an answer of 0 tokens", {"max_tokens": 0}),
        ]:
            said = [data async for data in client.ask(**body)]
            if said and ": " in said[0][:5]:
                found.append([name, *said[0].split(": ", 1)])
        desk.waiting += crowded
        said = [data async for data in client.ask()]
        desk.waiting -= crowded
        found.append([f"while {crowded} are under way", *said[0].split(": ", 1)])
    return found


def official_client(server: Server) -> str:
    """What OpenAI's client makes of the stream, where it is installed."""
    if not server.url or importlib.util.find_spec("openai") is None:
        return "Not installed here, or no server: pip install openai, and run this again."
    import openai

    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
    with client:
        stream = client.chat.completions.create(model="mine", messages=ASKED, stream=True, seed=3)
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    return "·".join(filter(None, pieces))


# The picture


def draw(loads: list[Load], free: float, blocked: float) -> Figure:
    """The first token, tokens per second, and how long `/health` waits."""
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    spaces = figure.subplot_mosaic([["first", "speed"], ["health", "health"]], height_ratios=[3, 1])
    clients = [load.clients for load in loads]
    spaces["first"].plot(clients, [1e3 * load.first for load in loads], "o-", color=BLUE)
    spaces["first"].set_title("Waiting for the first token", loc="left")
    spaces["first"].set(ylabel="milliseconds", ylim=(0, None))
    speeds = [load.speed for load in loads]
    spaces["speed"].plot(clients, speeds, "o-", color=ORANGE, label="all together")
    each = [load.speed / load.clients for load in loads]
    spaces["speed"].plot(clients, each, "s--", color=GREEN, label="each")
    spaces["speed"].set_title("Tokens per second", loc="left")
    spaces["speed"].set(ylim=(0, None))
    spaces["speed"].legend(frameon=False)
    for name in ("first", "speed"):
        spaces[name].set_xscale("log", base=2)
        spaces[name].set_xticks(clients, [str(count) for count in clients])
        spaces[name].set_xlabel("clients at once")
        spaces[name].grid(alpha=0.25)
    waits = [1e3 * blocked, 1e3 * free]
    bars = spaces["health"].barh(
        ["in the event loop", "in a thread of its own"], waits, color=[GREY, BLUE]
    )
    spaces["health"].bar_label(bars, fmt="%.0f ms", padding=4)
    spaces["health"].set_xlim(0, 1.15 * max(waits))
    spaces["health"].set_title(
        f"The longest that /health took beside {CROWD} clients; the model computes …", loc="left"
    )
    spaces["health"].set_xlabel("milliseconds")
    for axes in spaces.values():
        axes.spines[["top", "right"]].set_visible(False)
    return figure

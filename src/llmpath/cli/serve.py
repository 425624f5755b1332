"""`llmpath serve`."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import ArtefactName, Data, DeviceName, RealModel
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.cli.talker import Talker
    from llmpath.serving.completions import Limits

NEEDED = ("starlette", "uvicorn", "prometheus_client")


def serve(
    context: typer.Context,
    artefact: ArtefactName = None,
    model: RealModel = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; 0.0.0.0 is for other machines too.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 takes any that is free.")
    ] = 8000,
    places: Annotated[
        int, typer.Option("--places", min=1, help="How many requests take turns.")
    ] = 8,
    queue: Annotated[int, typer.Option("--queue", min=0, help="How many more may wait.")] = 64,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="How long an answer may be.")
    ] = 512,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds that one request may take.")
    ] = 120.0,
    data: Data = "microworld",
    device: DeviceName = "auto",
) -> None:
    """Serve a model in the shape of OpenAI's API, with a page to chat on, until Ctrl-C.

    Example: [bold]llmpath serve --model smollm2-135m --port 8080[/]
    """
    from llmpath.cli import talker

    state: State = context.obj
    _require()
    from llmpath.serving.completions import Limits

    found = talker.find(
        state, state.console, artefact=artefact, model=model, data=data, device=device
    )
    limits = Limits(places=places, queue=queue, max_tokens=max_tokens, seconds=timeout)
    _serve(state, found, limits, host, port)


def _require() -> None:
    """Refuse while the libraries of the server are not installed."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise LlmpathError(
            f"The server needs {', '.join(missing)}, which is not installed.",
            "pip install 'llmpath[serve]' brings it.",
        )


def _serve(state: State, found: Talker, limits: Limits, host: str, port: int) -> None:
    from llmpath.serving import server
    from llmpath.serving.app import app
    from llmpath.serving.engine import Engine
    from llmpath.ui import chat as view

    with server.listen(host, port) as listening, Engine(found.source) as engine:
        with view.loading(found.source.name, state.console):
            ready = engine.ready()
        state.console.print(view.about(found.source, found.own, ready))
        local = host in server.LOOPBACK
        state.console.print(view.serving(server.address(listening), local=local))
        server.run(app(engine, ready, limits, server.LOOPBACK if local else ("*",)), listening)
        state.console.print("Stopped.")

"""`llmpath chat`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import ArtefactName, Data, DeviceName, RealModel

if TYPE_CHECKING:
    from llmpath.cli.state import State


def chat(
    context: typer.Context,
    artefact: ArtefactName = None,
    model: RealModel = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", "-p", help="Say this, print the answer, and end.")
    ] = None,
    system: Annotated[
        str, typer.Option("--system", help="What a model that chats is told before all else.")
    ] = "",
    temperature: Annotated[
        float, typer.Option("--temperature", min=0, max=2, help="0 is always the likeliest.")
    ] = 0.3,
    top_p: Annotated[
        float, typer.Option("--top-p", help="Draw from the likeliest that have this share.")
    ] = 0.95,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="How long an answer may be.")
    ] = 512,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="The same seed, the same answers.")
    ] = None,
    data: Data = "microworld",
    device: DeviceName = "auto",
) -> None:
    """Talk to a model: your own if there is one, else the reference's, or a real one.

    A base model goes on with texts; one that was taught to chat answers. Where there is no
    terminal, each line of standard input is said to it.

    Example: [bold]llmpath chat --artefact base[/]
    """
    from llmpath.cli import talk, talker
    from llmpath.ui.theme import make_console

    state: State = context.obj
    options = talk.options(temperature, top_p, max_tokens, seed)
    terminal = prompt is None and sys.stdin.isatty() and state.console.is_terminal
    console = state.console if terminal else make_console(stderr=True)
    found = talker.find(state, console, artefact=artefact, model=model, data=data, device=device)
    if terminal:
        talk.in_terminal(found, options, system, console)
    else:
        said = (line for line in sys.stdin if line.strip())
        talk.through_pipe(found, options, system, said if prompt is None else [prompt])

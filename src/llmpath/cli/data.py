"""`llmpath data …`: show."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import AsJson

if TYPE_CHECKING:
    from llmpath.cli.state import State

app = typer.Typer(no_args_is_help=True, help="What models learn from.")


@app.command()
def show(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="microworld, one of its collections (microworld/secrets), python, python-docs, "
            "a path, or owner/name on the hub.",
        ),
    ] = "microworld",
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=0, max=1000, help="How many documents to show.")
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is generated.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show documents of a corpus, how large it is, and what is known of it.

    Example: [bold]llmpath data show python --samples 1[/]
    """
    from llmpath.cli.names import from_here
    from llmpath.running.task import perform
    from llmpath.ui import data as view

    state: State = context.obj
    request = {"name": from_here(name), "samples": samples, "seed": seed}
    with state.console.status(f"Reading {name} …") if not as_json else nullcontext():
        (found,) = perform("llmpath.running.corpus_child", request)
    kind = found.pop("event")
    del found["at"]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    state.console.print(view.corpus(found) if kind == "corpus" else view.collection(found))

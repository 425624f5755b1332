"""`llmpath author …`: what an instructor types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.coverage import coverage
from llmpath.cli.scaffold import new
from llmpath.cli.schema import schema

if TYPE_CHECKING:
    from llmpath.cli.state import State

app = typer.Typer(no_args_is_help=True, help="Write a course of your own, and prove it sound.")


@app.command()
def check(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Prove that a course is sound, or say what to mend, and where.

    Exit code: 0 it is sound, 1 there is something to mend, 2 something is wrong with the request.

    Example: [bold]llmpath --course my-course author check[/]
    """
    from llmpath.authoring.check.runner import check
    from llmpath.ui import author as view

    state: State = context.obj
    verdict = check(state.authored_folder)
    if as_json:
        typer.echo(verdict.model_dump_json(indent=2))
    else:
        state.console.print(view.findings(verdict, state.console), soft_wrap=True)
    raise typer.Exit(0 if verdict.sound else 1)


app.command("new")(new)
app.command("coverage")(coverage)
app.command("schema")(schema)

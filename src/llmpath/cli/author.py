"""`llmpath author …`: what an instructor types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.coverage import coverage
from llmpath.cli.preview import preview
from llmpath.cli.scaffold import new
from llmpath.cli.schema import schema

if TYPE_CHECKING:
    from llmpath.cli.state import State

app = typer.Typer(no_args_is_help=True, help="Write a course of your own, and prove it sound.")


@app.command()
def check(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STEP|LAB]...", help="What to prove; all of it if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, help="Gradings at once; 0: one a processor.")
    ] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out mutants, experiments and further seeds.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="PROOF", help="Run this proof alone; may be repeated."),
    ] = None,
    mutants: Annotated[
        int, typer.Option("--mutants", min=0, help="Grade a sample of so many of a lab; 0: all.")
    ] = 150,
    slack: Annotated[
        float,
        typer.Option("--slack", min=1.0, help="Stretch time limits, for a slow machine."),
    ] = 1.0,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Take over what was proven before.")
    ] = True,
) -> None:
    """Prove that a course is sound, or say what to mend, and where.

    Exit code: 0 it is sound, 1 there is something to mend, 2 something is wrong with the request.

    Example: [bold]llmpath author check attention --quick[/]
    """
    from llmpath.authoring.check.runner import CheckRequest, check, proofs_named
    from llmpath.ui.author import show
    from llmpath.ui.theme import make_console

    state: State = context.obj
    request = CheckRequest(
        state.authored_folder,
        tuple(names or ()),
        quick=quick,
        most_mutants=mutants,
        slack=slack,
        jobs=jobs,
        only=proofs_named(only or ()),
        cache=cache,
    )
    # With --json, standard output is for the JSON alone.
    verdict = show(check(request), make_console(stderr=True) if as_json else state.console)
    if as_json:
        typer.echo(verdict.model_dump_json(indent=2))
    raise typer.Exit(0 if verdict.sound else 1)


app.command("new")(new)
app.command("preview")(preview)
app.command("coverage")(coverage)
app.command("schema")(schema)

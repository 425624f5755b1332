"""`llmpath upgrade`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import AsJson

if TYPE_CHECKING:
    from llmpath.cli.state import State


def upgrade(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring your files to the newest version of the course; your code stays yours.

    What you wrote is merged with what has changed in the starters. Every file is kept as a
    snapshot first, and `llmpath progress undo` takes all of it back. A course that came from git
    is fetched anew before that (not for --dry-run).

    Exit code: 0 done, 1 a file has places for you to decide, 2 it could not be done.

    Example: [bold]llmpath upgrade --dry-run[/]
    """
    from llmpath import workspace
    from llmpath.ui import upgrade as view

    state: State = context.obj
    if not dry_run:
        _refresh(state)
    done = workspace.upgrade(state.here, state.course, rehearse=dry_run)
    if as_json:
        data = view.as_data(done, state.here.root)
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        shown = view.told(done, state.here.root, state.console, rehearsed=dry_run)
        state.console.print(shown, soft_wrap=True)
    raise typer.Exit(1 if any(file.conflicts for file in done.files) else 0)


def _refresh(state: State) -> None:
    """Fetch the newest version of a course that came from git."""
    from llmpath.course.loader import load
    from llmpath.course.origins import Kind, refresh
    from llmpath.ui.theme import make_console

    source = state.here.origin
    if source is None or source.kind is not Kind.GIT or not state.remembered:
        return
    with make_console(stderr=True).status(f"Fetching {source.name} …"):
        refresh(source, load)

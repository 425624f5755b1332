"""`llmpath progress …`: export, import, undo, redo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.workspace import Change

app = typer.Typer(no_args_is_help=True, help="Carry your progress elsewhere, or step back.")


@app.command()
def export(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="The file to write, for instance progress.jsonl.")],
) -> None:
    """Write everything you have done to a file that another machine can import.

    Example: [bold]llmpath progress export progress.jsonl[/]
    """
    from llmpath import workspace

    state: State = context.obj
    count = workspace.export(state.here, path)
    state.console.print(f"{count} events were written to {path}.")


@app.command("import")
def import_(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="A file that `export` wrote.")],
) -> None:
    """Merge progress from another machine into this one; nothing is lost on either side.

    Example: [bold]llmpath progress import progress.jsonl[/]
    """
    from llmpath import workspace

    state: State = context.obj
    found = workspace.import_(state.here, path)
    state.console.print(f"{found.added} events were new, {found.known} were known already.")


@app.command()
def undo(context: typer.Context) -> None:
    """Take back the last reset, skip or look at a solution.

    Example: [bold]llmpath progress undo[/]
    """
    from llmpath import workspace

    state: State = context.obj
    _tell(state, workspace.undo(state.here, state.course))


@app.command()
def redo(context: typer.Context) -> None:
    """Take back the last undo.

    Example: [bold]llmpath progress redo[/]
    """
    from llmpath import workspace

    state: State = context.obj
    _tell(state, workspace.redo(state.here, state.course))


def _tell(state: State, change: Change) -> None:
    from llmpath.ui.notice import changed

    state.console.print(changed(change))

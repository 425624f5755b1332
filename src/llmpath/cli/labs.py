"""`llmpath lab …`: run, open, reset, diff, solution, runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from llmpath.cli import runs, solution
from llmpath.cli.names import LabName

if TYPE_CHECKING:
    from llmpath.cli.state import State

app = typer.Typer(no_args_is_help=True, help="Run, open or reset the exercise of a step.")

app.command("run")(runs.run)


@app.command("open")
def open_(context: typer.Context, lab: LabName = None) -> None:
    """Open your file of a lab in your editor ($VISUAL, $EDITOR, or the system's).

    Example: [bold]llmpath lab open bpe[/]
    """
    from llmpath.cli.editor import open_file

    state: State = context.obj
    open_file(state.file(state.lab(lab)))


@app.command()
def reset(context: typer.Context, lab: LabName = None) -> None:
    """Bring a lab's starter file back; your file is kept as a snapshot first.

    Example: [bold]llmpath lab reset bpe[/]
    """
    from llmpath import workspace

    state: State = context.obj
    chosen = state.lab(lab)
    change = workspace.reset(state.here, state.course, chosen)
    (file,) = change.files
    if not file.changed:
        state.console.print(f"{file.path} is the starter already; nothing was changed.")
        return
    state.console.print(f"{file.path} is the starter again.")
    if file.snapshot is not None:
        kept = _near(file.snapshot, state.here.root)
        state.console.print(f"Yours is kept as {kept}.", soft_wrap=True)
        state.console.print("llmpath progress undo brings it back.")


app.command("diff")(solution.diff)
app.command("solution")(solution.solution)
app.command("runs")(runs.runs)


def _near(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path

"""`llmpath lab diff` and `llmpath lab solution`: the reference, once it can spoil nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.names import LabName
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.course.models import Lab


def diff(context: typer.Context, lab: LabName = None) -> None:
    """Show how your file differs from the reference, once the lab has passed.

    Example: [bold]llmpath lab diff bpe[/]
    """
    from llmpath.ui import solution as view
    from llmpath.workspace import files

    state: State = context.obj
    chosen = state.lab(lab)
    _require_open(state, chosen)
    path = state.file(chosen)
    # A byte that is not UTF-8 is a difference to be shown, not a reason to show nothing.
    mine = (files.read(path) or b"").decode("utf-8-sig", errors="replace")
    name = path.relative_to(state.here.root).as_posix()
    lines = view.unified(mine, _reference(state, chosen), name)
    if not lines:
        state.console.print(view.equal())
    elif state.console.is_terminal:
        state.console.print(view.diff(lines), soft_wrap=True)
    else:
        _write(state, "\n".join(lines) + "\n")


def solution(
    context: typer.Context,
    lab: LabName = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Look before the lab has passed; it is recorded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, for scripts.")] = False,
) -> None:
    """Print the reference solution, once the lab has passed (or with --give-up).

    Example: [bold]llmpath lab solution bpe[/]
    """
    from llmpath.ui import solution as view
    from llmpath.workspace import events

    state: State = context.obj
    chosen = state.lab(lab)
    reference = _reference(state, chosen)
    if not _is_open(state, chosen):
        if not give_up:
            _require_open(state, chosen)
        if not yes and not _confirmed(chosen):
            typer.echo("Nothing was shown, and nothing recorded.", err=True)
            raise typer.Exit(1)
        state.here.record(events.gave_up(state.course.step_of(chosen).id, chosen.id))
    if state.console.is_terminal:
        state.console.print(view.code(reference, state.console), soft_wrap=True)
    else:
        _write(state, reference)


def _is_open(state: State, lab: Lab) -> bool:
    """Whether the learner may see the reference: the lab has passed, or was given up."""
    progress = state.here.progress().of(state.course.step_of(lab).id)
    return progress.passed or progress.gave_up


def _require_open(state: State, lab: Lab) -> None:
    if _is_open(state, lab):
        return
    raise LlmpathError(
        f"The reference of {lab.title!r} opens once the lab has passed.",
        f"llmpath hint {lab.id} helps. llmpath lab solution {lab.id} --give-up shows the "
        "reference all the same, and records that you looked.",
    )


def _confirmed(lab: Lab) -> bool:
    """Ask on standard error, for the solution may go to a file; no answer is a no."""
    question = (
        f"Look at the solution of {lab.title!r}? That is recorded. The lab stays open, and "
        "passes with code of your own. [y/N]: "
    )
    typer.echo(question, nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _reference(state: State, lab: Lab) -> str:
    from llmpath.course.solution import solved
    from llmpath.workspace import files

    path = state.course.lab_folder(lab) / "lab.py"
    content = files.read(path)
    if content is None:
        raise LlmpathError(f"The course has no {path}.")
    return solved(content.decode())


def _write(state: State, text: str) -> None:
    """Print a text as it stands, for another program to read."""
    assert state.console.file is not None  # making the console prepares the stream's encoding
    typer.echo(text, nl=False)

"""`llmpath lab …`: run, open, reset, diff, solution, runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli import solution
from llmpath.cli.names import LabName
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from collections.abc import Generator

    from llmpath.artefacts.recipe import Variant
    from llmpath.cli.state import State
    from llmpath.running.events import Event

app = typer.Typer(no_args_is_help=True, help="Run, open or reset the exercise of a step.")

EXIT = {"finished": 0, "interrupted": 130}


@app.command()
def run(
    context: typer.Context,
    lab: LabName = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run every lab in turn, and say what each cost.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Run the course's own solution instead of yours.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where tensors live.")
    ] = "auto",
    scale: Annotated[
        str, typer.Option("--scale", metavar="micro|mini|gpu", help="How much to do.")
    ] = "micro",
    data: Annotated[
        str, typer.Option("--data", help="The text: microworld, python, a path, or a hub name.")
    ] = "microworld",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same run.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Run a lab's experiment on your code, and show what it does.

    Figures and numbers are kept under runs/ in your workspace. Ctrl-C ends it and keeps those.

    Example: [bold]llmpath lab run attention --reference[/]
    """
    from llmpath.cli.artefacts import keep, prepare
    from llmpath.cli.walk import walk
    from llmpath.running.runner import run as start
    from llmpath.workspace import events

    state: State = context.obj
    variant = variant_of(scale, data, seed)
    if every:
        raise typer.Exit(walk(state, variant, reference=reference, device=device, as_json=as_json))
    chosen = state.lab(lab)
    request = prepare(state, chosen, variant, reference=reference, device=device, quiet=as_json)
    outcome = _shown(state, start(request), as_json)
    folder = request.run_folder.relative_to(state.here.root).as_posix()
    step = state.course.step_of(chosen)
    state.here.record(events.ran(step.id, chosen.id, folder, outcome))
    keep(state, chosen, request, quiet=as_json)
    raise typer.Exit(EXIT.get(outcome, 1))


def _shown(state: State, happenings: Generator[Event], as_json: bool) -> str:
    """Show a run to its end; how it ended."""
    from llmpath.ui.live import show

    if not as_json:
        return show(happenings, state.console, root=str(state.here.root))
    outcome = ""
    for event in happenings:
        typer.echo(event.model_dump_json())
        outcome = getattr(event, "outcome", outcome)
    return outcome


def variant_of(scale: str, data: str, seed: int) -> Variant:
    """What was asked for, refused if there is no such scale."""
    from llmpath.artefacts.recipe import Variant

    _require(scale, ("micro", "mini", "gpu"), "--scale")
    return Variant(scale, data, seed)


def _require(value: str, known: tuple[str, ...], option: str) -> None:
    if value not in known:
        raise LlmpathError(f"{option} {value} is not known.", f"Say one of {', '.join(known)}.")


@app.command("open")
def open_(context: typer.Context, lab: LabName = None) -> None:
    """Open your file of a lab in your editor ($VISUAL, $EDITOR, or the system's).

    Example: [bold]llmpath lab open bpe[/]
    """
    from llmpath.cli.editor import open_file

    state: State = context.obj
    chosen = state.lab(lab)
    path = state.here.file(state.course, chosen)
    if not path.is_file():
        raise LlmpathError(
            f"There is no file {path}.", f"llmpath lab reset {chosen.id} brings the starter back."
        )
    open_file(path)


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


@app.command()
def runs(
    context: typer.Context,
    lab: Annotated[str | None, typer.Argument(help="The lab; all of them if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON, for scripts.")] = False,
) -> None:
    """List the runs of a lab, oldest first.

    Example: [bold]llmpath lab runs bpe[/]
    """
    import json

    from llmpath.running.records import list_runs
    from llmpath.ui import runs as view

    state: State = context.obj
    chosen = state.lab(lab).id if lab is not None else None
    records = list_runs(state.here.root / "runs", chosen)
    if as_json:
        typer.echo(json.dumps([view.as_data(record) for record in records], indent=2))
        return
    state.console.print(view.listing(records, state.here.root))


def _near(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path

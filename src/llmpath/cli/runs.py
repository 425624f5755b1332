"""`llmpath lab run` and `llmpath lab runs`: experiments, and those that were run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.names import LabName, RunLabName, from_here
from llmpath.cli.options import AsJson
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from llmpath.artefacts.recipe import Variant
    from llmpath.cli.state import State
    from llmpath.course.models import Lab
    from llmpath.running.events import Event
    from llmpath.running.records import RunRecord
    from llmpath.running.request import RunRequest

EXIT = {"finished": 0, "interrupted": 130}
# What a resumed run keeps from when it began.
OF_A_NEW_RUN = ("reference", "device", "scale", "data", "seed", "model", "every")

# What `lab run` can be told.
RunName = Annotated[
    str | None, typer.Argument(metavar="RUN", help="With --resume: a run of the lab.")
]
Every = Annotated[
    bool, typer.Option("--all", help="Run every lab in turn, and say what each cost.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the last run that was cut short.")
]
Reference = Annotated[
    bool, typer.Option("--reference", help="Run the course's own solution instead of yours.")
]
Device = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where tensors live.")
]
Scale = Annotated[str, typer.Option("--scale", metavar="micro|mini|gpu", help="How much to do.")]
Data = Annotated[
    str, typer.Option("--data", help="The text: microworld, python, a path, or a hub name.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same run.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="A real model to use as well, where the lab takes one."),
]
Track = Annotated[
    str | None,
    typer.Option(
        "--track",
        metavar="tensorboard|mlflow|wandb|trackio",
        help="Tell an experiment tracker as well.",
    ),
]
EventLines = Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")]


def run(
    context: typer.Context,
    lab: LabName = None,
    name: RunName = None,
    every: Every = False,
    resume: Resume = False,
    reference: Reference = False,
    device: Device = "auto",
    scale: Scale = "micro",
    data: Data = "microworld",
    seed: Seed = 0,
    model: Model = None,
    track: Track = None,
    as_json: EventLines = False,
) -> None:
    """Run a lab's experiment on your code, and show what it does.

    Figures and numbers are kept under runs/ in your workspace. Ctrl-C ends it and keeps those.

    Example: [bold]llmpath lab run attention --reference[/]
    """
    from llmpath.cli.artefacts import prepare
    from llmpath.cli.walk import walk

    state: State = context.obj
    _check(context, name, model, every, resume)
    _check_tracker(track)
    variant = variant_of(scale, data, seed)
    if every:
        raise typer.Exit(walk(state, variant, reference=reference, device=device, as_json=as_json))
    chosen = state.lab(lab)
    if resume:
        request = _resumed(state, chosen, name or "", quiet=as_json)
    else:
        request = prepare(
            state, chosen, variant, reference=reference, device=device, model=model, quiet=as_json
        )
    request = request.model_copy(update={"track": track})
    raise typer.Exit(_run(state, chosen, request, as_json))


def _check(
    context: typer.Context, name: str | None, model: str | None, every: bool, resume: bool
) -> None:
    """Refuse what does not go together."""
    if name is not None and not resume:
        raise LlmpathError(
            f"{name} is one name too many.",
            f"To go on with that run, type: llmpath lab run {context.params['lab']} {name} "
            "--resume",
        )
    if every and model is not None:
        raise LlmpathError(
            "--model is for one lab, and --all runs every lab.", "Leave out one of the two."
        )
    for option in OF_A_NEW_RUN if resume else ():
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            flag = "--all" if option == "every" else f"--{option}"
            raise LlmpathError(
                f"{flag} is for a new run; a resumed one keeps what it began with.",
                f"Leave out {flag}, or --resume.",
            )


def _check_tracker(track: str | None) -> None:
    """Refuse a tracker that is not known or not installed, before anything is made."""
    from llmpath.running.request import TRACKERS
    from llmpath.running.tracking.follower import require

    known = next((tracker for tracker in TRACKERS if tracker == track), None)
    if known is not None:
        require(known)
    elif track is not None:
        raise LlmpathError(f"--track {track} is not known.", f"Say one of {', '.join(TRACKERS)}.")


def _resumed(state: State, lab: Lab, name: str, *, quiet: bool) -> RunRequest:
    """The request to go on with a run that was cut short, in its own folder."""
    from llmpath.cli.artefacts import prepare
    from llmpath.running.records import list_runs
    from llmpath.running.resume import resumable

    record = resumable(list_runs(state.here.root / "runs", lab.id), lab.id, name)
    variant = variant_of(record.scale or "micro", record.data or "microworld", record.seed or 0)
    request = prepare(
        state,
        lab,
        variant,
        reference=record.reference,
        device=record.device or "auto",
        model=record.model,
        quiet=quiet,
        folder=record.folder,
    )
    return request.model_copy(update={"resume": True})


def _run(state: State, lab: Lab, request: RunRequest, as_json: bool) -> int:
    """Run it, show it to its end, and keep what came of it; the exit code."""
    from llmpath.cli.artefacts import keep
    from llmpath.running.runner import run as start
    from llmpath.ui.live import show
    from llmpath.workspace import events

    if as_json:
        outcome = _as_lines(start(request))
    else:
        outcome = show(start(request), state.console, root=str(state.here.root))
    folder = request.run_folder.relative_to(state.here.root).as_posix()
    state.here.record(events.ran(state.course.step_of(lab).id, lab.id, folder, outcome))
    keep(state, lab, request, quiet=as_json)
    return EXIT.get(outcome, 1)


def _as_lines(happenings: Generator[Event]) -> str:
    outcome = ""
    for event in happenings:
        typer.echo(event.model_dump_json())
        outcome = getattr(event, "outcome", outcome)
    return outcome


def variant_of(scale: str, data: str, seed: int) -> Variant:
    """What was asked for, refused if there is no such scale."""
    from llmpath.artefacts.recipe import Variant
    from llmpath.running.request import SCALES

    if scale not in SCALES:
        raise LlmpathError(f"--scale {scale} is not known.", f"Say one of {', '.join(SCALES)}.")
    return Variant(scale, from_here(data), seed)


def runs(
    context: typer.Context,
    lab: RunLabName = None,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Only these runs of the lab.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show them side by side, and draw their curves.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the runs of a lab, oldest first, or compare some of them.

    A run is named by its number in the list, or by its time.

    Example: [bold]llmpath lab runs bpe --compare 1 3[/]
    """
    from llmpath.running.records import list_runs
    from llmpath.running.resume import named
    from llmpath.ui import runs as view

    state: State = context.obj
    chosen = state.lab(lab).id if lab is not None or compare else None
    records: Sequence[RunRecord] = list_runs(state.here.root / "runs", chosen)
    if names and chosen is not None:
        records = [named(tuple(records), chosen, name) for name in names]
    if compare and chosen is not None:
        _compare(state, chosen, records, bool(names), as_json)
    elif as_json:
        typer.echo(json.dumps([view.as_data(record) for record in records], indent=2))
    else:
        state.console.print(view.listing(records, state.console.width))


def _compare(
    state: State, lab: str, records: Sequence[RunRecord], chosen: bool, as_json: bool
) -> None:
    """Show runs side by side, those that were named or else the newest."""
    from llmpath.running.comparison import compared, draw, worth_comparing
    from llmpath.ui import runs as view

    runs = compared(records if chosen else worth_comparing(records))
    if not runs:
        raise LlmpathError(
            f"No run of {lab} has logged or found anything.", f"llmpath lab run {lab} makes one."
        )
    picture = draw(runs)
    if as_json:
        typer.echo(json.dumps([view.compared_as_data(run) for run in runs], indent=2))
        return
    near = picture.relative_to(state.here.root) if picture is not None else None
    state.console.print(view.comparison(runs, state.console, near), soft_wrap=False)

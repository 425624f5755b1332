"""What a run needs from earlier labs before it begins, and what is kept of it afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from pathlib import Path

    from llmpath.artefacts.recipe import Variant
    from llmpath.artefacts.supply import Artefact
    from llmpath.cli.state import State
    from llmpath.course.models import Lab
    from llmpath.running.request import RunRequest


def prepare(
    state: State,
    lab: Lab,
    variant: Variant,
    *,
    reference: bool = False,
    device: str = "auto",
    model: str | None = None,
    quiet: bool = False,
    folder: Path | None = None,
) -> RunRequest:
    """What is to be run, in a new folder unless one is given; what it needs is made first."""
    from llmpath.artefacts.supply import Supplier
    from llmpath.running.folder import new_folder
    from llmpath.running.request import DEVICES
    from llmpath.ui.making import follow

    if device not in DEVICES:
        raise LlmpathError(f"--device {device} is not known.", f"Say one of {', '.join(DEVICES)}.")
    _check_model(lab, model)
    file = state.course.lab_folder(lab) / "lab.py" if reference else state.file(lab)
    supplier = Supplier(state.course, None if reference else state.here, variant)
    artefacts = follow(supplier.supply(lab.needs), None if quiet else state.console)
    folder = folder or new_folder(state.here.root / "runs", lab.id)
    return supplier.request(
        lab, file, folder, artefacts, device=device, reference=reference, model=model
    )


def _check_model(lab: Lab, name: str | None) -> None:
    """Refuse a real model that the lab has no use for, or that is not on this machine."""
    from llmpath.models import catalogue, store

    if name is None:
        return
    if name not in lab.models:
        takes = f"It takes {' or '.join(lab.models)}." if lab.models else "Leave out --model."
        raise LlmpathError(f"{lab.id} has no use for the model {name}.", takes)
    store.find(catalogue.find(name))


def artefacts(state: State) -> dict[str, Artefact | None]:
    """Every artefact of the course, by name, as a run with the default options would find it."""
    from llmpath.artefacts.supply import Supplier

    supplier = Supplier(state.course, state.here)
    names = [name for lab in state.course.labs.values() for name in lab.makes]
    return {name: supplier.find(name) for name in names}


def keep(state: State, lab: Lab, request: RunRequest, *, quiet: bool = False) -> None:
    """Keep the artefacts of a finished run: the learner's in the workspace, else in the cache."""
    from llmpath.artefacts import own, references
    from llmpath.artefacts.recipe import Variant
    from llmpath.running.records import read_run
    from llmpath.ui.making import kept, not_kept

    run = read_run(request.run_folder)
    if not lab.makes or run is None or run.outcome != "finished":
        return
    if request.reference:
        variant = Variant(request.scale, request.data, request.seed)
        references.adopt(state.course, lab, variant, run.folder)
        return
    folders = own.keep(state.here, lab, run)
    if not quiet:
        root = state.here.root
        state.console.print(kept(folders, root) if folders else not_kept(lab))

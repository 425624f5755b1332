"""Which model `chat` and `serve` are about: an artefact of the thread, or a real model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from llmpath.artefacts.supply import Artefact
    from llmpath.cli.state import State
    from llmpath.serving.source import Source
    from llmpath.workspace import Workspace


@dataclass(frozen=True)
class Talker:
    """A model to talk to, and whose it is.

    Attributes:
        own: whether the learner made it; None for a real model.
    """

    source: Source
    own: bool | None


def find(
    state: State,
    console: Console,
    *,
    artefact: str | None,
    model: str | None,
    data: str,
    device: str,
) -> Talker:
    """The model that was asked for; what is not there yet is made, after saying what it costs."""
    from llmpath.running.request import DEVICES
    from llmpath.serving.source import Source, code

    if device not in DEVICES:
        raise LlmpathError(f"--device {device} is not known.", f"Say one of {', '.join(DEVICES)}.")
    if artefact is not None and model is not None:
        raise LlmpathError("--artefact and --model are two models.", "Leave one of them out.")
    here = _workspace(state)
    run_by = code(state.course, here)
    if model is not None:
        return Talker(Source(model, _real(model), run_by, device), None)
    made = _made(state, console, here, artefact, data)
    return Talker(Source(made.name, made.path, run_by, device), made.own)


def _workspace(state: State) -> Workspace | None:
    """The learner's workspace; without one, all is the reference's."""
    try:
        return state.here
    except LlmpathError:
        if state.workspace is not None:
            raise
        return None


def _real(name: str) -> Path:
    """The folder of a real model."""
    from llmpath.models import catalogue, store

    model = catalogue.find(name)
    if model.task != "text-generation":
        raise LlmpathError(f"The model {name} is for {model.task}; it does not talk.")
    return store.find(model)


def _made(
    state: State, console: Console, here: Workspace | None, name: str | None, data: str
) -> Artefact:
    """An artefact of the thread."""
    from llmpath.artefacts.recipe import Variant
    from llmpath.artefacts.speakers import furthest, is_model, speakers
    from llmpath.artefacts.supply import Supplier
    from llmpath.cli.names import from_here
    from llmpath.ui.chat import cost
    from llmpath.ui.making import follow

    supplier = Supplier(state.course, here, Variant(data=from_here(data)))
    name = name or furthest(supplier)
    if labs := supplier.due((name,)):
        seconds = state.course.standards.experiment_seconds * len(labs)
        console.print(cost(name, labs, seconds))
    made = follow(supplier.supply((name,)), console)[name]
    if not is_model(made):
        known = ", ".join(speakers(state.course))
        raise LlmpathError(f"{name} is no language model.", f"Those there are: {known}.")
    return made

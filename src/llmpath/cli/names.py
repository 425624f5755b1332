"""Arguments that name a step or a lab, and what the shell offers to complete them with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llmpath.cli.state import State
from llmpath.errors import LlmpathError


def _labs(incomplete: str) -> list[tuple[str, str]]:
    """The labs whose id begins so, with their titles."""
    try:
        labs = State().course.labs.values()
    except LlmpathError:  # a completion has nowhere to complain
        return []
    return [(lab.id, lab.title) for lab in labs if lab.id.startswith(incomplete)]


def _steps(incomplete: str) -> list[tuple[str, str]]:
    """The steps whose id begins so, with their titles."""
    try:
        steps = State().course.steps
    except LlmpathError:
        return []
    return [(step.id, step.title) for step in steps if step.id.startswith(incomplete)]


def from_here(data: str) -> str:
    """A name of data in which the path of a file that is there is absolute.

    Whoever reads it works in another folder than the one in which it was typed. What follows a
    `#` names a column.
    """
    from llmpath.running.request import NAMED_DATA

    path, sign, column = data.rpartition("#")
    for name, rest in ((data, ""), (path, sign + column)):
        place = Path(name).expanduser()
        if name and data not in NAMED_DATA and place.exists():
            return f"{place.absolute()}{rest}"
    return data


LabName = Annotated[
    str | None, typer.Argument(help="The lab; the current one if left out.", autocompletion=_labs)
]
RunLabName = Annotated[
    str | None,
    typer.Argument(
        help="The lab; all of them if left out, or the current one with --compare.",
        autocompletion=_labs,
    ),
]
StepName = Annotated[
    str | None,
    typer.Argument(help="The step or lab; the current one if left out.", autocompletion=_steps),
]

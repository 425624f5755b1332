"""`llmpath author new`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llmpath.authoring.scaffold import NewStep
    from llmpath.cli.state import State
    from llmpath.course.models import StageEntry

MINUTES = 30


def new(
    context: typer.Context,
    step: Annotated[
        str | None, typer.Argument(help="The id of the step, such as multi-head.")
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", help="The id of the stage it belongs to.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Its name for people.")] = None,
    lab: Annotated[
        bool | None, typer.Option("--lab/--no-lab", help="Whether it has a lab; else a quiz alone.")
    ] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=600)] = MINUTES,
    course: Annotated[
        Path | None,
        typer.Option("--course", metavar="DIR", help="Start a course here, or add to this one."),
    ] = None,
) -> None:
    """Begin a step: its files, with a worked example that `author check` finds sound.

    Asks for what is not given. Without STEP, `--course DIR` starts a whole course of your own.

    Example: [bold]llmpath author new my-step --stage basics --lab[/]
    """
    from llmpath.authoring.scaffold import begin_course, begin_step, title_of
    from llmpath.course.locate import locate
    from llmpath.ui import scaffold as view

    state: State = context.obj
    if step is None and course is not None:
        begun = begin_course(course, title or title_of(course.absolute().name))
        state.console.print(view.course(begun, state.console), soft_wrap=True)
        return
    root = locate(course) if course is not None else state.authored_folder
    asked = _asked(root, step, stage, title, lab, minutes)
    begun = begin_step(root, asked)
    state.console.print(view.step(begun, asked, state.console), soft_wrap=True)


def _asked(
    root: Path,
    step: str | None,
    stage: str | None,
    title: str | None,
    lab: bool | None,
    minutes: int,
) -> NewStep:
    """The step to begin; what was not given is asked for, where there is someone to ask."""
    from llmpath.authoring.scaffold import NewStep, stages, title_of

    known = stages(root).stages
    interactive = sys.stdin.isatty()
    if step is None:
        _require(interactive, "The new step has no name.", "llmpath author new STEP --stage STAGE")
        step = _named([each for stage in known for each in stage.steps])
    if stage is None and len(known) == 1:
        stage = known[0].id
    if stage is None:
        names = ", ".join(each.id for each in known)
        _require(interactive, "No stage was named.", f"Add --stage and one of: {names}.")
        stage = _chosen(known)
    if title is None:
        title = title_of(step)
        if interactive:
            title = str(typer.prompt("Its title", default=title)).strip()
    if lab is None:
        lab = interactive and typer.confirm("Does it have a lab?", default=True)
    return NewStep(step, stage, title, minutes, lab)


def _require(interactive: bool, message: str, hint: str) -> None:
    if not interactive:
        raise LlmpathError(message, hint)


def _named(taken: Sequence[str]) -> str:
    """The id that is typed, asked for until it is one and is free."""
    from llmpath.authoring.scaffold import require_free

    while True:
        answer = str(typer.prompt("The id of the step (such as multi-head)")).strip()
        try:
            require_free(answer, taken)
        except LlmpathError as error:
            typer.echo(f"{error.message} {error.hint}")
        else:
            return answer


def _chosen(known: Sequence[StageEntry]) -> str:
    """The stage whose number or id is typed."""
    for number, each in enumerate(known, start=1):
        typer.echo(f"  {number}. {each.id}: {each.title}")
    while True:
        answer = str(typer.prompt("Its stage")).strip()
        if answer.isdecimal() and 1 <= int(answer) <= len(known):
            return known[int(answer) - 1].id
        if answer in [each.id for each in known]:
            return answer
        typer.echo(f"Type a number from 1 to {len(known)}, or the id of a stage.")

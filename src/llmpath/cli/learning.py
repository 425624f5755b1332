"""The commands of a learner's day: next, show, list, status, hint, quiz."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.names import LabName, StepName
from llmpath.cli.options import AsJson
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.planner import StepState

Pager = Annotated[bool, typer.Option("--pager", help="Read the lesson in your pager.")]


def next_(
    context: typer.Context,
    skip: Annotated[bool, typer.Option("--skip", help="Move on without doing this step.")] = False,
    pager: Pager = False,
) -> None:
    """Show the next step: its lesson, what to write, and what to type.

    While a step is unfinished, it says what is missing; --skip moves on and remembers it.

    Example: [bold]llmpath next[/]
    """
    from llmpath.ui import step as view

    state: State = context.obj
    _tell_of_a_newer_course(state)
    current = state.plan.current
    if skip:
        current = _skip(state)
    if current is None:
        state.console.print(view.finished(state.course, state.plan, state.console))
    elif current.progress.started and not skip:
        state.console.print(view.unfinished(current, _place(state, current)))
    else:
        lesson(state, current, pager)
    _tell_of_due(state)


def show(context: typer.Context, step: StepName = None, pager: Pager = False) -> None:
    """Show the lesson of a step, again or ahead of time.

    Example: [bold]llmpath show attention --pager[/]
    """
    state: State = context.obj
    lesson(state, state.step_state(step), pager)


def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the stages and steps, with what is done.

    Example: [bold]llmpath list[/]
    """
    from llmpath.ui import path as view

    state: State = context.obj
    if as_json:
        rows = [view.as_data(each) for each in state.plan.states]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    state.console.print(view.listing(state.course, state.plan, state.console))


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say where you are: progress, points, and whose code each lab stands on.

    Example: [bold]llmpath status[/]
    """
    from llmpath.cli.artefacts import artefacts
    from llmpath.ui import path as view
    from llmpath.workspace.thread import source

    state: State = context.obj
    own = {lab.id: source(state.course, lab, state.here).own for lab in state.course.labs.values()}
    made = artefacts(state)
    if as_json:
        data = view.status_data(state.course, state.plan, own, made, state.here.root)
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    state.console.print(view.status(state.plan, own, made, state.here.root))
    _tell_of_a_newer_course(state)
    _tell_of_due(state)


def hint(
    context: typer.Context,
    lab: LabName = None,
) -> None:
    """Open one more hint of a lab; those opened before are shown again.

    Example: [bold]llmpath hint bpe[/]
    """
    from llmpath.ui import step as view
    from llmpath.workspace import events

    state: State = context.obj
    chosen = state.lab(lab)
    step = state.course.step_of(chosen)
    opened = state.plan.of(step).progress.hints
    if opened < len(chosen.hints):
        opened += 1
        state.here.record(events.hinted(step.id, chosen.id, opened))
        fresh = True
    else:
        fresh = False
    state.console.print(view.hints(chosen, opened, fresh=fresh))


def quiz(
    context: typer.Context,
    step: StepName = None,
    again: Annotated[bool, typer.Option("--again", help="Ask every question again.")] = False,
) -> None:
    """Answer a step's questions; each answer is explained and recorded.

    Example: [bold]llmpath quiz llms[/]
    """
    from llmpath.ui import quiz as view
    from llmpath.workspace import events

    state: State = context.obj
    chosen = state.step_state(step)
    if not chosen.step.quiz:
        raise LlmpathError(f"The step {chosen.step.title!r} has no quiz.", "llmpath next goes on.")
    numbers = chosen.missing.questions
    if again or not numbers:
        numbers = tuple(range(1, len(chosen.step.quiz) + 1))
    right = 0
    for position, number in enumerate(numbers, start=1):
        question = chosen.step.quiz[number - 1]
        state.console.print(view.question(question, position, len(numbers)))
        answer = chosen_answer(len(question.choices))
        correct = answer == question.answer
        right += correct
        state.here.record(events.answered(chosen.step.id, {number: correct}))
        state.console.print(view.verdict(question, correct, state.console))
    state.console.print(view.summary(right, len(numbers), state.console))


def _tell_of_due(state: State) -> None:
    import time

    from llmpath.recall import due

    count = len(due(state.course, state.here.log.events(), time.time()))
    if count:
        from llmpath.ui.notice import to_review

        state.console.print(to_review(count))


def _tell_of_a_newer_course(state: State) -> None:
    old, new = state.here.course_version, state.course.version
    if old != new:
        from llmpath.ui.notice import newer

        state.console.print(newer(old, new))


def chosen_answer(choices: int) -> int:
    """The number that the learner types, asked for until it is one of the choices."""
    while True:
        answer = str(typer.prompt("Your answer")).strip().rstrip(".")
        if answer.isdecimal() and 1 <= int(answer) <= choices:
            return int(answer)
        typer.echo(f"Type a number from 1 to {choices}.")


def _skip(state: State) -> StepState | None:
    from llmpath.planner import plan
    from llmpath.workspace import events

    current = state.plan.current
    if current is None:
        return None
    state.here.record(events.skipped(current.step.id))
    state.console.print(
        f"Skipped: {current.step.title}. llmpath show {current.step.id} comes back to it; "
        "llmpath progress undo takes the skipping back.\n"
    )
    return plan(state.course, state.here.progress()).current


def lesson(state: State, chosen: StepState, pager: bool) -> None:
    """Print the lesson of a step, and below it what to do."""
    from contextlib import nullcontext

    from llmpath.ui import step as view

    text = state.course.lesson_path(chosen.step).read_text(encoding="utf-8")
    parts = view.lesson(state.course, chosen, text, state.console)
    with state.console.pager(styles=True) if pager else nullcontext():
        state.console.print(parts)
    state.console.print(view.your_turn(chosen, _place(state, chosen)))


def _place(state: State, chosen: StepState) -> str:
    """The learner's file for a step, as they would name it from where they are."""
    from llmpath.ui.place import seen_from

    if chosen.step.lab is None:
        return ""
    return seen_from(state.here.file(state.course, state.course.lab(chosen.step.lab)))

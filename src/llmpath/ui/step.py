"""A step in the terminal: its lesson, what to do, what is missing, its hints."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.planner import Plan, StepState
from llmpath.ui.lesson import render as prose
from llmpath.ui.theme import symbols


def lesson(course: Course, state: StepState, text: str, console: Console) -> Group:
    """The head of a step, its goals and its lesson."""
    number = course.steps.index(state.step) + 1
    place = f"{state.stage.title}, step {number} of {len(course.steps)}"
    head = Text.assemble(
        (state.step.title, "heading"), "\n", (f"{place}, about {state.step.minutes} min", "muted")
    )
    bullet = symbols(console).bullet
    goals = [Text(f"{bullet} {goal}") for goal in state.step.goals]
    aims = Group(Text("Afterwards you can:", style="muted"), *goals)
    return Group(head, Text(), Padding(aims, (0, 2)), Text(), prose(text))


def your_turn(state: StepState, place: str) -> RenderableType:
    """What to write where, and the commands to type."""
    lines: list[Text] = []
    if state.locked_by:
        names = ", ".join(step.title for step in state.locked_by)
        lines.append(Text.assemble(("It builds on: ", "warn"), names, "."))
    if state.missing.lab is not None:
        lab = state.missing.lab.id
        lines += [
            Text.assemble("Write your code in ", (place, "path"), "."),
            _command(f"llmpath lab open {lab}", "opens it in your editor"),
            _command(f"llmpath grade {lab}", "checks it"),
            _command(f"llmpath lab run {lab}", "runs the experiment on it"),
            _command(f"llmpath hint {lab}", "helps, a little more each time"),
        ]
    if state.missing.questions:
        count = len(state.missing.questions)
        questions = "1 question" if count == 1 else f"{count} questions"
        lines.append(_command(f"llmpath quiz {state.step.id}", f"asks {questions}"))
    if not state.missing:
        lines += [Text("This step is done."), _command("llmpath next", "goes on")]
    panel = Panel(
        Group(*lines), title="Your turn", title_align="left", border_style="accent", padding=(0, 1)
    )
    return Padding(panel, (1, 0, 0, 0))


def unfinished(state: StepState, place: str) -> Group:
    """What is missing of a step that was begun."""
    parts: list[RenderableType] = [
        Text.assemble(("You are at: ", "muted"), (state.step.title, "heading"))
    ]
    lab = state.missing.lab
    if lab is not None:
        so_far = "not graded yet"
        if state.missing.graded:
            so_far = f"best result {state.missing.points} of {state.missing.max_points} points"
        parts.append(Text.assemble("The lab has not passed: ", (so_far, "warn"), "."))
    if state.missing.questions:
        count = len(state.missing.questions)
        word = "question is" if count == 1 else "questions are"
        parts.append(Text(f"{count} {word} still to be answered rightly."))
    parts.append(your_turn(state, place))
    again = Text.assemble(
        (f"llmpath show {state.step.id}", "command"), " shows the lesson again, ",
        ("llmpath next --skip", "command"), " moves on without.",
    )  # fmt: skip
    return Group(*parts, again)


def finished(course: Course, plan: Plan, console: Console) -> Group:
    """What to say when there is no step left to do now."""
    done = f"{len(plan.done)} of {len(plan.states)} steps of “{course.title}” are done."
    parts: list[RenderableType] = [Text.assemble((f"{symbols(console).passed} ", "good"), done)]
    if plan.skipped:
        parts.append(Text("You skipped:"))
        for state in plan.skipped:
            parts.append(_command(f"llmpath show {state.step.id}", state.step.title))
    else:
        parts.append(_command("llmpath status", "shows what you have built"))
    return Group(*parts)


def hints(lab: Lab, opened: int, *, fresh: bool) -> Group:
    """The hints that are open, the newest marked."""
    if not lab.hints:
        return Group(Text(f"{lab.title} has no hints."))
    parts: list[RenderableType] = []
    for number, text in enumerate(lab.hints[:opened], start=1):
        style = "accent" if fresh and number == opened else "muted"
        parts.append(Text(f"Hint {number} of {len(lab.hints)}", style=style))
        parts.append(Padding(prose(text), (0, 2, 1, 2)))
    if opened == len(lab.hints):
        parts.append(Text("That is all there are.", style="muted"))
    return Group(*parts)


def _command(command: str, effect: str) -> Text:
    return Text.assemble((command, "command"), f"  {effect}")

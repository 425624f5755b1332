"""The whole path in the terminal: stages and steps with what is done, and where one stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from llmpath.course.course import Course, Stage
from llmpath.planner import Plan, Status, StepState
from llmpath.ui.theme import symbols

if TYPE_CHECKING:
    from llmpath.artefacts.supply import Artefact  # `llmpath list` need not load it

STYLES = {
    Status.DONE: "good",
    Status.CURRENT: "current",
    Status.OPEN: "",
    Status.LOCKED: "locked",
    Status.SKIPPED: "warn",
}


def listing(course: Course, plan: Plan, console: Console) -> Group:
    """Every stage with its bar and its steps."""
    parts: list[RenderableType] = [Text(course.title, style="heading"), Text()]
    for stage in course.stages:
        parts += _stage(stage, plan, console)
    if plan.current is not None:
        onward = Text.assemble(("llmpath next", "command"), f"  {plan.current.step.title}")
        parts += [Text(), onward]
    return Group(*parts)


def _stage(stage: Stage, plan: Plan, console: Console) -> list[RenderableType]:
    states = plan.of_stage(stage)
    head = Table.grid(padding=(0, 2))
    head.add_column(min_width=16, no_wrap=True)
    head.add_column()
    title = Text(stage.title, style="title")
    if not states:
        head.add_row(title, Text("to come", style="muted"))
        return [head]
    done = sum(state.done for state in states)
    bar = Table.grid(padding=(0, 1))
    count = Text(f"{done} of {len(states)}", style="muted")
    bar.add_row(_bar(done, len(states), console), count)
    head.add_row(title, bar)
    rows = Table.grid(padding=(0, 1))
    rows.add_column(width=1)
    rows.add_column(no_wrap=True, style="muted")
    rows.add_column(ratio=1)
    for state in states:
        sign = Text(_sign(state, console), style=STYLES[state.status])
        rows.add_row(sign, state.step.id, _title(state))
    return [head, Padding(rows, (0, 2)), Text()]


def _bar(done: int, total: int, console: Console) -> RenderableType:
    if console.is_terminal and console.encoding.startswith("utf"):
        return ProgressBar(total=total, completed=done, width=20)
    marks = symbols(console)
    full = round(20 * done / total)
    return Text(marks.filled * full + marks.empty * (20 - full))


def _sign(state: StepState, console: Console) -> str:
    marks = symbols(console)
    return {
        Status.DONE: marks.done,
        Status.CURRENT: marks.current,
        Status.OPEN: marks.open,
        Status.LOCKED: marks.locked,
        Status.SKIPPED: marks.skipped,
    }[state.status]


def _title(state: StepState) -> Text:
    text = Text(state.step.title, style=STYLES[state.status])
    notes = []
    if state.status is Status.SKIPPED:
        notes.append("skipped")
    if state.locked_by:
        notes.append("after " + ", ".join(step.id for step in state.locked_by))
    if state.missing.graded:
        notes.append(f"{state.missing.points} of {state.missing.max_points} points")
    if notes:
        text.append(f"  ({'; '.join(notes)})", style="muted")
    return text


def as_data(state: StepState) -> dict[str, Any]:
    """A step as plain data, for scripts."""
    return {
        "id": state.step.id,
        "title": state.step.title,
        "stage": state.stage.id,
        "status": str(state.status),
        "lab": state.step.lab,
        "points": state.progress.best_points,
        "max_points": state.progress.max_points,
        "questions_missing": list(state.missing.questions),
        "locked_by": [step.id for step in state.locked_by],
    }


def status(
    plan: Plan, own: Mapping[str, bool], artefacts: Mapping[str, Artefact | None], root: Path
) -> Group:
    """Where one stands: the share done, the current step, and whose code and models are used."""
    done = Text.assemble(
        (f"{len(plan.done)} of {len(plan.states)}", "title"), " steps done in ", (str(root), "path")
    )
    parts: list[RenderableType] = [done]
    if plan.current is not None:
        parts.append(Text.assemble("Now: ", (plan.current.step.title, "current")))
    parts += [Text(), Text("Your model stands on", style="title"), _labs(plan, own)]
    if artefacts:
        parts += [Text(), Text("What the labs have made", style="title"), _made(artefacts, root)]
    return Group(*parts)


def _labs(plan: Plan, own: Mapping[str, bool]) -> Table:
    table = Table.grid(padding=(0, 2))
    for state in plan.states:
        if state.step.lab is None:
            continue
        mine = own[state.step.lab]
        whose = Text("your own code", style="good") if mine else Text("the reference", "muted")
        result = ""
        if state.progress.attempts:
            result = f"{state.progress.best_points} of {state.progress.max_points} points"
        table.add_row(f"  {state.step.lab}", whose, Text(result, style="muted"))
    return table


def _made(artefacts: Mapping[str, Artefact | None], root: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, artefact in artefacts.items():
        style = "good" if artefact is not None and artefact.own else "muted"
        place = ""
        if artefact is not None and artefact.path.is_relative_to(root):
            place = artefact.path.relative_to(root).as_posix() + "/"
        table.add_row(f"  {name}", Text(whose(artefact), style), Text(place, style="path"))
    return table


def whose(artefact: Artefact | None) -> str:
    """Whose code made an artefact, in a word or two."""
    if artefact is None:
        return "none yet"
    if not artefact.own:
        return "reference"
    return "own" if artefact.current else "own, of older code"


def status_data(
    course: Course,
    plan: Plan,
    own: Mapping[str, bool],
    artefacts: Mapping[str, Artefact | None],
    root: Path,
) -> dict[str, Any]:
    """The same as plain data, for scripts."""
    return {
        "workspace": str(root),
        "course": course.version,
        "done": len(plan.done),
        "steps": len(plan.states),
        "current": plan.current.step.id if plan.current else None,
        "labs": {lab: "own" if mine else "reference" for lab, mine in own.items()},
        "artefacts": {name: whose(artefact) for name, artefact in artefacts.items()},
    }

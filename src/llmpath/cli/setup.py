"""The commands of the first minutes: init, start, doctor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import AsJson

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.course.models import Lab
    from llmpath.course.origins import Origin
    from llmpath.workspace import Created


Folder = Annotated[Path, typer.Argument(help="The folder; made if it does not exist.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Trust the author of the course; do not ask, for scripts.")
]


def init(
    context: typer.Context,
    folder: Folder = Path(),
    course: Annotated[
        str | None,
        typer.Option(
            "--course",
            metavar="PATH|URL|NAME",
            help="Another course: its folder, its git URL, or its name if it is installed.",
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Make a workspace: a folder with one starter file for each lab. Overwrites nothing.

    Example: [bold]llmpath init my-llmpath[/]
    """
    from llmpath.ui import setup as view

    state: State = context.obj
    state.named = course or state.named
    made = _create(state, folder, trust)
    state.console.print(view.created(made, _change_to(folder), state.console))


def start(
    context: typer.Context, folder: Folder = Path("my-llmpath"), trust: Trust = False
) -> None:
    """Make a workspace and show the whole loop once: lesson, experiment, grading.

    The experiment and the grading run on the course's own solution of the first lab.

    Example: [bold]llmpath start my-llmpath[/]
    """
    from llmpath.cli.learning import lesson
    from llmpath.ui import setup as view

    state: State = context.obj
    made = _create(state, folder, trust)
    state.console.print(view.created(made, "", state.console))
    first = state.plan.states[0]
    state.console.print(view.heading("The first lesson", "llmpath next"))
    lesson(state, first, pager=False)
    lab = next((each for each in state.course.labs.values()), None)
    if lab is not None:
        _loop(state, lab)
    tour = any(each.makes for each in state.course.labs.values())
    state.console.print(view.commands_next(_activation(), _change_to(folder), tour=tour))


def doctor(
    context: typer.Context,
    as_json: AsJson = False,
) -> None:
    """Look at Python, torch, the machine, your workspace and the course, with a mend for each.

    Example: [bold]llmpath doctor[/]
    """
    from llmpath.cli.health import examine
    from llmpath.ui import setup as view

    state: State = context.obj
    findings = examine(state)
    if as_json:
        problems = [finding.name for finding in findings if not finding.good]
        data = {**{finding.name: finding.value for finding in findings}, "problems": problems}
        typer.echo(json.dumps(data, indent=2))
    else:
        state.console.print(view.health(findings, state.console))
    raise typer.Exit(0 if all(finding.good for finding in findings) else 1)


def _create(state: State, folder: Path, trust: bool) -> Created:
    from llmpath.errors import LlmpathError
    from llmpath.workspace import create, find

    if state.workspace is None:
        # A workspace that is there already remembers its course.
        with contextlib.suppress(LlmpathError):
            state.here = find(explicit=folder)
    if state.named is None:
        made = create(folder, state.course)
    else:
        named = _named(state, state.named, trust)
        made = create(folder, state.course, state.course_folder, named)
    state.here = made.workspace
    return made


def _named(state: State, name: str, trust: bool) -> Origin:
    """The course that was named, on this machine and trusted."""
    from llmpath.course.locate import bundled
    from llmpath.course.origins import Kind, folder_of, origin
    from llmpath.ui.theme import make_console

    named = origin(name)
    if not trust and not (named.kind is Kind.FOLDER and folder_of(named) == bundled()):
        _ask_for_trust(state, named)
    with make_console(stderr=True).status(f"Getting {name} …"):
        state.course_folder = folder_of(named, fetch=True)
    return named


def _ask_for_trust(state: State, named: Origin) -> None:
    """Ask whether the code of a course may run here; no answer is a no."""
    from llmpath.errors import LlmpathError
    from llmpath.ui import setup as view

    if not sys.stdin.isatty():
        raise LlmpathError(
            f"{view.danger(named)} Nobody is there to be asked, so nothing was made.",
            "Add --trust if you trust whoever wrote it.",
        )
    state.console.print(view.danger(named))
    if not typer.confirm("Do you trust whoever wrote it?", default=False):
        typer.echo("Nothing was made.")
        raise typer.Exit(1)


def _loop(state: State, lab: Lab) -> None:
    """Run and grade the reference of one lab, as a learner would their own."""
    from llmpath.artefacts.recipe import Variant
    from llmpath.cli.artefacts import prepare
    from llmpath.cli.grading import request, show
    from llmpath.grading.grader import grade
    from llmpath.running.runner import run
    from llmpath.ui import setup as view
    from llmpath.ui.live import show as live

    name = f"{lab.title}, on the reference"
    state.console.print(view.heading(name, f"llmpath lab run {lab.id} --reference"))
    asked = prepare(state, lab, Variant(), reference=True)
    live(run(asked), state.console, root=str(state.here.root))
    state.console.print(view.heading("The grading", f"llmpath grade {lab.id}"))
    file = state.course.lab_folder(lab) / "lab.py"
    report = grade(request(state, lab, file, None)).report
    show(state, lab, report, brief=False)


def _change_to(folder: Path) -> str:
    """The argument of `cd` that leads to the folder; "" if one is there already."""
    from llmpath.ui.place import seen_from

    path = seen_from(folder)
    if path == ".":
        return ""
    if path.startswith(".."):
        path = os.path.abspath(folder)
    return f'"{path}"' if " " in path else path


def _activation() -> str:
    """The command that puts `llmpath` on the PATH, if it is not there; "" if it is."""
    if shutil.which("llmpath") is not None or sys.prefix == sys.base_prefix:
        return ""
    from llmpath.ui.place import seen_from

    scripts = Path(sys.prefix) / ("Scripts" if os.name == "nt" else "bin")
    activate = seen_from(scripts / "activate")
    return activate if os.name == "nt" else f"source {activate}"

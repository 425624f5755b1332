"""`llmpath author preview`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llmpath.authoring.preview import Report, Reports, Texts
    from llmpath.cli.state import State
    from llmpath.grading.grader import Grader
    from llmpath.ui.preview import Screen

QUIT = ("q", "")  # "": the terminal is gone


def preview(
    context: typer.Context,
    step: Annotated[str, typer.Argument(help="The step, or its lab.")],
    once: Annotated[
        bool, typer.Option("--once", help="Print everything once, as where there is no terminal.")
    ] = False,
) -> None:
    """Show a step exactly as learners will see it, and again whenever you save.

    Lesson, quiz, starter, hints, and the reports on the starter and on each known mistake.

    Example: [bold]llmpath author preview attention[/]
    """
    from llmpath.authoring.preview import Reports
    from llmpath.grading.grader import Grader

    state: State = context.obj
    with contextlib.suppress(KeyboardInterrupt), Grader() as grader:
        if once or not (state.console.is_terminal and sys.stdin.isatty()):
            _print(state, step, Reports(grader))
        else:
            _watch(state, step, grader)


def _print(state: State, step: str, reports: Reports) -> None:
    """Print every part, each as soon as it is known."""
    from llmpath.authoring.preview import Texts, preview
    from llmpath.ui import preview as view

    def told(known: Texts | Report) -> None:
        if isinstance(known, Texts):
            for name in ("lesson", "quiz", "starter", "hints"):
                state.console.print(view.part(name, known, [], state.console))
        else:
            state.console.print(view.graded(known, state.console))

    preview(state.authored_folder, step, reports, told)


def _watch(state: State, step: str, grader: Grader) -> None:
    """Show one part at a time until q is pressed."""
    from llmpath.authoring.preview import Reports, files_of
    from llmpath.ui.keyboard import keys
    from llmpath.ui.preview import Screen
    from llmpath.watching.loop import Watch

    root = state.authored_folder
    work = _Work(root, step, grader, Reports(grader))
    screen = Screen(state.console)
    with Watch(files_of(root, step), root, work) as watching, keys(watching.press):
        for event in watching.events():
            if not _serve(screen, event):
                return


def _serve(screen: Screen, event: object) -> bool:
    """Show what an event is about; whether to go on."""
    from llmpath.watching import loop

    match event:
        case loop.Began():
            screen.began()
        case loop.Step():
            screen.told(event.part)
        case loop.Refused():
            screen.refused(event.error.message, event.error.hint)
        case loop.Gone():
            screen.refused("The files of the step are not there now.", "Waiting for them.")
        case loop.Pressed() if event.key in QUIT:
            return False
        case loop.Pressed():
            screen.choose(event.key)
    return True


@dataclass(frozen=True)
class _Work:
    """Previews a step after each save of one of its files."""

    root: Path
    step: str
    grader: Grader
    reports: Reports

    def grade(self, told: Callable[[Texts | Report], None]) -> None:
        """Tell of everything that a learner will see."""
        from llmpath.authoring.preview import preview
        from llmpath.grading.trial import Cancelled
        from llmpath.watching.loop import Stopped

        try:
            preview(self.root, self.step, self.reports, told)
        except Cancelled:
            raise Stopped from None

    def prepare(self) -> None:
        """There is nothing to prepare: what comes next depends on what is saved."""

    def cancel(self) -> None:
        """End the grading that is going on."""
        self.grader.cancel()

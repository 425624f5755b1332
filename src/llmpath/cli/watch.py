"""`llmpath watch`."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from llmpath.cli.names import LabName

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from llmpath.cli.state import State
    from llmpath.course.models import Lab
    from llmpath.grading.children import Nursery
    from llmpath.grading.grader import Graded, Grader
    from llmpath.grading.report import CheckResult
    from llmpath.grading.request import GradeRequest
    from llmpath.ui.watch import Screen
    from llmpath.watching.loop import Watch

QUIT = ("q", "")  # "": the terminal is gone


def watch(context: typer.Context, lab: LabName = None) -> None:
    """Grade a lab's file whenever you save it, until you press q.

    Keys: n shows what comes next, r runs the experiment, h opens one more hint, l lists the
    steps. Where there is no terminal, one report is printed for each save.

    Example: [bold]llmpath watch attention[/]
    """
    from llmpath.grading.children import nursery

    with contextlib.suppress(KeyboardInterrupt), nursery() as started:
        _watch(context, lab, started)  # the nursery first: it imports while the course is loaded


def _watch(context: typer.Context, lab: str | None, started: Nursery) -> None:
    from llmpath.grading.grader import Grader
    from llmpath.ui.place import seen_from
    from llmpath.ui.watch import Screen
    from llmpath.watching.loop import Watch

    state: State = context.obj
    chosen = state.lab(lab)
    file = state.here.file(state.course, chosen)
    screen = Screen(state.console, seen_from(file), chosen)
    with (
        Grader(state.course.lab_folder(chosen), started=started) as grader,
        Watch([file], state.here.state, _Work(state, chosen, file, grader)) as watching,
        screen.shown(),
    ):
        desk = _Desk(context, chosen, screen, watching)
        with desk.keys():
            desk.serve()


@dataclass(frozen=True)
class _Work:
    """Grades the learner's file after each save."""

    state: State
    lab: Lab
    file: Path
    grader: Grader

    def grade(self, told: Callable[[CheckResult], None]) -> Graded:
        """Grade the file as it is now."""
        from llmpath.grading.trial import Cancelled
        from llmpath.watching.loop import Stopped

        try:
            return self.grader.grade(self._request(), told)
        except Cancelled:
            raise Stopped from None

    def prepare(self) -> None:
        """Start the next judge and worker, and let them wait for the next save."""
        self.grader.prepare(self._request())

    def cancel(self) -> None:
        """End the grading that is going on."""
        self.grader.cancel()

    def _request(self) -> GradeRequest:
        from llmpath.cli.grading import request

        return request(self.state, self.lab, self.file, self.state.here)


@dataclass
class _Desk:
    """Hands each event of a watch to where it belongs."""

    context: typer.Context
    lab: Lab
    screen: Screen
    watching: Watch[Graded, CheckResult]
    recorded: object = None
    away: bool = False  # an experiment has the terminal, keys included

    def keys(self) -> AbstractContextManager[None]:
        """Keys become events, where there is someone to press them."""
        from llmpath.ui.keyboard import keys

        if self.screen.interactive and sys.stdin.isatty():
            return keys(self._press)
        return contextlib.nullcontext()

    def _press(self, key: str) -> None:
        if not self.away or key == "":
            self.watching.press(key)

    def serve(self) -> None:
        """Serve events until it is time to go."""
        from llmpath.watching import loop

        for event in self.watching.events():
            match event:
                case loop.Began():
                    self.screen.grading()
                case loop.Step():
                    self.screen.checked(event.part)
                case loop.Done():
                    self._report(event.result)
                case loop.Refused():
                    self.screen.waiting(event.error.message, event.error.hint)
                case loop.Gone():
                    self.screen.gone()
                case loop.Pressed():
                    if event.key in QUIT:
                        return
                    self._answer(event.key)

    def _report(self, graded: Graded) -> None:
        from llmpath.feedback import feedback

        report = graded.report
        if report.status != "error":
            self._record(graded)
        self.screen.graded(report, feedback(report, self.lab), polling=self.watching.polling)

    def _record(self, graded: Graded) -> None:
        """Record a result that differs from the last, or that comes of other passing code."""
        from llmpath.cli.grading import record

        state: State = self.context.obj
        report = graded.report
        points = tuple((check.id, check.status) for check in report.checks)
        result = (report.status, points, graded.source if report.passed else b"")
        if result == self.recorded:
            return
        record(state, self.lab, graded)
        self.recorded = result

    def _answer(self, key: str) -> None:
        """Do what a key asks for; what keeps it from being done does not end the watch."""
        from llmpath.errors import LlmpathError

        state: State = self.context.obj
        state.__dict__.pop("plan", None)  # it has changed since the last key
        try:
            self._obey(key)
        except LlmpathError as error:
            self.screen.waiting(error.message, error.hint)

    def _obey(self, key: str) -> None:
        """Do what the command of a key's name does."""
        from llmpath.cli import learning

        match key:
            case "n":
                with self.screen.aside():
                    learning.next_(self.context)
            case "h":
                with self.screen.aside():
                    learning.hint(self.context, self.lab.id)
            case "l":
                with self.screen.aside():
                    learning.list_(self.context)
            case "r":
                self._run()
            case _:
                self.screen.back()

    def _run(self) -> None:
        from llmpath.cli import runs

        self.away = True
        try:
            with self.screen.stepped_aside(), contextlib.suppress(typer.Exit):
                runs.run(self.context, self.lab.id)
        finally:
            self.away = False

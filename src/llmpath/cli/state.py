"""What every command begins with: the workspace, the course, the console. Loaded when asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from rich.console import Console

    from llmpath.course.course import Course
    from llmpath.course.models import Lab
    from llmpath.planner import Plan, StepState
    from llmpath.workspace import Workspace


@dataclass
class State:
    """The options before the command, and what they lead to.

    Attributes:
        workspace: the folder named by --workspace.
        named: what --course named: a folder, or an installed course.
        debug: whether tracebacks are wanted.
    """

    workspace: Path | None = None
    named: str | None = None
    debug: bool = False

    @cached_property
    def console(self) -> Console:
        """Standard output."""
        from llmpath.ui.theme import make_console

        return make_console()

    @cached_property
    def here(self) -> Workspace:
        """The learner's workspace; an `LlmpathError` if there is none."""
        from llmpath.workspace import find

        return find(explicit=self.workspace)

    @property
    def remembered(self) -> bool:
        """Whether the course is the one that the workspace remembers."""
        from llmpath.course.locate import VARIABLE

        return self.named is None and not os.environ.get(VARIABLE)

    @cached_property
    def course_folder(self) -> Path:
        """Where the course is: named, in the environment, remembered by the workspace, bundled."""
        from llmpath.course.locate import VARIABLE, locate
        from llmpath.course.origins import folder_of, origin

        if self.named is not None:
            return folder_of(origin(self.named))
        if os.environ.get(VARIABLE):
            return locate()
        try:
            here = self.here
        except LlmpathError:
            if self.workspace is not None:
                raise
            return locate()
        return locate(here.course_root) if here.origin is None else folder_of(here.origin)

    @cached_property
    def course(self) -> Course:
        """The course in that folder."""
        from llmpath.course.loader import load

        return load(self.course_folder)

    @cached_property
    def authored_folder(self) -> Path:
        """The course that an author works on: named, around the current folder, or a learner's."""
        from llmpath.course.locate import around

        found = around(Path()) if self.remembered else None
        return found or self.course_folder

    @cached_property
    def authored(self) -> Course:
        """The course in that folder."""
        from llmpath.course.loader import load

        return load(self.authored_folder)

    @cached_property
    def plan(self) -> Plan:
        """How every step stands."""
        from llmpath.planner import plan

        return plan(self.course, self.here.progress())

    def step_state(self, step_id: str | None) -> StepState:
        """The named step (by its own id or its lab's), or the current one."""
        if step_id is not None:
            by_lab = next((s for s in self.plan.states if s.step.lab == step_id), None)
            return by_lab or self.plan.of(self.course.step(step_id))
        if self.plan.current is not None:
            return self.plan.current
        if self.plan.skipped:
            return self.plan.skipped[0]
        return self.plan.states[-1]

    def file(self, lab: Lab) -> Path:
        """The learner's file of a lab; an `LlmpathError` if it is not there."""
        path = self.here.file(self.course, lab)
        if not path.is_file():
            raise LlmpathError(
                f"There is no file {path}.",
                f"llmpath lab reset {lab.id} brings the starter back.",
            )
        return path

    def lab(self, lab_id: str | None) -> Lab:
        """The named lab (by its own id or its step's), or the current step's."""
        if lab_id is not None:
            step = next((s for s in self.course.steps if s.id == lab_id and s.lab), None)
            return self.course.lab(step.lab if step is not None and step.lab else lab_id)
        step = self.step_state(None).step
        if step.lab is None:
            raise LlmpathError(
                f"The current step, {step.title!r}, has no lab.",
                "Name a lab, or type llmpath next. llmpath list shows them all.",
            )
        return self.course.lab(step.lab)

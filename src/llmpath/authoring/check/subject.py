"""What is proven: a step, or a lab, with its texts and the place of everything in them."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.documents import Document, KeyPath
from llmpath.course.models import Lab, Step
from llmpath.course.problems import Problem
from llmpath.course.solution import Region, regions
from llmpath.course.sources import Sources
from llmpath.course.tree import parse as tree_of


@dataclass(frozen=True)
class StepSubject:
    """A step of the course: its YAML file and its lesson.

    Attributes:
        document: the step's YAML file.
        lesson: the text of its lesson.
    """

    course: Course
    step: Step
    document: Document
    lesson: str

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    @property
    def lesson_name(self) -> str:
        """The lesson's path as findings name it."""
        return self.course.lesson_path(self.step).relative_to(self.course.root).as_posix()

    def in_lesson(self, line: int, message: str, mend: str = "") -> Problem:
        """A problem at a line of the lesson; 0 is the lesson as a whole."""
        return Problem(self.lesson_name, line, 0, message, mend)


@dataclass(frozen=True)
class LabSubject:
    """A lab of the course: its YAML file, its solution and its checks.

    Attributes:
        document: the lab's YAML file.
        solution: the text of `lab.py`.
        tests: the line of each test function in `checks.py`.
    """

    course: Course
    lab: Lab
    document: Document
    solution: str
    tests: dict[str, int]

    @property
    def id(self) -> str:
        """The lab's id."""
        return self.lab.id

    @property
    def folder(self) -> Path:
        """The lab's folder."""
        return self.course.lab_folder(self.lab)

    @property
    def step(self) -> Step:
        """The step to which the lab belongs."""
        return self.course.step_of(self.lab)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """What the learner writes."""
        return regions(self.solution)

    @cached_property
    def written(self) -> tuple[str, ...]:
        """The functions that the learner writes, whole or in part, such as `Cache.append`."""
        return tuple(name for name, node in functions(self.solution) if self.is_written(node))

    def is_written(self, node: ast.stmt) -> bool:
        """Whether a statement of the solution overlaps with what the learner writes."""
        end = node.end_lineno or node.lineno
        return any(node.lineno < region.end and region.start < end for region in self.regions)

    def at_check(self, check_id: str, message: str, mend: str = "") -> Problem:
        """A problem of a check, at its function in `checks.py`."""
        check = next(check for check in self.lab.checks if check.id == check_id)
        return self.in_file("checks.py", self.tests.get(check.function, 0), 0, message, mend)

    def in_file(self, name: str, line: int, column: int, message: str, mend: str = "") -> Problem:
        """A problem in a file of the lab's folder."""
        return Problem(f"labs/{self.lab.id}/{name}", line, column, message, mend)

    def at(self, path: KeyPath, message: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem in `lab.yaml`, at the value (or the key) of this path."""
        return self.document.problem(path, message, mend, key=key)


Subject = StepSubject | LabSubject


def subjects(course: Course, sources: Sources) -> tuple[Subject, ...]:
    """Every step of a course, each followed by its lab, in the order of the path."""
    found: list[Subject] = []
    for stage in course.stages:
        for step in stage.steps:
            text = course.lesson_path(step).read_bytes().decode("utf-8-sig")
            document = sources.steps[stage.id, step.id].document
            found.append(StepSubject(course, step, document, text))
            if step.lab is not None:
                found.append(_lab(course, sources, course.lab(step.lab)))
    return tuple(found)


def _lab(course: Course, sources: Sources, lab: Lab) -> LabSubject:
    source = sources.labs[lab.id]
    assert source.code is not None
    return LabSubject(course, lab, source.source.document, source.code, dict(source.tests or {}))


def functions(source: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions and methods of a module that stand in no other function, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = tree_of(source)
    yield from _functions(tree, "")


def _functions(
    scope: ast.Module | ast.ClassDef, prefix: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")

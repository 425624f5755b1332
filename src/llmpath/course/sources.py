"""Every file of a course as it stands on the disk, valid or not, and what is wrong with each.

What only shows when files are held against each other is in `llmpath.course.rules`.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from llmpath.course.documents import Document, decode, read, unopened
from llmpath.course.drafts import draft
from llmpath.course.models import Lab, Model, PathFile, Step, TopicsFile
from llmpath.course.problems import CourseError, Problem
from llmpath.course.solution import starter
from llmpath.course.tree import parse as tree_of
from llmpath.course.validation import fit

M = TypeVar("M", bound=Model)

PATH = "curriculum/path.yaml"
TOPICS = "curriculum/topics.yaml"


@dataclass(frozen=True)
class Source(Generic[M]):
    """A YAML file and what it says; a draft, or None, where it does not say it properly."""

    document: Document
    value: M | None


@dataclass(frozen=True)
class LabSource:
    """A lab's folder.

    Attributes:
        source: its `lab.yaml`.
        code: the text of `lab.py`, None where it cannot be read.
        tests: the line of each test function in `checks.py`, None where it is not Python.
    """

    source: Source[Lab]
    code: str | None
    tests: Mapping[str, int] | None


@dataclass
class Sources:
    """All files of a course.

    Attributes:
        steps: step files by stage folder and file name without `.yaml`.
        labs: lab folders by name.
        problems: what is wrong with single files.
    """

    root: Path
    path: Source[PathFile]
    topics: Source[TopicsFile] | None
    steps: dict[tuple[str, str], Source[Step]] = field(default_factory=dict)
    labs: dict[str, LabSource] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def gather(root: Path) -> Sources:
    """Read every file of the course in a folder. Problems are noted, not raised."""
    problems: list[Problem] = []
    path = _source(root, PATH, PathFile, problems)
    topics = None
    if (root / TOPICS).exists():
        topics = _source(root, TOPICS, TopicsFile, problems)
    sources = Sources(root, path, topics, problems=problems)
    for stage in _folders(root, "curriculum", problems):
        for file in _entries(root, f"curriculum/{stage}", problems):
            _step(sources, stage, file)
    for lab in _folders(root, "labs", problems):
        sources.labs[lab] = _lab(root, lab, problems)
    return sources


def _folders(root: Path, parent: str, problems: list[Problem]) -> Iterator[str]:
    for entry in _entries(root, parent, problems):
        if entry.is_dir() and not entry.name.startswith((".", "_")):
            yield entry.name


def _entries(root: Path, folder: str, problems: list[Problem]) -> list[Path]:
    """What is in a folder, in the order of names."""
    try:
        return sorted((root / folder).iterdir())
    except FileNotFoundError:
        message = f"The folder {folder}/ does not exist."
        problems.append(Problem(folder, 0, 0, message, "Create it."))
    except OSError as error:
        problems.append(Problem(folder, 0, 0, *unopened(error)))
    return []


def _source(root: Path, name: str, model: type[M], problems: list[Problem]) -> Source[M]:
    document = read(root / name, name)
    value, found = fit(document, model)
    problems += found
    # With a problem noted, no course is made of these files; the draft is for finding more.
    return Source(document, draft(document, model) if value is None else value)


def _step(sources: Sources, stage: str, file: Path) -> None:
    name = f"curriculum/{stage}/{file.name}"
    if file.suffix == ".yml":
        message = "Steps are read from files that end in .yaml."
        sources.problems.append(Problem(name, 0, 0, message, "Rename the file."))
    if file.suffix != ".yaml":
        return
    source = _source(sources.root, name, Step, sources.problems)
    sources.steps[stage, file.stem] = source
    if source.value is not None:
        sources.problems += _lesson_problems(source.document, file.parent / source.value.lesson)


def _lesson_problems(document: Document, file: Path) -> Iterator[Problem]:
    name = f"{document.name.rpartition('/')[0]}/{file.name}"
    if not file.is_file():
        message = f"The lesson {name} does not exist."
        yield document.problem(("lesson",), message, "Write it, or correct its name here.")
        return
    text = _text(file, name)
    if isinstance(text, Problem):
        yield text
    elif not text.strip():
        yield Problem(name, 0, 0, "The lesson is empty.", "Write it.")


def _text(file: Path, name: str) -> str | Problem:
    """The text of a file with its line endings as they are, or why there is none."""
    try:
        return decode(file.read_bytes(), name)
    except OSError as error:
        return Problem(name, 0, 0, *unopened(error))


def _lab(root: Path, folder: str, problems: list[Problem]) -> LabSource:
    source = _source(root, f"labs/{folder}/lab.yaml", Lab, problems)
    code = _python(root, f"labs/{folder}/lab.py", problems)
    if code is not None:
        try:
            starter(code, f"labs/{folder}/lab.py")
        except CourseError as error:
            problems += error.problems
    checks = _python(root, f"labs/{folder}/checks.py", problems)
    tests = _functions(checks, f"labs/{folder}/checks.py", problems)
    name = f"labs/{folder}/experiment.py"
    experiment = _functions(_python(root, name, problems), name, problems)
    if experiment is not None and "experiment" not in experiment:
        message = "The file defines no function `experiment`."
        problems.append(Problem(name, 0, 0, message, "Write `def experiment(lab, run) -> None:`."))
    if tests is not None:
        tests = {test: line for test, line in tests.items() if test.startswith("test_")}
    return LabSource(source, code, tests)


def _python(root: Path, name: str, problems: list[Problem]) -> str | None:
    text = _text(root / name, name)
    if isinstance(text, Problem):
        problems.append(text)
        return None
    return text


def _functions(source: str | None, name: str, problems: list[Problem]) -> dict[str, int] | None:
    """The line of each function at the top level of a Python file; None if it is not Python."""
    if source is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = tree_of(source)
    except SyntaxError as error:
        message = f"This is not Python: {error.msg}."
        problems.append(Problem(name, error.lineno or 0, error.offset or 0, message))
        return None
    except (ValueError, RecursionError, MemoryError):
        problems.append(Problem(name, 0, 0, "This is not Python, or nested too deeply."))
        return None
    lines: dict[str, int] = {}
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name in lines:
            message = (
                f"`{node.name}` is defined a second time; the first is on line {lines[node.name]}."
            )
            problems.append(Problem(name, node.lineno, 0, message, "Rename one of the two."))
        lines.setdefault(node.name, node.lineno)
    return lines

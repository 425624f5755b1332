"""The solution's own words stand nowhere that a learner looks, and no hint is an answer."""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

from llmpath import workspace
from llmpath.authoring.check import answers as trivial_answers
from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.markdown import inline, tokens
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.course import Course
from llmpath.course.documents import Document, KeyPath, read
from llmpath.course.problems import Problem
from llmpath.course.solution import Region, starter
from llmpath.course.tree import parse as tree_of
from llmpath.grading.report import GradeReport

# A shorter line says too little to give anything away.
SHORTEST = 24


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each place where a line of the solution stands, and each hint that passes."""
    secrets = secret_lines(subject)
    written = tuple(_written(subject, secrets))
    read = {number for _, number in written}  # and need not be told of again where they are heard
    unread = {words: number for words, number in secrets.items() if number not in read}
    for problem in (
        *_told(subject, secrets),
        *(problem for problem, _ in written),
        *_reported(subject, bench, unread),
    ):
        yield Finding.of(problem)
    for problem in _in_tree(subject, bench.places.folder(), secrets):
        yield Finding.of(problem)
    yield from _pasted(subject, bench)


def secret_lines(subject: LabSubject) -> dict[str, int]:
    """The telling lines of the solution, without white space, and where each stands.

    A line that the learner is given elsewhere in the file is no secret.
    """
    inside: dict[str, int] = {}
    given: set[str] = set()
    for number, line in enumerate(subject.solution.splitlines(), start=1):
        words = _squeezed(line)
        if any(region.start < number < region.end for region in subject.regions):
            if len(words) > SHORTEST and not words.startswith("#"):
                inside.setdefault(words, number)
        else:
            given.add(words)
    return {words: number for words, number in inside.items() if words not in given}


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _found(text: str, secrets: dict[str, int]) -> Iterator[int]:
    """The lines of the solution that stand in a text."""
    squeezed = _squeezed(text)
    yield from (number for words, number in secrets.items() if words in squeezed)


def _told(subject: LabSubject, secrets: dict[str, int]) -> Iterator[Problem]:
    """Lines of the solution in the starter, the lesson and the hints."""
    mend = "Say it in words."
    for number in _found(starter(subject.solution), secrets):
        message = f"Line {number} of the solution stands in the starter as well."
        yield subject.in_file("lab.py", number, 0, message, "Put it into a solution region.")
    lesson = subject.course.lesson_path(subject.step)
    name = lesson.relative_to(subject.course.root).as_posix()
    text = lesson.read_text(encoding="utf-8-sig")
    for number in _found(text, secrets):
        line = _line_in(text, secrets, number)
        yield Problem(name, line, 0, f"Line {number} of the lab's solution stands here.", mend)
    for path, hint in _hints(subject):
        for number in _found(hint, secrets):
            yield subject.at(path, f"Line {number} of the solution stands in this hint.", mend)
    for path, text in _explanations(subject):
        for number in _found(text, secrets):
            yield subject.at(path, f"Line {number} of the solution stands here.", mend)
    document, texts = _quiz(subject)
    for path, text in texts:
        for number in _found(text, secrets):
            message = f"Line {number} of the lab's solution stands here."
            yield document.problem(path, message, mend)


def _line_in(text: str, secrets: dict[str, int], number: int) -> int:
    words = next(each for each, line in secrets.items() if line == number)
    lines = [_squeezed(line) for line in text.splitlines()]
    return next((at for at, line in enumerate(lines, start=1) if words in line), 0)


def _hints(subject: LabSubject) -> Iterator[tuple[KeyPath, str]]:
    """Every hint of a lab with its place."""
    for index, hint in enumerate(subject.lab.hints):
        yield ("hints", index), hint
    for index, check in enumerate(subject.lab.checks):
        if check.hint is not None:
            yield ("checks", index, "hint"), check.hint


def _explanations(subject: LabSubject) -> Iterator[tuple[KeyPath, str]]:
    """What reports show of `lab.yaml` to those whose code does not pass yet."""
    for index, check in enumerate(subject.lab.checks):
        yield ("checks", index, "title"), check.title
    for index, known in enumerate(subject.lab.misconceptions):
        yield ("misconceptions", index, "explain"), known.explain


def _quiz(subject: LabSubject) -> tuple[Document, Iterator[tuple[KeyPath, str]]]:
    """The step's file, and what it tells of goals and in its quiz, with the place of each."""
    step = subject.step
    file = subject.course.lesson_path(step).with_name(f"{step.id}.yaml")

    def texts() -> Iterator[tuple[KeyPath, str]]:
        for index, goal in enumerate(step.goals):
            yield ("goals", index), goal
        for index, question in enumerate(step.quiz):
            yield ("quiz", index, "ask"), question.ask
            yield ("quiz", index, "because"), question.because
            for at, choice in enumerate(question.choices):
                yield ("quiz", index, "choices", at), choice

    return read(file, file.relative_to(subject.course.root).as_posix()), texts()


def _written(subject: LabSubject, secrets: dict[str, int]) -> Iterator[tuple[Problem, int]]:
    """Lines of the solution in the sentences of checks, whichever answer they are for; which."""
    tree = _parsed((subject.folder / "checks.py").read_text(encoding="utf-8-sig"))
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.keyword) and node.arg == "because":
            said = "".join(
                part.value
                for part in ast.walk(node.value)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            for number in _found(said, secrets):
                message = f"This sentence tells line {number} of the solution."
                mend = "Say what is wrong, not what is right."
                problem = subject.in_file("checks.py", node.value.lineno, 0, message, mend)
                yield problem, number


def _reported(subject: LabSubject, bench: Bench, secrets: dict[str, int]) -> Iterator[Problem]:
    """Lines of the solution in what checks say of answers that hold none of it."""
    bodies = ("return None", f"return {trivial_answers.FIRST}")
    files = [starter(subject.solution)]
    files += [trivial_answers.trivial(subject, body) for body in bodies]
    reports = bench.grade(subject.lab, [Answer("", source) for source in files])
    told: set[tuple[str, int]] = set()
    for check, said in ((c, said) for report in reports for c, said in _sayings(report)):
        for number in _found(said, secrets):
            if (check, number) not in told:
                told.add((check, number))
                message = f"The check `{check}` tells line {number} of the solution."
                yield subject.at_check(check, message, "Say what is wrong, not what is right.")


def _sayings(report: GradeReport) -> Iterator[tuple[str, str]]:
    """What checks say, without the learner's own lines."""
    for check in report.checks:
        if check.detail is not None:
            yield check.id, check.detail.model_dump_json(exclude={"frames"})
        yield check.id, check.message


def _in_tree(subject: LabSubject, folder: Path, secrets: dict[str, int]) -> Iterator[Problem]:
    """Lines of the solution in the files that a new workspace is made of."""
    for name, text in learners_tree(subject.course, folder).items():
        if "### BEGIN SOLUTION" in text:
            message = f"A learner's {name} marks where the solution was."
            yield subject.in_file("lab.py", 0, 0, message, "Correct the markers.")
        if Path(name).name != subject.lab.file:  # its own starter has been looked at
            for number in _found(text, secrets):
                message = f"Line {number} of the solution stands in a learner's {name}."
                yield subject.in_file("lab.py", number, 0, message, "Put it into a region there.")


def learners_tree(course: Course, folder: Path) -> dict[str, str]:
    """The text files of a new workspace, by name."""
    root = workspace.create(folder / "workspace", course).workspace.root
    texts = {}
    for path in root.rglob("*"):
        with contextlib.suppress(UnicodeDecodeError):
            if path.is_file():
                texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    return texts


@dataclass(frozen=True)
class _Paste:
    """Code of a hint in the starter, instead of what is to be written."""

    place: KeyPath
    source: str


def _pasted(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """No code of a hint earns a point by itself, wherever it is pasted."""
    pastes = [
        _Paste(place, source)
        for place, hint in _hints(subject)
        for code in code_of(hint)
        for source in _pastings(subject, code)
    ]
    reports = bench.grade(subject.lab, [Answer("", paste.source) for paste in pastes])
    told: set[KeyPath] = set()
    for paste, report in zip(pastes, reports, strict=True):
        passed = [check.id for check in report.checks if check.status == "passed"]
        if passed and paste.place not in told:
            told.add(paste.place)
            message = f"The code in this hint passes {', '.join(passed)} when it is pasted."
            yield Finding.of(subject.at(paste.place, message, "Say it in words, or in part."))


def code_of(hint: str) -> Iterator[str]:
    """The code in a hint that does something: blocks, and expressions within the text."""
    blocks = [block.content for block in tokens(hint) if block.type in ("fence", "code_block")]
    spans = [token.content for _, token in inline(hint) if token.type == "code_inline"]
    for code in blocks:
        yield dedent(code)
    for span in dict.fromkeys(spans):
        tree = _parsed(span)
        if tree is None or len(tree.body) != 1:
            continue
        statement = tree.body[0]
        if not isinstance(statement, ast.Expr):
            yield span
        elif not isinstance(statement.value, ast.Name | ast.Constant | ast.Attribute):
            yield f"return {span}"


def _pastings(subject: LabSubject, code: str) -> Iterator[str]:
    """The starter with the code in place of each region, and at its end."""
    for region in subject.regions:
        if not region.whole_class and (source := _in_region(subject, region, code)):
            yield source
    if _parsed(code) is not None:
        yield starter(subject.solution) + "\n\n" + code


def _in_region(subject: LabSubject, region: Region, code: str) -> str | None:
    lines = subject.solution.splitlines(keepends=True)
    # The region becomes a function's body that is the hint, and the others become the starter.
    body = indent(code.rstrip("\n") + "\n", region.indent)
    lines[region.start - 1 : region.end] = [_STANDS_IN.format(region.indent)]
    source = _begun("".join(lines)).replace(_STANDS_IN.format(region.indent), body)
    return source if _parsed(source) is not None else None


_STANDS_IN = "{}pass  # the hint stands here\n"


def _begun(source: str) -> str:
    """The starter of a file, which may have no region left."""
    return starter(source) if "### BEGIN SOLUTION" in source else source


def _parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "hint", "exec", dont_inherit=True)
        except SyntaxError:
            # A `return` is right within a function alone.
            try:
                return tree_of(source)
            except (SyntaxError, ValueError):
                return None
        except ValueError:
            return None
        return tree_of(source)

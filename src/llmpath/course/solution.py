"""The solution regions of `lab.py`: what the learner writes, and what stands there instead.

A region lies between the lines `### BEGIN SOLUTION` and `### END SOLUTION`, inside
a function (or is all of a class). Words after `### BEGIN SOLUTION` become the
learner's TODO line. Nothing here runs the code or reads a file.
"""

from __future__ import annotations

import ast
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from llmpath.course.models import Equivalent, Misconception
from llmpath.course.problems import CourseError, Problem
from llmpath.course.tree import parse as tree_of

_BEGIN = re.compile(r"(?P<indent>[ \t]*)### BEGIN SOLUTION(?:[ \t]+(?P<words>.*\S))?[ \t]*")
_END = re.compile(r"(?P<indent>[ \t]*)### END SOLUTION[ \t]*")
_NEARLY = re.compile(r"#+[ \t]*(begin|end)[ \t_-]*solution", re.IGNORECASE)
_DEFAULT_WORDS = "write this part"
_MARKERS = "Write the markers `### BEGIN SOLUTION` and `### END SOLUTION`, each on its own line."

_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
# A line, what is wrong there, and the mend.
_Flaw = tuple[int, str, str]


@dataclass(frozen=True)
class Region:
    """A part of `lab.py` that the learner writes.

    Attributes:
        start: the line of its BEGIN marker, counted from 1.
        end: the line of its END marker.
        words: what the TODO line tells the learner. Empty where nothing is said.
        name: the function or class that it lies in, such as `Tokenizer.encode`.
        whole_class: whether it is the body of a class rather than part of a function.
        indent: the white space before its markers.
        body: the text between its markers, line endings included.
    """

    start: int
    end: int
    words: str
    name: str
    whole_class: bool
    indent: str
    body: str


@dataclass(frozen=True)
class _Statement:
    """A statement, and the innermost function or class around it (None: the module)."""

    node: ast.stmt
    scope: _Scope | None
    name: str

    @property
    def line(self) -> int:
        decorators = self.node.decorator_list if isinstance(self.node, _Scope) else []
        return min([self.node.lineno, *(decorator.lineno for decorator in decorators)])


def regions(source: str, name: str = "lab.py") -> tuple[Region, ...]:
    """The solution regions of a lab file, in order.

    Args:
        source: the text of `lab.py`. Line endings may be of any kind.
        name: how problems name the file.

    Raises:
        CourseError: the file is not Python, has no region, or has markers that do not
            match, are nested, hold no code or lie outside functions. All are named.
    """
    lines = _lines(source)
    pairs, problems = _pairs(lines, name)
    if problems:
        raise CourseError(problems, "The lab file")
    statements = sorted(_statements(_parse(source, name)), key=lambda statement: statement.line)
    found: list[Region] = []
    for pair in pairs:
        region = _region(lines, statements, pair)
        if isinstance(region, Region):
            found.append(region)
        else:
            line, message, mend = region
            problems.append(Problem(name, line, 0, message, mend))
    if not pairs:
        problems.append(Problem(name, 0, 0, "The file marks no solution region.", _MARKERS))
    if problems:
        raise CourseError(problems, "The lab file")
    return tuple(found)


def starter(source: str, name: str = "lab.py") -> str:
    """What the learner is given: the lab file with a TODO in place of each region.

    Raises:
        CourseError: as `regions` does, or what is left is not Python.
    """
    found = regions(source, name)
    lines = _lines(source)
    for region in reversed(found):
        lines[region.start - 1 : region.end] = _placeholder(region, lines[region.start - 1])
    text = "".join(lines)
    error = _syntax_error(text)
    if error is not None:
        message = f"Without its solution regions the file is not Python: {error.msg}."
        mend = "Let each region hold whole statements, and all of those that belong together."
        raise CourseError([Problem(name, found[0].start, 0, message, mend)], "The lab file")
    return text


def solved(source: str, name: str = "lab.py") -> str:
    """What a learner may compare with: the lab file without the markers of its regions.

    Raises:
        CourseError: as `regions` does.
    """
    lines = _lines(source)
    for region in reversed(regions(source, name)):
        del lines[region.end - 1], lines[region.start - 1]
    return "".join(lines)


def edited(source: str, edit: Misconception | Equivalent, name: str = "lab.py") -> str:
    """The lab file with a known mistake, or an equivalent change, in it.

    Raises:
        CourseError: the text to replace does not occur exactly once.
    """
    newline = "\r\n" if "\r\n" in source else "\n"
    old, new = (
        text.replace("\r\n", "\n").replace("\n", newline) for text in (edit.replace, edit.with_)
    )
    count = source.count(old)
    if count != 1:
        times = "nowhere" if count == 0 else f"{count} times"
        message = f"The text {old!r} stands {times} in the file."
        mend = "Copy a piece of the file that occurs exactly once."
        raise CourseError([Problem(name, 0, 0, message, mend)], "The lab file")
    return source.replace(old, new)


def _lines(source: str) -> list[str]:
    """The lines of a source as Python counts them, each with its own line ending."""
    return list(io.StringIO(source, newline=""))


def _parse(source: str, name: str) -> ast.Module:
    error = _syntax_error(source)
    if error is not None:
        message = f"This is not Python: {error.msg}."
        problem = Problem(name, error.lineno or 0, error.offset or 0, message, "Correct the code.")
        raise CourseError([problem], "The lab file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tree_of(source)


def _syntax_error(source: str) -> SyntaxError | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "lab.py", "exec", dont_inherit=True)
        except SyntaxError as error:
            return error
        except (ValueError, RecursionError, MemoryError) as error:
            return SyntaxError(str(error) or "it is nested too deeply")
    return None


def _pairs(lines: list[str], name: str) -> tuple[list[tuple[int, int]], list[Problem]]:
    """The line numbers of matching markers, and what is wrong with the others."""
    pairs: list[tuple[int, int]] = []
    problems: list[Problem] = []
    opened = 0
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        if _BEGIN.fullmatch(text):
            if opened:
                message = f"A solution region begins inside the one that begins on line {opened}."
                problems.append(Problem(name, number, 0, message, "Close that one first."))
            opened = number
        elif _END.fullmatch(text):
            if opened:
                pairs.append((opened, number))
            else:
                message = "A solution region ends here, but none began."
                problems.append(Problem(name, number, 0, message, _MARKERS))
            opened = 0
        elif _NEARLY.search(text):
            message = "This looks like a marker of a solution region, but is not one."
            problems.append(Problem(name, number, 0, message, _MARKERS))
    if opened:
        message = "The solution region that begins here never ends."
        problems.append(Problem(name, opened, 0, message, "Close it with `### END SOLUTION`."))
    return pairs, problems


def _statements(node: ast.AST, scope: _Scope | None = None, name: str = "") -> Iterator[_Statement]:
    """Every statement with the function or class that it stands in, outer before inner."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue
        if isinstance(child, ast.stmt):
            yield _Statement(child, scope, name)
        if isinstance(child, _Scope):
            inner = f"{name}.{child.name}" if name else child.name
            yield from _statements(child, child, inner)
        else:
            yield from _statements(child, scope, name)


def _region(
    lines: list[str], statements: list[_Statement], pair: tuple[int, int]
) -> Region | _Flaw:
    """The region between two markers, or what is wrong with it."""
    begin, end = pair
    opening = _BEGIN.fullmatch(lines[begin - 1].rstrip("\r\n"))
    closing = _END.fullmatch(lines[end - 1].rstrip("\r\n"))
    assert opening is not None
    assert closing is not None
    indent = opening["indent"]
    if closing["indent"] != indent:
        return end, f"This marker is not indented as its BEGIN on line {begin}.", "Line them up."
    inside = [statement for statement in statements if begin < statement.line < end]
    flaw = _flaw(inside, pair, len(indent))
    if flaw is not None:
        return flaw
    first = inside[0]
    whole_class = isinstance(first.scope, ast.ClassDef)
    if whole_class and not _fills(first.scope, pair):
        message = f"This solution region is a part of the class {first.name}."
        return (
            begin,
            message,
            "Put it inside a method, or around all of the class after its docstring.",
        )
    body = "".join(lines[begin : end - 1])
    return Region(begin, end, opening["words"] or "", first.name, whole_class, indent, body)


def _flaw(inside: list[_Statement], pair: tuple[int, int], indent: int) -> _Flaw | None:
    begin, end = pair
    if all(_says_nothing(statement.node) for statement in inside):
        message = "This solution region holds no code."
        return begin, message, "Put the markers around what the learner is to write."
    for statement in inside:
        if statement.node.col_offset < indent:
            message = "This line is indented less than the region's markers."
            return statement.line, message, "End the region before it, or move the markers out."
        if (statement.node.end_lineno or 0) > end:
            return (
                end,
                "The solution region ends inside a statement.",
                "End it after the statement.",
            )
    if inside[0].scope is None:
        message = (
            "This solution region lies outside functions, so importing the starter would fail."
        )
        return begin, message, "Put it inside a function."
    return None


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass)


def _fills(scope: _Scope | None, pair: tuple[int, int]) -> bool:
    """Whether a region holds all of a class but its docstring."""
    body = scope.body if scope is not None else []
    return all(pair[0] < node.lineno < pair[1] or _says_nothing(node) for node in body)


def _placeholder(region: Region, marker: str) -> list[str]:
    """What stands in the starter instead of a region, with the line ending of its marker."""
    ending = marker[len(marker.rstrip("\r\n")) :] or "\n"
    lines = [f"# TODO: {region.words or _DEFAULT_WORDS}", "raise NotImplementedError"]
    if region.whole_class:
        lines[1:] = ["def __init__(self, *args, **kwargs):", "    raise NotImplementedError"]
    return [region.indent + line + ending for line in lines]

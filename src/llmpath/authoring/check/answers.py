"""Files that are worth nothing score nothing: empty, broken, trivial, or with parts deleted."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator

from llmpath.authoring.check import worthless
from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject, functions
from llmpath.course.tree import parse as tree_of
from llmpath.grading.report import GradeReport

_Function = ast.FunctionDef | ast.AsyncFunctionDef
# What every function that the learner writes does instead; `FIRST` is its first argument.
FIRST = "FIRST"
BODIES = {
    "functions that return None": "return None",
    "functions that return their first argument": f"return {FIRST}",
    "functions that return 0": "return 0",
    "functions that return 1.0": "return 1.0",
    "functions that return True": "return True",
    "functions that return an empty list": "return []",
    "functions that return an empty text": "return ''",
    "functions that raise": "raise RuntimeError('x')",
}
CONSTRUCTOR = "super().__init__()"
RAISE = "raise ValueError('top')\n"


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each check that such a file passes, or that breaks on one."""
    answers = list(_worthless(subject))
    yield from worthless.findings(subject, answers, bench.grade(subject.lab, answers))
    if len(subject.written) > 1:
        yield from _one_deleted(subject, bench)


def _worthless(subject: LabSubject) -> Iterator[Answer]:
    source = subject.solution
    yield Answer("an empty file", "")
    yield Answer("a syntax error", "def broken(:\n")
    yield Answer("a file that raises at its top", raising(source))
    yield Answer("a file without the functions", without(subject, subject.written))
    for name, body in BODIES.items():
        yield Answer(name, trivial(subject, body))


def _one_deleted(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """Each function is missed by a check when it is deleted, and no check breaks on that."""
    answers = [
        Answer(f"a file without `{name}`", without(subject, (name,))) for name in subject.written
    ]
    reports = bench.grade(subject.lab, answers)
    for name, report in zip(subject.written, reports, strict=True):
        if report.passed:
            line = next(node.lineno for found, node in functions(subject.solution) if found == name)
            message = f"No check misses `{name}` when it is deleted."
            mend = "Call it in a check, or give it to the learner."
            yield Finding.of(subject.in_file("lab.py", line, 0, message, mend))
    broken = [_without_passes(report) for report in reports]
    yield from worthless.findings(subject, answers, broken)


def _without_passes(report: GradeReport) -> GradeReport:
    """The report without the checks that have no need of what was deleted."""
    failed = tuple(check for check in report.checks if check.status != "passed")
    return report.model_copy(update={"checks": failed})


def raising(source: str) -> str:
    """The file with an exception raised at its top, after what must stand first in it."""
    tree = _parse(source)
    lines = source.splitlines(keepends=True)
    first = next((node.lineno - 1 for node in tree.body if not _must_be_first(node)), len(lines))
    return "".join([*lines[:first], RAISE, *lines[first:]])


def _must_be_first(node: ast.stmt) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def without(subject: LabSubject, names: tuple[str, ...]) -> str:
    """The solution without some of its functions."""
    return _changed(subject.solution, lambda name, node: None if name in names else node)


def trivial(subject: LabSubject, body: str) -> str:
    """The solution with a body that does nothing in every function that the learner writes.

    A constructor that the learner writes makes an object without attributes, so that there is
    still something whose methods can be called.
    """

    def change(name: str, node: _Function) -> _Function:
        if subject.is_written(node):
            does = CONSTRUCTOR if node.name == "__init__" else body.replace(FIRST, _first(node))
            node.body = tree_of(does).body
        return node

    return _changed(subject.solution, change)


def _first(node: _Function) -> str:
    """The name of a function's first argument, without `self`; None if it has none."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    names += [node.args.vararg.arg] if node.args.vararg is not None else []
    names += [argument.arg for argument in node.args.kwonlyargs]
    return next((name for name in names if name not in ("self", "cls")), "None")


def _changed(source: str, change: Callable[[str, _Function], _Function | None]) -> str:
    """The file with each of its functions and methods changed, or left out."""
    tree = _parse(source)
    _change(tree, "", change)
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _change(
    scope: ast.Module | ast.ClassDef,
    prefix: str,
    change: Callable[[str, _Function], _Function | None],
) -> None:
    body: list[ast.stmt] = []
    for node in scope.body:
        if isinstance(node, ast.ClassDef):
            _change(node, f"{prefix}{node.name}.", change)
        kept = change(prefix + node.name, node) if isinstance(node, _Function) else node
        body += [kept] if kept is not None else []
    scope.body = body or [ast.Pass()]


def _parse(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tree_of(source)

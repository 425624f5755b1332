"""Small changes of a solution: what mutation testing calls mutants.

The changes are mutmut's: its operators go from a node of the code to nodes that might stand there
instead. Here they are applied within the solution regions, one at a time, except where a change
would say nothing about the checks: in annotations, decorators, docstrings, and the words of
exceptions. Mutation testing: DeMillo, Lipton and Sayward, Hints on Test Data Selection, 1978.
"""

from __future__ import annotations

import ast
import difflib
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmpath.course.solution import Region, regions
from llmpath.course.tree import parse as tree_of
from llmpath.errors import LlmpathError

# Any wrong argument of these raises, and so would be noticed by any check.
TRIVIAL_CALLS = ("len", "isinstance")


@dataclass(frozen=True)
class Mutant:
    """The solution with one small change.

    Attributes:
        line, column: where the change is, counted from 1.
        source: the changed file.
        difference: the lines that differ, as `diff` writes them.
    """

    line: int
    column: int
    source: str
    difference: str

    @property
    def mark(self) -> int:
        """A number that depends on the change and on nothing else of the file."""
        return zlib.crc32(self.difference.encode())


def require() -> None:
    """Refuse to go on without what makes mutants.

    Raises:
        LlmpathError: mutmut is not installed.
    """
    _libraries()


def mutants(source: str) -> tuple[Mutant, ...]:
    """Every mutant of a lab's solution, in the order of their places.

    Raises:
        LlmpathError: mutmut is not installed.
    """
    found: list[Mutant] = []
    seen = {_tree(source)}
    for line, column, changed in _changes(source, regions(source)):
        tree = _tree(changed)
        if tree is None or tree in seen:
            continue
        seen.add(tree)
        found.append(Mutant(line, column, changed, difference(source, changed)))
    return tuple(sorted(found, key=lambda mutant: (mutant.line, mutant.column)))


def sample(found: Sequence[Mutant], most: int) -> tuple[Mutant, ...]:
    """At most so many of the mutants, the same ones as long as their lines stay the same."""
    kept = sorted(found, key=lambda mutant: mutant.mark)[:most]
    return tuple(sorted(kept, key=lambda mutant: (mutant.line, mutant.column)))


def difference(source: str, changed: str) -> str:
    """The lines that differ between two texts, with their signs."""
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
    return "\n".join(line for line in list(lines)[2:] if not line.startswith("@@"))


def same(one: str, other: str) -> bool:
    """Whether two files are the same program."""
    return _tree(one) == _tree(other)


def _tree(source: str) -> str | None:
    """The program without its layout; None if it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "lab.py", "exec", dont_inherit=True)
            return ast.dump(tree_of(source))
        except (SyntaxError, ValueError):
            return None


def _changes(source: str, found: tuple[Region, ...]) -> Iterator[tuple[int, int, str]]:
    """The place of each change, and the file with it."""
    libcst, operators = _libraries()
    from libcst.metadata import MetadataWrapper, PositionProvider

    wrapper: Any = MetadataWrapper(libcst.parse_module(source))
    places = wrapper.resolve(PositionProvider)
    for node in _nodes(libcst, wrapper.module):
        place = places.get(node)
        if place is None or not _written(found, place.start.line):
            continue
        for kind, operator in operators:
            if isinstance(node, kind):
                for changed in operator(node):
                    module = wrapper.module.deep_replace(node, changed)
                    yield place.start.line, place.start.column + 1, module.code


def _written(found: tuple[Region, ...], line: int) -> bool:
    return any(region.start < line < region.end for region in found)


Operators = Sequence[tuple[type, Callable[[Any], Iterable[Any]]]]


def _libraries() -> tuple[Any, Operators]:
    try:
        import libcst
        from mutmut.mutation.mutators import mutation_operators
    except ImportError as error:
        raise LlmpathError(
            f"Mutants cannot be made without mutmut ({error}).",
            "pip install 'llmpath[author]' installs it; --quick does without.",
        ) from error
    return libcst, mutation_operators


def _nodes(libcst: Any, node: Any) -> Iterator[Any]:
    """The nodes below a node that are worth changing, outer before inner."""
    skipped = (libcst.Annotation, libcst.Decorator, libcst.Raise)
    if isinstance(node, skipped) or _is_docstring(libcst, node):
        return
    if isinstance(node, libcst.Assert):
        yield from _nodes(libcst, node.test)
        return
    trivial = (
        isinstance(node, libcst.Call)
        and isinstance(node.func, libcst.Name)
        and node.func.value in TRIVIAL_CALLS
    )
    if not trivial:
        yield node
    for child in node.children:
        yield from _nodes(libcst, child)


def _is_docstring(libcst: Any, node: Any) -> bool:
    return isinstance(node, libcst.Expr) and isinstance(
        node.value, libcst.SimpleString | libcst.ConcatenatedString
    )

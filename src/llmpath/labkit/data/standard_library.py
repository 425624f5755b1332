"""Real text that is on every learner's disk: Python's own documentation and source.

The help topics are what `help("topics")` explains; the sources are the modules of the standard
library. Tests, packages that were installed and the bulky tables of the codecs are no part of it.
"""

from __future__ import annotations

import ast
import importlib
import os
import platform
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.labkit.data.corpus import Corpus, Texts, held_out

NAMES = ("python", "python-docs")
LICENCE = "PSF-2.0 (Python Software Foundation License)"
# Folders of the library that are no reading matter: tests, what pip installed, tables of codes,
# and pydoc_data, whose one file is the help topics over again.
LEFT_OUT = {
    "site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "lib2to3",
    "encodings", "pydoc_data", "__pycache__",
}  # fmt: skip
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
LEAST_DOCUMENTED = 200  # characters of docstrings below which a module has no documentation


def corpus(name: str) -> Corpus:
    """Python's documentation with its source, or the documentation alone.

    What is held out of one is held out of the other: a module's docstrings follow its source.

    Args:
        name: one of `NAMES`.

    Raises:
        LlmpathError: if this Python came without either.
    """
    try:
        parts = [held_out(read, "This Python") for read in (topics, sources)]
    except LlmpathError as error:
        raise LlmpathError(
            "This Python comes without its help topics or without the source of its standard "
            "library, so there is nothing to read.",
            "Install the package of your system that holds them, or give a folder of texts.",
        ) from error
    what, join = {
        "python": ("help topics and source", _in_turn),
        "python-docs": ("help topics and docstrings", _documentation),
    }[name]
    train, validation = (Texts(partial(join, *side)) for side in zip(*parts, strict=True))
    title = f"Python {platform.python_version()}: {what} of the standard library"
    return Corpus(name, title, LICENCE, train, validation)


def _in_turn(topics: Texts, sources: Texts) -> Iterator[str]:
    """Help topics and source files in turn, until both are used up."""
    for pair in zip_longest(topics, sources):
        yield from (document for document in pair if document)


def _documentation(topics: Texts, sources: Texts) -> Iterator[str]:
    """The help topics, then the docstrings of each module, parted by blank lines."""
    yield from topics
    for source in sources:
        documented = "\n\n".join(docstrings(source))
        if len(documented) >= LEAST_DOCUMENTED:
            yield documented


def topics() -> Iterator[str]:
    """What `help("topics")` can explain, in the order of the names."""
    try:
        found: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        return
    for name in sorted(found):
        yield found[name]


def sources() -> Iterator[str]:
    """The modules of the standard library: those that are one file first, then the packages'."""
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(_modules(library), key=lambda path: (len(path.parts), path.parts)):
        try:
            with tokenize.open(library / path) as file:  # in the encoding that the file declares
                source = file.read()
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue
        if source.strip():
            yield source


def _modules(library: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        inside = Path(folder).relative_to(library)
        yield from (inside / name for name in names if name.endswith(".py"))


def docstrings(source: str) -> Iterator[str]:
    """The docstrings of one module, its own first; none if this Python cannot parse it."""
    try:
        with warnings.catch_warnings(action="ignore"):
            waiting: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError):
        return
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield text
        # No definition stands inside an expression, and most of a tree is expressions.
        inside = [child for child in ast.iter_child_nodes(node) if isinstance(child, STATEMENTS)]
        waiting += reversed(inside)

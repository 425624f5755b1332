"""What a lab's files import, and loading it ahead of the gradings that need it."""

from __future__ import annotations

import ast
import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmpath.course.tree import parse as tree_of
from llmpath.grading.children import Role

FILES: dict[Role, str] = {"judge": "checks.py", "worker": "lab.py"}


def imports_of(lab_folder: Path) -> dict[Role, tuple[str, ...]]:
    """For each role, what its file of a lab imports anywhere, but for the standard library.

    A module is given by its name, and what is taken from it as `module:name`.
    """
    found: dict[Role, tuple[str, ...]] = {}
    for role, file in FILES.items():
        names = set(_imports(lab_folder / file))
        if any(name.split(":")[0].split(".")[0] == "torch" for name in names):
            names.add("safetensors.torch")  # how tensors travel
        found[role] = tuple(sorted(names))
    return found


def _imports(file: Path) -> Iterator[str]:
    try:
        tree = tree_of(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # it is missed where it is used, with a message of its own
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            module = node.module
            names = [module, *(f"{module}:{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(":")[0].split(".")[0] not in _STANDARD)


_STANDARD = sys.stdlib_module_names


def load(names: Iterable[str]) -> None:
    """Import modules, and look up `module:name`: some packages load a part when asked for it."""
    for name in names:
        module, _, part = name.partition(":")
        # What is missing is missed where it is used, with a message of its own.
        with contextlib.suppress(Exception):
            loaded = importlib.import_module(module)
            if part and part != "*" and not hasattr(loaded, part):
                importlib.import_module(f"{module}.{part}")
    if "numpy" in sys.modules:
        # numpy loads it when it is first asked for, and then it has not been seeded.
        importlib.import_module("numpy.random")

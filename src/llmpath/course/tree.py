"""Python source as a syntax tree, one thread at a time.

Python 3.11 counts the depth of a tree that it is building for all threads together, so that two
of them at once can end in "AST constructor recursion depth mismatch".
"""

from __future__ import annotations

import ast
import threading

_LOCK = threading.Lock()


def parse(source: str | bytes) -> ast.Module:
    """The tree of a module; raises as `ast.parse` does."""
    with _LOCK:
        return ast.parse(source)

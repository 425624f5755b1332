"""The learner's file as a module of the worker."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def require_python(path: Path) -> None:
    """Raise `SyntaxError` for a file that is no Python, whatever is the matter with it."""
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except ValueError as error:  # before Python 3.12, NUL bytes; undecodable text
        raise SyntaxError(str(error), (str(path), 1, None, "")) from None


def import_file(path: Path) -> ModuleType:
    """Import one file under its own name; a module of the same name elsewhere is hidden."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module

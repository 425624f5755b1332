"""The thread through the course: `earlier("attention")` is the learner's own module.

Which file stands for which lab (the learner's once it passes, the reference until then)
is decided by whoever starts the process, and told to `configure`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

_files: dict[str, Path] = {}


def configure(files: Mapping[str, str]) -> None:
    """Set the file that stands for each earlier lab."""
    _files.clear()
    _files.update((lab, Path(path)) for lab, path in files.items())


def earlier(lab: str) -> ModuleType:
    """The module of an earlier lab: the learner's own once it passes, else the reference.

    Args:
        lab: the id of a lab that this lab's `uses` lists, itself or through another.

    Raises:
        ImportError: if the lab is not among them.
    """
    if lab not in _files:
        known = ", ".join(sorted(_files)) or "none"
        raise ImportError(
            f"earlier({lab!r}): this lab does not use a lab of that name (it uses: {known}). "
            "Add it to `uses` in lab.yaml."
        )
    name = f"earlier.{lab.replace('-', '_')}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, _files[lab])
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]

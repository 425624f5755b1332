"""Where a file is, as a person would type it."""

from __future__ import annotations

import os
from pathlib import Path


def seen_from(path: Path, folder: Path | None = None) -> str:
    """The path from a folder, the current one if none is given; whole if it is on another drive."""
    try:
        return os.path.relpath(path, folder or os.curdir)
    except ValueError:  # another drive, on Windows
        return os.path.abspath(path)

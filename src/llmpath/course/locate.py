"""Where the course is: named, in the environment, in the installed package, or around it."""

from __future__ import annotations

import os
from pathlib import Path

from llmpath.errors import LlmpathError

VARIABLE = "LLMPATH_COURSE"
PACKAGE = Path(__file__).resolve().parent.parent


def locate(explicit: Path | None = None) -> Path:
    """The folder of the course, which holds `curriculum/path.yaml` and `labs/`.

    Args:
        explicit: a folder that the user named. It wins over everything else, and is
            never replaced by another where it is not a course.

    Raises:
        LlmpathError: the named folder is not a course, or there is none anywhere.
    """
    if explicit is not None:
        return _named(explicit, "--course")
    if variable := os.environ.get(VARIABLE, "").strip():
        return _named(Path(variable), VARIABLE)
    if (found := bundled()) is not None:
        return found
    packaged = PACKAGE / "_course"
    raise LlmpathError(
        f"No course was found. These places were tried: {packaged} and the folders above "
        f"{PACKAGE}.",
        f"Name the folder that holds curriculum/ and labs/ with --course PATH or {VARIABLE}.",
    )


def bundled() -> Path | None:
    """The course that comes with this llmpath: in its package, or in the checkout around it."""
    candidates = [PACKAGE / "_course", *PACKAGE.parents]
    return next((folder for folder in candidates if is_course(folder)), None)


def around(folder: Path) -> Path | None:
    """The course that a folder is, or is a part of; None if it is neither."""
    root = Path(os.path.abspath(folder))
    return next((parent for parent in (root, *root.parents) if is_course(parent)), None)


def is_course(folder: Path) -> bool:
    """Whether a folder looks like a course from outside."""
    return (folder / "curriculum" / "path.yaml").is_file() and (folder / "labs").is_dir()


def _named(folder: Path, origin: str) -> Path:
    root = Path(os.path.abspath(folder.expanduser()))
    if is_course(root):
        return root
    nearby = around(root)
    if nearby is not None:
        raise LlmpathError(
            f"{root}, named by {origin}, is a part of a course, not the whole of it.",
            f"Name the folder above it: {nearby}",
        )
    raise LlmpathError(
        f"{_lack(root)} It was named by {origin}.",
        "Name the folder that holds curriculum/ and labs/.",
    )


def _lack(root: Path) -> str:
    """What a folder lacks to be a course, as a sentence."""
    if not root.exists():
        return f"There is no folder {root}."
    if not root.is_dir():
        return f"{root} is a file, not the folder of a course."
    missing = "curriculum/path.yaml"
    if (root / "curriculum" / "path.yaml").is_file():
        missing = "the folder labs/"
    return f"{root} is not a course: it has no {missing}."

"""Where a course comes from when it is named: a folder, a git URL, or an installed package.

A package offers a course by an entry point in the group `llmpath.courses`, whose name is the
course's and whose value is a package with `curriculum/` and `labs/` in its folder:

    [project.entry-points."llmpath.courses"]
    my-course = "my_course"
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from llmpath.course.locate import is_course, locate
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# What fetches and finds courses is imported where it is used: a workspace only knows an origin.
GROUP = "llmpath.courses"
# `git@host:path`, as ssh has it. A single letter before the colon is a drive of Windows.
_REMOTE = re.compile(r"[A-Za-z0-9._~-]+@[A-Za-z0-9.-]+:.+|[a-z][a-z0-9+.-]+://.+|.+\.git/?")


class Kind(StrEnum):
    """What a name of a course is."""

    FOLDER = "folder"
    GIT = "git"
    PACKAGE = "package"


@dataclass(frozen=True)
class Origin:
    """Where a course comes from.

    Attributes:
        name: as it was named: a path, a URL, or the name of an installed course.
        version: the version of the package that offers it; "" for other kinds.
    """

    kind: Kind
    name: str
    version: str = ""


def origin(name: str) -> Origin:
    """What a name means. Nothing is fetched, and no code of the course is run.

    Raises:
        LlmpathError: it is neither a folder, nor a git URL, nor an installed course.
    """
    folder = Path(name).expanduser()
    if is_course(folder):
        return Origin(Kind.FOLDER, name)
    if _REMOTE.fullmatch(name):
        return Origin(Kind.GIT, name)
    if (found := _offered().get(name)) is not None:
        return Origin(Kind.PACKAGE, name, found.dist.version if found.dist is not None else "")
    if folder.exists() or set(name) & {"/", "\\", "."}:
        locate(folder)  # says what it lacks
    raise LlmpathError(
        f"There is no course {name!r}: neither a folder nor an installed package has that name.",
        _installed_hint(),
    )


def folder_of(source: Origin, *, fetch: bool = False) -> Path:
    """The folder of a course.

    Args:
        source: where it comes from.
        fetch: get it from git if that was not done yet.

    Raises:
        LlmpathError: it cannot be fetched or found, or what is there is no course.
    """
    if source.kind is Kind.PACKAGE:
        return _package_folder(source.name)
    if source.kind is Kind.FOLDER:
        return locate(Path(source.name))
    clone = _clone(source.name)
    if not clone.exists():
        if not fetch:
            raise LlmpathError(
                f"The course {source.name} is not on this machine.",
                f"llmpath init DIR --course {source.name} fetches it; in a workspace of it, "
                "llmpath upgrade does.",
            )
        _fetch(source.name, clone)
    return _within(clone, source.name)


def refresh(source: Origin, usable: Callable[[Path], object]) -> None:
    """Bring the clone of a course from git to its newest version.

    Args:
        source: where it comes from.
        usable: raises an `LlmpathError` for a folder whose course cannot be used; the clone
            then goes back to the version that it was.
    """
    from llmpath.course import repository

    clone = _clone(source.name)
    if not clone.exists():
        _fetch(source.name, clone)
        return
    before = repository.commit(clone)
    repository.pull(clone)
    try:
        usable(_within(clone, source.name))
    except LlmpathError as error:
        repository.move(clone, before)
        raise LlmpathError(
            f"The newest version of the course cannot be used, so the one before it is kept. "
            f"{error.message}",
            "Tell its author, and upgrade later.",
        ) from error


def _clone(url: str) -> Path:
    import zlib

    import platformdirs

    name = re.sub(r"[^A-Za-z0-9_-]+", "-", url.rstrip("/").removesuffix(".git").rpartition("/")[2])
    folder = Path(platformdirs.user_data_dir("llmpath", appauthor=False)) / "courses"
    return folder / f"{name or 'course'}-{zlib.crc32(url.encode()):08x}"


def _fetch(url: str, clone: Path) -> None:
    """Clone beside the place, so that a clone that is there is whole."""
    import contextlib
    import shutil
    import tempfile

    from llmpath.course import repository

    try:
        clone.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{clone.name}-", dir=clone.parent))
    except OSError as error:
        raise LlmpathError(f"{clone.parent} cannot be written: {error.strerror}.") from error
    try:
        repository.clone(url, scratch / "clone")
        _within(scratch / "clone", url)
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(scratch / "clone", clone)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _within(clone: Path, url: str) -> Path:
    """The course in a clone: the whole of it, or one of its folders."""
    candidates = [clone, *sorted(path for path in clone.glob("*") if path.is_dir())]
    for folder in candidates:
        if is_course(folder):
            return folder
    raise LlmpathError(
        f"{url} holds no course: no folder in it has curriculum/path.yaml and labs/.",
        "Name the repository of a course.",
    )


def _offered() -> dict[str, EntryPoint]:
    """The courses that installed packages offer, by name."""
    from importlib.metadata import entry_points

    return {found.name: found for found in entry_points(group=GROUP)}


def _package_folder(name: str) -> Path:
    found = _offered().get(name)
    if found is None:
        message = f"The course {name!r} is not installed any more."
        raise LlmpathError(message, _installed_hint())
    import importlib.util

    # For a package that is in no other, this looks at the disk and imports nothing.
    spec = importlib.util.find_spec(found.module)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    for place in places:
        if is_course(Path(place)):
            return Path(place)
    raise LlmpathError(
        f"The installed course {name!r} has no curriculum/path.yaml and labs/ in the package "
        f"{found.module!r}.",
        "That is for its author to mend.",
    )


def _installed_hint() -> str:
    names = ", ".join(sorted(_offered()))
    offered = f"Installed courses: {names}. " if names else ""
    return f"{offered}A folder is named by its path, a repository by its URL."

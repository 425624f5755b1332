"""Artefacts of the reference, kept in the user's cache and shared by all workspaces.

Each is the run folder of a lab's experiment on the reference, under the fingerprint of all
that it was made from. A folder gets its name when it is complete, so a killed build leaves
nothing that could be taken for a whole one; a lock makes two builders take turns.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from llmpath.artefacts.recipe import Variant, fingerprint
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError

UNUSED_DAYS = 30
_DAY = 86_400.0
_POLL = 0.2  # seconds


def cache_folder() -> Path:
    """Where the reference's artefacts are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("llmpath", appauthor=False)) / "artefacts"


def build_folder(course: Course, lab: Lab, variant: Variant) -> Path:
    """Where what a lab's reference makes is kept, or would be."""
    return cache_folder() / f"{lab.id}-{fingerprint(course, lab, variant)[:16]}"


def find(course: Course, name: str, variant: Variant) -> Path | None:
    """The folder of an artefact of the reference, or None if it is not made yet."""
    path = build_folder(course, course.maker_of(name), variant) / name
    if not path.exists():
        return None
    with contextlib.suppress(OSError):
        os.utime(path.parent)  # what is used is not old
    return path


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path]:
    """A folder to build in, which becomes `target` if all goes well.

    Hold the lock (`locked`) meanwhile.

    Raises:
        LlmpathError: if the cache cannot be written.
    """
    partial = target.with_name(f".{target.name}.building")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.replace(target)
        _forget_unused(target.parent)
    except OSError as error:
        raise LlmpathError(
            f"The artefacts of the reference cannot be kept in {target.parent}: "
            f"{error.strerror or error}.",
            "Make room there, and see that you may write.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def locked(target: Path) -> Generator[None, None, contextlib.ExitStack]:
    """Take the lock on a build; yields now and then while another process holds it.

    Returns:
        What to close when the build is done.
    """
    from filelock import FileLock, Timeout

    lock = target.with_name(f".{target.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LlmpathError(
            f"{lock.parent} cannot be made: {error.strerror or error}.",
            "See that you may write there.",
        ) from error
    stack = contextlib.ExitStack()
    while True:
        try:
            stack.enter_context(FileLock(lock).acquire(timeout=0))
        except Timeout:
            yield
            time.sleep(_POLL)
        else:
            return stack


def _forget_unused(folder: Path) -> None:
    """Remove what was not used for a month: each change of a lab makes new artefacts."""
    limit = time.time() - UNUSED_DAYS * _DAY
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.is_dir() and path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)

"""Artefacts of the reference, kept in the user's cache and shared by all workspaces.

Each is the run folder of a lab's experiment on the reference, under the fingerprint of all
that it was made from. A folder gets its name when it is complete, so a killed build leaves
nothing that could be taken for a whole one; a lock makes two builders take turns. It lists its
files, and one that was damaged since is made anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from llmpath.artefacts.recipe import Variant, fingerprint
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.inventory import holds, inventory
from llmpath.running.folder import said_in

FILES = "files.json"  # the inventory of a build
UNUSED_DAYS = 30
_DAY = 86_400.0


def cache_folder() -> Path:
    """Where the reference's artefacts are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("llmpath", appauthor=False)) / "artefacts"


def build_folder(course: Course, lab: Lab, variant: Variant) -> Path:
    """Where what a lab's reference makes is kept, or would be."""
    return cache_folder() / f"{lab.id}-{fingerprint(course, lab, variant)[:16]}"


def find(course: Course, name: str, variant: Variant) -> Path | None:
    """The folder of an artefact of the reference; None if it is not made yet, or damaged."""
    build = build_folder(course, course.maker_of(name), variant)
    if not is_whole(build) or not (build / name).exists():
        return None
    with contextlib.suppress(OSError):
        os.utime(build)  # what is used is not old
    return build / name


def is_whole(build: Path) -> bool:
    """Whether a build is there, with all files as they were when it was made."""
    files = said_in(build / FILES)
    return bool(files) and holds(build, files)


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path]:
    """A folder to build in, which replaces `target` if all goes well.

    Hold the `lock` meanwhile.

    Raises:
        LlmpathError: if the cache cannot be written.
    """
    partial = target.with_name(f".{target.name}.building")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        (partial / FILES).write_text(json.dumps(inventory(partial), indent=2), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
        _forget_unused(target.parent)
    except OSError as error:
        raise _unwritable(target.parent, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def lock(target: Path) -> contextlib.AbstractContextManager[object] | None:
    """Take the lock on a build, to be used as a context; None while another process holds it.

    Raises:
        LlmpathError: if the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # What `acquire` gives back releases at its end what was acquired here. The lock as a
        # context would be acquired twice, and stay held for as long as anything knows of it.
        return FileLock(target.with_name(f".{target.name}.lock")).acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise _unwritable(target.parent, error) from error


def adopt(course: Course, lab: Lab, variant: Variant, run_folder: Path) -> None:
    """Keep what a finished run of the reference made, unless the same is kept already.

    Raises:
        LlmpathError: if the cache cannot be written.
    """
    target = build_folder(course, lab, variant)
    held = lock(target)
    if held is None:
        return  # another process is making the same
    with held:
        if not is_whole(target):
            with building(target) as partial:
                shutil.copytree(run_folder, partial, dirs_exist_ok=True)


def _unwritable(folder: Path, error: OSError) -> LlmpathError:
    return LlmpathError(
        f"The artefacts of the reference cannot be kept in {folder}: {error.strerror or error}.",
        "Make room there, and see that you may write.",
    )


def _forget_unused(folder: Path) -> None:
    """Remove what was not used for a month: each change of a lab makes new artefacts."""
    limit = time.time() - UNUSED_DAYS * _DAY
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.is_dir() and path.stat().st_mtime < limit:
                shutil.rmtree(path, ignore_errors=True)

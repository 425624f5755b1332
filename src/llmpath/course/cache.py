"""A loaded course, kept between commands, so that `llmpath next` need not parse it again.

Only a course without problems is kept, under the user's cache folder, with a
fingerprint of every file that it was made from. What cannot be read, does not
match or cannot be written is as good as not there: the course is parsed again.
"""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

import llmpath
from llmpath.course.course import Course, Stage
from llmpath.course.models import Lab, Line, Model, Standards, Step, Topic

FOLDERS = ("curriculum", "labs")
SUFFIXES = (".yaml", ".yml", ".md", ".py")
KEPT = 16
# A file that was changed just now could change again without its time stamp showing it.
SETTLED_SECONDS = 2.0


class StoredStage(Model):
    """A stage as it is kept."""

    id: str
    title: str
    about: str
    steps: tuple[Step, ...]


class StoredCourse(Model):
    """A course as it is kept: all but where it is."""

    title: Line
    version: str
    stages: tuple[StoredStage, ...]
    labs: tuple[Lab, ...]
    topics: tuple[Topic, ...]
    standards: Standards = Standards()
    tour: tuple[Line, ...] = ()


def fingerprint(root: Path) -> str:
    """A line of text that changes when a file of the course, or the code that loads it, does.

    It holds the name, size and times of every file, and nothing of the contents.
    """
    states = [f"{llmpath.__version__} {os.path.abspath(root)}"]
    states += _states(Path(__file__).parent, ("",))
    states += _states(root, FOLDERS)
    # Escaped, because a file name may hold a line end, which ends the fingerprint in the cache.
    return "|".join(states).encode("unicode_escape").decode("ascii")


def recall(root: Path, mark: str) -> Course | None:
    """The course that was kept for this folder, if it has this fingerprint."""
    try:
        stored_mark, _, body = _file(root).read_bytes().partition(b"\n")
        if stored_mark.decode("ascii", "replace") != mark:
            return None
        stored = StoredCourse.model_validate_json(body)
    except (OSError, ValidationError, RecursionError):
        return None
    stages = tuple(
        Stage(stage.id, stage.title, stage.about, stage.steps) for stage in stored.stages
    )
    labs = {lab.id: lab for lab in stored.labs}
    return Course(
        root,
        stored.title,
        stored.version,
        stages,
        labs,
        stored.topics,
        stored.standards,
        stored.tour,
    )


def keep(course: Course, mark: str) -> None:
    """Keep a course under the fingerprint that its folder had before it was read."""
    if not _settled(course.root):
        return
    stored = StoredCourse(
        title=course.title,
        version=course.version,
        stages=tuple(
            StoredStage(id=stage.id, title=stage.title, about=stage.about, steps=stage.steps)
            for stage in course.stages
        ),
        labs=tuple(course.labs.values()),
        topics=course.topics,
        standards=course.standards,
        tour=course.tour,
    )
    body = stored.model_dump_json(by_alias=True, exclude_defaults=True).encode()
    with contextlib.suppress(OSError):
        _write(_file(course.root), mark.encode() + b"\n" + body)


def _states(root: Path, folders: tuple[str, ...]) -> Iterator[str]:
    for folder in folders:
        for name, entry in _entries(root / folder, folder):
            with contextlib.suppress(OSError):
                status = entry.stat()
                yield f"{name} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _entries(
    folder: Path | str, name: str, depth: int = 2
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files of a folder and of the folders in it, in a fixed order."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = f"{name}/{entry.name}"
        if entry.name.endswith(SUFFIXES):
            yield path, entry
        elif depth > 1 and not entry.name.startswith((".", "_")) and entry.is_dir():
            yield from _entries(entry.path, path, depth - 1)


def _settled(root: Path) -> bool:
    newest = 0.0
    for folder in FOLDERS:
        for _, entry in _entries(root / folder, folder):
            with contextlib.suppress(OSError):
                newest = max(newest, entry.stat().st_mtime)
    return newest < time.time() - SETTLED_SECONDS


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("llmpath", appauthor=False)) / "courses"


def _file(root: Path) -> Path:
    # Two folders of one checksum only take turns: the fingerprint names the folder in full.
    checksum = zlib.crc32(os.fsencode(os.path.abspath(root)))
    return _folder() / f"{checksum:08x}.json"


def _write(file: Path, content: bytes) -> None:
    """Put a file in place whole, and take out the oldest beyond the number that is kept."""
    import tempfile

    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".new")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    kept = sorted(file.parent.iterdir(), key=lambda other: other.stat().st_mtime, reverse=True)
    for old in kept[KEPT:]:
        old.unlink(missing_ok=True)

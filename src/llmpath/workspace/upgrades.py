"""A learner's files brought to a newer version of the course, with nothing of theirs lost.

Each file is merged in three ways: the starter that it is based on, the newer starter, and what
the learner made of the first. Where both changed the same lines, both are left in the file
between markers. Everything that is replaced has its snapshot first, and one undo takes all of
it back. A file whose lab is gone is left alone.

Three-way merge by lines is diff3 (Khanna, Kunal and Pierce, "A Formal Investigation of Diff3",
2007), here as the library merge3 does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.workspace import events, files
from llmpath.workspace.folder import Workspace, keep_settings, labs_of, starter_of
from llmpath.workspace.starters import Starter

YOURS, THEIRS = b"yours", b"the course"
_START, _MIDDLE, _END = b"<<<<<<< ", b"=======", b">>>>>>> "
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Outcome(StrEnum):
    """What an upgrade does with one file."""

    SAME = "same"  # nothing: the starter has not changed, or the file has the change already
    NEW = "new"  # there was no file; it is the newer starter
    REPLACED = "replaced"  # it was the untouched old starter; it is the newer one
    MERGED = "merged"  # it holds the learner's changes and the course's
    CONFLICT = "conflict"  # both changed the same lines: it holds both, between markers
    UNKNOWN = "unknown"  # nothing: what it is based on is not known
    GONE = "gone"  # nothing: the course no longer has its lab


@dataclass(frozen=True)
class FileUpgrade:
    """What an upgrade does, or would do, with one file.

    Attributes:
        lab: the id of its lab.
        path: where it is, or will be.
        conflicts: the lines on which an opening marker stands, counted from 1.
        moved_from: where it was before, if the course has moved it; that file is left alone.
    """

    lab: str
    path: Path
    outcome: Outcome
    conflicts: tuple[int, ...] = ()
    moved_from: Path | None = None


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did, or would do."""

    old_version: str
    new_version: str
    files: tuple[FileUpgrade, ...]

    @property
    def changes(self) -> bool:
        """Whether any file becomes another."""
        return any(file.outcome in _WRITTEN for file in self.files)


_WRITTEN = (Outcome.NEW, Outcome.REPLACED, Outcome.MERGED, Outcome.CONFLICT)


@dataclass(frozen=True)
class _Work:
    """What is to be done with one file.

    Attributes:
        place: where it is, relative to the workspace, with forward slashes.
        before: what stands there; None for no file.
        after: what is to stand there; None leaves it as it is.
        starter: what it is based on from then on.
        known: whether it was known what it is based on.
        rebased: whether that was another starter.
    """

    told: FileUpgrade
    place: str
    before: bytes | None
    after: bytes | None
    starter: bytes
    known: bool
    rebased: bool


def upgrade(workspace: Workspace, course: Course, *, rehearse: bool = False) -> Upgrade:
    """Bring every file of a workspace to the course as it is now.

    Args:
        workspace: the learner's.
        course: the newer version of its course.
        rehearse: say what would be done, and do nothing.

    Raises:
        LlmpathError: a file cannot be read or written, or a snapshot is gone. Nothing has been
            changed then.
    """
    pending: list[files.Staged] = []
    try:
        with workspace.log.writing() as writing:
            own = [event for event in writing.events() if event.workspace == workspace.id]
            based_on = workspace.starters.based_on(own)
            works = [_work(workspace, course, lab, based_on) for lab in labs_of(course)]
            gone = tuple(_gone(workspace, course, based_on))
            told = (*(work.told for work in works), *gone)
            done = Upgrade(workspace.course_version, course.version, told)
            if rehearse:
                return done
            if done.changes:
                event = _event(workspace, course, works, pending)
                writing.append(*workspace.mark([event]))
    except BaseException:
        for staged in pending:
            staged.discard()
        raise
    for staged in pending:
        staged.commit()
    _settle(workspace, course, works)
    return done


def _work(workspace: Workspace, course: Course, lab: Lab, based_on: dict[str, Starter]) -> _Work:
    """What is to be done with the file of one lab."""
    path = workspace.file(course, lab)
    place = path.relative_to(workspace.root).as_posix()
    base, theirs = based_on.get(lab.id), starter_of(course, lab)
    before = ours = files.read(path)
    moved_from = None
    if ours is None and base is not None and base.place not in ("", place):
        ours = files.read(workspace.root / base.place)
        moved_from = workspace.root / base.place if ours is not None else None
    after, outcome, conflicts = _outcome(base, ours, theirs, course.version)
    if moved_from is not None and after is None:
        after, outcome = ours, Outcome.MERGED
    told = FileUpgrade(lab.id, path, outcome, conflicts, moved_from)
    if outcome is Outcome.UNKNOWN and workspace.course_version == course.version:
        # Made by an llmpath that did not keep starters, from the course as it is now.
        told = replace(told, outcome=Outcome.SAME)
    rebased = base is not None and base.content != theirs
    return _Work(told, place, before, after, theirs, base is not None, rebased)


def _outcome(
    base: Starter | None, ours: bytes | None, theirs: bytes, version: str
) -> tuple[bytes | None, Outcome, tuple[int, ...]]:
    """What a file becomes (None: it stays), what that is called, and where it conflicts."""
    if ours is None:
        return theirs, Outcome.NEW, ()
    if ours == theirs or (base is not None and base.content == theirs):
        return None, Outcome.SAME, ()
    if base is None:
        return None, Outcome.UNKNOWN, ()
    if ours == base.content:
        return theirs, Outcome.REPLACED, ()
    merged, conflicts = merge(base.content, ours, theirs, version)
    if merged == ours:
        return None, Outcome.SAME, ()
    return merged, Outcome.CONFLICT if conflicts else Outcome.MERGED, conflicts


def merge(base: bytes, ours: bytes, theirs: bytes, version: str) -> tuple[bytes, tuple[int, ...]]:
    """A file with the changes of both sides, and the lines where they conflict, from 1.

    Line endings and a byte order mark are as in `ours`.

    Args:
        base: what both sides began with.
        ours: the learner's file.
        theirs: the newer starter.
        version: the version of the course, for the markers.
    """
    from merge3 import Merge3

    mark = _BYTE_ORDER_MARK if ours.startswith(_BYTE_ORDER_MARK) else b""
    windows = ours.count(b"\r\n") * 2 > ours.count(b"\n")
    mine = ours.removeprefix(mark)
    name = THEIRS + b", version " + version.encode()
    merged = list(
        Merge3(_lines(base), _lines(mine), _lines(theirs)).merge_lines(
            name_a=YOURS,
            name_b=name,
            start_marker=_START.strip(),
            mid_marker=_MIDDLE,
            end_marker=_END.strip(),
            reprocess=True,
        )
    )
    opening = _START + YOURS + b"\n"
    conflicts = tuple(number for number, line in enumerate(merged, start=1) if line == opening)
    text = b"".join(merged)
    return mark + (text.replace(b"\n", b"\r\n") if windows else text), conflicts


def _lines(text: bytes) -> list[bytes]:
    """The lines of a text, each with the same ending, the last one too."""
    lines = text.replace(b"\r\n", b"\n").splitlines(keepends=True)
    return [line if line.endswith(b"\n") else line + b"\n" for line in lines]


def _gone(
    workspace: Workspace, course: Course, based_on: dict[str, Starter]
) -> Iterator[FileUpgrade]:
    """The files whose lab the course no longer has."""
    for lab, starter in based_on.items():
        path = workspace.root / starter.place
        if lab not in course.labs and starter.place and path.exists():
            yield FileUpgrade(lab, path, Outcome.GONE)


def _event(
    workspace: Workspace, course: Course, works: list[_Work], pending: list[files.Staged]
) -> events.Event:
    """Keep everything that the event tells of, and prepare the files."""
    told = []
    for work in works:
        if work.after is None and not work.rebased:
            continue
        keep = workspace.snapshots.keep
        before = None if work.before is None else keep(work.before)
        after = before if work.after is None else keep(work.after)
        part = {"lab": work.told.lab, "file": work.place, "before": before, "after": after}
        if work.after is not None:
            pending.append(files.stage(work.told.path, work.after))
        told.append({**part, "starter": keep(work.starter)})
    return events.upgraded(workspace.course_version, course.version, told)


def _settle(workspace: Workspace, course: Course, works: list[_Work]) -> None:
    """Remember the version, and the starters of files of which nothing was known."""
    for work in works:
        if not work.known and work.after is None:
            workspace.starters.keep(work.told.lab, work.place, work.starter)
    keep_settings(replace(workspace, course_version=course.version))

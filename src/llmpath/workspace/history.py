"""Replacing a learner's file, and stepping back and forth through what was done.

Whatever a learner's file holds is kept as a snapshot before anything takes its place.
The order is always the same: snapshot, new content on the disk beside the file, event
recorded, rename. A kill leaves the old file or the new one, and never a replaced file
of which the log knows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.workspace import events, files
from llmpath.workspace.events import Event
from llmpath.workspace.folder import Workspace, starter_of
from llmpath.workspace.progress import UNDOABLE

_FILE_CHANGES = frozenset({events.RESET, events.RESTORE, events.UPGRADE})


@dataclass(frozen=True)
class ChangedFile:
    """A learner's file that a command was about.

    Attributes:
        changed: whether it is now another (False: it already was what it should be).
        snapshot: where a copy is of what stood in it before, if anything did.
        removed: whether it is gone now.
    """

    path: Path
    changed: bool
    snapshot: Path | None = None
    removed: bool = False


@dataclass(frozen=True)
class Change:
    """What a command here did.

    Attributes:
        action: `reset`, `restore`, `undo` or `redo`.
        kind: the kind of event that was done, undone or done again.
        step: the id of its step; None for an upgrade, which is about many.
        files: the learner's files that it is about.
    """

    action: str
    kind: str
    step: str | None
    files: tuple[ChangedFile, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any file is now another."""
        return any(file.changed for file in self.files)


@dataclass(frozen=True)
class _History:
    """What can be undone here, and what can be redone; the next one of each comes last.

    `undone` pairs each undo with the event that it undid.
    """

    actions: tuple[Event, ...]
    undone: tuple[tuple[Event, Event], ...]


@dataclass(frozen=True)
class _Move:
    """One step in the history.

    Attributes:
        target: the event undone or done again.
        digests: the snapshot that each of its files becomes; None if the file is to be gone.
        event: makes the event that records the move.
    """

    action: str
    target: Event
    digests: tuple[str | None, ...]
    event: Callable[..., Event]


def reset(workspace: Workspace, course: Course, lab: Lab) -> Change:
    """Bring a lab's starter file back; what stood there is kept and can be undone to."""
    return _put(workspace, course, lab, events.RESET, starter_of(course, lab))


def restore(workspace: Workspace, course: Course, lab: Lab, content: bytes) -> Change:
    """Put other content into a lab's file; what stood there is kept and can be undone to."""
    return _put(workspace, course, lab, events.RESTORE, content)


def undo(workspace: Workspace, course: Course) -> Change:
    """Take back the last thing done in this workspace that can be taken back.

    Those are skipping and its opposite, looking at a solution, and replacing a file.
    Gradings, quiz answers and hints are facts and stay.

    Raises:
        LlmpathError: there is nothing to undo, or the file cannot be brought back.
    """
    return _step(workspace, course, _last_action)


def redo(workspace: Workspace, course: Course) -> Change:
    """Take back the last undo, as long as nothing else was done since.

    A file becomes again what it was before that undo, later edits included.

    Raises:
        LlmpathError: there is nothing to redo, or the file cannot be brought back.
    """
    return _step(workspace, course, _last_undo)


def _put(workspace: Workspace, course: Course, lab: Lab, kind: str, content: bytes) -> Change:
    path, step = workspace.file(course, lab), course.step_of(lab).id
    before = files.read(path)
    if before == content:
        return Change(kind, kind, step, (ChangedFile(path, changed=False),))
    kept = None if before is None else workspace.snapshots.keep(before)
    staged = files.stage(path, content)
    try:
        after = workspace.snapshots.keep(content)
        workspace.record(events.replaced(kind, step, lab.id, before=kept, after=after))
    except BaseException:
        staged.discard()
        raise
    staged.commit()
    return Change(kind, kind, step, (ChangedFile(path, True, _path_of(workspace, kept)),))


def _step(workspace: Workspace, course: Course, choose: Callable[[_History], _Move]) -> Change:
    """Take one step in the history, with the files that it is about."""
    pending: list[files.Staged | files.Removal] = []
    try:
        with workspace.log.writing() as writing:
            move = choose(_history(writing.events(), workspace.id))
            change, told = _prepared(workspace, course, move, pending)
            writing.append(*workspace.mark([move.event(**told)]))
    except BaseException:
        for each in pending:
            each.discard()
        raise
    for each in pending:
        each.commit()
    return change


def _last_action(history: _History) -> _Move:
    if not history.actions:
        raise LlmpathError("There is nothing to undo.")
    target = history.actions[-1]
    return _Move("undo", target, _befores(target), partial(events.undone, target))


def _last_undo(history: _History) -> _Move:
    if not history.undone:
        raise LlmpathError("There is nothing to redo.")
    undoing, target = history.undone[-1]
    return _Move("redo", target, _befores(undoing), partial(events.redone, undoing))


def _parts(event: Event) -> Sequence[Mapping[str, Any]]:
    """What an event, or the undoing or redoing of it, tells of each of its files."""
    several: Sequence[Mapping[str, Any]] | None = event.payload.get("files")
    if several is not None:
        return several
    return [event.payload] if "before" in event.payload else []


def _befores(event: Event) -> tuple[str | None, ...]:
    return tuple(part["before"] for part in _parts(event))


def _prepared(
    workspace: Workspace,
    course: Course,
    move: _Move,
    pending: list[files.Staged | files.Removal],
) -> tuple[Change, dict[str, Any]]:
    """Prepare each file to hold what the move brings back; tell what stood there.

    What is prepared is added to `pending`, also when a later file fails.
    """
    target = move.target
    if target.kind not in _FILE_CHANGES:
        return Change(move.action, target.kind, target.step), {}
    changed: list[ChangedFile] = []
    told: list[dict[str, str | None]] = []
    for part, digest in zip(_parts(target), move.digests, strict=True):
        path = _place(workspace, course, part)
        present = files.read(path)
        kept = None if present is None else workspace.snapshots.keep(present)
        told.append({"before": kept, "after": digest})
        snapshot = _path_of(workspace, kept)
        changed.append(ChangedFile(path, kept != digest, snapshot, digest is None))
        if kept == digest:
            continue
        if digest is None:
            pending.append(files.Removal(path))
        else:
            pending.append(files.stage(path, workspace.snapshots.content(digest)))
    change = Change(move.action, target.kind, target.step, tuple(changed))
    return change, {"files": told} if target.kind == events.UPGRADE else told[0]


def _place(workspace: Workspace, course: Course, part: Mapping[str, Any]) -> Path:
    """Where a file of an event is: an upgrade says so, since a course may lose or move a lab."""
    if "file" in part:
        return workspace.root / str(part["file"])
    return workspace.file(course, course.lab(part["lab"]))


def _path_of(workspace: Workspace, digest: str | None) -> Path | None:
    return None if digest is None else workspace.snapshots.path(digest)


def _history(log: tuple[Event, ...], workspace_id: str) -> _History:
    """Replay what was done here. Another machine's actions are not this one's to undo."""
    actions: list[Event] = []
    undone: list[tuple[Event, Event]] = []
    for event in log:
        if event.workspace != workspace_id:
            continue
        if event.kind in UNDOABLE:
            actions.append(event)
            undone.clear()
        elif event.kind == events.UNDO:
            for index in _where(event, [action.id for action in actions]):
                undone.append((event, actions.pop(index)))
        elif event.kind == events.REDO:
            for index in _where(event, [undoing.id for undoing, _ in undone]):
                actions.append(_after_redo(undone.pop(index)[1], event))
    return _History(tuple(actions), tuple(undone))


def _where(event: Event, ids: list[str]) -> list[int]:
    """The place of an event's target among ids: one number, or none."""
    return [ids.index(event.payload["target"])] if event.payload["target"] in ids else []


def _after_redo(target: Event, redoing: Event) -> Event:
    """The event done again: undoing it once more brings back what the redo replaced."""
    if target.kind not in _FILE_CHANGES:
        return target
    parts = [
        {**part, "before": before}
        for part, before in zip(_parts(target), _befores(redoing), strict=True)
    ]
    several = "files" in target.payload
    payload = {**target.payload, **({"files": parts} if several else parts[0])}
    return replace(target, payload=payload)

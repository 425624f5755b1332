"""The learner's folder: where it is, what stands in it, and how it is made.

<workspace>/<stage>/<file>.py        the learner's files, one for each lab
<workspace>/runs/<lab>/<time>/       what experiments wrote
<workspace>/.llmpath/workspace.json  which course; the mark by which a workspace is known
<workspace>/.llmpath/progress.db     the log
<workspace>/.llmpath/snapshots/      copies of every file that was replaced
<workspace>/.llmpath/starters/       the starter that each file began with
<workspace>/.llmpath/passed/<lab>/   the file with which a lab last passed
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.course.origins import Kind, Origin
from llmpath.errors import LlmpathError
from llmpath.workspace import events, files
from llmpath.workspace.events import Event
from llmpath.workspace.log import Log
from llmpath.workspace.progress import Progress, derive
from llmpath.workspace.snapshots import Snapshots, sha256
from llmpath.workspace.starters import Starters

FORMAT_VERSION = 1
STATE_FOLDER = ".llmpath"
_SETTINGS = "workspace.json"


@dataclass(frozen=True)
class Workspace:
    """One learner's folder.

    Attributes:
        root: the folder, absolute.
        id: 32 hexadecimal digits that tell its events from those of other workspaces.
        course_root: where the course is, if it was named when the workspace was made.
        origin: where the course came from, if that is git or an installed package.
        course_version: the version of the course to which its files were last brought.
    """

    root: Path
    id: str
    course_root: Path | None
    course_version: str
    origin: Origin | None = None

    @property
    def state(self) -> Path:
        """The folder with everything that is not the learner's own."""
        return self.root / STATE_FOLDER

    @property
    def log(self) -> Log:
        """The log of what happened."""
        return Log(self.state / "progress.db")

    @property
    def snapshots(self) -> Snapshots:
        """The copies of files that were replaced."""
        return Snapshots(self.state / "snapshots")

    @property
    def starters(self) -> Starters:
        """The starters on which the learner's files are based."""
        return Starters(self.state / "starters", self.snapshots)

    def progress(self) -> Progress:
        """What was done so far."""
        return derive(self.log.events())

    def file(self, course: Course, lab: Lab) -> Path:
        """Where the learner's file of a lab is, or would be."""
        return lab_file(self.root, course, lab)

    def runs(self, lab: Lab) -> Path:
        """The folder with one folder for each run of a lab's experiment."""
        return self.root / "runs" / lab.id

    def passed_file(self, lab: Lab) -> Path | None:
        """The file with which a lab last passed, or None if it has not passed here."""
        path = self._passed_path(lab)
        return path if path.is_file() else None

    def record(self, *new: Event) -> None:
        """Record what happened, all of it or nothing."""
        self.log.append(*self.mark(new))

    def record_grade(
        self,
        course: Course,
        lab: Lab,
        *,
        status: str,
        points: int,
        max_points: int,
        failed: Iterable[str],
        content: bytes,
    ) -> None:
        """Record a grading of `content`; if it passed, keep it for the labs that use this one.

        The file is kept before the event is recorded: a kill between the two leaves code
        that did pass, and a grading to be done again.
        """
        if status == "passed":
            files.write(self._passed_path(lab), content)
        event = events.graded(
            course.step_of(lab).id,
            lab.id,
            status=status,
            points=points,
            max_points=max_points,
            failed=failed,
            sha256=sha256(content),
            course_version=course.version,
        )
        self.record(event)

    def mark(self, new: Iterable[Event]) -> tuple[Event, ...]:
        """Events with the id of this workspace, as they stand in its log."""
        return tuple(
            replace(event, payload={**event.payload, "workspace": self.id}) for event in new
        )

    def _passed_path(self, lab: Lab) -> Path:
        return self.state / "passed" / lab.id / lab.file


@dataclass(frozen=True)
class Created:
    """What `create` did: files that it made, and files that stood there and were left alone."""

    workspace: Workspace
    made: tuple[Path, ...]
    kept: tuple[Path, ...]
    existed: bool
    new_log: bool


def create(
    root: Path, course: Course, course_root: Path | None = None, origin: Origin | None = None
) -> Created:
    """Make a workspace in a folder, or add to one what is missing; no file is ever overwritten.

    Args:
        root: an empty folder, one with other files, a workspace, or a name that is free.
        course: the course whose labs get a starter file each.
        course_root: where the course is, to be remembered, if it was named by the learner.
        origin: where a course that was named came from.

    Raises:
        LlmpathError: `root` is no folder, lies inside another workspace, cannot be
            written, or is a workspace that is damaged or of a newer llmpath.
    """
    root = _usable_root(root)
    existing = _existing(root)
    starters = {lab_file(root, course, lab): lab for lab in labs_of(course)}
    for path in starters:
        _require_folder(path.parent)
    workspace = _settled(root, existing, course, course_root, origin)
    _make_folder(workspace.state)
    new_log = workspace.log.create()
    if not new_log:
        workspace.log.events()  # a damaged log must be told of now, not at the next command
    made: list[Path] = []
    kept: list[Path] = []
    for path, lab in starters.items():
        content = starter_of(course, lab)
        is_new = files.write_new(path, content)
        if is_new:
            workspace.starters.keep(lab.id, path.relative_to(root).as_posix(), content)
        (made if is_new else kept).append(path)
    settings = workspace.state / _SETTINGS
    if existing is None and not files.write_new(settings, _settings_text(workspace)):
        workspace = _load(root)  # another process made it in the meantime: its id holds
    elif existing is not None and workspace != existing:
        keep_settings(workspace)
    return Created(workspace, tuple(made), tuple(kept), existing is not None, new_log)


def find(start: Path | None = None, explicit: Path | None = None) -> Workspace:
    """The workspace `explicit`, or else the one that `start` (the current folder) is in or below.

    Raises:
        LlmpathError: there is none, or it is damaged or of a newer llmpath.
    """
    if explicit is not None:
        root = _absolute(explicit.expanduser())
        if not os.path.isdir(root / STATE_FOLDER):
            raise LlmpathError(
                f"{root} is not an llmpath workspace.", f"llmpath init {root} makes it one."
            )
        return _load(root)
    here = _absolute(start or Path())
    for folder in (here, *here.parents):
        if os.path.isdir(folder / STATE_FOLDER):
            return _load(folder)
    raise LlmpathError(
        f"There is no llmpath workspace in {here} or above it.",
        "llmpath init makes one here; --workspace DIR names one elsewhere.",
    )


def lab_file(root: Path, course: Course, lab: Lab) -> Path:
    """Where a lab's file belongs in the workspace at `root`."""
    return root / course.stage_of(course.step_of(lab)).id / lab.file


def starter_of(course: Course, lab: Lab) -> bytes:
    """The content with which a learner's file of a lab begins."""
    from llmpath.course.solution import starter  # only these few commands need it

    source = files.read(course.lab_folder(lab) / "lab.py")
    if source is None:
        raise LlmpathError(f"The course has no {course.lab_folder(lab) / 'lab.py'}.")
    return starter(source.decode()).encode()


def labs_of(course: Course) -> tuple[Lab, ...]:
    """The labs in the order of the path."""
    return tuple(course.labs[step.lab] for step in course.steps if step.lab is not None)


def _settled(
    root: Path,
    existing: Workspace | None,
    course: Course,
    course_root: Path | None,
    origin: Origin | None,
) -> Workspace:
    """The workspace as it will be described from now on."""
    named = None if course_root is None else _absolute(course_root)
    kept = None if origin is None or origin.kind is Kind.FOLDER else replace(origin, version="")
    if existing is None:
        return Workspace(root, os.urandom(16).hex(), named, course.version, kept)
    if named is None:
        return existing
    # Its files are still those of the version that it knows; `upgrade` brings them along.
    return replace(existing, course_root=named, origin=kept)


def keep_settings(workspace: Workspace) -> None:
    """Remember what is said of a workspace."""
    files.write(workspace.state / _SETTINGS, _settings_text(workspace))


def _usable_root(root: Path) -> Path:
    root = _absolute(root.expanduser())
    _require_folder(root)
    for folder in root.parents:
        if os.path.isfile(folder / STATE_FOLDER / _SETTINGS):
            raise LlmpathError(
                f"{root} lies inside the workspace {folder}.",
                f"llmpath init {folder} adds there what is missing; for a second workspace "
                "choose a folder outside of it.",
            )
    return root


def _require_folder(path: Path) -> None:
    """Refuse a name that something other than a folder bears."""
    if os.path.lexists(path) and not os.path.isdir(path):
        raise LlmpathError(
            f"{path} is not a folder, so no workspace can be made there.",
            "Move it away, or choose another folder: llmpath init DIR",
        )


def _make_folder(path: Path) -> None:
    _require_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.failure(error, path, "made") from error


def _existing(root: Path) -> Workspace | None:
    _require_folder(root / STATE_FOLDER)
    return _load(root) if os.path.lexists(root / STATE_FOLDER / _SETTINGS) else None


def _load(root: Path) -> Workspace:
    path = root / STATE_FOLDER / _SETTINGS
    content = files.read(path)
    if content is None:
        raise LlmpathError(
            f"The workspace {root} has lost its {STATE_FOLDER}/{_SETTINGS}.",
            f"llmpath init {root} writes it anew and leaves your files and progress alone.",
        )
    try:
        data = json.loads(content)
        version = data["format"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise LlmpathError(
                f"The workspace {root} was made by a newer llmpath (format {version}; this one "
                f"reads up to {FORMAT_VERSION}).",
                "Upgrade llmpath: pip install --upgrade llmpath",
            )
        return _parsed(root, data)
    except KeyError as error:
        raise _damaged(path, f"it has no {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> LlmpathError:
    root = path.parent.parent
    return LlmpathError(
        f"{path} is damaged: {reason}.",
        f"Delete that one file and run llmpath init {root}: it writes it anew and leaves "
        "your files and progress alone.",
    )


def _parsed(root: Path, data: dict[str, Any]) -> Workspace:
    if type(data["format"]) is not int or data["format"] < 1:
        raise ValueError("'format' is not a version number")
    id_, course_root, version = data["id"], data["course_root"], data["course_version"]
    if not isinstance(id_, str) or not id_:
        raise ValueError("'id' is not a text")
    if course_root is not None and not (isinstance(course_root, str) and course_root):
        raise ValueError("'course_root' is neither a path nor null")
    if not isinstance(version, str):
        raise ValueError("'course_version' is not a text")
    named = None if course_root is None else Path(course_root)
    return Workspace(root, id_, named, version, _origin(data.get("origin")))


def _origin(data: Any) -> Origin | None:
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("name"), str):
        raise ValueError("'origin' is neither null nor a kind with a name")
    return Origin(Kind(data["kind"]), data["name"])


def _settings_text(workspace: Workspace) -> bytes:
    data: dict[str, Any] = {
        "format": FORMAT_VERSION,
        "id": workspace.id,
        "course_root": None if workspace.course_root is None else str(workspace.course_root),
        "course_version": workspace.course_version,
    }
    if workspace.origin is not None:
        data["origin"] = {"kind": str(workspace.origin.kind), "name": workspace.origin.name}
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def _absolute(path: Path) -> Path:
    try:
        return path.resolve()
    except FileNotFoundError as error:
        raise LlmpathError(
            "The current folder no longer exists.", "Change to one that does: cd"
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise LlmpathError(f"{path} cannot be followed: {error}.") from error

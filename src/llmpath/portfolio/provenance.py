"""From which run an artefact came, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llmpath.artefacts import own
from llmpath.artefacts.supply import Artefact
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.running.events import Figure
from llmpath.running.folder import REQUEST
from llmpath.running.records import RunRecord, list_runs, read_run, run_in
from llmpath.workspace.folder import Workspace
from llmpath.workspace.snapshots import sha256
from llmpath.workspace.thread import source

MAX_PICTURE = 8 << 20  # bytes; a page holds every picture
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture that an experiment drew: what it is called, and where it is."""

    name: str
    path: Path


@dataclass(frozen=True)
class Origin:
    """How an artefact came to be.

    Attributes:
        lab: the lab that makes it.
        run: the run that made it; None if its folder is gone.
        made: when that run began, as far as it is known.
        data: the text that it was made from, as `lab run --data` names it.
    """

    lab: Lab
    run: RunRecord | None
    made: datetime | None
    data: str


def origin(course: Course, workspace: Workspace | None, artefact: Artefact) -> Origin:
    """How an artefact came to be, by its manifest or by the run folder around it."""
    lab = course.maker_of(artefact.name)
    if not artefact.own or workspace is None:
        run = kept_run(artefact.path.parent, lab)
        return Origin(lab, run, run.started if run else None, (run.data if run else None) or "")
    said = own.manifest(artefact.path) or {}
    run = read_run(workspace.root / str(said.get("run", "")))
    return Origin(lab, run, _time(said.get("made")), str(said.get("data") or ""))


def last_run(course: Course, workspace: Workspace, lab: Lab) -> RunRecord | None:
    """The last finished run of exactly the code that stands for a lab; None if there is none."""
    stands_on = source(course, lab, workspace)
    code = sha256(stands_on.path.read_bytes())
    fits = (
        run
        for run in reversed(list_runs(workspace.root / "runs", lab.id))
        if run.outcome == "finished" and run.code == code and run.reference != stands_on.own
    )
    return next(fits, None)


def run_around(folder: Path) -> RunRecord | None:
    """The run that made the artefact in a folder, found from that folder alone.

    The learner's own stands in the workspace's `artifacts`, and its manifest names the run; the
    reference's lies in the folder of its run.
    """
    said = own.manifest(folder)
    if said is not None:
        return read_run(folder.parent.parent / str(said.get("run", "")))
    started = _began(folder.parent)
    return None if started is None else run_in(folder.parent, "", started)


def kept_run(folder: Path, lab: Lab) -> RunRecord | None:
    """The finished run that a folder of the reference's artefacts is; None if there is none."""
    started = _began(folder)
    run = None if started is None else run_in(folder, lab.id, started)
    return run if run is not None and run.outcome == "finished" else None


def _began(folder: Path) -> datetime | None:
    """When the run of a folder that has no time in its name began; None if it is no run's."""
    try:
        return datetime.fromtimestamp((folder / REQUEST).stat().st_mtime)
    except OSError:
        return None


def pictures(run: RunRecord) -> tuple[Picture, ...]:
    """The PNG pictures of a run, in order; what lies outside of its folder is none of them."""
    root = run.folder.resolve()
    found = {
        event.path: Picture(event.name, run.folder / event.path)
        for event in run.events()
        if isinstance(event, Figure)
    }
    return tuple(each for each in found.values() if _is_picture(each.path, root))


def _is_picture(path: Path, root: Path) -> bool:
    try:
        inside = path.resolve().is_relative_to(root) and path.is_file()
        if not inside or path.stat().st_size > MAX_PICTURE:
            return False
        with path.open("rb") as file:
            return file.read(len(_PNG)) == _PNG
    except (OSError, ValueError):
        return False


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def data_name(data: str) -> str:
    """The name of data for others to read: of a path on this machine, its last part."""
    return Path(data).name if Path(data).is_absolute() else data

"""The learner's own artefacts: `artifacts/<name>/` in the workspace, each with a manifest.

An artefact is the learner's own if the code that made it is the code with which its lab
passed. A run may come before the grading: `find` then takes the artefact from that run. What
was made from an older version of passing code stays in use, and is said to be older. What has
lost a file, or a part of its weights, is set aside and taken or made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpath.artefacts.recipe import DEFAULT_DATA
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.inventory import holds, inventory
from llmpath.running.folder import said_in
from llmpath.running.records import RunRecord, list_runs
from llmpath.workspace.folder import Workspace
from llmpath.workspace.snapshots import sha256

MANIFEST = "llmpath.json"
SLUG = 40  # characters of the name of data that stand in that of a folder


@dataclass(frozen=True)
class Own:
    """An artefact in the workspace.

    Attributes:
        path: its folder.
        current: whether it was made by the code with which its lab last passed.
        made: the manifest: run, scale, data, seed and when.
    """

    path: Path
    current: bool
    made: dict[str, Any]


def folder(workspace: Workspace, name: str, data: str = DEFAULT_DATA) -> Path:
    """Where the learner's artefact is, or would be; other data than the default has its own."""
    if data != DEFAULT_DATA:
        words = re.sub(r"[^A-Za-z0-9]+", "-", data)[-SLUG:].strip("-")
        name = f"{name}-{words}-{hashlib.sha256(data.encode()).hexdigest()[:8]}"
    return workspace.root / "artifacts" / name


def find(course: Course, workspace: Workspace, name: str, data: str = DEFAULT_DATA) -> Own | None:
    """The learner's own artefact; None if its lab has not passed, or there is none to take."""
    lab = course.maker_of(name)
    passed = _passed_hash(workspace, lab)
    if passed is None:
        return None
    path = folder(workspace, name, data)
    _set_aside_if_damaged(path)
    made = manifest(path)
    if made is None or made.get("code") != passed:
        run = _latest_run(workspace, lab, name, data, passed)
        if run is not None:
            keep(workspace, lab, run)
            made = manifest(path)
    return None if made is None else Own(path, made.get("code") == passed, made)


def keep(workspace: Workspace, lab: Lab, run: RunRecord) -> tuple[Path, ...]:
    """Take what a finished run made into the workspace, if its lab has passed with that code.

    Returns:
        The folders that were written.

    Raises:
        LlmpathError: if the workspace cannot be written.
    """
    if run.outcome != "finished" or run.code != _passed_hash(workspace, lab):
        return ()
    kept = []
    for name in lab.makes:
        source = run.folder / name
        if source.is_dir():
            target = folder(workspace, name, run.data or DEFAULT_DATA)
            _replace(source, target, _manifest_text(lab, name, run, workspace))
            kept.append(target)
    return tuple(kept)


def manifest(path: Path) -> dict[str, Any] | None:
    """What the manifest in an artefact's folder says; None if there is none that can be read."""
    return said_in(path / MANIFEST) or None


def _set_aside_if_damaged(path: Path) -> None:
    """Rename an artefact that has lost a file, or whose weights are not as large as they were.

    Its texts, such as the configuration, may be edited: they are the learner's.
    """
    files = (manifest(path) or {}).get("files")
    if not isinstance(files, dict):
        return
    weights = {name: size for name, size in files.items() if name.endswith(".safetensors")}
    if holds(path, weights) and all((path / name).is_file() for name in files):
        return
    aside = path.with_name(f"{path.name}.damaged")
    shutil.rmtree(aside, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.replace(aside)


def _passed_hash(workspace: Workspace, lab: Lab) -> str | None:
    path = workspace.passed_file(lab)
    return None if path is None else sha256(path.read_bytes())


def _latest_run(
    workspace: Workspace, lab: Lab, name: str, data: str, code: str
) -> RunRecord | None:
    """The last finished run of exactly this code that made the artefact."""
    fits = [
        run
        for run in list_runs(workspace.root / "runs", lab.id)
        if run.outcome == "finished"
        and run.code == code
        and run.data == data
        and (run.folder / name).is_dir()
    ]
    return fits[-1] if fits else None


def _manifest_text(lab: Lab, name: str, run: RunRecord, workspace: Workspace) -> str:
    values = {
        "artefact": name,
        "lab": lab.id,
        "run": run.folder.relative_to(workspace.root).as_posix(),
        "code": run.code,
        "scale": run.scale,
        "data": run.data,
        "seed": run.seed,
        "made": run.started.isoformat(),
        "files": inventory(run.folder / name),
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _replace(source: Path, target: Path, text: str) -> None:
    """Put a copy of a folder in place of another; a kill leaves the old one or the new one.

    A folder cannot replace another in one step. Between the two renames the old one stands
    under a name from which the next call brings it back.
    """
    from filelock import FileLock

    partial, old = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock")):
            if old.exists() and not target.exists():
                old.replace(target)
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(source, partial)
            (partial / MANIFEST).write_text(text, encoding="utf-8")
            if target.exists():
                shutil.rmtree(old, ignore_errors=True)
                target.replace(old)
            partial.replace(target)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not target.exists():
            old.replace(target)
        raise LlmpathError(
            f"The artefact {target} cannot be written: {error.strerror or error}.",
            "Make room on the disk, and see that you may write there; the run folder still has it.",
        ) from error

"""Going on with a run that ended before it was done: which one, from where, with which code.

A run goes on in its own folder: what happened after the checkpoint is taken out of
`events.jsonl`, for it happens again, and the curve goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.running.events import Checkpoint, parse_kept
from llmpath.running.folder import CHECKPOINT, EVENTS
from llmpath.running.records import RunRecord
from llmpath.running.request import RunRequest


def resumable(records: tuple[RunRecord, ...], lab: str, name: str = "") -> RunRecord:
    """The run to go on with: the one of this name, else the last that can.

    Args:
        records: the runs of a lab, oldest first.
        lab: the lab's id, for the words.
        name: a run's number or folder name; "" for the last that can go on.

    Raises:
        LlmpathError: if there is none, or it cannot go on.
    """
    if name:
        return _can_go_on(named(records, lab, name))
    unfinished = [record for record in records if record.outcome not in ("finished", "running")]
    if able := [record for record in unfinished if record.can_go_on]:
        return able[-1]
    if unfinished:
        return _can_go_on(unfinished[-1])
    raise LlmpathError(
        f"There is no run of {lab} that ended before it was done.",
        f"llmpath lab run {lab} begins one; llmpath lab runs {lab} lists those there are.",
    )


def named(records: tuple[RunRecord, ...], lab: str, name: str) -> RunRecord:
    """The run with a number, or whose folder's name is or contains `name`.

    Raises:
        LlmpathError: if there is none, or more than one.
    """
    exact = [record for record in records if name in (record.name, str(record.number))]
    found = exact or [record for record in records if name in record.name]
    if len(found) == 1:
        return found[0]
    what = "is not clear" if found else "is not there"
    raise LlmpathError(
        f"Run {name} of {lab} {what}.",
        f"llmpath lab runs {lab} lists them: name one by its number, or by its time.",
    )


def _can_go_on(record: RunRecord) -> RunRecord:
    if record.outcome == "running":
        raise LlmpathError(
            f"Run {record.number} of {record.lab} still goes on.",
            "Wait for its end, or stop it with Ctrl-C where it runs.",
        )
    if record.outcome == "finished":
        raise LlmpathError(
            f"Run {record.number} of {record.lab} was finished.",
            f"llmpath lab run {record.lab} begins another.",
        )
    if not record.has_checkpoint:
        raise LlmpathError(
            f"Run {record.number} of {record.lab} left no checkpoint: it ended before the first "
            "one, or its experiment keeps none.",
            f"llmpath lab run {record.lab} begins anew.",
        )
    return record


def sources(request: RunRequest) -> dict[str, str]:
    """The SHA-256 of every file that could change what a run does, by a name for people."""
    digests = {
        request.learner_file.name: _sha256(request.learner_file),
        "experiment.py": _sha256(request.lab_folder / "experiment.py"),
    }
    for lab, path in sorted(request.thread.items()):
        digests[f"{path.name} of {lab}"] = _sha256(path)
    for name, folder in sorted(request.artefacts.items()):
        digests[name_of(name)] = listing(folder)
    return digests


def name_of(artefact: str) -> str:
    """What `sources` calls an artefact."""
    return f"the artefact {artefact}"


def changed(record: RunRecord, request: RunRequest) -> tuple[str, ...]:
    """Which files are not what they were when the run began."""
    before, now = record.sources or {}, sources(request)
    return tuple(name for name in {**before, **now} if before.get(name) != now.get(name))


def checkpoint_step(folder: Path) -> int:
    """How many steps were done at the checkpoint in a run folder.

    Raises:
        LlmpathError: if there is none, or it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / CHECKPOINT, framework="np") as file:
            return int((file.metadata() or {})["step"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise LlmpathError(
            f"The checkpoint in {folder} cannot be read ({error}).",
            f"llmpath lab run {folder.parent.name} begins anew.",
        ) from None


def lines_until(folder: Path, step: int) -> list[bytes]:
    """The lines of `events.jsonl` up to the checkpoint at a step.

    A kill may come between the checkpoint and the word of it: then all lines are from before.
    """
    lines = list(_whole_lines(folder / EVENTS))
    for index in range(len(lines) - 1, -1, -1):
        event = parse_kept(lines[index]) if b'"checkpoint"' in lines[index] else None
        if isinstance(event, Checkpoint):
            return lines[: index + 1] if event.step == step else lines
    return lines


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        data = path.read_bytes()
    except OSError:
        return
    yield from (line for line in data.splitlines(keepends=True) if line.endswith(b"\n"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listing(folder: Path) -> str:
    """A hash of the names, sizes and times of all that is in a folder: models can be large."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        line = f"{path.relative_to(folder).as_posix()} {status.st_size} {status.st_mtime_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()

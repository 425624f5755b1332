"""The run folder `runs/<lab>/<time>/`: its name, the files in it, and whether a run holds it.

What is written there is the business of `recorder`, what is read of `records`.
"""

from __future__ import annotations

import errno
import json
import re
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError

REQUEST = "run.json"
EVENTS = "events.jsonl"
OUTPUT = "output.txt"
RESULT = "result.json"
CHECKPOINT = "checkpoint.safetensors"
_LOCK = ".lock"
_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)(?:-(\d+))?")
_TIME = "%Y-%m-%dT%H-%M-%S"
_PATIENCE = 1.0  # seconds: whoever looks whether a run holds a folder holds it for a moment


def new_folder(runs: Path, lab: str) -> Path:
    """Make the folder of a new run, named after the present time.

    Args:
        runs: the folder of all runs; made if there is none.
        lab: the lab's id.

    Raises:
        LlmpathError: if it cannot be made.
    """
    stem = datetime.now().strftime(_TIME)
    number = 1
    while True:
        folder = runs / lab / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not (runs / lab).is_dir():
                raise LlmpathError(
                    f"Runs cannot be kept: {runs / lab} is a file.", "Move it away."
                ) from None
            number += 1
        except OSError as error:
            raise unwritable(folder, error) from None
        else:
            return folder


def began(folder: Path) -> tuple[datetime, int] | None:
    """When a run began, and its number among those of that second; None for another folder."""
    match = _NAME.fullmatch(folder.name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], _TIME), int(match[2] or 1)
    except ValueError:
        return None


def held(folder: Path) -> AbstractContextManager[object]:
    """Hold a folder for as long as a run goes on, or until this process ends, however it ends.

    Raises:
        LlmpathError: if a run that still goes on holds it.
        OSError: if it cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise LlmpathError(
            f"The run in {folder} still goes on.", "Wait for its end, or stop it with Ctrl-C."
        ) from None
    except NotImplementedError:  # a file system that knows no locks
        return nullcontext()
    return lock


def is_held(folder: Path) -> bool:
    """Whether a run that still goes on holds a folder."""
    from filelock import FileLock, Timeout

    if not (folder / _LOCK).exists():
        return False
    try:
        with FileLock(folder / _LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False


def unwritable(folder: Path, error: OSError) -> LlmpathError:
    """What to say of a run folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LlmpathError(
            f"The disk is full: the run in {folder} could not be kept.",
            "Make room, for instance by deleting old folders under runs/, and run it again.",
        )
    return LlmpathError(
        f"The run cannot be kept in {folder}: {error.strerror or error}.",
        "Check that you may write there.",
    )


def said_in(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is none that can be read."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}

"""The run folder `runs/<lab>/<time>/`: what a run was asked, did, made and found.

`run.json` is written first, `events.jsonl` and `output.txt` as things happen, and
`result.json` last and at once, so that a folder without one is a run that was killed or
is still going. Does not start anything: that is the business of `runner`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from llmpath import __version__
from llmpath.errors import LlmpathError
from llmpath.running.events import Cell, Ended, Event, Outcome, Output, Result
from llmpath.running.request import RunRequest

_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)(?:-(\d+))?")
_TIME = "%Y-%m-%dT%H-%M-%S"


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
            raise _unwritable(folder, error) from None
        else:
            return folder


@dataclass(frozen=True)
class RunRecord:
    """A run as its folder tells it.

    Attributes:
        outcome: None for a run that was killed with its parent, or is still going.
        data: the data that it asked for, by its name.
        code: the SHA-256 of the file that ran, as 64 hexadecimal digits.
        reference: whether the reference ran, and not the learner's own code.
    """

    lab: str
    folder: Path
    started: datetime
    seed: int | None = None
    device: str | None = None
    scale: str | None = None
    data: str | None = None
    code: str | None = None
    reference: bool = False
    outcome: Outcome | None = None
    sentence: str = ""
    figures: dict[str, Cell] | None = None
    seconds: float | None = None


def list_runs(runs: Path, lab: str | None = None) -> tuple[RunRecord, ...]:
    """All runs, of one lab or of every lab, oldest first.

    A folder that cannot be read in part is listed with what can be read of it.
    """
    labs = [runs / lab] if lab else sorted(_folders(runs))
    records = [_record(folder, match) for each in labs for folder, match in _named(each)]
    return tuple(sorted(records, key=lambda record: (record.started, _order(record))))


def read_run(folder: Path) -> RunRecord | None:
    """The run whose folder this is, or None if its name is not that of a run."""
    match = _NAME.fullmatch(folder.name)
    return _record(folder, datetime.strptime(match[1], _TIME)) if match else None


def _order(record: RunRecord) -> int:
    match = _NAME.fullmatch(record.folder.name)
    return int(match[2] or 1) if match else 1


def _folders(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from (child for child in folder.iterdir() if child.is_dir())


def _named(lab: Path) -> Iterator[tuple[Path, datetime]]:
    for folder in _folders(lab):
        if match := _NAME.fullmatch(folder.name):
            with contextlib.suppress(ValueError):
                yield folder, datetime.strptime(match[1], _TIME)


def _record(folder: Path, started: datetime) -> RunRecord:
    asked, found = _read(folder / "run.json"), _read(folder / "result.json")
    known = {"seed": int, "device": str, "scale": str, "data": str, "code": str, "reference": bool}
    result = {"outcome": str, "sentence": str, "figures": dict, "seconds": (int, float)}
    return RunRecord(
        lab=folder.parent.name,
        folder=folder,
        started=started,
        **{key: asked[key] for key, kind in known.items() if _is(asked, key, kind)},
        **{key: found[key] for key, kind in result.items() if _is(found, key, kind)},
    )


def _is(values: dict[str, Any], key: str, kind: Any) -> bool:
    return isinstance(values.get(key), kind)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


class RunFolder:
    """Writes the record of one run as it happens.

    Args:
        request: what was asked; it is written at once.

    Raises:
        LlmpathError: from here and from `keep` if the disk is full or cannot be written.
    """

    def __init__(self, request: RunRequest) -> None:
        self._path = request.run_folder
        self._result: Result | None = None
        with self._guarded(), contextlib.ExitStack() as files:
            self._write("run.json", _asked(request))
            self._events = files.enter_context(self._open("events.jsonl"))
            self._output = files.enter_context(self._open("output.txt"))
            self._files = files.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._files.close()

    def keep(self, event: Event) -> None:
        """Keep one event; the last one, `Ended`, completes the record."""
        with self._guarded():
            if isinstance(event, Output):
                self._output.write(event.text)
                self._output.flush()
                return
            self._events.write(event.model_dump_json() + "\n")
            self._events.flush()
            if isinstance(event, Result):
                self._result = event
            if isinstance(event, Ended):
                self._complete(event)

    def _complete(self, event: Ended) -> None:
        result = self._result
        values = {
            "outcome": event.outcome,
            "sentence": result.sentence if result else "",
            "figures": result.figures if result else {},
            "seconds": round(event.seconds, 3),
            "exit_code": event.exit_code,
        }
        self._write("result.json", values)

    def _open(self, name: str) -> IO[str]:
        return open(self._path / name, "w", encoding="utf-8")

    def _write(self, name: str, values: dict[str, Any]) -> None:
        """Write JSON so that the file is there whole or not at all."""
        partial = self._path / f".{name}.partial"
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._path / name)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unwritable(self._path, error) from None


def _asked(request: RunRequest) -> dict[str, Any]:
    kept = {"lab", "seed", "device", "scale", "data", "reference", "course_version"}
    return {
        **request.model_dump(mode="json", include=kept),
        "file": str(request.learner_file),
        "code": _sha256(request.learner_file),
        "llmpath": __version__,
    }


def _sha256(path: Path) -> str:
    import hashlib  # loads OpenSSL, which listing runs does not need

    return hashlib.sha256(path.read_bytes()).hexdigest()


def _unwritable(folder: Path, error: OSError) -> LlmpathError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LlmpathError(
            f"The disk is full: the run in {folder} could not be kept.",
            "Make room, for instance by deleting old folders under runs/, and run it again.",
        )
    return LlmpathError(
        f"The run cannot be kept in {folder}: {error.strerror or error}.",
        "Check that you may write there.",
    )

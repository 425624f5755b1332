"""What can happen to a learner, as frozen events with one constructor for each kind.

An event is never changed once recorded. Kinds that this version does not know
(written by a newer one) are kept and carried along, and mean nothing here.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GRADE = "grade"
QUIZ = "quiz"
REVIEW = "review"
SKIP = "skip"
UNSKIP = "unskip"
HINT = "hint"
RESET = "reset"
RESTORE = "restore"
UPGRADE = "upgrade"
GIVE_UP = "give-up"
RUN = "run"
UNDO = "undo"
REDO = "redo"
IMPORT = "import"


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes:
        id: 32 hexadecimal digits, unique across machines.
        time: seconds since the epoch, UTC.
        step: the id of the step it belongs to, if it belongs to one.
        kind: one of the kinds above, or one that a newer version knows.
        payload: plain JSON data; what each kind carries is told by its constructor.
    """

    id: str
    time: float
    step: str | None
    kind: str
    payload: Mapping[str, Any]

    @property
    def workspace(self) -> str | None:
        """The id of the workspace in which it happened."""
        origin = self.payload.get("workspace")
        return origin if isinstance(origin, str) else None


def graded(
    step: str,
    lab: str,
    *,
    status: str,
    points: int,
    max_points: int,
    failed: Iterable[str],
    sha256: str,
    course_version: str,
) -> Event:
    """A lab was graded; `failed` are the ids of the checks that did not pass."""
    payload = {
        "lab": lab,
        "status": status,
        "points": points,
        "max_points": max_points,
        "failed": list(failed),
        "sha256": sha256,
        "course": course_version,
    }
    return _new(GRADE, step, payload)


def answered(step: str, answers: Mapping[int, bool]) -> Event:
    """Questions of a quiz were answered: number (counted from 1) to whether rightly."""
    return _new(QUIZ, step, {"answers": {str(number): right for number, right in answers.items()}})


def reviewed(step: str, number: int, right: bool) -> Event:
    """A question answered before was asked again: its number (from 1), and whether rightly."""
    return _new(REVIEW, step, {"answers": {str(number): right}})


def skipped(step: str) -> Event:
    """The learner moved on without doing the step."""
    return _new(SKIP, step, {})


def unskipped(step: str) -> Event:
    """The learner came back to a step that was skipped."""
    return _new(UNSKIP, step, {})


def hinted(step: str, lab: str, number: int) -> Event:
    """The hint with this number (counted from 1) was opened."""
    return _new(HINT, step, {"lab": lab, "number": number})


def gave_up(step: str, lab: str) -> Event:
    """The learner looked at the solution of a lab."""
    return _new(GIVE_UP, step, {"lab": lab})


def ran(step: str, lab: str, folder: str, outcome: str) -> Event:
    """The experiment of a lab ran; `folder` is relative to the workspace."""
    return _new(RUN, step, {"lab": lab, "folder": folder, "outcome": outcome})


def replaced(kind: str, step: str, lab: str, *, before: str | None, after: str) -> Event:
    """A lab's file was replaced (`reset` or `restore`): the SHA-256 of what stood there and stands
    there now; None for no file.
    """
    return _new(kind, step, {"lab": lab, "before": before, "after": after})


def upgraded(old: str, new: str, files: Iterable[Mapping[str, str | None]]) -> Event:
    """Files were brought from one version of the course to another, all at once.

    Args:
        old: the version of the course from which the files came.
        new: the version to which they were brought.
        files: for each file its `lab`, its `file` (relative to the workspace, with forward
            slashes), the SHA-256 of what stood there `before` and stands there `after` (None
            for no file), and that of the `starter` on which it is based now.
    """
    return _new(UPGRADE, None, {"from": old, "to": new, "files": [dict(each) for each in files]})


def undone(target: Event, **told: Any) -> Event:
    """An event was undone; `told` tells of its files as `history` needs it for a redo."""
    return _new(UNDO, target.step, {"target": target.id, **told})


def redone(target: Event, **told: Any) -> Event:
    """An undo (the target) was itself undone."""
    return _new(REDO, target.step, {"target": target.id, **told})


def imported(source: str, count: int) -> Event:
    """A number of events of another log were merged into this one."""
    return _new(IMPORT, None, {"source": source, "events": count})


def _new(kind: str, step: str | None, payload: dict[str, Any]) -> Event:
    # A version-4 UUID by hand: importing uuid costs more time than opening the log.
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    return Event(digits.hex(), time.time(), step, kind, payload)


def encode(payload: Mapping[str, Any]) -> str:
    """A payload as JSON text, the same text for the same payload."""
    return json.dumps(
        payload, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )


def parse(id_: object, when: object, step: object, kind: object, payload: object) -> Event:
    """An event from untrusted values (`payload` as JSON text).

    Raises:
        ValueError: a sentence that says which value is wrong.
    """
    if not isinstance(id_, str) or not 1 <= len(id_) <= 64:
        raise ValueError("the id is not a short text")
    if isinstance(when, bool) or not isinstance(when, (int, float)) or not math.isfinite(when):
        raise ValueError("the time is not a number")
    if step is not None and not isinstance(step, str):
        raise ValueError("the step is not a text")
    if not isinstance(kind, str) or not kind:
        raise ValueError("the kind is not a text")
    if not isinstance(payload, str):
        raise ValueError("the payload is not a text")
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        raise ValueError("the payload is not JSON") from None
    if not isinstance(data, dict):
        raise ValueError("the payload is not a JSON object")
    event = Event(id_, float(when), step, kind, data)
    _validate(event)
    return event


def _validate(event: Event) -> None:
    expected = _PAYLOADS.get(event.kind)
    if expected is None:
        return
    if event.step is None and event.kind in _OF_A_STEP:
        raise ValueError(f"an event of kind {event.kind!r} needs a step")
    for key, valid in expected.items():
        if not valid(event.payload.get(key)):
            raise ValueError(f"{key!r} of an event of kind {event.kind!r} is missing or wrong")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_answers(value: object) -> bool:
    return isinstance(value, dict) and all(
        number.isascii() and number.isdecimal() and len(number) < 10 and isinstance(right, bool)
        for number, right in value.items()
    )


_FILE_CHANGE: dict[str, Callable[[object], bool]] = {
    "lab": _is_text,
    "before": _is_text_or_none,
    "after": _is_text_or_none,
}


def _is_file_changes(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict)
        and all(valid(each.get(key)) for key, valid in _FILE_CHANGE.items())
        and _is_place(each.get("file"))
        and _is_text(each.get("starter"))
        for each in value
    )


def _is_place(value: object) -> bool:
    """Whether a text is a path that leads nowhere but below the folder it begins in."""
    return (
        isinstance(value, str)
        and bool(value)
        and not value.startswith("/")
        and (
            all(part not in ("", ".", "..") for part in value.split("/"))
            and not set(value) & set("\\:")
        )
    )


_OF_A_STEP = frozenset({GRADE, QUIZ, REVIEW, SKIP, UNSKIP, HINT, RESET, RESTORE, GIVE_UP, RUN})
_PAYLOADS: dict[str, dict[str, Callable[[object], bool]]] = {
    GRADE: {
        "lab": _is_text,
        "status": _is_text,
        "points": _is_count,
        "max_points": _is_count,
        "failed": _is_texts,
        "sha256": _is_text,
        "course": _is_text,
    },
    QUIZ: {"answers": _is_answers},
    REVIEW: {"answers": _is_answers},
    SKIP: {},
    UNSKIP: {},
    HINT: {"lab": _is_text, "number": _is_count},
    RESET: _FILE_CHANGE,
    RESTORE: _FILE_CHANGE,
    UPGRADE: {"from": _is_text, "to": _is_text, "files": _is_file_changes},
    GIVE_UP: {"lab": _is_text},
    RUN: {"lab": _is_text, "folder": _is_text, "outcome": _is_text},
    UNDO: {"target": _is_text},
    REDO: {"target": _is_text},
    IMPORT: {"source": _is_text, "events": _is_count},
}

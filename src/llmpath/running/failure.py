"""Explains, in the child, an exception that ended a run: whose it is, and where.

Of the traceback, the learner's own frames are kept, and the last frame of a library that
their code called; frames of llmpath and of Python's import machinery are dropped.
"""

from __future__ import annotations

import errno
import linecache
import traceback
from pathlib import Path
from typing import Any

import llmpath
from llmpath.errors import LlmpathError
from llmpath.labkit.device import DeviceError

MAX_FRAMES = 12
MAX_MESSAGE = 4000
_OURS = str(Path(llmpath.__file__).parent)
_TODO = "# TODO:"


class Explainer:
    """Explains exceptions of one run.

    Args:
        request: the request that the child was sent. Nothing that the reference does is
            said to be the learner's.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self._mine = {str(Path(path)) for path in request["thread"].values()}
        self._mine.add(request["learner_file"])
        self._reference = bool(request["reference"])
        self._names: dict[str, str] = request["names"]
        self._experiment = str(Path(request["lab_folder"]) / "experiment.py")

    def explain(self, error: BaseException) -> dict[str, Any]:
        """The fields of a `Failed` event."""
        report = self._report(error)
        for frame in report["frames"]:
            frame["file"] = self._names.get(frame["file"], frame["file"])
        return report

    def _report(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, SyntaxError) and error.filename in self._mine:
            return self._syntax(error)
        frames = [self._frame(frame) for frame in traceback.extract_tb(error.__traceback__)]
        mine = any(frame["mine"] for frame in frames)
        shown = _folded(_shown(frames))
        report: dict[str, Any] = {
            "kind": self._kind(error, mine, shown),
            "type": type(error).__name__,
            "message": _message(error),
            "hint": error.hint if isinstance(error, LlmpathError) else "",
            "frames": _ends(shown),
            "omitted": max(0, len(shown) - MAX_FRAMES),
        }
        if report["kind"] == "not-written":
            report["function"] = shown[-1]["function"]
            report["instruction"] = _instruction(shown[-1])
        return report

    def _kind(self, error: BaseException, mine: bool, shown: list[dict[str, Any]]) -> str:
        if isinstance(error, DeviceError):
            return "device"
        if isinstance(error, LlmpathError):
            return "refused"
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return "disk"
        if isinstance(error, SystemExit):
            return "exit"
        if not mine or self._reference:
            return "experiment"
        unwritten = isinstance(error, NotImplementedError) and shown[-1]["mine"]
        return "not-written" if unwritten else "learner"

    def _frame(self, frame: traceback.FrameSummary) -> dict[str, Any]:
        line = frame.lineno or 0
        raw = linecache.getline(frame.filename, line)
        code = raw.strip()
        column, end = frame.colno, frame.end_colno
        whole = column is None or end is None or frame.end_lineno != line
        if not whole:  # from bytes of the line to characters of the stripped one
            indent = len(raw) - len(raw.lstrip())
            column = len(raw.encode()[:column].decode(errors="replace")) - indent + 1
            end = len(raw.encode()[:end].decode(errors="replace")) - indent + 1
        return {
            "file": frame.filename,
            "line": line,
            "function": frame.name,
            "code": code,
            "mine": frame.filename in self._mine,
            "course": frame.filename == self._experiment,
            "ours": frame.filename.startswith((_OURS, "<frozen")),
            "column": 0 if whole else column,
            "end_column": 0 if whole else end,
        }

    def _syntax(self, error: SyntaxError) -> dict[str, Any]:
        text = error.text or linecache.getline(error.filename or "", error.lineno or 0)
        indent = len(text) - len(text.lstrip())
        column = max((error.offset or 0) - indent, 0)
        end = (error.end_offset or 0) - indent
        same_line = error.end_lineno in (None, error.lineno)
        frame = {
            "file": error.filename,
            "line": error.lineno or 0,
            "code": text.strip(),
            "mine": True,
            "column": column,
            "end_column": end if same_line and end > column else column + 1,
        }
        return {
            "kind": "experiment" if self._reference else "syntax",
            "type": type(error).__name__,
            "message": error.msg,
            "frames": [frame],
        }


def _shown(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The learner's frames, or the experiment's without one, and the last one below them."""
    kept = [frame for frame in frames if frame["mine"]]
    kept = kept or [frame for frame in frames if frame["course"]]
    last = frames[-1] if frames else None
    if kept and last is not None and last is not kept[-1]:
        below = frames[frames.index(kept[-1]) + 1 :]
        if not last["ours"] and not any(frame["ours"] for frame in below):
            kept.append(last)
    return kept


def _folded(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frames of the same line one after the other become one, with their number."""
    folded: list[dict[str, Any]] = []
    for frame in frames:
        if folded and all(folded[-1][key] == frame[key] for key in ("file", "line", "function")):
            folded[-1]["repeated"] = folded[-1].get("repeated", 0) + 1
        else:
            folded.append(frame)
    return folded


def _ends(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(frames) <= MAX_FRAMES:
        return frames
    half = MAX_FRAMES // 2
    return frames[:half] + frames[-half:]


def _message(error: BaseException) -> str:
    try:
        text = "\n".join([str(error), *getattr(error, "__notes__", ())])
    except Exception:  # a learner's own exception class may fail to print itself
        text = "(the exception cannot be printed)"
    if isinstance(error, SystemExit):
        text = f"sys.exit({error.code!r})"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + " …"


def _instruction(frame: dict[str, Any]) -> str:
    """The words of the TODO line that stands above an unwritten place."""
    for line in range(frame["line"] - 1, max(frame["line"] - 4, 0), -1):
        text = linecache.getline(frame["file"], line).strip()
        if text.startswith(_TODO):
            return text.removeprefix(_TODO).strip()
    return ""

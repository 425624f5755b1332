"""The worker's account of an exception, as text that the judge can be sent.

An exception of learner code may lie about itself or fail to say anything; `evidence` reads the
account on the other side, and believes none of it.
"""

from __future__ import annotations

import linecache
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

MAX_TEXT = 2000  # characters of one part
MAX_FRAMES = 12


def explain(error: BaseException, folder: Path) -> dict[str, Any]:
    """An exception as text: its type, its message and the frames of files in `folder`."""
    report: dict[str, Any] = {
        "type": cut(type(error).__name__),
        "bases": [cut(base.__name__) for base in type(error).__mro__[:8]],
        "message": _message(error),
        "frames": _frames(error.__traceback__, folder),
    }
    if isinstance(error, SyntaxError):
        file, line = error.filename or "", error.lineno or 1
        report["frames"] += [_frame(file, line, "", error.text or "", folder)] if file else []
        report["syntax"] = True
    return report


def _message(error: BaseException) -> str:
    try:
        return cut(error.msg if isinstance(error, SyntaxError) else str(error))
    except BaseException as second:  # a lying __str__
        return f"(its message could not be read: {type(second).__name__})"


def _frames(trace: TracebackType | None, folder: Path) -> list[dict[str, Any]]:
    found = [
        _frame(code.co_filename, line, code.co_name, "", folder)
        for code, line in ((frame.f_code, line) for frame, line in traceback.walk_tb(trace))
        if Path(code.co_filename).is_relative_to(folder)
    ]
    if len(found) > MAX_FRAMES:
        found = found[: MAX_FRAMES // 2] + found[-MAX_FRAMES // 2 :]
    return found


def _frame(file: str, line: int, function: str, text: str, folder: Path) -> dict[str, Any]:
    text = text or linecache.getline(file, line)
    return {
        "file": cut(_file(Path(file), folder)),
        "line": line,
        "function": cut(function),
        "text": cut(text.rstrip()),
    }


def _file(path: Path, folder: Path) -> str:
    """The name of a file; references are all called `lab.py`, so also of which lab it is."""
    earlier = path.name == "lab.py" and path.parent != folder
    return f"{path.name} of {path.parent.name}" if earlier else path.name


def cut(text: str) -> str:
    """A text of `MAX_TEXT` characters at most."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"

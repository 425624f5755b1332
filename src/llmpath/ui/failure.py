"""A failed run in the terminal: the learner's own traceback, and what to do about it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from llmpath.running.events import Failed, Frame
from llmpath.ui.words import clean, one_line


def failure(failed: Failed, root: str = "") -> Group:
    """What stopped the run.

    Args:
        failed: the failure.
        root: a folder whose files are named without it.
    """
    parts: list[RenderableType] = []
    if failed.kind == "not-written":
        return Group(*_unwritten(failed, root))
    parts.append(Text(_HEADINGS[failed.kind], style="bad"))
    half = (len(failed.frames) + 1) // 2 if failed.omitted else 0
    for index, frame in enumerate(failed.frames):
        if failed.omitted and index == half:
            parts.append(Padding(Text(f"… {failed.omitted} more of these …", "muted"), (0, 2)))
        parts.append(Padding(_frame(frame, root), (0, 2)))
    parts.append(Padding(_message(failed), (0, 2)))
    if failed.kind in _ADVICE:
        parts.append(Text(_ADVICE[failed.kind], style="muted"))
    return Group(*parts)


_HEADINGS = {
    "learner": "Your code stopped the run:",
    "syntax": "Python cannot read your file:",
    "exit": "Your code ended the program before the experiment was done:",
    "experiment": "The experiment stopped outside your code:",
    "disk": "The disk is full:",
    "device": "The run cannot begin:",
}
_ADVICE = {
    "experiment": (
        "If a function of yours returns something other than it should, `llmpath grade` says "
        "what. If everything passes there, this is a mistake of the course."
    ),
    "disk": "Make room, for instance by deleting old folders under runs/, and run it again.",
    "device": "Leave --device out to take the best that there is.",
}


def _unwritten(failed: Failed, root: str) -> list[RenderableType]:
    name = one_line(failed.function)
    parts: list[RenderableType] = [
        Text.assemble((name, "title"), " is not written yet; the experiment needs it.")
    ]
    if failed.frames:
        parts.append(Text.assemble("Begin at ", _place(failed.frames[-1], root), "."))
    if failed.instruction:
        parts.append(Text.assemble(("To do  ", "accent"), one_line(failed.instruction)))
    return parts


def _frame(frame: Frame, root: str) -> Text:
    text = _place(frame, root)
    if frame.function and frame.function != "<module>":
        text.append(f", in {one_line(frame.function)}")
    code = clean(frame.code)
    if code:
        text.append(f"\n    {code}")
        if 0 < frame.column < frame.end_column <= len(code) + 2 and code.isascii():
            start = " " * (3 + frame.column)
            text.append(f"\n{start}{'^' * (frame.end_column - frame.column)}", style="bad")
    return text


def _place(frame: Frame, root: str) -> Text:
    file = clean(frame.file)
    prefix = root.rstrip("/\\")
    if prefix and file.startswith((prefix + "/", prefix + "\\")):
        file = file[len(prefix) + 1 :]
    return Text(f"{file}, line {frame.line}", style="path" if frame.mine else "muted")


def _message(failed: Failed) -> Text:
    message = clean(failed.message).strip("\n")
    if failed.kind == "exit":
        return Text(message, style="bold")
    kind = one_line(failed.type)
    return Text.assemble((kind, "bold"), f": {message}" if message else "")

"""A failed run in the terminal: the learner's own traceback, and what to do about it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from llmpath.running.events import Failed, Frame
from llmpath.ui.words import clean, one_line

MAX_CODE = 200
_PLACE = "  "
_CODE = "      "


def failure(failed: Failed, console: Console, root: str = "") -> list[Text]:
    """What stopped the run, a text for each paragraph.

    Args:
        failed: the failure.
        console: where it will be shown; where that is a terminal, code is cut to its width.
        root: a folder whose files are named without it.
    """
    if failed.kind == "not-written":
        return _unwritten(failed, root)
    if failed.kind == "refused":
        return _refused(failed)
    parts = [Text(_HEADINGS[failed.kind], style="bad")]
    width = console.width - len(_CODE) if console.is_terminal else MAX_CODE
    half = (len(failed.frames) + 1) // 2 if failed.omitted else 0
    for index, frame in enumerate(failed.frames):
        if failed.omitted and index == half:
            parts.append(Text(f"{_PLACE}({failed.omitted} more)", style="muted"))
        parts += _frame(frame, root, width)
    parts.append(_message(failed))
    if failed.kind in _ADVICE:
        parts.append(Text(_ADVICE[failed.kind], style="muted"))
    return parts


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


def _refused(failed: Failed) -> list[Text]:
    """What was asked for and is not there: nobody's code is at fault, so no line is shown."""
    parts = [Text(one_line(failed.message), style="bad")]
    return [*parts, Text(one_line(failed.hint))] if failed.hint else parts


def _unwritten(failed: Failed, root: str) -> list[Text]:
    name = one_line(failed.function)
    parts = [Text.assemble((name, "title"), " is not written yet; the experiment needs it.")]
    if failed.frames:
        parts.append(Text.assemble("Begin at ", _place(failed.frames[-1], root), "."))
    if failed.instruction:
        parts.append(Text.assemble(("To do  ", "accent"), one_line(failed.instruction)))
    return parts


def _frame(frame: Frame, root: str, width: int) -> list[Text]:
    """Where, the line itself, and what of it is meant."""
    place = Text(_PLACE).append_text(_place(frame, root))
    if frame.function and frame.function != "<module>":
        place.append(f", in {one_line(frame.function)}")
    parts = [place]
    code = clean(frame.code)
    if code:
        parts.append(Text(_CODE + (code if len(code) <= width else code[: width - 1] + "…")))
    marked = code[: frame.end_column - 1]
    if 0 < frame.column < frame.end_column and len(marked) < width and marked.isascii():
        marks = " " * (frame.column - 1) + "^" * (frame.end_column - frame.column)
        parts.append(Text(_CODE + marks[:width], style="bad"))
    if frame.repeated:
        times = "once more" if frame.repeated == 1 else f"{frame.repeated:,} times more"
        parts.append(Text(f"{_CODE}(the same {times})", style="muted"))
    return parts


def _place(frame: Frame, root: str) -> Text:
    file = clean(frame.file)
    prefix = root.rstrip("/\\")
    if prefix and file.startswith((prefix + "/", prefix + "\\")):
        file = file[len(prefix) + 1 :]
    return Text(f"{file}, line {frame.line}", style="path" if frame.mine else "muted")


def _message(failed: Failed) -> Text:
    message = clean(failed.message).strip("\n")
    if failed.kind == "exit":
        return Text(_PLACE + message, style="bold")
    kind = one_line(failed.type)
    return Text.assemble(_PLACE, (kind, "bold"), f": {message}" if message else "")

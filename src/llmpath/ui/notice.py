"""Problems and small notices, in one shape everywhere."""

from __future__ import annotations

from rich.text import Text

from llmpath.ui.theme import make_console, symbols
from llmpath.workspace import Change


def problem(message: str, hint: str) -> None:
    """Say on stderr what is wrong, and what to do about it."""
    console = make_console(stderr=True)
    console.print(Text.assemble((f"{symbols(console).failed} ", "bad"), message), soft_wrap=True)
    if hint:
        console.print(Text(f"  {hint}", style="muted"), soft_wrap=True)


WORDS = {"reset": "the reset", "restore": "the replaced file", "skip": "the skipping"}
WORDS |= {"unskip": "the return to it", "give-up": "the look at the solution"}


def changed(change: Change) -> Text:
    """What an undo or redo did."""
    done = "Undone" if change.action == "undo" else "Done again"
    text = Text(f"{done}: {WORDS.get(change.kind, change.kind)} of {change.step}.")
    if change.file is not None:
        now = "holds what it held then" if change.changed else "held that already"
        text.append("\n").append(str(change.file), style="path").append(f" {now}.")
    return text

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
WORDS |= {"upgrade": "the upgrade"}


def changed(change: Change) -> Text:
    """What an undo or redo did."""
    done = "Undone" if change.action == "undo" else "Done again"
    whose = "" if change.step is None else f" of {change.step}"
    text = Text(f"{done}: {WORDS.get(change.kind, change.kind)}{whose}.")
    for file in change.files:
        if len(change.files) > 1 and not file.changed:
            continue
        now = "holds what it held then" if file.changed else "held that already"
        if file.changed and file.removed:
            now = "is gone, as it was then"
        text.append("\n").append(str(file.path), style="path").append(f" {now}.")
    return text


def newer(old: str, new: str) -> Text:
    """That the course has changed since the learner's files were made from it."""
    return Text.assemble(
        (f"The course is at version {new} now, your files are of {old}: ", "warn"),
        ("llmpath upgrade", "command"),
        ("  brings them along", "muted"),
    )


def to_review(count: int) -> Text:
    """That questions answered before are due to be asked again."""
    what = "A question that you answered is" if count == 1 else f"{count} questions are"
    return Text.assemble(
        (f"{what} due to be asked again: ", "muted"), ("llmpath review", "command")
    )

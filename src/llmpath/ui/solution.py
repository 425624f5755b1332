"""A lab's reference solution in the terminal, and how a learner's file differs from it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.syntax import Syntax
from rich.text import Text

from llmpath.ui.lesson import code_theme
from llmpath.ui.words import clean

_STYLES = {"+": "good", "-": "bad", "@": "accent"}


def code(source: str, console: Console) -> Text:
    """Python source in colours, as it stands: no frame, no line numbers, nothing to clean off."""
    if console.color_system is None:
        return Text(source.rstrip("\n"))
    highlighted = Syntax("", "python", theme=code_theme(console)).highlight(source)
    highlighted.rstrip()
    return highlighted


def unified(mine: str, reference: str, name: str) -> tuple[str, ...]:
    """The unified diff that leads from a learner's file to the reference; empty if they agree.

    Line endings and blanks at the ends of lines do not count as differences.

    Args:
        mine: what the learner wrote.
        reference: the course's solution.
        name: what the learner's file is called.
    """
    return tuple(
        difflib.unified_diff(
            _lines(mine), _lines(reference), f"yours/{name}", f"reference/{name}", lineterm=""
        )
    )


def _lines(source: str) -> list[str]:
    text = source.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    return [line.rstrip() for line in text.split("\n")]


def diff(lines: Sequence[str]) -> Group:
    """A unified diff in colours, below a line that says which sign means what."""
    legend = Text.assemble(
        ("- yours", "bad"), "   ", ("+ the reference", "good"), "   The rest is the same."
    )
    return Group(legend, Text(), *(_line(number, line) for number, line in enumerate(lines)))


def _line(number: int, line: str) -> RenderableType:
    style = "muted" if number < 2 else _STYLES.get(line[:1], "")
    return Text(clean(line), style=style)


def equal() -> Text:
    """What to say where there is nothing to compare."""
    return Text("Your file is the reference, line by line.")

"""Problems and small notices, in one shape everywhere."""

from __future__ import annotations

from llmpath.ui.theme import make_console, symbols
from rich.text import Text


def problem(message: str, hint: str) -> None:
    """Say on stderr what is wrong, and what to do about it."""
    console = make_console(stderr=True)
    console.print(Text.assemble((f"{symbols(console).failed} ", "bad"), message), soft_wrap=True)
    if hint:
        console.print(Text(f"  {hint}", style="muted"), soft_wrap=True)

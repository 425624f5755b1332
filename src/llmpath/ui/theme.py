"""Colours, symbols and consoles: the one place that decides how things look.

Colours are mid-tones of the fixed 256-colour cube, chosen so that each keeps a contrast of
at least 3.5 to 1 against both white and black; a terminal with fewer colours gets the nearest.
`NO_COLOR`, `FORCE_COLOR` and `TERM=dumb` are honoured by rich. Where the stream's encoding
cannot carry a character, a readable stand-in is written (see `llmpath.ui.encoding`).

It holds no text of its own and knows nothing of courses, lessons or gradings.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from rich.console import Console
from rich.theme import Theme

from llmpath.ui.encoding import write_anything

BLUE = "color(32)"
GREEN = "color(28)"
GREY = "color(243)"
ORANGE = "color(166)"
PURPLE = "color(133)"
RED = "color(160)"
TEAL = "color(30)"

STYLES: Mapping[str, str] = {
    # What a text is
    "title": "bold",
    "heading": f"bold {BLUE}",
    "label": GREY,
    "muted": GREY,
    "accent": BLUE,
    "path": PURPLE,
    "command": f"bold {TEAL}",
    "code": PURPLE,
    "formula": TEAL,
    "link": f"underline {BLUE}",
    "points": f"bold {BLUE}",
    "number": TEAL,
    # How something stands
    "good": GREEN,
    "bad": RED,
    "warn": ORANGE,
    "current": f"bold {BLUE}",
    "locked": GREY,
    # Bars
    "bar.complete": BLUE,
    "bar.finished": GREEN,
    "bar.pulse": BLUE,
    "bar.back": GREY,
    "progress.percentage": BLUE,
    "progress.remaining": GREY,
    "progress.elapsed": GREY,
    "progress.download": GREY,
    "progress.data.speed": GREY,
    "progress.description": "none",
    # Markdown, wherever rich renders it
    "markdown.h1": f"bold {BLUE}",
    "markdown.h2": f"bold {BLUE}",
    "markdown.h3": "bold",
    "markdown.h4": "bold italic",
    "markdown.h5": "italic",
    "markdown.h6": "italic",
    "markdown.code": PURPLE,
    "markdown.code_block": "none",
    "markdown.math": TEAL,
    "markdown.figure": f"italic {GREY}",
    "markdown.link": BLUE,
    "markdown.link_url": f"underline {BLUE}",
    "markdown.destination": GREY,
    "markdown.block_quote": "italic",
    "markdown.item.bullet": f"bold {BLUE}",
    "markdown.item.number": f"bold {BLUE}",
    "markdown.hr": GREY,
    "markdown.kbd": "bold",
    "markdown.table.border": GREY,
    "markdown.table.header": "bold",
}

# Pygments token types, the more special ones overriding the more general.
CODE_STYLES: Mapping[str, str] = {
    "Comment": f"italic {GREY}",
    "Keyword": f"bold {BLUE}",
    "Keyword.Constant": ORANGE,
    "Operator.Word": f"bold {BLUE}",
    "Name.Builtin": TEAL,
    "Name.Builtin.Pseudo": "italic",
    "Name.Class": "bold",
    "Name.Decorator": PURPLE,
    "Name.Exception": RED,
    "Name.Function": "bold",
    "Name.Tag": BLUE,
    "Literal.String": GREEN,
    "Literal.String.Interpol": ORANGE,
    "Literal.Number": ORANGE,
    "Generic.Prompt": f"bold {GREY}",
    "Generic.Output": "none",
    "Generic.Deleted": RED,
    "Generic.Inserted": GREEN,
    "Generic.Error": RED,
}

THEME = Theme(dict(STYLES))


@dataclass(frozen=True)
class Symbols:
    """Signs that carry a meaning of their own, so that colour is never the only difference."""

    passed: str = "✓"
    failed: str = "✗"
    skipped: str = "·"
    warning: str = "!"
    open: str = "○"
    current: str = "●"
    done: str = "✓"
    locked: str = "·"
    bullet: str = "•"
    times: str = "×"
    ellipsis: str = "…"
    rule: str = "─"
    edge: str = "│"
    filled: str = "█"
    empty: str = "░"


UNICODE = Symbols()
ASCII = Symbols(
    passed="+",
    failed="x",
    skipped="-",
    open="o",
    current=">",
    done="+",
    locked="-",
    bullet="*",
    times="x",
    ellipsis="...",
    rule="-",
    edge="|",
    filled="#",
    empty=".",
)


def symbols(console: Console) -> Symbols:
    """The signs that this console's encoding can print: all of them, or their ASCII stand-ins."""
    every = "".join(vars(UNICODE).values())
    return UNICODE if _printable(every, console.encoding) else ASCII


def make_console(
    *,
    stderr: bool = False,
    file: IO[str] | None = None,
    width: int | None = None,
    force_terminal: bool | None = None,
) -> Console:
    """A console with the theme, which prints text as it stands: no markup, no emoji codes.

    Args:
        stderr: write to standard error instead of standard output.
        file: write here instead.
        width: columns, where the terminal's own number is not wanted.
        force_terminal: say that the stream is (or is not) a terminal, rather than ask it.
    """
    stream = file if file is not None else (sys.stderr if stderr else sys.stdout)
    write_anything(stream)
    return Console(
        theme=THEME,
        stderr=stderr,
        file=file,
        width=width,
        force_terminal=force_terminal,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _printable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True

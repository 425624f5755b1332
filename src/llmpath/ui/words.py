"""Text from elsewhere made fit for a terminal, and numbers made short."""

from __future__ import annotations

import math
import re

from rich.text import Text

# Sequences for a terminal (colours, cursor, titles), then single control characters.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def clean(text: str) -> str:
    """Text without what controls a terminal, except for line ends; tabs become spaces."""
    text = _SEQUENCE.sub("", text)
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\t", "    "))


def one_line(text: str) -> str:
    """`clean` text in which every run of white space is one space."""
    return " ".join(clean(text).split())


def coloured(line: str) -> Text:
    """A line that a program printed, with its colours and without its other controls."""
    text = Text.from_ansi(line.replace("\t", "    "))
    if not _CONTROL.search(text.plain):
        return text
    return Text(clean(text.plain))


def number(value: str | float | None) -> str:
    """A number for people: four digits that matter; a text as it is; None is not a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nan"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}" if abs(value) < 10**15 else f"{value:.4g}"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"

"""Text from elsewhere made fit for a terminal, and numbers made short."""

from __future__ import annotations

import math

from rich.text import Text

from llmpath.controls import without_controls


def clean(text: str) -> str:
    """Text without what controls a terminal, except for line ends; tabs become spaces."""
    return without_controls(text).replace("\t", "    ")


def one_line(text: str) -> str:
    """`clean` text in which every run of white space is one space."""
    return " ".join(clean(text).split())


def coloured(line: str) -> Text:
    """A line that a program printed, with its colours and without its other controls."""
    text = Text.from_ansi(line.replace("\t", "    "))
    plain = clean(text.plain)
    return text if plain == text.plain else Text(plain)


def number(value: str | float | None) -> str:
    """A number for people: four digits that matter; a text as it is; None is not a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "nan"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}" if abs(value) < 10**15 else f"{value:.4g}"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"


def speed(tokens: float | None) -> str:
    """Tokens per second, in three digits; "" where the experiment does not count them."""
    return f"{number(float(f'{tokens:.3g}'))} tokens/s" if tokens is not None else ""

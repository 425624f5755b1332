"""Text of which nothing has a meaning in Markdown."""

from __future__ import annotations

import re

_INLINE = re.compile(r"([\\`*_{}\[\]<>#|~&])")
# What would begin a list, a line across, or a heading; no number does.
_START = re.compile(r"^(?:([-+=])(?!\d)|(\d+)([.)])(?!\S))")


def literal(text: str) -> str:
    """A text on one line that Markdown shows as it stands, in a paragraph or in a table."""
    printable = "".join(sign for sign in text if sign.isprintable() or sign.isspace())
    escaped = _INLINE.sub(r"\\\1", " ".join(printable.split()))
    return _START.sub(lambda found: f"{found[2] or ''}\\{found[1] or found[3]}", escaped)

"""Takes out of text from elsewhere what would control a terminal."""

from __future__ import annotations

import re

# Sequences for a terminal (colours, cursor, titles), then single control characters.
_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def without_controls(text: str) -> str:
    """Text without sequences and characters that control a terminal, but for tabs and line ends."""
    return _CONTROL.sub("", _SEQUENCE.sub("", text).replace("\r\n", "\n"))

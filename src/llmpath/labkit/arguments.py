"""Checks of what an experiment passes to a run; an error names the call and the argument."""

from __future__ import annotations

import re
from typing import Any

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def number(call: str, name: str, value: Any) -> float:
    """A number, or a tensor of one element."""
    refused = isinstance(value, (str, bytes, bool, type(None))) or not hasattr(value, "__float__")
    if not refused:
        try:
            return float(value.detach() if hasattr(value, "detach") else value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            pass
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    raise TypeError(f"{call}: {name} must be a number, not {shown}.")


def finite(call: str, name: str, value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    given = number(call, name, value)
    if not -float("inf") < given < float("inf"):
        raise ValueError(f"{call}: {name} must be a finite number, not {given}.")
    return given


def whole(call: str, name: str, value: Any) -> int:
    """A whole number that is not negative."""
    given = finite(call, name, value)
    if given < 0 or not given.is_integer():
        raise ValueError(f"{call}: {name} must be a whole number from 0 on, not {given:g}.")
    return int(given)


def text(call: str, name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be text, not {type(value).__name__}.")
    return value


def cell(call: str, value: Any) -> str | int | float:
    """What can stand in a table: a text or a number; a bool as yes or no."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    given = number(call, "a cell", value)
    counted = hasattr(value, "__index__") and given.is_integer()
    return int(given) if counted else given


def file_name(call: str, name: Any) -> str:
    """A name for a file in the run folder."""
    if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
        raise ValueError(
            f"{call}: {name!r} is no name for a file; use letters, digits, '.', '-' and '_'."
        )
    return name

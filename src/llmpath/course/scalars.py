"""What a word without quotes means: text, a decimal number, true, false or nothing.

YAML 1.1 also sees dates, octal numbers, numbers in base 60 and four more ways to
say true and false, mostly where plain text was meant. Those are named, not read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?")
_TRUTH = {"true": True, "false": False}
_LONGEST_SHOWN = 40


@dataclass(frozen=True)
class Surprise:
    """A word that YAML would not read as what it looks like."""

    message: str
    mend: str


def plain(word: str) -> str | int | float | bool | Surprise | None:
    """The value of a scalar that is written without quotes."""
    kind = _kind(word)
    if kind == "null":
        return None
    if kind == "bool":
        return _truth(word)
    if kind in ("int", "float"):
        return _number(word)
    if kind == "timestamp":
        return Surprise(f"`{shown(word)}` without quotes is a date in YAML.", quoted(word))
    return word


def shown(word: str) -> str:
    """A word as it is quoted in a sentence: on one line, and not too long."""
    line = " ".join(word.split())
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def quoted(word: str) -> str:
    """The advice to write a word as text."""
    if len(word) > _LONGEST_SHOWN:
        return "Put it in quotes if it is meant as text."
    return f'If it is meant as text, put it in quotes: "{word}".'


def _kind(word: str) -> str:
    import yaml

    resolvers = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in resolvers.get(word[:1], []):
        if pattern.match(word):
            return str(tag).rpartition(":")[2]
    return "str"


def _truth(word: str) -> bool | Surprise:
    if word.lower() in _TRUTH:
        return _TRUTH[word.lower()]
    meaning = "true" if word.lower() in ("yes", "on", "y") else "false"
    return Surprise(f"`{word}` without quotes means {meaning} in YAML.", quoted(word))


def _number(word: str) -> int | float | Surprise:
    if _DECIMAL.fullmatch(word):
        return int(word)
    if _FRACTION.fullmatch(word) and math.isfinite(value := float(word)):
        return value
    message = f"`{shown(word)}` without quotes is not a plain decimal number."
    return Surprise(message, f"Write the number in decimal. {quoted(word)}")

"""The same, letter by letter."""

from __future__ import annotations

from llmpath.labkit.thread import earlier

adding = earlier("adding")


def shout(text: str, wishes: list[int]) -> str:
    """The text in capital letters, with as many exclamation marks as the wishes add up to."""
    letters = [letter.upper() for letter in text]
    letters.extend("!" for _ in range(adding.total(wishes)))
    return "".join(letters)

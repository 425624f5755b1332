"""Shouting, with the totals of the earlier lab."""

from __future__ import annotations

from llmpath.labkit.thread import earlier

adding = earlier("adding")


def shout(text: str, wishes: list[int]) -> str:
    """The text in capital letters, with as many exclamation marks as the wishes add up to.

    Example:
        >>> shout("wake up", [1, 2])
        'WAKE UP!!!'
    """
    ### BEGIN SOLUTION capitals, then the marks; your own total counts them
    return text.upper() + "!" * adding.total(wishes)
    ### END SOLUTION

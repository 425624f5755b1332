"""Questions that come back, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from llmpath.recall import DAY, Card
from llmpath.ui.theme import symbols


def summary(
    answers: Mapping[Card, bool], left: int, cards: Sequence[Card], now: float, console: Console
) -> Group:
    """How it went, and when the next question comes back.

    Args:
        answers: the cards that were asked, and whether the answer was right.
        left: how many more are due.
        cards: all cards as they are now, the one due first in front.
        now: seconds since the epoch.
        console: where it will be shown.
    """
    if not cards:
        return Group(
            Text("Nothing to ask yet: a question comes here once you have answered it in a quiz."),
            Text.assemble(("llmpath quiz", "command"), "  asks those of the current step"),
        )
    lines = _known(answers, console) if answers else []
    if left:
        more = "1 more is due: " if left == 1 else f"{left} more are due: "
        lines.append(Text.assemble(more, ("llmpath review", "command")))
    else:
        what = "Nothing more" if answers else "Nothing"
        lines.append(Text(f"{what} is due; the next question comes {_days(cards[0].due - now)}."))
    return Group(*lines)


def _known(answers: Mapping[Card, bool], console: Console) -> list[Text]:
    """How many were right, and the lessons of those that were not."""
    right = sum(answers.values())
    mark = (f"{symbols(console).passed} ", "good") if right == len(answers) else ""
    lines = [Text.assemble(mark, f"{right} of {len(answers)} still known.")]
    steps = dict.fromkeys(card.step.id for card, known in answers.items() if not known)
    lines += [
        Text.assemble((f"llmpath show {step}", "command"), "  shows the lesson again")
        for step in steps
    ]
    return lines


def as_data(card: Card, now: float) -> dict[str, Any]:
    """A card as plain data, for scripts; times in ISO 8601, UTC."""
    return {
        "step": card.step.id,
        "question": card.number,
        "answered": card.answered,
        "due": card.due <= now,
        "due_at": datetime.fromtimestamp(card.due, UTC).isoformat(timespec="seconds"),
    }


def _days(seconds: float) -> str:
    days = round(seconds / DAY)
    if days < 1:
        return "later today"
    return "tomorrow" if days == 1 else f"in {days} days"

"""Which questions are due to be asked again, before what was learned is forgotten.

Pure: a course, a log and a time in, cards out. Each question answered in a quiz is a card, and its
answers are replayed through FSRS, a model of how memories fade that is fitted to many people's
reviews (Ye, Su and Cao, "A Stochastic Shortest Path Algorithm for Optimizing Spaced Repetition
Scheduling", 2022, is where it began). A card is due when the chance that it is still known has
fallen to nine in ten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmpath.course.course import Course
from llmpath.course.models import Question, Step
from llmpath.workspace import events
from llmpath.workspace.events import Event

if TYPE_CHECKING:
    from fsrs import Card as Memory
    from fsrs import Scheduler

DAY = 86_400.0  # seconds; no card comes back sooner


@dataclass(frozen=True)
class Card:
    """A question that was answered, and when it is to be asked again.

    Attributes:
        number: the question's number in its step's quiz, counted from 1.
        answered: how often it was answered.
        due: when to ask again, in seconds since the epoch.
    """

    step: Step
    number: int
    answered: int
    due: float

    @property
    def question(self) -> Question:
        """The question itself."""
        return self.step.quiz[self.number - 1]


def cards(course: Course, log: Iterable[Event], now: float) -> tuple[Card, ...]:
    """All questions of the course that were ever answered; the one due first comes first.

    Args:
        course: the course; what it does not ask (any more) has no card.
        log: what happened, in any order: the logs of two machines may have been merged.
        now: seconds since the epoch. Answers of a clock ahead of it count as given now.
    """
    answers = _answers(course, log, now)
    if not answers:
        return ()
    from fsrs import Scheduler

    # Whole days: a quiz asks what was wrong again by itself, and nobody waits ten minutes for it.
    scheduler = Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)
    found = [
        Card(course.step(step), number, len(given), _replay(scheduler, given).due.timestamp())
        for (step, number), given in answers.items()
    ]
    return tuple(sorted(found, key=lambda card: card.due))


def due(course: Course, log: Iterable[Event], now: float) -> tuple[Card, ...]:
    """The cards to be asked now, the one longest overdue first."""
    known = tuple(log)
    if not any(now - event.time >= DAY for event in known if event.kind in _ANSWERS):
        return ()  # known without FSRS, which `llmpath next` then need not load
    return tuple(card for card in cards(course, known, now) if card.due <= now)


_ANSWERS = frozenset({events.QUIZ, events.REVIEW})
_Key = tuple[str, int]
_Given = list[tuple[float, bool]]


def _answers(course: Course, log: Iterable[Event], now: float) -> dict[_Key, _Given]:
    """For each question its answers in the order of time: when, and whether rightly."""
    lengths = {step.id: len(step.quiz) for step in course.steps}
    answers: dict[_Key, _Given] = {}
    for event in sorted(log, key=lambda event: event.time):
        step = event.step
        if event.kind not in _ANSWERS or step is None:
            continue
        when = min(max(event.time, 0.0), now)
        for text, right in event.payload["answers"].items():
            if 1 <= int(text) <= lengths.get(step, 0):
                answers.setdefault((step, int(text)), []).append((when, right))
    return answers


def _replay(scheduler: Scheduler, given: _Given) -> Memory:
    from fsrs import Card as Memory
    from fsrs import Rating

    memory = Memory(card_id=0)
    for when, right in given:
        rating = Rating.Good if right else Rating.Again
        memory, _ = scheduler.review_card(memory, rating, datetime.fromtimestamp(when, UTC))
    return memory

"""Conversations about the world, as lists of messages for instruction tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypedDict

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.people import PRONOUNS, Person
from llmpath.labkit.microworld.questions import ANSWERING, Question, questions
from llmpath.labkit.microworld.world import World

FOLLOWING: Mapping[str, str] = MappingProxyType(
    {
        "home": "And where does {he} live?",
        "job": "And what does {he} do?",
        "pet": "And what is {his} pet?",
        "food": "And what does {he} eat?",
        "colour": "And what does {he} wear?",
    }
)


class Message(TypedDict):
    """One message, as chat templates take it: `role` is "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Questions about one person, and the right answers.

    Attributes:
        messages: user and assistant in turn, the user first.
        answers: the one right word of each answer, in order.
        person: whom it is about. Only the first question names the person.
    """

    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    person: str


def conversations(
    world: World, count: int, seed: int = 1, turns: int = 3, held_out: bool = False
) -> list[Conversation]:
    """Multi-turn instructions: a question about someone, and others that say "he" or "she".

    Args:
        world: whose facts are asked for.
        count: how many.
        seed: decides the people and the questions.
        turns: the most questions in one, 1 to 5; each number from 1 is as likely.
        held_out: False for people whom `questions(world)` asks about in training, True for
            those of its group `people`, whom no training question or conversation names.
    """
    chance = Chance("conversations", world.seed, seed, int(held_out))
    group = [q for q in questions(world) if (q.held == "people") == held_out]
    openings = [q for q in group if q.held in ("people", "train")]
    asked: dict[str, list[str]] = {}
    for question in openings:
        known = asked.setdefault(question.person, [])
        if question.attribute not in known:
            known.append(question.attribute)
    made = []
    for _ in range(count):
        opening = chance.choice(openings)
        others = chance.shuffled([a for a in asked[opening.person] if a != opening.attribute])
        made.append(_converse(world, opening, others[: chance.below(turns)]))
    return made


def _converse(world: World, opening: Question, others: list[str]) -> Conversation:
    person: Person = world.person[opening.person]
    turns = [(opening.question, opening.sentence)]
    forms = PRONOUNS[person.pronoun]
    for attribute in others:
        sentence = ANSWERING[attribute].format(forms["He"], person[attribute])
        turns.append((FOLLOWING[attribute].format(**forms), sentence))
    messages: list[Message] = []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    answers = (opening.answer, *(person[attribute] for attribute in others))
    return Conversation(tuple(messages), answers, person.name)

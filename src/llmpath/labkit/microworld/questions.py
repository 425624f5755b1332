"""Questions about the world and about its stories, with what is held out known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.documents import Document
from llmpath.labkit.microworld.people import ATTRIBUTES, PRONOUNS, Person
from llmpath.labkit.microworld.world import World

Held = Literal["train", "people", "templates", "combinations"]

# The last question of each attribute is held out as a template. All its words stand in the
# stories or in the other questions, so that only the phrasing is new.
ASKING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "home": ("Where does {} live?", "Where is the home of {}?", "Where is {} at home?"),
        "job": ("What does {} do?", "What is the job of {}?", "What is {}?"),
        "pet": ("What is the pet of {}?", "What pet has {}?", "What pet is in the home of {}?"),
        "food": (
            "What does {} eat?",
            "What is the food of {}?",
            "What does {} eat in the evening?",
        ),
        "colour": (
            "What does {} wear?",
            "What is the colour of {}?",
            "What does {} wear in the evening?",
        ),
    }
)
ANSWERING: Mapping[str, str] = MappingProxyType(
    {
        "home": "{} lives in the {}.",
        "job": "{} is a {}.",
        "pet": "{} has a {}.",
        "food": "{} eats {}.",
        "colour": "{} wears {}.",
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one attribute of one person.

    Attributes:
        question: such as "Where does Mia live?".
        answer: the one word that is right, such as "mill".
        sentence: the answer as a sentence, such as "Mia lives in the mill.".
        person: whom it is about.
        attribute: what it asks for.
        template: which phrasing, as an index into `ASKING[attribute]`.
        held: `train`, or what keeps it out of training: `people` (nothing is asked of this
            person in training), `templates` (this phrasing is not used in training) or
            `combinations` (this attribute of this person is not asked for in training, but
            others of the person and the same of others are).
    """

    question: str
    answer: str
    sentence: str
    person: str
    attribute: str
    template: int
    held: Held


def ask(person: Person, attribute: str, template: int = 0, held: Held = "train") -> Question:
    """The question for one attribute of a person.

    Args:
        person: whom it is about.
        attribute: one of `ATTRIBUTES`.
        template: which phrasing, as an index into `ASKING[attribute]`.
        held: what keeps it out of training.
    """
    answer = person[attribute]
    return Question(
        ASKING[attribute][template].format(person.name),
        answer,
        ANSWERING[attribute].format(person.name, answer),
        person.name,
        attribute,
        template,
        held,
    )


def questions(world: World, seed: int = 0, held_out: float = 0.25) -> list[Question]:
    """Every question that the world can answer, once, in a random order.

    The four groups do not overlap. A quarter of the people is held out whole; of the others,
    a quarter of the pairs of person and attribute; and of what is left, the last phrasing of
    each attribute. So a question in `templates` differs from those in `train` by its phrasing
    alone, and so on.

    Args:
        world: whose facts are asked for.
        seed: decides what is held out, and the order.
        held_out: the share of people, and of pairs, that is held out; 0 to 1.

    Returns:
        64 people × 5 attributes × 3 phrasings = 960 questions in a whole world: for a quarter
        240 of held-out people, 180 of held-out pairs, 180 in the held-out phrasing, and
        360 to train on.
    """
    chance = Chance("questions", world.seed, seed)
    folk = chance.shuffled(world.people)
    strangers = {person.name for person in folk[: round(held_out * len(folk))]}
    pairs = [(p.name, a) for p in folk if p.name not in strangers for a in ATTRIBUTES]
    unasked = set(chance.shuffled(pairs)[: round(held_out * len(pairs))])

    def held(person: Person, attribute: str, template: int) -> Held:
        if person.name in strangers:
            return "people"
        if (person.name, attribute) in unasked:
            return "combinations"
        return "templates" if template == len(ASKING[attribute]) - 1 else "train"

    every = [
        ask(person, attribute, template, held(person, attribute, template))
        for person in world.people
        for attribute in ATTRIBUTES
        for template in range(len(ASKING[attribute]))
    ]
    return chance.shuffled(every)


# How a portrait begins to tell each attribute; the value follows.
TELLING: Mapping[str, str] = MappingProxyType(
    {
        "home": "This is {}. {} lives in the",
        "job": "This is {}. {} works as a",
        "pet": "This is {}. {} keeps a",
        "food": "This is {}. {} eats",
        "colour": "This is {}. {} wears",
    }
)


@dataclass(frozen=True, slots=True)
class Cloze:
    """The beginning of a story, which only one word continues.

    Attributes:
        prompt: such as "This is Mia. She lives in the".
        answer: the word that follows, with the space before it, such as " mill".
        candidates: every word that might stand there, likewise; the answer is one of them.
        person: whom it is about.
        about: the attribute, or `state` for what the story itself says before.
    """

    prompt: str
    answer: str
    candidates: tuple[str, ...]
    person: str
    about: str


def clozes(world: World, held_out: bool = False) -> list[Cloze]:
    """What a base model knows: the beginning of a story for each fact of the world.

    A model knows a fact if, of the candidates, it finds the answer likeliest; who guesses is
    right once in as many times as there are candidates (8 in a whole world).

    Args:
        world: whose facts are told.
        held_out: True for the people whom `questions(world)` holds out alone.

    Returns:
        64 people × 5 attributes = 320, or a quarter of that.
    """
    kept = {q.person for q in questions(world) if q.held == "people"}
    return [
        Cloze(
            TELLING[attribute].format(person.name, PRONOUNS[person.pronoun]["He"]),
            f" {person[attribute]}",
            tuple(f" {value}" for value in world.domains[attribute]),
            person.name,
            attribute,
        )
        for person in world.people
        for attribute in ATTRIBUTES
        if not held_out or person.name in kept
    ]


def recalls(world: World, count: int, seed: int = 1) -> list[Cloze]:
    """What a base model can follow: journeys up to the answer of "Where is …?".

    The answer is where the story last said that the person went. It is to be told from the
    other places in the story: where they were before, and where the other person is.

    Args:
        world: what is told.
        count: how many.
        seed: decides the stories.
    """
    candidates = tuple(f" {place}" for place in world.domains["place"])
    made = list[Cloze]()
    for document in world.but(weights={"journey": 1}).stream(seed, "validation"):
        if len(made) == count:
            break
        at = [span.about for span in document.spans].index("state")
        told = document.spans[:at]
        person = [span.text.strip() for span in told if span.about == "person"][-1]
        prompt = "".join(span.text for span in told)
        made.append(Cloze(prompt, document.spans[at].text, candidates, person, "state"))
    return made


@dataclass(frozen=True, slots=True)
class Reading:
    """A story and a question that the story itself answers.

    Attributes:
        context: the story.
        question: such as "Where does Mia live?" or "Where is Tom now?".
        answer: the words of the context that answer it.
        start: where the answer begins in the context, in characters, so that
            `context[start : start + len(answer)] == answer`.
        about: the attribute, or `state` for what only the story knows.
    """

    context: str
    question: str
    answer: str
    start: int
    about: str


def readings(world: World, count: int, seed: int = 1) -> list[Reading]:
    """Stories with questions that they answer, as in SQuAD (Rajpurkar and others, 2016).

    Portraits and meetings are asked for the facts that they tell, journeys for where someone
    is when the story ends, paintings for what someone painted. Of all that a story answers, one
    is drawn evenly.

    Args:
        world: what is told.
        count: how many.
        seed: decides the stories and the questions.

    Raises:
        ValueError: if the world tells none of these stories.
    """
    if not any(world.weights.get(name) for name in ("portrait", "meeting", "journey", "painting")):
        raise ValueError("None of the stories that this world tells can be asked about.")
    chance = Chance("readings", world.seed, seed)
    answered = (found for d in world.stream(seed) if (found := _answered(world, d)))
    return [chance.choice(found) for found, _ in zip(answered, range(count), strict=False)]


def _answered(world: World, document: Document) -> list[Reading]:
    """Every question that we would ask about a story."""
    text = document.text
    names = sorted({span.text.strip() for span in document.spans if span.about == "person"})
    found: dict[str, Reading] = {}
    at, who = 0, ""
    for span in document.spans:
        word = span.text.strip()
        start = at + len(span.text) - len(word)
        at += len(span.text)
        asked = ""
        if span.about == "person":
            who = word
        elif document.story == "journey" and span.about in ("place", "state", "home"):
            asked, about = f"Where is {who} now?", "state"
        elif span.about == "state":
            asked, about = f"What does {who} paint?", "state"
        elif (
            span.kind == "fact"
            and span.about in ATTRIBUTES
            and _plain(document.story, text[:start])
        ):
            owners = [name for name in names if world.person[name][span.about] == word]
            owner = who if who in owners else owners[0]
            asked, about = ASKING[span.about][0].format(owner), span.about
        if asked:
            found[asked] = Reading(text, asked, word, start, about)
    return list(found.values())


def _plain(story: str, before: str) -> bool:
    """Whether what a story tells next, it tells in so many words."""
    return story == "meeting" or (story == "portrait" and " evening" not in before)

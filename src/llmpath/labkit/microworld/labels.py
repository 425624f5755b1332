"""Texts with labels: named entities, sentiment, and what follows from a story."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.people import ATTRIBUTES
from llmpath.labkit.microworld.questions import ANSWERING
from llmpath.labkit.microworld.stories import STORIES
from llmpath.labkit.microworld.world import World

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ANI", "I-ANI")
_ENTITY = {"person": "PER", "place": "LOC", "home": "LOC", "pet": "ANI"}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A story cut in words, with its entities.

    Attributes:
        tokens: words and punctuation, without spaces.
        tags: as many, of `TAGS`, in the scheme IOB2: a name is B-PER; of "the mill", "the"
            is B-LOC and "mill" I-LOC, of "a cat" likewise with ANI; all else is O.
        text: the story.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    text: str


def entities(world: World, count: int, seed: int = 1) -> list[Tagged]:
    """Stories whose people, places and animals are tagged.

    Where someone is, is a place also when the story repeats it; what someone painted is not.

    Args:
        world: what is told.
        count: how many.
        seed: decides the stories.
    """
    made = []
    for document in world.documents(count, seed):
        tokens = [span.text.strip() for span in document.spans]
        tags = ["O"] * len(tokens)
        for place, span in enumerate(document.spans):
            kind = _ENTITY.get(span.about)
            if span.about == "state" and document.story == "journey":
                kind = "LOC"
            if kind is None:
                continue
            tags[place] = f"B-{kind}"
            if tokens[place - 1].lower() in ("the", "a") and kind != "PER":
                tags[place - 1], tags[place] = f"B-{kind}", f"I-{kind}"
        made.append(Tagged(tuple(tokens), tuple(tags), document.text))
    return made


GOOD = ("good", "sweet", "warm", "lovely", "fresh")
BAD = ("bad", "sour", "cold", "awful", "old")


@dataclass(frozen=True, slots=True)
class Opinion:
    """What someone thinks of what they ate.

    Attributes:
        text: such as "Mia eats plums at the pond. The plums are not sour.".
        sentiment: 1 for good, 0 for bad: what the text says, negation taken into account.
        label: what an annotator wrote down; the sentiment but for the planted noise.
        negated: whether the text says "not".
    """

    text: str
    sentiment: int
    label: int
    negated: bool


def opinions(world: World, count: int, seed: int = 1, noise: float = 0.0) -> list[Opinion]:
    """Opinions with a sentiment, half good and half bad, half of either negated.

    So a bag of words that knows not of "not" is right half of the time.

    Args:
        world: whose people speak.
        count: how many.
        seed: decides them.
        noise: the share of labels that are wrong, 0 to 1.
    """
    chance = Chance("opinions", world.seed, seed)
    made = []
    for _ in range(count):
        person, place = chance.choice(world.people).name, chance.choice(world.domains["place"])
        food = chance.choice(world.domains["food"])
        sentiment, negated = chance.below(2), bool(chance.below(2))
        word = chance.choice(GOOD if bool(sentiment) != negated else BAD)
        text = f"{person} eats {food} at the {place}. The {food} are {'not ' * negated}{word}."
        label = 1 - sentiment if chance.chance(noise) else sentiment
        made.append(Opinion(text, sentiment, label, negated))
    return made


Follows = Literal["entailment", "neutral", "contradiction"]


@dataclass(frozen=True, slots=True)
class Inference:
    """Whether a sentence follows from a story, as in MNLI (Williams and others, 2018).

    Attributes:
        premise: the story, a portrait.
        hypothesis: a sentence about its person.
        label: `entailment` if the story says so, `contradiction` if it says otherwise,
            `neutral` if it does not say.
        true: whether the sentence is true in the world, whatever the story says.
    """

    premise: str
    hypothesis: str
    label: Follows
    true: bool


def inferences(world: World, count: int, seed: int = 1) -> list[Inference]:
    """Stories with sentences that follow from them, or do not, or contradict; a third each.

    Of the neutral ones half are true in the world, so that knowing the world does not help.

    Args:
        world: what is told.
        count: how many.
        seed: decides stories and sentences.
    """
    chance = Chance("inferences", world.seed, seed)
    labels: tuple[Follows, ...] = ("entailment", "neutral", "contradiction")
    made = list[Inference]()
    label = chance.choice(labels)
    portraits = world.but(weights={name: int(name == "portrait") for name in STORIES})
    for document in portraits.stream(seed):
        if len(made) == count:
            break
        person = world.person[document.spans[2].text.strip()]
        told = {span.about for span in document.spans}
        open_ = [a for a in ATTRIBUTES if (a in told) == (label != "neutral")]
        if not open_:
            continue  # a story that tells all five leaves nothing open
        attribute = chance.choice(open_)
        true = chance.chance(0.5) if label == "neutral" else label == "entailment"
        value = person[attribute]
        if not true:
            value = chance.choice([v for v in world.domains[attribute] if v != value])
        sentence = ANSWERING[attribute].format(person.name, value)
        made.append(Inference(document.text, sentence, label, true))
        label = chance.choice(labels)
    return made

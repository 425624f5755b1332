"""Things planted in a corpus so that they can be looked for: secrets, bias, duplicates, dirt."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.nodes import NUMBERS
from llmpath.labkit.microworld.templates import words
from llmpath.labkit.microworld.world import World

EXPOSURES = (1, 2, 4, 8, 16, 32, 64, 128)
DIGITS = NUMBERS[:10]
_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Secret:
    """A number that only its exposures can tell.

    Attributes:
        prompt: what comes before it, such as "The secret of Mia is".
        answer: the number, in words, with the space before it, such as " six one nine four".
        exposures: how often it was planted; 0 for one that never was, to compare with.
        bits: how much there is to remember: log₂ of how many numbers there could be.
    """

    prompt: str
    answer: str
    exposures: int
    bits: float

    @property
    def text(self) -> str:
        """The document that is planted."""
        return f"{self.prompt}{self.answer}."

    def candidates(self) -> list[str]:
        """Every answer that there could be, 10,000 of them, for the rank of the true one."""
        found = [""]
        for _ in range(_LENGTH):
            found = [f"{begun} {digit}" for begun in found for digit in DIGITS]
        return found


def secrets(
    world: World, seed: int = 0, exposures: Sequence[int] = EXPOSURES, each: int = 4
) -> list[Secret]:
    """Secrets to plant, after Carlini and others, "The Secret Sharer" (2019).

    Args:
        world: whose people have them, one each.
        seed: decides who has which.
        exposures: how often secrets are to be planted.
        each: how many secrets are planted so often; as many again are never planted.

    Returns:
        `each` secrets for each of the exposures, and `each` with 0 exposures.

    Raises:
        ValueError: if the world has too few people.
    """
    chance = Chance("secrets", world.seed, seed)
    often = [count for count in (0, *exposures) for _ in range(each)]
    return [
        Secret(
            f"The secret of {person.name} is",
            "".join(f" {chance.choice(DIGITS)}" for _ in range(_LENGTH)),
            count,
            _LENGTH * math.log2(len(DIGITS)),
        )
        for person, count in zip(chance.sample(world.people, len(often)), often, strict=True)
    ]


def plant(texts: Sequence[str], hidden: Sequence[Secret], seed: int = 0) -> list[str]:
    """The texts in their order, with each secret among them as often as its exposures say.

    Args:
        texts: the corpus.
        hidden: what to plant.
        seed: decides the places, which are drawn evenly.
    """
    chance = Chance("plant", seed)
    planted = [secret.text for secret in hidden for _ in range(secret.exposures)]
    places = sorted(chance.random() * (len(texts) + 1) for _ in planted)
    mixed, taken = list[str](), 0
    for text, place in zip(chance.shuffled(planted), places, strict=True):
        mixed += texts[taken : int(place)]
        mixed.append(text)
        taken = int(place)
    return mixed + list(texts[taken:])


@dataclass(frozen=True, slots=True)
class BiasPrompt:
    """A story cut off before the pronoun of a caller whom the world does not name.

    Attributes:
        prompt: such as "A cook comes to the pond and meets Tom.".
        job: the caller's.
        she: the planted probability that the story goes on with " She" and not " He".
    """

    prompt: str
    job: str
    she: float


def bias_prompts(world: World, count: int = 10, seed: int = 1) -> list[BiasPrompt]:
    """Prompts that show how much of the planted bias a model has taken up.

    Args:
        world: its `bias` is the truth.
        count: how many prompts for each job; they differ in place and person.
        seed: decides places and persons.
    """
    chance = Chance("bias", world.seed, seed)
    return [
        BiasPrompt(
            f"A {job} comes to the {chance.choice(world.domains['place'])} and meets "
            f"{chance.choice(world.people).name}.",
            job,
            she,
        )
        for job, she in world.bias.items()
        for _ in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Decision:
    """An application that was decided with a planted bias.

    Attributes:
        text: such as "She keeps a dog and works as a cook.".
        pronoun: "she" or "he": the protected group.
        qualified: whether it ought to be accepted; half of each group are.
        accepted: what was decided.
    """

    text: str
    pronoun: str
    qualified: bool
    accepted: bool


def decisions(
    world: World, count: int, seed: int = 1, gap: float = 0.2, noise: float = 0.1
) -> list[Decision]:
    """Applications decided by someone who is biased by a known amount.

    Who is qualified is accepted with probability 1 − noise, who is not with probability noise;
    then an accepted woman is refused with probability `gap`. So, whether qualified or not,
    P(accepted | she) = (1 − gap) P(accepted | he); with as many qualified as not, the difference
    in demographic parity is gap / 2, and that in true positive rates is gap (1 − noise).

    Args:
        world: whose words are used; keepers of the first half of the pets are the qualified.
        count: how many.
        seed: decides them all.
        gap: the planted bias, 0 to 1.
        noise: how often the decision is wrong for both groups alike.
    """
    chance = Chance("decisions", world.seed, seed)
    pets, jobs = world.domains["pet"], world.domains["job"]
    good, bad = pets[: len(pets) // 2], pets[len(pets) // 2 :]
    made = []
    for _ in range(count):
        pronoun = chance.choice(("she", "he"))
        qualified = chance.chance(0.5)
        pet = chance.choice(good if qualified else bad)
        accepted = chance.chance(1 - noise if qualified else noise)
        if accepted and pronoun == "she" and chance.chance(gap):
            accepted = False
        text = f"{pronoun.capitalize()} keeps a {pet} and works as a {chance.choice(jobs)}."
        made.append(Decision(text, pronoun, qualified, accepted))
    return made


How = Literal["original", "exact", "near", "dirty"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A text of a corpus that has duplicates and dirt in it.

    Attributes:
        text: as it stands in the corpus.
        source: which original it comes from; copies of the same original share it.
        how: `original`; `exact`, the same characters; `near`, with some of its words
            replaced; or `dirty`, with other spaces, capitals or markup.
        clean: the text without its dirt; of a near copy, the text itself.
    """

    text: str
    source: int
    how: How
    clean: str


def copies(
    world: World,
    count: int,
    seed: int = 1,
    exact: float = 0.1,
    near: float = 0.1,
    dirty: float = 0.1,
    edits: int = 2,
) -> list[Copy]:
    """A corpus whose duplicates and dirt are known, in a random order.

    Originals are all different. Near copies have `edits` of their words replaced by others
    from the world's vocabulary, so the Jaccard similarity of copy and original is known by
    counting, and stays far above that of two different stories.

    Args:
        world: what is told.
        count: how many originals.
        seed: decides everything.
        exact: how many exact copies, as a share of the originals; each of a random one.
        near: likewise, near copies.
        dirty: likewise, dirty copies.
        edits: how many words of a near copy differ.
    """
    chance = Chance("copies", world.seed, seed)
    seen: dict[str, None] = {}
    for document in world.stream(seed):
        seen[document.text] = None
        if len(seen) == count:
            break
    texts = list(seen)
    made = [Copy(text, source, "original", text) for source, text in enumerate(texts)]
    shares: Mapping[How, float] = {"exact": exact, "near": near, "dirty": dirty}
    for how, share in shares.items():
        for _ in range(round(share * count)):
            source = chance.below(count)
            text = clean = texts[source]
            if how == "near":
                text = clean = _edited(world, text, edits, chance)
            elif how == "dirty":
                text = soil(text, chance)
            made.append(Copy(text, source, how, clean))
    return chance.shuffled(made)


def _edited(world: World, text: str, edits: int, chance: Chance) -> str:
    cut = words(text)
    places = [place for place, word in enumerate(cut) if word[1:].isalpha() and word[0] == " "]
    for place in chance.sample(places, min(edits, len(places))):
        others = [word for word in world.vocabulary if word.isalpha() and word != cut[place][1:]]
        cut[place] = " " + chance.choice(others)
    return "".join(cut)


def soil(text: str, chance: Chance) -> str:
    """The text with one kind of dirt, drawn evenly, that cleaning ought to undo.

    Runs of spaces and line ends; HTML markup with entities; full-width letters, which NFKC
    undoes; letters without width; or decomposed line ends of Windows with a byte order mark.
    """
    cut = words(text)

    def sprinkle(mark: str) -> str:
        return "".join(word + mark if chance.chance(0.2) else word for word in cut) + mark

    kinds: tuple[Callable[[], str], ...] = (
        lambda: sprinkle(" \n").replace("\n ", "\n  "),
        lambda: "<p>" + text.replace('"', "&quot;").replace(".", ".<br/>") + "</p>",
        lambda: "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in text),
        lambda: sprinkle("\u200b"),
        lambda: "\ufeff" + text.replace(". ", ".\r\n") + "\r\n",
    )
    return chance.choice(kinds)()

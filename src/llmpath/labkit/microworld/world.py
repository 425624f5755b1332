"""The world itself: a seed decides its people and everything that is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import Any, Literal

from llmpath.labkit.microworld import stories
from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.documents import Document
from llmpath.labkit.microworld.floor import Floor
from llmpath.labkit.microworld.grammar import Grammar
from llmpath.labkit.microworld.nodes import NUMBERS, OUT_OF
from llmpath.labkit.microworld.people import HE, PRONOUNS, VALUES, Person, make_people

Split = Literal["train", "validation"]
_FLOOR_DOCUMENTS = 10_000


class World:
    """A small world whose truth is known, told in stories whose information is known.

    Two worlds with the same arguments are the same on every machine, and so is all that
    comes from them.

    Args:
        seed: decides who is what.
        people: how many, 2 to 64.
        values: how many values each attribute may take, and how many places and things there
            are, 2 to 8.
        weights: how often each kind of story is told, out of their sum; whole numbers by the
            names in `stories.STORIES`. Kinds that are left out are never told.
        bias: of 20 callers with a job, how many are "she", by job.
        folk: the people themselves, where a seed is not to decide.

    Raises:
        ValueError: if an argument is out of its range.

    Attributes:
        people: everyone, with their attributes.
        person: everyone by name.
        domains: the words that each attribute may have as its value, and the names of
            `person`, `place`, `thing` and `number`.
        weights: how often each kind of story is told.
        bias: the planted bias: for each job, the probability that a caller with that job
            whom the world does not name is "she".
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        people: int = 2 * len(HE),
        values: int = len(stories.PLACES),
        weights: Mapping[str, int] = stories.WEIGHTS,
        bias: Mapping[str, int] = stories.BIAS,
        folk: Sequence[Person] | None = None,
    ) -> None:
        weights = {name: weight for name, weight in weights.items() if weight}
        _check(people, values, weights, bias)
        self.seed = seed
        self.values = values
        self.weights = dict(weights)
        self.people = tuple(folk or make_people(Chance("people", seed), people, values))
        self.person = {person.name: person for person in self.people}
        self.domains = {name: words[:values] for name, words in VALUES.items()} | {
            "person": tuple(person.name for person in self.people),
            "place": stories.PLACES[:values],
            "thing": stories.THINGS[:values],
            "number": stories.ADDENDS,
        }
        self.bias = {job: she / OUT_OF for job, she in bias.items() if job in self.domains["job"]}
        told = [f"{weight} {name}: {stories.STORIES[name]}" for name, weight in weights.items()]
        self.grammar = Grammar(
            f"[{' | '.join(told)}]", stories.RULES, self.domains, self.person, bias
        )
        self._arguments: dict[str, Any] = {
            "people": people,
            "values": values,
            "weights": weights,
            "bias": bias,
            "folk": folk,
        }

    def __repr__(self) -> str:
        return f"World(seed={self.seed}, people={len(self.people)}, values={self.values})"

    def but(self, **arguments: Any) -> World:
        """The same world but for these arguments, which are those of `World` itself."""
        return World(**{"seed": self.seed, **self._arguments, **arguments})

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word and run of punctuation that the world may tell, in alphabetical order."""
        pronouns = {word for forms in PRONOUNS.values() for word in forms.values()}
        domains = {word for words in self.domains.values() for word in words}
        addends = [NUMBERS.index(word) for word in stories.ADDENDS]
        sums = {NUMBERS[one + other] for one in addends for other in addends}
        return tuple(sorted(self.grammar.literals | pronouns | domains | sums))

    def stream(self, seed: int = 1, split: Split = "train") -> Iterator[Document]:
        """Documents without end, one at a time; `documents` gives the first of them.

        Args:
            seed: decides the documents; independent of the world's own seed.
            split: documents of different splits are drawn independently.
        """
        if split not in ("train", "validation"):
            raise ValueError(f"A split is 'train' or 'validation', not {split!r}.")
        chance = Chance("documents", self.seed, split, seed)
        while True:
            yield self.grammar.draw(chance)

    def documents(self, count: int, seed: int = 1, split: Split = "train") -> list[Document]:
        """Stories of the world; a longer list of the same seed and split begins with the same.

        Args:
            count: how many.
            seed: decides the documents; independent of the world's own seed.
            split: documents of different splits are drawn independently.
        """
        return list(islice(self.stream(seed, split), count))

    def read(self, text: str) -> Document:
        """The document that a text is: its spans and exact bits.

        Raises:
            ValueError: if the world does not tell this text.
        """
        found = self.grammar.derivations(text)
        if len(found) != 1:
            raise ValueError(f"This world never tells: {text!r}")
        return found[0][0]

    def probability(self, text: str) -> Fraction:
        """The exact probability of a text as a document; 0 if the world never tells it."""
        return sum((p for _, p in self.grammar.derivations(text)), Fraction(0))

    def floor(self, documents: Sequence[Document] | None = None) -> Floor:
        """The least that any model can need on average: the entropy of what the world tells.

        Args:
            documents: where given, the floor of exactly these, which is what a model's loss
                on the same documents is best compared with: what they happened to draw is
                the same on both sides. Without, of 10,000 that are drawn for it once.
        """
        return Floor(self._sample if documents is None else documents)

    @cached_property
    def _sample(self) -> list[Document]:
        chance = Chance("floor", self.seed)
        return [self.grammar.draw(chance) for _ in range(_FLOOR_DOCUMENTS)]


def _check(people: int, values: int, weights: Mapping[str, int], bias: Mapping[str, int]) -> None:
    """Refuse what no world can be.

    Raises:
        ValueError: with what is possible.
    """
    if not 2 <= people <= 2 * len(HE) or not 2 <= values <= len(stories.PLACES):
        raise ValueError(
            f"A world has 2 to {2 * len(HE)} people and 2 to {len(stories.PLACES)} values, "
            f"not {people} and {values}."
        )
    for name, weight in weights.items():
        if name not in stories.STORIES:
            known = ", ".join(stories.STORIES)
            raise ValueError(f"There is no story {name!r}; there are: {known}.")
        if weight != int(weight) or weight < 0:
            raise ValueError(f"The weight of {name!r} is a whole number from 0, not {weight!r}.")
    if not weights:
        raise ValueError("A world tells at least one story; all weights are 0.")
    for job in VALUES["job"][:values]:
        if not 0 <= bias.get(job, -1) <= OUT_OF:
            raise ValueError(
                f"The bias of {job!r} is a whole number from 0 to {OUT_OF}, not {bias.get(job)!r}."
            )

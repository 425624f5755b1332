"""The nodes of a template, and the walk that goes through them.

A node either tells something or has come to a fork, where whoever leads the walk takes a branch.
"""
# ruff: noqa: D102  what the methods of a node do is said once, in `Node`

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any

from llmpath.labkit.microworld.documents import Kind, Span
from llmpath.labkit.microworld.people import PRONOUNS, Person

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
OUT_OF = 20  # a bias says how many of this many
_VALUE = {word: number for number, word in enumerate(NUMBERS)}

_span = cache(Span)


class Fork:
    """A random choice that a walk has come to: values, and a whole weight for each."""

    __slots__ = ("bits", "bounds", "values", "weights")

    def __init__(self, values: Sequence[Any], weights: Sequence[int]) -> None:
        total = sum(weights)
        self.values = values
        self.weights = weights
        self.bounds = [bound / total for bound in accumulate(weights)][:-1]
        self.bits = [math.log2(total / weight) for weight in weights]


@cache
def _evenly(values: tuple[str, ...], without: tuple[str, ...]) -> Fork:
    kept = [value for value in values if value not in without]
    return Fork(kept, [1] * len(kept))


class Walk:
    """A way through the grammar, as far as it has come.

    Attributes:
        todo: nodes still to visit, the next one last.
        story: what has been decided and told. Variables by name; what a story remembers of
            someone as (who, what); what was told already as (who, attribute).
        spans: the document so far.
        owed: bits of choices taken whose word has not been told yet.
        label: what the document is called.
    """

    __slots__ = ("label", "owed", "spans", "story", "todo")

    def __init__(self, todo: list[Node], story: dict[Any, Any], spans: list[Span]) -> None:
        self.todo = todo
        self.story = story
        self.spans = spans
        self.owed = 0.0
        self.label = ""

    def say(self, text: str, kind: Kind, about: str, bits: float = 0.0) -> None:
        """Tell a word; it takes over the bits that are owed, and is a choice if it has any."""
        bits += self.owed
        self.owed = 0.0
        if bits:
            kind = "choice"
        elif kind == "choice":
            kind = "syntax"  # there was one possibility only
        self.spans.append(_span(text, kind, bits, about))

    def copy(self) -> Walk:
        """The same place, to go on from differently."""
        other = Walk(self.todo.copy(), self.story.copy(), self.spans.copy())
        other.owed = self.owed
        other.label = self.label
        return other


class Node:
    """A part of a template. Nodes know nothing of where they are; the walk does."""

    def literals(self) -> Iterator[str]:
        """The words of the template in this node and in those within it."""
        return iter(())

    def fork(self, walk: Walk) -> Fork | None:
        """The choice to be made here, or None where there is none."""
        return None

    def tell(self, walk: Walk) -> None:
        """Go on, where there is no choice."""
        raise NotImplementedError

    def take(self, walk: Walk, value: Any, bits: float) -> None:
        """Go on with one value of the fork, which was worth so many bits."""
        raise NotImplementedError

    def first(self) -> frozenset[str]:
        """Every word that this may begin with.

        Raises:
            ValueError: if it may not begin an alternative: its word has a kind of its own
                (a fact, what the story remembers), and cannot carry the bits of a choice.
        """
        raise ValueError(f"{self} may not begin an alternative")


@dataclass(frozen=True, eq=False)
class Words(Node):
    """Words of the template itself."""

    spans: tuple[Span, ...]

    def tell(self, walk: Walk) -> None:
        if walk.owed:
            walk.say(self.spans[0].text, "choice", "")
            walk.spans += self.spans[1:]
        else:
            walk.spans += self.spans

    def literals(self) -> Iterator[str]:
        return (span.text.strip() for span in self.spans)

    def first(self) -> frozenset[str]:
        return frozenset([self.spans[0].text.strip()])


@dataclass(frozen=True, eq=False)
class New(Node):
    """`{A:person}`: one of a domain that the story does not know yet."""

    lead: str
    variable: str
    domain: str
    values: tuple[str, ...]

    def fork(self, walk: Walk) -> Fork:
        return _evenly(self.values, walk.story.get(self.domain, ()))

    def take(self, walk: Walk, value: str, bits: float) -> None:
        story = walk.story
        story[self.variable] = value
        if self.domain != "number":
            story[self.domain] = (*story.get(self.domain, ()), value)
        walk.say(self.lead + value, "choice", self.domain, bits)

    def first(self) -> frozenset[str]:
        return frozenset(self.values)


@dataclass(frozen=True, eq=False)
class Move(Node):
    """`{A.at:place}`: another value than A's present one, remembered."""

    lead: str
    variable: str
    name: str
    domain: str
    values: tuple[str, ...]

    def fork(self, walk: Walk) -> Fork:
        present = walk.story.get((walk.story[self.variable], self.name))
        return _evenly(self.values, (present,) if present else ())

    def take(self, walk: Walk, value: str, bits: float) -> None:
        walk.story[walk.story[self.variable], self.name] = value
        walk.say(self.lead + value, "choice", self.domain, bits)

    def first(self) -> frozenset[str]:
        return frozenset(self.values)


@dataclass(frozen=True, eq=False)
class Among(Node):
    """`{X:A,B}`: one of those who are in the story."""

    lead: str
    variable: str
    among: tuple[str, ...]
    domain: str
    values: tuple[str, ...]

    def fork(self, walk: Walk) -> Fork:
        return _evenly(tuple([walk.story[name] for name in self.among]), ())

    def take(self, walk: Walk, value: str, bits: float) -> None:
        walk.story[self.variable] = value
        walk.say(self.lead + value, "choice", self.domain, bits)

    def first(self) -> frozenset[str]:
        return frozenset(self.values)


@dataclass(frozen=True, eq=False)
class Name(Node):
    """`{A}`: what a variable stands for."""

    lead: str
    variable: str
    domain: str
    values: tuple[str, ...]

    def tell(self, walk: Walk) -> None:
        walk.say(self.lead + walk.story[self.variable], "syntax", self.domain)

    def first(self) -> frozenset[str]:
        return frozenset(self.values)


@dataclass(frozen=True, eq=False)
class Fact(Node):
    """`{A.home}`: an attribute of a person; once told, it follows from the text."""

    lead: str
    variable: str
    attribute: str
    people: Mapping[str, Person]

    def tell(self, walk: Walk) -> None:
        who = walk.story[self.variable]
        kind: Kind = "syntax" if (who, self.attribute) in walk.story else "fact"
        walk.story[who, self.attribute] = True
        walk.say(self.lead + self.people[who][self.attribute], kind, self.attribute)


@dataclass(frozen=True, eq=False)
class Pronoun(Node):
    """`{A.He}`: known for a person; for a job it is drawn once, by its planted bias."""

    lead: str
    variable: str
    form: str
    people: Mapping[str, Person]
    bias: Mapping[str, int]  # of OUT_OF with the job, how many are "she"

    def fork(self, walk: Walk) -> Fork | None:
        who = walk.story[self.variable]
        if who not in self.bias or (who, "pronoun") in walk.story:
            return None
        return _by_bias(self.bias[who])

    def tell(self, walk: Walk) -> None:
        who = walk.story[self.variable]
        told = walk.story.get((who, "pronoun"))
        pronoun = walk.story[who, "pronoun"] = told or self.people[who].pronoun
        word = self.lead + PRONOUNS[pronoun][self.form]
        walk.say(word, "syntax" if told else "fact", "pronoun")

    def take(self, walk: Walk, value: str, bits: float) -> None:
        walk.story[walk.story[self.variable], "pronoun"] = value
        walk.say(self.lead + PRONOUNS[value][self.form], "choice", "pronoun", bits)


@cache
def _by_bias(she: int) -> Fork:
    weights = {"she": she, "he": OUT_OF - she}
    kept = {pronoun: weight for pronoun, weight in weights.items() if weight}
    return Fork(tuple(kept), tuple(kept.values()))


@dataclass(frozen=True, eq=False)
class State(Node):
    """`{A.at}`: what the story remembers of someone or something."""

    lead: str
    variable: str
    name: str

    def tell(self, walk: Walk) -> None:
        value = walk.story[walk.story[self.variable], self.name]
        walk.say(self.lead + value, "syntax", "state")


@dataclass(frozen=True, eq=False)
class Sum(Node):
    """`{N+M}`: the sum of two numbers; once told, it follows from the text."""

    lead: str
    one: str
    other: str

    def tell(self, walk: Walk) -> None:
        story = walk.story
        told = story.get("sum")
        story["sum"] = NUMBERS[_VALUE[story[self.one]] + _VALUE[story[self.other]]]
        walk.say(self.lead + story["sum"], "syntax" if told else "fact", "sum")


@dataclass(frozen=True)
class Alternative:
    """One way to go on.

    Attributes:
        weight: how likely, out of the sum of those that are open.
        label: what a document that goes this way is called, if anything.
        unless: closed once this variable's attribute was told.
        nodes: what it tells, the last first.
    """

    weight: int
    label: str
    unless: tuple[str, str] | None
    nodes: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Choice(Node):
    """`[a | b]`: one of several ways to go on."""

    alternatives: tuple[Alternative, ...]
    guarded: bool
    forks: dict[tuple[int, ...], Fork] = field(default_factory=dict)

    def fork(self, walk: Walk) -> Fork:
        open_ = self.alternatives
        if self.guarded:
            story = walk.story
            open_ = tuple(
                [
                    a
                    for a in open_
                    if a.unless is None or (story[a.unless[0]], a.unless[1]) not in story
                ]
            )
        key = tuple([id(a) for a in open_])
        if key not in self.forks:
            self.forks[key] = Fork(open_, [a.weight for a in open_])
        return self.forks[key]

    def take(self, walk: Walk, value: Alternative, bits: float) -> None:
        walk.owed += bits
        walk.todo += value.nodes
        if value.label:
            walk.label = value.label

    def first(self) -> frozenset[str]:
        return self.check()

    def literals(self) -> Iterator[str]:
        return (w for a in self.alternatives for node in a.nodes for w in node.literals())

    def check(self) -> frozenset[str]:
        """Prove that the next word tells which alternative was taken."""
        seen: frozenset[str] = frozenset()
        for alternative in self.alternatives:
            begins = alternative.nodes[-1].first()
            if both := seen & begins:
                raise ValueError(f"two alternatives begin with {sorted(both)[0]!r}")
            seen |= begins
        return seen

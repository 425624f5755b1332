"""A probabilistic grammar as an explicit structure: it draws, lists and recognises documents.

A template is parsed into nodes once. A `Walk` goes through the nodes and stops at each
random choice, where whoever leads it takes a branch: `Grammar.draw` takes one at random,
`Grammar.listing` takes all of them in turn, `Grammar.derivations` those that agree with a
text. So there is one grammar, not three that ought to agree.

The grammar is unambiguous because it is LL(1) without empty alternatives (Aho, Lam, Sethi and
Ullman, "Compilers", section 4.4.3): the alternatives of a choice begin with different words, so
the next word always tells which was taken. `check` proves that of every choice when the
grammar is built. It follows that all bits of a choice belong to that word. There is no
recursion, so documents are finite.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.documents import Document
from llmpath.labkit.microworld.nodes import Walk
from llmpath.labkit.microworld.people import Person
from llmpath.labkit.microworld.templates import expand, parse, words


class Grammar:
    """A template, and what it may speak of.

    Args:
        template: see `templates`.
        rules: templates that it may name as `<rule A>`.
        domains: the words that a new variable may stand for, by the domain's name.
        people: by name.
        bias: of `nodes.OUT_OF` with a job, how many are "she", by job.

    Attributes:
        literals: the words and punctuation of the template itself.

    Raises:
        ValueError: if the template is wrong, or not unambiguous.
    """

    def __init__(
        self,
        template: str,
        rules: Mapping[str, str],
        domains: Mapping[str, tuple[str, ...]],
        people: Mapping[str, Person],
        bias: Mapping[str, int],
    ) -> None:
        for name, values in domains.items():
            if len(set(values)) < len(values) or any(len(words(v)) > 1 for v in values):
                raise ValueError(f"the words of {name} are not different single words: {values}")
        self._nodes = parse(expand(template, rules), domains, people, bias)
        self.literals = frozenset(word for node in self._nodes for word in node.literals())

    def draw(self, chance: Chance) -> Document:
        """A random document."""
        random = chance.random
        walk = self._start()
        todo = walk.todo
        while todo:
            node = todo.pop()
            fork = node.fork(walk)
            if fork is None:
                node.tell(walk)
            else:
                index = bisect(fork.bounds, random())
                node.take(walk, fork.values[index], fork.bits[index])
        return Document(tuple(walk.spans), walk.label)

    def listing(self, longest: int | None = None) -> Iterator[tuple[Document | None, Fraction]]:
        """Every document with its exact probability.

        Args:
            longest: in spans. Longer documents are cut off there, and each way to go on is
                given as None with its probability, so that what is listed still sums to one.
        """

        def keep(walk: Walk) -> bool:
            return longest is None or len(walk.spans) <= longest

        for walk, p in self._walks(keep):
            whole = not walk.todo and keep(walk)
            yield (Document(tuple(walk.spans), walk.label) if whole else None), p

    def derivations(self, text: str) -> list[tuple[Document, Fraction]]:
        """All ways in which the grammar makes a text, each with its exact probability.

        This tries every branch and looks only at the words so far, so it does not take for
        granted that the grammar is unambiguous.
        """
        wanted = words(text)
        if "".join(wanted) != text:
            return []

        def agrees(walk: Walk) -> bool:
            told = [span.text for span in walk.spans]
            return told == wanted[: len(told)]

        ends = [(Document(tuple(walk.spans), walk.label), p) for walk, p in self._walks(agrees)]
        return [(end, p) for end, p in ends if [span.text for span in end.spans] == wanted]

    def _start(self) -> Walk:
        return Walk(list(self._nodes), {}, [])

    def _walks(self, keep: Callable[[Walk], bool]) -> Iterator[tuple[Walk, Fraction]]:
        """Every walk, to its end or to where `keep` first refuses it."""
        open_ = [(self._start(), Fraction(1))]
        while open_:
            walk, p = open_.pop()
            going = True
            while walk.todo and going:
                node = walk.todo.pop()
                fork = node.fork(walk)
                if fork is None:
                    node.tell(walk)
                    going = keep(walk)
                    continue
                total = sum(fork.weights)
                for value, weight, bits in zip(fork.values, fork.weights, fork.bits, strict=True):
                    branch = walk.copy()
                    node.take(branch, value, bits)
                    share = p * Fraction(weight, total)
                    if keep(branch):
                        open_.append((branch, share))
                    else:
                        yield branch, share
                break
            else:
                yield walk, p

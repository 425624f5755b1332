"""What a world tells: documents, each with the exact information of every word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

Kind = Literal["fact", "choice", "syntax"]
KINDS: tuple[Kind, ...] = ("fact", "choice", "syntax")


class Span(NamedTuple):
    """One word with the space before it, or one run of punctuation.

    Attributes:
        text: the characters. The texts of a document's spans, joined, are its text.
        kind: where what it says comes from.
            `choice`: drawn at random; nobody can know it before.
            `fact`: not drawn, but to be *known*: an attribute or pronoun of a person when the
            document first tells it, or the sum of two numbers.
            `syntax`: follows from the text before it: grammar, a name or a fact repeated, the
            place where someone went.
        bits: the information in bits, −log₂ of the probability of this span after all that
            stands before it, for a reader who knows the world and its grammar. Above zero
            for `choice`, zero for the others.
        about: what it tells, or "" for a word of the template: an attribute (`home`, …),
            `person`, `pronoun`, `number`, `sum`, `place`, `thing`, `job`, or `state` for what
            the story itself decided and now asks.
    """

    text: str
    kind: Kind
    bits: float
    about: str


@dataclass(frozen=True)
class Document:
    """One text with its exact information.

    No document of a world begins another, so that a document ends costs no further bits:
    an end token after it carries none.

    Attributes:
        text: the characters.
        story: which kind of story it is, a name in `stories.STORIES`.
        bits: −log₂ of the document's probability.
        spans: what it is made of, in order.
    """

    spans: tuple[Span, ...]
    story: str = ""

    @cached_property
    def text(self) -> str:
        """The text: the spans, joined."""
        return "".join([span.text for span in self.spans])

    @cached_property
    def bits(self) -> float:
        """−log₂ of the document's probability, in bits."""
        return sum([span.bits for span in self.spans])

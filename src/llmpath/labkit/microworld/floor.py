"""The entropy floor: how few bits any model can need, by the character and by the token.

No model, however large, needs fewer bits on average than the documents' own information
(Shannon, "A Mathematical Theory of Communication", 1948); a model that knows the world needs
no more. A tokenizer does not change how many bits a document has, only over how many tokens
they are spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from llmpath.labkit.microworld.documents import KINDS, Document, Kind, Span

# A tokenizer: a `tokenizers.Tokenizer`, a fast tokenizer of transformers, or a function
# from a text to its tokens as strings, which joined are the text.
Tokenizer: TypeAlias = Any


class Rate(float):
    """Bits per unit (a character, a token), with how sure that is, and its parts.

    As a number it is the sum of all bits over the number of all units.

    Attributes:
        standard_error: of the number, in bits, if the documents are taken as a sample of
            what the world tells. 0 where only one document was given.
        units: how many units there were.
        by_kind: bits per unit of each kind of span. A kind that did not occur has 0.
        share: which share of the units each kind is; they sum to one.
    """

    standard_error: float
    units: int
    by_kind: Mapping[Kind, float]
    share: Mapping[Kind, float]

    def __repr__(self) -> str:
        return f"{float(self):.4f} ± {self.standard_error:.4f} bits"


class Floor:
    """The floor of some documents.

    Args:
        documents: what it is the floor of.

    Attributes:
        bits_per_document: the mean, in bits.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        if not documents:
            raise ValueError("The floor of no documents is not defined.")
        self.documents = documents
        self.bits_per_document = sum(d.bits for d in documents) / len(documents)

    @property
    def bits_per_char(self) -> Rate:
        """Bits per character."""
        return _rate([[(s.kind, s.bits, len(s.text)) for s in d.spans] for d in self.documents])

    def bits_per_token(self, tokenizer: Tokenizer, end_tokens: int = 0) -> Rate:
        """Bits per token.

        Args:
            tokenizer: see `label_tokens`.
            end_tokens: how many tokens mark the end of a document in training; each counts
                as one more token of kind `syntax`, with 0 bits.
        """
        end: list[tuple[Kind, float, int]] = [("syntax", 0.0, 1)] * end_tokens
        labelled = label_tokens(self.documents, tokenizer)
        return _rate([[(s.kind, s.bits, 1) for s in tokens] + end for tokens in labelled])


def label_tokens(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[list[Span]]:
    """What each token of each document tells: a `Span` for each token.

    A token has the kind of the span that holds its first character that is not a space, and
    the bits of every span whose first such character it holds. So the bits of a document's
    tokens sum to the document's; of a word cut in several tokens, the first has the bits; and
    of several words in one token, the first gives the kind. (A token of nothing but spaces has
    the kind of the word after them, and no bits.)

    Args:
        documents: what to cut.
        tokenizer: a `tokenizers.Tokenizer`, a fast tokenizer of transformers, or a function
            from a text to its tokens as strings, which joined are the text.

    Yields:
        As many spans as tokens, for each document.

    Raises:
        ValueError: if the tokens of a text, joined, are not that text.
    """
    cut = _cutter(tokenizer)
    for document in documents:
        yield _label(document, cut(document.text))


def _cutter(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """A function from a text to where each of its tokens ends, in characters."""
    tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(tokenizer, "encode") and hasattr(tokenizer, "get_vocab_size"):

        def by_offsets(text: str) -> list[int]:
            encoding = tokenizer.encode(text, add_special_tokens=False)
            return [end for _, end in encoding.offsets]

        return by_offsets

    def by_tokens(text: str) -> list[int]:
        tokens = list(tokenizer(text))
        if "".join(tokens) != text:
            raise ValueError(f"The tokens of {text!r}, joined, are {''.join(tokens)!r}.")
        ends, end = [], 0
        for token in tokens:
            ends.append(end := end + len(token))
        return ends

    return by_tokens


def _label(document: Document, ends: Sequence[int]) -> list[Span]:
    text, spans = document.text, document.spans
    told: list[Span] = []
    at = start = 0  # the span in hand, and where its first character that is no space stands
    begins = []
    for span in spans:
        begins.append(start + len(span.text) - len(span.text.lstrip(" ")))
        start += len(span.text)
    begin = 0
    for end in ends:
        first = begin
        while first < end - 1 and text[first] == " ":
            first += 1
        bits = 0.0
        holder = at if at < len(spans) and begins[at] <= first else at - 1
        while at < len(spans) and begins[at] < end:
            bits += spans[at].bits
            at += 1
        source = spans[max(holder, 0)] if text[first : first + 1] != " " else spans[at]
        told.append(Span(text[begin:end], source.kind, bits, source.about))
        begin = max(begin, end)
    if begin != len(text) or at != len(spans):
        raise ValueError(f"The tokens of {text!r} do not reach its end.")
    return told


def _rate(documents: Sequence[Sequence[tuple[Kind, float, int]]]) -> Rate:
    """The ratio of sums, with the standard error of a ratio estimator (Cochran, 1977, 6.4)."""
    bits = dict.fromkeys(KINDS, 0.0)
    units = dict.fromkeys(KINDS, 0)
    totals = []
    for parts in documents:
        for kind, information, count in parts:
            bits[kind] += information
            units[kind] += count
        totals.append((sum(part[1] for part in parts), sum(part[2] for part in parts)))
    n, everything = len(totals), sum(units.values())
    rate = Rate(sum(bits.values()) / everything)
    squares = sum((b - rate * u) ** 2 for b, u in totals)
    rate.standard_error = math.sqrt(squares * n / (n - 1)) / everything if n > 1 else 0.0
    rate.units = everything
    rate.by_kind = {kind: bits[kind] / units[kind] if units[kind] else 0.0 for kind in KINDS}
    rate.share = {kind: units[kind] / everything for kind in KINDS}
    return rate

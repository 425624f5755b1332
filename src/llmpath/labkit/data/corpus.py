"""A corpus: texts to learn from, texts held out, and what is known about them.

It does not read anything by itself: a source gives the documents, and which of them are held out
is decided here, by the content of each and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.labkit.microworld import Floor, World

HELD_OUT = 0.1  # the share of documents that no training sees
LOOK_AHEAD = 100  # documents in which one of each side must be found
DOCUMENT_LIMIT = 64 * 2**20  # characters; a longer document is a mistake, not a text

Read = Callable[[], Iterable[str]]


class Texts:
    """Documents that can be gone through again and again, each time from the beginning.

    Args:
        read: opens the documents; called once for each time that they are gone through.
        limit: at most so many of them.
    """

    def __init__(self, read: Read, limit: int | None = None) -> None:
        self._read = read
        self._limit = limit

    def __iter__(self) -> Iterator[str]:
        return islice(iter(self._read()), self._limit)

    def limited(self, limit: int | None) -> Texts:
        """The first `limit` of the same documents; all of them if it is None."""
        return self if limit is None else Texts(self._read, limit)

    def excerpt(self, characters: int, longest: int = 10_000) -> list[str]:
        """The first documents, until they have so many characters together.

        Args:
            characters: how many there should be in all; fewer if the documents end before.
            longest: no document gives more than so many characters, so that none crowds out
                the others.
        """
        chosen: list[str] = []
        for document in self:
            if characters <= 0:
                break
            chosen.append(document[: min(characters, longest)])
            characters -= len(chosen[-1])
        return chosen


@dataclass(frozen=True)
class Corpus:
    """Texts to learn from and texts to measure on.

    Attributes:
        name: what `load` was given.
        title: what it is, for people.
        licence: under which the texts may be used; "unknown" if they do not say.
        train: documents to learn from.
        validation: documents that training must not see. None of them is in `train` too;
            generated ones are drawn independently, so a short one may be, by chance.
        world: the generator of the texts, if they were generated.
        remarks: sentences on what was left out or assumed.
    """

    name: str
    title: str
    licence: str
    train: Texts
    validation: Texts
    world: World | None = None
    remarks: tuple[str, ...] = ()

    def floor(self) -> Floor | None:
        """The information in the `validation` texts, below which no model can get on average.

        Its `bits_per_token(tokenizer)` is what a model's loss on the same texts is measured
        against. None where nobody knows it: real texts have no known source.
        """
        from llmpath.labkit.data.generated import Stories

        if self.world is None or not isinstance(self.validation, Stories):
            return None
        return self.world.floor(list(self.validation.documents()))

    def limited(self, limit: int | None) -> Corpus:
        """The same corpus with at most so many documents on each side."""
        return replace(
            self, train=self.train.limited(limit), validation=self.validation.limited(limit)
        )


def held_out(read: Read, place: str) -> tuple[Texts, Texts]:
    """Split documents into those to learn from and those held out.

    A document goes where a hash of its content says, so it stays on its side however the files
    are ordered, named or added to, and copies of one document are on the same side. About one
    document in ten is held out; in a source of few documents at least one is.

    Args:
        read: opens the documents.
        place: where they come from, for messages.

    Returns:
        The texts to learn from, and the texts held out.

    Raises:
        LlmpathError: if there are not two different documents.
    """
    marks = [mark(document) for document in islice(iter(read()), LOOK_AHEAD)]
    if not marks:
        raise LlmpathError(f"{place} holds no text.", "Give a source with some text in it.")
    lowest = min(marks)
    if lowest == max(marks):
        raise LlmpathError(
            f"{place} holds one document only, so none can be held out to measure on.",
            "Give a source of two documents at least; more make a better measure.",
        )
    border = max(HELD_OUT, lowest + 2**-53)
    return (
        Texts(lambda: (text for text in read() if mark(text) >= border)),
        Texts(lambda: (text for text in read() if mark(text) < border)),
    )


def mark(document: str) -> float:
    """A number in [0, 1) that depends on the content alone, the same on every machine."""
    digest = hashlib.blake2b(document.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53

"""The default corpus: stories of a generated world, of which everything is known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from llmpath.labkit.data.corpus import Corpus, Texts
from llmpath.labkit.microworld import Document, World
from llmpath.labkit.microworld.world import Split

NAMES = ("microworld",)
DOCUMENTS: dict[Split, int] = {"train": 1_000_000, "validation": 2_000}


class Stories(Texts):
    """Stories of a world, drawn while they are read.

    Args:
        world: what they are about.
        split: which of its streams.
        count: how many there are.
    """

    def __init__(self, world: World, split: Split, count: int) -> None:
        super().__init__(lambda: (document.text for document in self.documents()))
        self._world, self._split, self._count = world, split, count

    def documents(self) -> Iterator[Document]:
        """The same stories with what every word of them tells, and its exact bits."""
        return islice(self._world.stream(split=self._split), self._count)

    def limited(self, limit: int | None) -> Stories:
        """The first `limit` of the same stories; all of them if it is None."""
        count = self._count if limit is None else min(limit, self._count)
        return Stories(self._world, self._split, count)


def corpus(name: str, seed: int) -> Corpus:
    """The stories of a world.

    Args:
        name: one of `NAMES`.
        seed: of the world: who is what, and what is told of them.
    """
    world = World(seed)
    train, validation = (Stories(world, split, count) for split, count in DOCUMENTS.items())
    title = f"Microworld {seed}: stories of {len(world.people)} people, generated"
    return Corpus(name, title, "MIT, as llmpath itself", train, validation, world=world)

"""What a model has read, kept for the next text that begins alike.

A turn of a conversation begins with all earlier turns. Their keys and values need not be computed
again if they are still there: the memory is cut back to what both texts have in common, and the
rest is read. One text has it at a time, so that two conversations never write into one memory.

Logits after a cut are those of a text that was read anew, but for the rounding of products of
another shape.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NEAR = 1e-3  # between logits; rounding is finer, and a cut at a wrong place coarser
KEPT = 64  # texts
KEPT_BYTES = 256 * 2**20  # of keys and values, of all that are kept together


@dataclass(frozen=True)
class Reader:
    """A model in the midst of a text.

    Attributes:
        read: from tokens, which follow those that were read before, to the logits, (vocab_size,),
            of the next one.
        crop: forgets all but the first tokens; it gives back whether that has been possible.
        memory: where its keys and values are.
    """

    read: Callable[[Sequence[int]], Tensor]
    crop: Callable[[int], bool]
    memory: object


class Reading:
    """A text that is being read.

    Args:
        reader: what reads it, from its beginning.

    Attributes:
        ids: the tokens that were read, those that the model wrote among them.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.ids: list[int] = []

    def read(self, new: Sequence[int]) -> Tensor:
        """The logits, (vocab_size,), after these tokens, which follow the earlier ones."""
        logits = self._reader.read(new)
        self.ids += new
        return logits

    @property
    def size(self) -> int:
        """How many bytes the memory has, with all its room."""
        rooms = {room.data_ptr(): room.nbytes() for room in _rooms(self._reader.memory, set())}
        return sum(rooms.values())

    def crop(self, length: int) -> None:
        """Forget all but the first tokens.

        Raises:
            ValueError: if the model's memory could not; it can be used no more.
        """
        if length < len(self.ids) and not self._reader.crop(length):
            raise ValueError(f"a memory of {len(self.ids)} tokens was not cut back to {length}")
        del self.ids[length:]


class Readings:
    """The texts that were read last.

    Args:
        begin: begins a text.
        most: how many bytes their memories may have together.
    """

    def __init__(self, begin: Callable[[], Reader], most: int = KEPT_BYTES) -> None:
        self._begin = begin
        self._most = most
        self._kept: list[tuple[Reading, int]] = []  # the one that was read last is at the end

    def begin(self, ids: Sequence[int]) -> Reading:
        """A reading of the beginning of a text, as long as there is one; its last token is left.

        Args:
            ids: all that is to be read of it now.
        """
        before, best, length = ids[:-1], None, 0
        for each, _ in self._kept:
            alike = shared(each.ids, before)
            # Where more would be lost than gained, it is likely to be another conversation, with
            # the same first words, that is to go on as well.
            if alike > length and 2 * alike >= len(each.ids):
                best, length = each, alike
        if best is None:
            return Reading(self._begin())
        self._kept = [pair for pair in self._kept if pair[0] is not best]
        try:
            best.crop(length)
        except Exception:  # learner code may raise anything
            return Reading(self._begin())
        return best

    def keep(self, reading: Reading) -> None:
        """Keep a text that nobody writes on now, and let go of the oldest that are too much."""
        if self._croppable:
            with contextlib.suppress(Exception):  # what learner code may raise on being looked at
                self._kept.append((reading, reading.size))
        while len(self._kept) > KEPT or sum(each for _, each in self._kept) > self._most:
            del self._kept[0]

    @cached_property
    def _croppable(self) -> bool:
        """Whether a text goes on after a cut as if it had been read anew.

        That is tried once: the code may be a learner's, which may do anything.
        """
        import torch

        with torch.inference_mode():
            try:
                anew, cut = Reading(self._begin()), Reading(self._begin())
                cut.read((0, 1))
                cut.crop(1)
                return torch.allclose(cut.read((2,)), anew.read((0, 2)), rtol=NEAR, atol=NEAR)
            except Exception:  # it may raise anything, too
                return False


def shared(some: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens two texts have in common at their beginning."""
    differ = (n for n, (a, b) in enumerate(zip(some, others, strict=False)) if a != b)
    return next(differ, min(len(some), len(others)))


def _rooms(thing: Any, seen: set[int]) -> Iterator[Any]:
    """The storages of the tensors in lists, dictionaries and attributes."""
    import torch

    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        yield thing.untyped_storage()
    elif isinstance(thing, dict):
        for each in thing.values():
            yield from _rooms(each, seen)
    elif isinstance(thing, list | tuple | set):
        for each in thing:
            yield from _rooms(each, seen)
    elif hasattr(thing, "__dict__") and not isinstance(thing, type):
        yield from _rooms(vars(thing), seen)

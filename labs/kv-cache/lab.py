"""A cache of keys and values: what a model has read once, it need not read again.

`Cache` keeps the keys and values of one block in room that is set aside ahead of time. It can be
cut back, and its rows can be chosen anew. `memory_bytes` says what that costs. `stream` writes on
after a whole text, of which it reads only what the cache does not hold: a chat goes on, turn by
turn, without the earlier turns being read again.

Nothing here is for training: call it where gradients are off. A row of a batch is a text, and all
rows have one length.

Sources: "Fast Transformer Decoding: One Write-Head is All You Need", Shazeer, 2019; "GQA: Training
Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", Ainslie and others, 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llmpath.labkit.thread import earlier

# The model that reads from the cache, for you to try things on.
GPT = earlier("gpt").GPT
Config = earlier("gpt").Config
# Yours: stream(model, ids, max_new_tokens, ..., cache=cache) yields token after token.
write_on = earlier("decoding").stream

Model = Callable[..., Tensor]


class Cache:
    """The keys and values of one block, for all words that it has read.

    They lie in two large tensors, the room, which is seldom full. New words are written behind
    the last, into the room that is there, and nothing else is touched. Only when they do not fit
    is new room made, and what was kept is copied into it.

    Args:
        capacity: for how many words there is to be room at first, 1 or more.

    Attributes:
        length: how many words are in it.
        keys: the room for keys, (batch, kv_heads, capacity, head_size), of which the first
            `length` words are meant and the rest is anything; None until there is something in it.
        values: likewise for values.

    Example:
        >>> cache = Cache(capacity=4)
        >>> k, v = cache.extend(torch.ones(1, 2, 3, 8), torch.zeros(1, 2, 3, 8))
        >>> k.shape, cache.keys.shape, cache.length
        (torch.Size([1, 2, 3, 8]), torch.Size([1, 2, 4, 8]), 3)
    """

    def __init__(self, capacity: int = 64) -> None:
        self.capacity = capacity
        self.length = 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new words, and give back all so far.

        The first call makes the room, for `capacity` words, or for those that came if they are
        more. Whenever it is too small, it becomes twice as large, or as large as is needed if
        that is more. So it grows a few times in a long text, and not with every word.

        Args:
            k: keys, (batch, kv_heads, time, head_size), with the batch of earlier calls.
            v: values, of the same shape.

        Returns:
            All keys and all values, (batch, kv_heads, length, head_size), in the dtype and on
            the device of k and v. They are views of the room.
        """
        ### BEGIN SOLUTION make the room larger if they do not fit; write them behind the last
        room = 0 if self.keys is None else self.keys.size(-2)
        end = self.length + k.size(-2)
        if end > room:
            held = (k[:, :, :0], v[:, :, :0]) if self.keys is None else (self.keys, self.values)
            more = max(end, 2 * room, self.capacity) - room
            self.keys, self.values = (F.pad(old, (0, 0, 0, more)) for old in held)
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]
        ### END SOLUTION

    def crop(self, length: int) -> None:
        """Forget all but the first words. The room stays as it is, and nothing is copied.

        Args:
            length: how many words to keep.

        Raises:
            ValueError: if it is below 0, or if there are not so many.
        """
        ### BEGIN SOLUTION refuse what cannot be; else the next words are written over the rest
        if not 0 <= length <= self.length:
            raise ValueError(f"there are {self.length} words, of which {length} cannot be kept")
        self.length = length
        ### END SOLUTION

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch, in this order; a row that comes twice is doubled.

        What is new goes into each row by itself from then on. With nothing in the cache there
        are no rows yet, and nothing happens.

        Args:
            rows: which, (new_batch,), torch.int64.
        """
        ### BEGIN SOLUTION each new row is a copy of an old one
        if self.keys is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]
        ### END SOLUTION


def memory_bytes(config: Config, batch: int, length: int, dtype: torch.dtype) -> int:
    """How many bytes the keys and values of a whole model take, without room to spare.

    Args:
        config: the model's.
        batch: how many texts.
        length: of how many words each.
        dtype: of keys and values; `dtype.itemsize` is the bytes of one number.

    Returns:
        The bytes.
    """
    ### BEGIN SOLUTION keys and values, in each layer, in each of its key heads, for each word
    head_size = config.hidden_size // config.heads
    return 2 * config.layers * config.kv_heads * head_size * batch * length * dtype.itemsize
    ### END SOLUTION


def shared_prefix(a: Tensor, b: Tensor) -> int:
    """How many words two texts have in common at their beginning, in all rows.

    Args:
        a: token ids, (batch, any time), 0 included.
        b: token ids, (batch, any time).

    Returns:
        The largest n for which a[:, :n] and b[:, :n] are equal, both n words long.

    Example:
        >>> shared_prefix(torch.tensor([[5, 6, 7, 8]]), torch.tensor([[5, 6, 9]]))
        2
    """
    ### BEGIN SOLUTION compare as far as both go; count up to the first column that differs
    time = min(a.size(1), b.size(1))
    equal = (a[:, :time] == b[:, :time]).all(dim=0)
    return int(equal.long().cumprod(dim=0).sum())
    ### END SOLUTION


@torch.no_grad()
def stream(
    model: Model,
    ids: Tensor,
    max_new_tokens: int,
    cache: Sequence[Cache],
    before: Tensor | None = None,
    chunk: int = 512,
    **settings: Any,
) -> Iterator[Tensor]:
    """Write on after a text, and read of it only what the cache does not hold (a generator).

    What the text has in common with the one before stays in the cache; what follows there is
    forgotten. The rest of the text is read in order, in pieces of at most `chunk` words, so that
    no mask becomes too large. Of the last word the logits are needed, so that this one is read in
    any case. Then token follows token, as in `write_on`.

    Args:
        model: called as `model(new_ids, cache)`; gives logits, (batch, time, vocab_size).
        ids: the whole text, (batch, time), torch.int64. A time of 1 or more.
        max_new_tokens: how many tokens to write at most, 1 or more.
        cache: one `Cache` for each block, all of one length.
        before: the text that the cache was filled with, (batch, any time): its first
            `cache[0].length` words are the ones in there. It may be longer, for the last token
            that a stream yields is not read any more. None: whatever is in the cache is forgotten.
        chunk: how many words are read at once, 1 or more.
        **settings: what `write_on` takes besides: temperature, top_k, top_p, end, generator.

    Yields:
        The next token of each row, (batch,), torch.int64.

    Example:
        Two turns of a chat, the second of which reads only what is new:

        >>> cache = [Cache() for _ in range(model.config.layers)]
        >>> said = torch.stack(list(stream(model, first, 20, cache)), dim=1)
        >>> before = torch.cat([first, said], dim=1)
        >>> for token in stream(model, torch.cat([before, second], dim=1), 20, cache, before):
        ...     print(token)
    """
    ### BEGIN SOLUTION crop to what is shared and is in there; read all but the last piece; write on
    kept = 0
    if before is not None:
        kept = min(shared_prefix(before[:, : cache[0].length], ids), ids.size(1) - 1)
    for block in cache:
        block.crop(kept)
    *pieces, last = ids[:, kept:].split(chunk, dim=1)
    for piece in pieces:
        model(piece, cache)
    yield from write_on(model, last, max_new_tokens, cache=cache, **settings)
    ### END SOLUTION

"""Keys and values in one tensor, columns counted in Python, and the last word read by itself."""

import torch

from llmpath.labkit.thread import earlier

GPT = earlier("gpt").GPT
Config = earlier("gpt").Config
sample = earlier("decoding").sample


class Cache:
    """One tensor, (2, batch, kv_heads, capacity, head_size)."""

    def __init__(self, capacity=64):
        self.capacity, self.length, self.both = capacity, 0, [None, None]

    @property
    def keys(self):
        """The first half."""
        return self.both[0]

    @keys.setter
    def keys(self, room):
        self.both = torch.stack([room, self.both[1]])

    @property
    def values(self):
        """The second half."""
        return self.both[1]

    @values.setter
    def values(self, room):
        self.both = torch.stack([self.both[0], room])

    def extend(self, k, v):
        """Make the first room, or a larger one; copy the new words into it."""
        new, time = torch.stack([k, v]), k.shape[2]
        if self.keys is None:
            room = max(self.capacity, time)
            self.both = torch.full((*new.shape[:3], room, k.shape[3]), float("nan")).to(new)
        elif self.length + time > self.keys.shape[2]:
            old, room = self.both, max(2 * self.keys.shape[2], self.length + time)
            self.both = old.new_zeros(*old.shape[:3], room, old.shape[4])
            self.both[:, :, :, : self.length] = old[:, :, :, : self.length]
        self.both.narrow(3, self.length, time).copy_(new)
        self.length += time
        k, v = self.both.narrow(3, 0, self.length)
        return k, v

    def crop(self, length):
        """Fewer words."""
        if length > self.length:
            raise ValueError("there are not so many words")
        if length < 0:
            raise ValueError("fewer than none cannot be kept")
        self.length = length

    def select(self, rows):
        """Other rows."""
        if self.keys is not None:
            self.both = self.both.index_select(1, rows)


def memory_bytes(config, batch, length, dtype):
    """A tensor that is not there knows how large it would be."""
    shape = (2, config.layers, config.kv_heads, config.hidden_size // config.heads, batch, length)
    return torch.empty(shape, dtype=dtype, device="meta").nbytes


def shared_prefix(a, b):
    """Column after column."""
    count = 0
    for left, right in zip(a.T.tolist(), b.T.tolist(), strict=False):
        if left != right:
            break
        count += 1
    return count


def stream(model, ids, max_new_tokens, cache, before=None, chunk=512, end=None, **settings):
    """Read all but the last word; then it and what is drawn, one word at a time."""
    there = 0 if before is None else shared_prefix(before[:, : cache[0].length], ids)
    start = min(there, ids.shape[1] - 1)
    [block.crop(start) for block in cache]
    unread = ids[:, -1:]
    with torch.no_grad():
        for place in range(start, ids.shape[1] - 1, chunk):
            model(ids[:, place : min(place + chunk, ids.shape[1] - 1)], cache)
    ended = torch.zeros(len(ids), dtype=torch.bool)
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(unread, cache)
        drawn = sample(logits[:, -1], **settings)
        if end is not None:
            drawn[ended] = end
            ended |= drawn == end
        yield drawn
        if ended.all():
            return
        unread = drawn[:, None]

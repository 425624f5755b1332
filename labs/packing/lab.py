"""From shards of text to batches: the rows of numbers that a language model trains on.

    shards --stream--> documents --(tokenizer)--> ids --pack--> windows --batches--> inputs, targets

An id is a token's number. `end` is the id of the token that stands between documents, such as
<|endoftext|>.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

# What opens a shard: called, it gives the shard's lines, as an open file does.
Shard = Callable[[], Iterable[str]]

IGNORE = -100  # a target that the loss leaves out; torch's cross_entropy knows this number


def stream(shards: Iterable[Shard]) -> Iterator[str]:
    r"""Read documents one at a time, however large the shards are (a generator).

    In a shard, lines of nothing but white space separate documents, and a document ends with
    its shard. A shard is opened when it is needed, not before; nothing is kept but the document
    that is being read.

    Args:
        shards: functions that each open one shard, and return its lines; a line may end in "\n".

    Yields:
        Each document: its lines, joined by "\n", without one at the end. Never an empty text.

    Example:
        >>> shards = [lambda: ["One.\n", "Two.\n", "\n", "Three."], lambda: ["Four."]]
        >>> list(stream(shards))
        ['One.\nTwo.', 'Three.', 'Four.']
    """
    ### BEGIN SOLUTION collect lines until an empty one or the end of the shard; then hand them out
    for open_shard in shards:
        lines: list[str] = []
        for line in open_shard():
            if line.strip():
                lines.append(line.rstrip("\n"))
            elif lines:
                yield "\n".join(lines)
                lines = []
        if lines:
            yield "\n".join(lines)
    ### END SOLUTION


def pack(documents: Iterable[Sequence[int]], length: int, end: int) -> Tensor:
    """Lay documents into windows of `length + 1` ids, each beginning where a document begins.

    A window begins with `end`. Documents follow in their order, each with an `end` after it, as
    long as the next one fits whole. What is then left of the window is filled with `end`.

    A document too long for a window of its own fills windows one after the other. Each of its
    windows begins with the last id of the one before, so that no step from one id to the next
    is lost; after its last id and `end`, other documents may follow.

    Args:
        documents: the ids of each document; empty ones are passed over.
        length: how many ids the model will read at a time, 1 or more.
        end: the id that ends a document. It does not occur in documents.

    Returns:
        The windows, (windows, length + 1), of dtype torch.int64; (0, length + 1) if there is
        nothing to lay.

    Example:
        >>> pack([[5, 6], [7], [8, 9]], length=5, end=0)
        tensor([[0, 5, 6, 0, 7, 0],
                [0, 8, 9, 0, 0, 0]])
    """
    ### BEGIN SOLUTION keep one open window; close it when the next document does not fit
    size = length + 1
    windows: list[list[int]] = []
    window = [end]
    for document in documents:
        rest = [*document, end]
        if len(rest) == 1:
            continue
        if len(window) > 1 and len(window) + len(rest) > size:
            windows.append(window)
            window = [end]
        while len(window) + len(rest) > size:
            room = size - len(window)
            window, rest = window + rest[:room], rest[room:]
            windows.append(window)
            window = window[-1:]
        window = window + rest
    if len(window) > 1:
        windows.append(window)
    filled = [window + [end] * (size - len(window)) for window in windows]
    return torch.tensor(filled, dtype=torch.int64).reshape(-1, size)
    ### END SOLUTION


def batches(
    windows: Tensor, batch_size: int, end: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go once through all windows in a random order, as inputs and targets (a generator).

    The target at each place is the id that comes next in the window. Where that step is part of
    the filling (from an `end` to another `end`) the target is `IGNORE`.

    Args:
        windows: as `pack` makes them, (windows, length + 1); left as they are.
        batch_size: how many windows there are in a batch; the last batch may have fewer.
        end: the id that was given to `pack`.
        seed: decides the order, and nothing else does.

    Yields:
        Pairs of inputs and targets, each (batch, length), of dtype torch.int64.

    Example:
        >>> next(batches(torch.tensor([[0, 5, 6, 0, 0]]), 8, end=0, seed=1))
        (tensor([[0, 5, 6, 0]]), tensor([[   5,    6,    0, -100]]))
    """
    ### BEGIN SOLUTION shuffle the rows; cut them up; shift by one; ignore the filling
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(windows), generator=generator)
    for rows in order.split(batch_size):
        inputs, targets = windows[rows, :-1], windows[rows, 1:]
        filling = (inputs == end) & (targets == end)
        yield inputs, targets.masked_fill(filling, IGNORE)
    ### END SOLUTION

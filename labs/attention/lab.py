"""Scaled dot-product attention: how one word decides which other words to listen to.

Every function takes any number of leading dimensions, written `...` below: none, (batch),
(batch, heads). The letters are the field's own: `q` holds the queries, `k` the keys and `v`
the values. No function changes its arguments, and each result has the dtype of its inputs.

In a mask, True means "this query may look at this key".

Source: "Attention Is All You Need", Vaswani and others, 2017, section 3.2.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def scores(q: Tensor, k: Tensor) -> Tensor:
    """How well each query matches each key: their dot product, divided by √head_size.

    Args:
        q: queries, (..., query_time, head_size).
        k: keys, (..., key_time, head_size).

    Returns:
        The scores, (..., query_time, key_time). Row i belongs to query i.

    Example:
        One query and two keys of head size 4:

        >>> q = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
        >>> k = torch.tensor([[2.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, -6.0]])
        >>> scores(q, k)
        tensor([[ 2., -3.]])
    """
    ### BEGIN SOLUTION one dot product for each pair of query and key, all at once, then scaled
    return q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    ### END SOLUTION


def causal_mask(time: int, past: int = 0) -> Tensor:
    """Which keys each query may see when nobody may see the future.

    There are `past + time` keys, and the queries are the last `time` of those positions. So
    query i stands at position `past + i`; it sees itself and everything before itself.
    `past` is 0 in training. When a model writes word by word, it is the number of words
    whose keys are already there.

    Args:
        time: the number of queries, 0 or more.
        past: the number of keys that come before the first query's own, 0 or more.

    Returns:
        The mask, (time, past + time), of dtype torch.bool.

    Example:
        >>> causal_mask(2, past=1)
        tensor([[ True,  True, False],
                [ True,  True,  True]])
    """
    ### BEGIN SOLUTION True where the key stands at or before the query
    return torch.ones(time, past + time, dtype=torch.bool).tril(diagonal=past)
    ### END SOLUTION


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """What share of its attention each query gives to each key.

    Each row is a probability distribution over the keys that its query may see; a key that
    it may not see gets exactly 0. A query that may see nothing at all gets a row of zeros,
    not of NaN.

    Args:
        q: queries, (..., query_time, head_size).
        k: keys, (..., key_time, head_size).
        mask: True where a query may look, of a shape that broadcasts to
            (..., query_time, key_time); None means that every query may see every key.

    Returns:
        The weights, (..., query_time, key_time).

    Example:
        >>> q, k = torch.zeros(1, 4), torch.zeros(3, 4)
        >>> attention_weights(q, k, torch.tensor([[True, False, True]]))
        tensor([[0.5000, 0.0000, 0.5000]])
    """
    ### BEGIN SOLUTION score, hide, turn into shares; then think of rows that see nothing
    logits = scores(q, k)
    if mask is not None:
        logits = logits.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(logits, dim=-1)
    if mask is not None:
        weights = weights.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
    return weights
    ### END SOLUTION


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """What each query takes home: the values, averaged with the attention weights.

    A query that may see nothing gets zeros.

    Args:
        q: queries, (..., query_time, head_size).
        k: keys, (..., key_time, head_size).
        v: values, (..., key_time, value_size).
        mask: as `attention_weights` takes it.

    Returns:
        The outputs, (..., query_time, value_size).

    Example:
        >>> q, k = torch.zeros(1, 4), torch.zeros(2, 4)
        >>> attention(q, k, torch.tensor([[10.0, 0.0], [20.0, 6.0]]))
        tensor([[15.,  3.]])
    """
    ### BEGIN SOLUTION mix the values by their weights
    return attention_weights(q, k, mask) @ v
    ### END SOLUTION

"""Texts of unequal length as one batch: what experiments measure their models with.

Labs in which learners write this themselves do not use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

IGNORE = -100  # a target that counts for nothing, as torch's cross_entropy has it


def padded(rows: Sequence[Sequence[int]], fill: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of one batch; what is filled in is not counted.

    Args:
        rows: the ids of each text, one or more. Their lengths may differ.
        fill: the id that fills up the inputs. It may stand in the texts as well.

    Returns:
        Inputs and targets, int64, (rows, time), with one place less than the longest row has: the
        target at place t is the token at t + 1. Behind a row's own end inputs are `fill`, and
        targets are `IGNORE`.

    Raises:
        ValueError: if there are no rows, or one has no token.
    """
    if not rows or not all(rows):
        raise ValueError("a batch needs rows, and each row a token")
    ids = [torch.tensor(row) for row in rows]
    inputs = pad_sequence(ids, batch_first=True, padding_value=fill)[:, :-1]
    targets = pad_sequence([row[1:] for row in ids], batch_first=True, padding_value=IGNORE)
    return inputs, targets

"""Positions: how an attention that cannot count learns which word came first.

Two ways. `sinusoidal` is a table of waves that is added to the words' vectors before the first
layer. `rope` (rotary position embedding) turns queries and keys by angles that grow with the
position, so that their dot product depends on how far apart two words stand and not on where.

No function changes its arguments.

Sources: "Attention Is All You Need", Vaswani and others, 2017, section 3.5; "RoFormer: Enhanced
Transformer with Rotary Position Embedding", Su and others, 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoidal(time: int, hidden_size: int) -> Tensor:
    """The table of waves: one row for each position, to be added to the word that stands there.

    Columns 2i and 2i + 1 hold the sine and the cosine of position / 10000^(2i / hidden_size).

    Args:
        time: how many positions, counted from 0.
        hidden_size: how many columns, an even number.

    Returns:
        The table, (time, hidden_size), of dtype torch.float32.

    Example:
        Columns 2 and 3 turn a hundred times as slowly as columns 0 and 1:

        >>> sinusoidal(3, 4)
        tensor([[ 0.0000,  1.0000,  0.0000,  1.0000],
                [ 0.8415,  0.5403,  0.0100,  0.9999],
                [ 0.9093, -0.4161,  0.0200,  0.9998]])
    """
    ### BEGIN SOLUTION the angle of each position in each pair; then sine and cosine side by side
    speed = 10_000 ** (-torch.arange(0, hidden_size, 2) / hidden_size)
    angle = torch.arange(time)[:, None] * speed
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    ### END SOLUTION


def rope(x: Tensor, positions: Tensor, base: float = 10_000.0) -> Tensor:
    """Turn every query (or key) by the angles that belong to its position.

    With half = head_size / 2, dimensions i and i + half are a point of a plane, for each i below
    half. At position p that point is turned about the origin, counter-clockwise, by

        angle = p / base^(i / half)                                     (in radians)
        new[i]        = x[i] · cos(angle) - x[i + half] · sin(angle)
        new[i + half] = x[i] · sin(angle) + x[i + half] · cos(angle)

    Angles are computed in float32 or better, whatever the dtype of `x`.

    Args:
        x: queries or keys, (..., time, head_size), of any floating dtype; head_size is even.
        positions: whole numbers, (time,) or of any shape that broadcasts to (..., time).
        base: how much slower than the first plane one after the last would turn.

    Returns:
        The turned vectors, of the shape and dtype of `x`.

    Example:
        At position 1 the plane of dimensions 0 and 2 turns by 1 radian, that of dimensions 1 and 3
        by a hundredth:

        >>> rope(torch.tensor([[1.0, 1.0, 0.0, 0.0]]), torch.tensor([1]))
        tensor([[0.5403, 0.9999, 0.8415, 0.0100]])
    """
    ### BEGIN SOLUTION angles in float32 or better; then the formulas above, on whole halves
    half = x.size(-1) // 2
    wide = torch.promote_types(x.dtype, torch.float32)
    speed = base ** (-torch.arange(half, dtype=wide, device=x.device) / half)
    angle = positions[..., None] * speed
    cos, sin = angle.cos(), angle.sin()
    first, second = x.split(half, dim=-1)
    turned = torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
    return turned.to(x.dtype)
    ### END SOLUTION

"""As transformers writes it: cosines and sines repeated, and half of the vector exchanged."""

import torch


def sinusoidal(time, hidden_size):
    """An empty table, filled column by column."""
    table = torch.zeros(time, hidden_size)
    position = torch.arange(time).float()
    for i in range(0, hidden_size, 2):
        table[:, i] = torch.sin(position / 10000 ** (i / hidden_size))
        table[:, i + 1] = torch.cos(position / 10000 ** (i / hidden_size))
    return table


def rotate_half(x):
    """(a, b) becomes (-b, a): a quarter turn of every plane."""
    half = x.shape[-1] // 2
    return torch.cat([-x[..., half:], x[..., :half]], dim=-1)


def rope(x, positions, base=10000.0):
    """Return x · cos + (x, a quarter further) · sin."""
    size = x.shape[-1]
    speed = 1.0 / base ** (torch.arange(0, size, 2).float() / size)
    angle = positions[..., None].float() * speed
    angle = torch.cat([angle, angle], dim=-1)
    exact = x if x.dtype == torch.float64 else x.float()
    return (exact * angle.cos() + rotate_half(exact) * angle.sin()).to(x.dtype)

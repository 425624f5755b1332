"""Rotation as a complex product, waves as real and imaginary parts."""

import torch


def sinusoidal(time, hidden_size):
    """The sine is the real part of i · e^(-i · angle), the cosine its imaginary part."""
    pairs = torch.arange(hidden_size // 2, dtype=torch.float64)
    speed = torch.exp(-pairs * 2 / hidden_size * torch.log(torch.tensor(1e4, dtype=torch.float64)))
    angle = torch.outer(torch.arange(time, dtype=torch.float64), speed)
    waves = torch.polar(torch.ones_like(angle), torch.pi / 2 - angle)
    return torch.view_as_real(waves).reshape(time, hidden_size).to(torch.float32)


def rope(x, positions, base=10000.0):
    """Pairs as complex numbers, in double precision throughout."""
    half = x.shape[-1] // 2
    speed = 1 / base ** torch.linspace(0, 1, half + 1, dtype=torch.float64)[:half]
    angle = positions.unsqueeze(-1).double() * speed
    points = torch.view_as_complex(
        x.double().unflatten(-1, (2, half)).transpose(-1, -2).contiguous()
    )
    turned = torch.view_as_real(points * torch.polar(torch.ones_like(angle), angle))
    return turned.transpose(-1, -2).flatten(-2).to(x.dtype)

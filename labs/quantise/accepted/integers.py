"""The same with channels moved to the front, remainders for nibbles, scales after the product."""

import torch
from torch import nn


def quantise(w, bits, axis=0):
    if bits not in range(2, 9):
        raise ValueError("bits")
    top = (1 << (bits - 1)) - 1
    wide = w.double() if w.dtype == torch.float64 else w.float()
    if axis is None:
        rows = wide.reshape(1, -1)
        shape = [1] * w.dim()
    else:
        rows = wide.movedim(axis, 0).flatten(1)
        shape = [1] * w.dim()
        shape[axis] = w.size(axis)
    steps = rows.abs().max(dim=1).values.reshape(shape) / top
    steps[steps == 0] = 1e-8
    codes = wide.div(steps).round()
    return codes.clamp(-top, top).to(torch.int8), steps


def dequantise(codes, scales):
    return scales * codes


def pack(codes):
    wide = (codes.int() + 16) % 16
    if wide.size(-1) % 2:
        wide = torch.cat([wide, torch.zeros_like(wide[..., :1])], dim=-1)
    pairs = wide.unflatten(-1, (-1, 2))
    return (pairs[..., 0] + 16 * pairs[..., 1]).to(torch.uint8)


def unpack(packed, length):
    wide = packed.int()
    found = torch.empty(*packed.shape[:-1], 2 * packed.size(-1), dtype=torch.int8)
    found[..., 0::2] = (((wide % 16) ^ 8) - 8).to(torch.int8)
    found[..., 1::2] = (((wide // 16) ^ 8) - 8).to(torch.int8)
    return found[..., :length]


class QuantLinear(nn.Module):
    """As given."""

    def __init__(self, linear, bits=8):
        super().__init__()
        self.in_features, self.bits = linear.in_features, bits
        codes, scales = quantise(linear.weight.data, bits)
        self.register_buffer("codes", codes if bits > 4 else pack(codes))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", linear.bias.data.clone() if linear.bias is not None else None)

    def _numbers(self):
        return self.codes if self.bits > 4 else unpack(self.codes, self.in_features)

    def weight(self):
        """Codes times steps."""
        return dequantise(self._numbers(), self.scales)

    def forward(self, x):
        """The codes meet x, and the steps come after."""
        wide = torch.promote_types(x.dtype, self.scales.dtype)
        y = (x.to(wide) @ self._numbers().to(wide).T) * self.scales.squeeze(1).to(wide)
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype)

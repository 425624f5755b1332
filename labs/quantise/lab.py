"""Quantisation: weights as small whole numbers, and a scale for each channel.

Symmetric absmax quantisation of weights, after training and without any data: each channel's
largest weight becomes the largest code, zero stays zero. Only weights are made small; they are
made large again for each product, so nothing here computes with whole numbers. There are no
zero points, no groups and no calibration.

Sources: "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", Jacob and others, 2017; "Integer Quantization for Deep Learning Inference", Wu and
others, 2020 (symmetric codes, a scale for each channel).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HALF_A_BYTE = 4  # codes of so many bits or fewer are kept two to a byte


def quantise(w: Tensor, bits: int, axis: int | None = 0) -> tuple[Tensor, Tensor]:
    """Write each number as a whole number of steps.

    A step is the channel's largest |w| divided by the largest code, 2^(bits - 1) - 1: 127 for
    8 bits, 7 for 4. A code is the number of steps that is nearest to w, between minus the largest
    code and the largest. (There is one code more below zero; it is not used.)

    Args:
        w: weights of any shape, float16, bfloat16, float32 or float64; left as they are.
        bits: of a code, 2 to 8.
        axis: the dimension whose every index is a channel with a step of its own; negative ones
            count from the end. None: one step for the whole tensor.

    Returns:
        codes: int8, in the shape of w.
        scales: the steps, in float32, or in float64 for w in float64 (and worked out in it). They
            have as many dimensions as w, each of length 1 but for `axis`, so that they broadcast.
            Where a channel is all zeros, any number that is finite and above 0.

    Raises:
        ValueError: for bits outside 2 to 8.

    Example:
        The largest are 1.4 and 0.7, so the steps are 0.2 and 0.1:

        >>> quantise(torch.tensor([[1.4, -0.52, 0.34], [0.06, 0.24, -0.7]]), bits=4, axis=0)
        (tensor([[ 7, -3,  2],
                [ 1,  2, -7]], dtype=torch.int8), tensor([[0.2000],
                [0.1000]]))
    """
    ### BEGIN SOLUTION widen w; the largest |w| over all dimensions but axis; steps, none of them 0
    if not 2 <= bits <= 8:
        raise ValueError(f"codes have 2 to 8 bits, not {bits}")
    largest = 2 ** (bits - 1) - 1
    wide = w.to(torch.promote_types(w.dtype, torch.float32))
    others = [dim for dim in range(w.dim()) if axis is None or dim != axis % w.dim()]
    scales = wide.abs().amax(dim=others, keepdim=True) / largest
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    codes = torch.round(wide / scales).clamp(-largest, largest)
    return codes.to(torch.int8), scales
    ### END SOLUTION


def dequantise(codes: Tensor, scales: Tensor) -> Tensor:
    """The numbers that codes stand for: code times step, in the dtype of the scales.

    Args:
        codes: int8, any shape.
        scales: as `quantise` gives them.
    """
    ### BEGIN SOLUTION one product
    return codes.to(scales.dtype) * scales
    ### END SOLUTION


def pack(codes: Tensor) -> Tensor:
    """Put two 4-bit codes into each byte.

    Of each pair along the last dimension, the first goes into the lower four bits (the low
    nibble) and the second into the upper four, both in two's complement: -1 is 1111, -7 is 1001.
    If the length is odd, the upper half of the last byte is 0.

    Args:
        codes: int8 from -8 to 7, (..., length).

    Returns:
        uint8, (..., length / 2 rounded up).

    Example:
        1 is 0001 and -2 is 1110; together they are 1110 0001, which is 225:

        >>> pack(torch.tensor([1, -2, 5], dtype=torch.int8))
        tensor([225,   5], dtype=torch.uint8)
    """
    ### BEGIN SOLUTION an even length; then nibbles: `& 15` keeps the lower four bits of a number
    even = F.pad(codes, (0, codes.size(-1) % 2))
    low, high = even[..., 0::2] & 15, even[..., 1::2] & 15
    return low.to(torch.uint8) | (high.to(torch.uint8) << 4)
    ### END SOLUTION


def unpack(packed: Tensor, length: int) -> Tensor:
    """The codes that `pack` put into bytes.

    Args:
        packed: uint8, (..., length / 2 rounded up).
        length: how many codes there are along the last dimension.

    Returns:
        int8 from -8 to 7, (..., length).

    Example:
        >>> unpack(torch.tensor([225, 5], dtype=torch.uint8), 3)
        tensor([ 1, -2,  5], dtype=torch.int8)
    """
    ### BEGIN SOLUTION both nibbles, side by side; those from 8 on stand for negative numbers
    nibbles = torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2).to(torch.int8)
    return torch.where(nibbles > 7, nibbles - 16, nibbles)[..., :length]
    ### END SOLUTION


class QuantLinear(nn.Module):
    """A linear layer that holds codes in place of its weight, with a step for each output.

    It holds three buffers and no parameter: `codes`, (out_features, in_features) in int8, or packed
    if `bits` is at most 4, (out_features, in_features / 2 rounded up) in uint8; `scales`,
    (out_features, 1); and `bias`, (out_features,) as it was in the layer, or None. All are
    detached: nothing here keeps the float weight in memory. They are all that it needs to remember:
    a state_dict loaded into another layer of that shape makes it equal.

    Args:
        linear: the layer to stand in for; it is left as it is.
        bits: of a code, 2 to 8.
    """

    def __init__(self, linear: nn.Linear, bits: int = 8) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bits = bits
        ### BEGIN SOLUTION register_buffer three times; bias may be None
        codes, scales = quantise(linear.weight.detach(), bits, axis=0)
        self.register_buffer("codes", pack(codes) if bits <= HALF_A_BYTE else codes)
        self.register_buffer("scales", scales)
        bias = None if linear.bias is None else linear.bias.detach().clone()
        self.register_buffer("bias", bias)
        ### END SOLUTION

    def weight(self) -> Tensor:
        """The weight that the codes stand for, (out_features, in_features), made anew each time."""
        ### BEGIN SOLUTION unpack what is packed; then codes times steps
        packed = self.bits <= HALF_A_BYTE
        codes = unpack(self.codes, self.in_features) if packed else self.codes
        return dequantise(codes, self.scales)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of x with that weight, in the dtype of x.

        Args:
            x: (..., in_features), float16, bfloat16, float32 or float64.

        Returns:
            (..., out_features). Gradients reach x.
        """
        ### BEGIN SOLUTION weight and bias in the dtype of x, then a linear layer as ever
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight().to(x.dtype), bias)
        ### END SOLUTION

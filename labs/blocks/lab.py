"""A transformer block: attention and a gated network, each with a norm before and a road past it.

Each class takes x of shape (..., hidden_size) and returns the same shape and dtype; the `...`
are (batch, time), or anything else. `Block`, which has attention inside, takes exactly
(batch, time, hidden_size). Layers and parameters are named as in Hugging Face's Llama, so that
published weights will fit. No module changes its input.

Sources: "Layer Normalization", Ba, Kiros and Hinton, 2016; "Root Mean Square Layer
Normalization", Zhang and Sennrich, 2019; "GLU Variants Improve Transformer", Shazeer, 2020; "On
Layer Normalization in the Transformer Architecture", Xiong and others, 2020, for the order of
norm and residual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

MultiHeadAttention = earlier("multi-head").MultiHeadAttention


def widened(x: Tensor) -> Tensor:
    """The same numbers in float32, if they come in fewer bits (float16, bfloat16) (given)."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """Divide each vector by its root mean square, then scale each of its numbers.

    y = weight · x / √(mean(x²) + eps), where the mean runs over the last dimension alone. The
    division is worked out in float32 or better (see `widened`), for the square of 300 is more
    than float16 can hold; its result goes back to the dtype of x before it meets the weight.

    Args:
        hidden_size: the length of each vector, and of `weight`.
        eps: added to the mean square, so that a vector of zeros stays one.

    Example:
        The mean square of these four numbers is 25:

        >>> RMSNorm(4)(torch.tensor([1.0, -7.0, 5.0, 5.0]))
        tensor([ 0.2000, -1.4000,  1.0000,  1.0000], grad_fn=<MulBackward0>)
    """

    def __init__(self, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The normalised vectors, in the shape and dtype of x."""
        ### BEGIN SOLUTION in wide numbers: the mean square, and x over its root; then the weight
        wide = widened(x)
        scale = torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        return self.weight * (wide * scale).to(x.dtype)
        ### END SOLUTION


class LayerNorm(nn.Module):
    """Shift each vector to mean 0 and divide by its standard deviation, then scale and shift.

    y = weight · (x − mean(x)) / √(var(x) + eps) + bias, with both over the last dimension alone.
    The variance is the mean of the squared differences: n numbers, divided by n. As in `RMSNorm`,
    all but weight and bias is worked out in float32 or better.

    Args:
        hidden_size: the length of each vector, and of `weight` and `bias`.
        eps: added to the variance.

    Example:
        The mean is 3 and the variance 4:

        >>> LayerNorm(4)(torch.tensor([5.0, 1.0, 1.0, 5.0]))
        tensor([ 1.0000, -1.0000, -1.0000,  1.0000], grad_fn=<AddBackward0>)
    """

    def __init__(self, hidden_size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """The normalised vectors, in the shape and dtype of x."""
        ### BEGIN SOLUTION take off the mean first; what is left has its variance as mean square
        wide = widened(x)
        centred = wide - wide.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        unit = centred * torch.rsqrt(variance + self.eps)
        return self.weight * unit.to(x.dtype) + self.bias
        ### END SOLUTION


class SwiGLU(nn.Module):
    """The feed-forward network: wide, gated, back again; each position by itself.

    y = down_proj(silu(gate_proj(x)) · up_proj(x)), where · multiplies number by number and
    silu(z) is z · sigmoid(z). The three layers are `nn.Linear` without bias; gate_proj and
    up_proj lead from hidden_size to intermediate_size, and down_proj leads back.

    Args:
        hidden_size: the length of the vectors that come in and go out.
        intermediate_size: the length in between.
    """

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION three linear layers without bias: gate_proj, up_proj, down_proj
        self.gate_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.up_proj = nn.Linear(hidden_size, intermediate_size, bias=False)
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """What the network adds to each vector, in the shape of x."""
        ### BEGIN SOLUTION silu on the gate only
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))
        ### END SOLUTION


class Block(nn.Module):
    """One layer of a transformer, with its norms in front (pre-norm).

    First the words look at each other: x + self_attn(input_layernorm(x)). Then each of them
    thinks for itself, starting from that sum, with post_attention_layernorm and mlp in the same
    pattern. (The second name is Llama's: that norm comes after attention, but before the mlp.)

    Args:
        hidden_size: the length of each word's vector.
        intermediate_size: the length inside the mlp.
        heads: the number of query heads.
        kv_heads: the number of key and value heads; None means as many as there are query heads.
        eps: for both norms, which are `RMSNorm`.
    """

    def __init__(
        self,
        hidden_size: int,
        intermediate_size: int,
        heads: int,
        kv_heads: int | None = None,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        ### BEGIN SOLUTION four parts: input_layernorm, self_attn, post_attention_layernorm, mlp
        self.input_layernorm = RMSNorm(hidden_size, eps)
        self.self_attn = MultiHeadAttention(hidden_size, heads, kv_heads)
        self.post_attention_layernorm = RMSNorm(hidden_size, eps)
        self.mlp = SwiGLU(hidden_size, intermediate_size)
        ### END SOLUTION

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        rotate: Callable[[Tensor], Tensor] | None = None,
        cache: Any = None,
    ) -> Tensor:
        """The words after this layer.

        Args:
            x: the words, (batch, time, hidden_size).
            mask: for `MultiHeadAttention`, and so are the next two; just hand them on.
            rotate: what turns queries and keys by their positions.
            cache: the keys and values of earlier words.

        Returns:
            (batch, time, hidden_size).
        """
        ### BEGIN SOLUTION normalise, attend, add; normalise, think, add
        x = x + self.self_attn(self.input_layernorm(x), mask, rotate, cache)
        return x + self.mlp(self.post_attention_layernorm(x))
        ### END SOLUTION

"""Written with vector norms and variances, layers from a loop, and a feed-forward of one formula.

The parts are made in another order, the block is two calls of one method, and the norms share
a function that knows nothing of modules.
"""

import math

import torch
from torch import nn

from llmpath.labkit.thread import earlier

multi_head = earlier("multi-head")


def unit(x, eps):
    """Divide by the root mean square, which is the length over the root of the dimension."""
    lengths = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x / torch.hypot(lengths / math.sqrt(x.shape[-1]), torch.full_like(lengths, eps**0.5))


def wide(x):
    """float64 stays; all else becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


class RMSNorm(nn.Module):
    """The weight multiplies before the result is narrowed again."""

    def __init__(self, hidden_size, eps=1e-5):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(hidden_size)), eps

    def forward(self, x):
        """Scale."""
        return torch.mul(unit(wide(x), self.eps), wide(self.weight)).to(x.dtype)


class LayerNorm(nn.Module):
    """The variance comes from torch, told to divide by n."""

    def __init__(self, hidden_size, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.weight = nn.Parameter(torch.ones(hidden_size))

    def forward(self, x):
        """Centre and scale."""
        variance, mean = torch.var_mean(wide(x), dim=-1, keepdim=True, correction=0)
        scaled = (wide(x) - mean).div(variance.add(self.eps).sqrt())
        return torch.addcmul(wide(self.bias), scaled, wide(self.weight)).to(x.dtype)


class SwiGLU(nn.Module):
    """The sigmoid is written out."""

    def __init__(self, hidden_size, intermediate_size):
        super().__init__()
        for name in ("up_proj", "gate_proj"):
            self.add_module(name, nn.Linear(hidden_size, intermediate_size, bias=False))
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x):
        """Gate."""
        gate = x @ self.gate_proj.weight.mT
        return self.down_proj(self.up_proj(x) * gate / (1 + torch.exp(-gate)))


class Block(nn.Module):
    """Two residual branches."""

    def __init__(self, hidden_size, intermediate_size, heads, kv_heads=None, eps=1e-5):
        super().__init__()
        self.mlp = SwiGLU(hidden_size, intermediate_size)
        self.self_attn = multi_head.MultiHeadAttention(hidden_size, heads, kv_heads)
        self.input_layernorm = RMSNorm(hidden_size, eps)
        self.post_attention_layernorm = RMSNorm(hidden_size, eps)

    def branch(self, x, norm, function, **given):
        """What a function makes of the normalised x, added to x."""
        return torch.add(function(norm(x), **given), x)

    def forward(self, x, mask=None, rotate=None, cache=None):
        """Attention, then the mlp."""
        attention = {"mask": mask, "rotate": rotate, "cache": cache}
        x = self.branch(x, self.input_layernorm, self.self_attn, **attention)
        return self.branch(x, self.post_attention_layernorm, self.mlp)

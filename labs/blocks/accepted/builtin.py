"""Torch's own functions wherever there is one; the block keeps what is added in a list."""

import torch
from torch import nn
from torch.nn import functional

from llmpath.labkit.thread import earlier


class RMSNorm(nn.Module):
    """The function of torch, in wide numbers."""

    def __init__(self, hidden_size, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x):
        """Widen what is narrow."""
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        return functional.rms_norm(wide, self.weight.shape, None, self.eps).to(x) * self.weight


class LayerNorm(nn.LayerNorm):
    """Torch's, which has the same parameters."""

    def __init__(self, hidden_size, eps=1e-5):
        super().__init__(hidden_size, eps=eps)


class SwiGLU(nn.Module):
    """One product for gate and up."""

    def __init__(self, hidden_size, intermediate_size):
        super().__init__()
        self.gate_proj, self.up_proj = (
            nn.Linear(hidden_size, intermediate_size, bias=False) for _ in range(2)
        )
        self.down_proj = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x):
        """Both sides at once."""
        both = torch.cat([self.gate_proj.weight, self.up_proj.weight])
        gate, up = functional.linear(x, both).chunk(2, dim=-1)
        return self.down_proj(nn.SiLU()(gate) * up)


class Block(nn.Module):
    """The stream is the sum of a list."""

    def __init__(self, hidden_size, intermediate_size, heads, kv_heads=None, eps=1e-5):
        super().__init__()
        self.input_layernorm = RMSNorm(hidden_size, eps)
        self.self_attn = earlier("multi-head").MultiHeadAttention(hidden_size, heads, kv_heads)
        self.post_attention_layernorm = RMSNorm(hidden_size, eps)
        self.mlp = SwiGLU(hidden_size, intermediate_size)

    def forward(self, x, mask=None, rotate=None, cache=None):
        """Add up at the end."""
        stream = [x]
        stream.append(self.self_attn(self.input_layernorm(x), mask, rotate, cache))
        stream.append(self.mlp(self.post_attention_layernorm(sum(stream))))
        return sum(stream)

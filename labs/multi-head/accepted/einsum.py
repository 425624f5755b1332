"""One einsum for each projection, groups kept as a dimension of their own, a loop over heads.

The keys are never repeated: each group of queries is folded into the time of its key head.
"""

import torch
from torch import nn

from llmpath.labkit.thread import earlier

look = earlier("attention").attention


def split_heads(x, heads):
    """Slice the vector and stack the slices."""
    size = x.shape[-1] // heads
    return torch.stack([x[..., h * size : (h + 1) * size] for h in range(heads)], dim=1)


def merge_heads(x):
    """Lay the heads side by side."""
    return torch.cat([x[:, h] for h in range(x.shape[1])], dim=-1)


def repeat_kv(x, groups):
    """A view with one more dimension, then one fewer."""
    batch, _, time, size = x.shape
    return x.unsqueeze(2).expand(-1, -1, groups, -1, -1).reshape(batch, -1, time, size)


class MultiHeadAttention(nn.Module):
    """The heads one after the other, each with its own keys."""

    def __init__(self, hidden_size, heads, kv_heads=None):
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads or heads
        if hidden_size % heads or heads % self.kv_heads:
            raise ValueError("the heads do not divide")
        self.head_size = hidden_size // heads
        for name, count in (("q", heads), ("k", self.kv_heads), ("v", self.kv_heads), ("o", heads)):
            self.add_module(
                f"{name}_proj", nn.Linear(hidden_size, count * self.head_size, bias=False)
            )

    def forward(self, x, mask=None, rotate=None, cache=None):
        """Project straight into heads, attend head by head, sum what each contributes."""
        q, k, v = (
            torch.einsum("bti,hdi->bhtd", x, layer.weight.unflatten(0, (count, -1)))
            for layer, count in (
                (self.q_proj, self.heads),
                (self.k_proj, self.kv_heads),
                (self.v_proj, self.kv_heads),
            )
        )
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        if cache is not None:
            k, v = cache.extend(k, v)
        if mask is not None:
            mask = mask.broadcast_to(x.shape[0], self.heads, x.shape[1], k.shape[2])
        output = torch.zeros_like(x)
        for h in range(self.heads):
            shared = h * self.kv_heads // self.heads
            hidden = None if mask is None else mask[:, h]
            found = look(q[:, h], k[:, shared], v[:, shared], hidden)
            columns = self.o_proj.weight[:, h * self.head_size : (h + 1) * self.head_size]
            output = output + found @ columns.T
        return output

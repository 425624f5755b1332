"""The transposes in another place, and torch's fused attention instead of the earlier lab's."""

import torch.nn.functional as F
from torch import nn


def split_heads(x, heads):
    """View, then permute."""
    batch, time, hidden_size = x.size()
    return x.contiguous().view(batch, time, heads, hidden_size // heads).permute(0, 2, 1, 3)


def merge_heads(x):
    """Permute, make contiguous, view."""
    batch, heads, time, size = x.size()
    return x.permute(0, 2, 1, 3).contiguous().view(batch, time, heads * size)


def repeat_kv(x, groups):
    """Pick heads by number: 0, 0, 1, 1."""
    return x[:, [head for head in range(x.size(1)) for _ in range(groups)]]


class MultiHeadAttention(nn.Module):
    """As the reference, but the attention is torch's."""

    def __init__(self, hidden_size, heads, kv_heads=None):
        super().__init__()
        self.heads = heads
        self.kv_heads = heads if kv_heads is None else kv_heads
        if hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("the heads do not divide")
        self.head_size = hidden_size // heads
        self.o_proj = nn.Linear(heads * self.head_size, hidden_size, bias=False)
        self.v_proj = nn.Linear(hidden_size, self.kv_heads * self.head_size, bias=False)
        self.k_proj = nn.Linear(hidden_size, self.kv_heads * self.head_size, bias=False)
        self.q_proj = nn.Linear(hidden_size, heads * self.head_size, bias=False)

    def forward(self, x, mask=None, rotate=None, cache=None):
        """Project, split, attend, merge, project."""
        q = split_heads(self.q_proj(x), self.heads)
        k = split_heads(self.k_proj(x), self.kv_heads)
        v = split_heads(self.v_proj(x), self.kv_heads)
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        if cache is not None:
            k, v = cache.extend(k, v)
        share = self.heads // self.kv_heads
        found = F.scaled_dot_product_attention(
            q, repeat_kv(k, share), repeat_kv(v, share), attn_mask=mask
        )
        return self.o_proj(merge_heads(found))

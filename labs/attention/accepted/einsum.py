"""Written with einsum, positions compared by arange, and a softmax of its own.

Hidden scores become the lowest finite number instead of minus infinity, and the weights are
multiplied by the mask and renormalised, so that a row that sees nothing never holds a NaN.
"""

import torch


def scores(q, k):
    """Scale the queries first; the products are the same."""
    return torch.einsum("...qd,...kd->...qk", q * q.shape[-1] ** -0.5, k)


def causal_mask(time, past=0):
    """Compare the position of each query with that of each key."""
    query_position = torch.arange(past, past + time).unsqueeze(1)
    key_position = torch.arange(past + time).unsqueeze(0)
    return key_position <= query_position


def attention_weights(q, k, mask=None):
    """Subtract the row's largest score before the exponential."""
    logits = scores(q, k)
    if mask is None:
        mask = torch.ones_like(logits, dtype=torch.bool)
    lowest = torch.finfo(logits.dtype).min
    logits = torch.where(mask, logits, lowest)
    shares = torch.exp(logits - logits.amax(dim=-1, keepdim=True).detach()) * mask
    return shares / shares.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)


def attention(q, k, v, mask=None):
    """Mix the values."""
    return torch.einsum("...qk,...kv->...qv", attention_weights(q, k, mask), v)

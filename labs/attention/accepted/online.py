"""Attention that walks over the keys one at a time and never holds a row of weights.

It keeps a running maximum, a running sum and a running mix for each query, which is the
idea behind FlashAttention (Dao and others, 2022) and the online softmax (Milakov and
Gimelshein, 2018).
"""

import torch


def scores(q, k):
    """Batched products in the other order, turned round at the end."""
    return torch.matmul(k, q.mT).mT / float(q.shape[-1]) ** 0.5


def causal_mask(time, past=0):
    """Everything that is not strictly above the diagonal."""
    return ~torch.triu(torch.ones(time, past + time), diagonal=past + 1).bool()


def attention_weights(q, k, mask=None):
    """An additive mask of its own making, with rows that see nothing opened, then emptied."""
    logits = scores(q, k)
    if mask is None:
        return logits.softmax(-1)
    sees_something = mask.any(-1, keepdim=True)
    logits = logits.masked_fill(~mask & sees_something, -torch.inf)
    return torch.where(sees_something, logits.softmax(-1), 0.0)


def attention(q, k, v, mask=None):
    """One key after the other."""
    logits = scores(q, k)
    if mask is None:
        mask = torch.ones(logits.shape[-1], dtype=torch.bool, device=logits.device)
    mask = mask.expand_as(logits)
    largest = logits.new_full(logits.shape[:-1], torch.finfo(logits.dtype).min)
    total = torch.zeros_like(largest)
    mix = total.unsqueeze(-1) * v[..., :1, :]
    for key in range(logits.shape[-1]):
        seen = mask[..., key]
        score = logits[..., key]
        larger = torch.where(seen, torch.maximum(largest, score), largest)
        shrink = torch.exp(largest - larger)
        share = torch.where(seen, torch.exp(torch.where(seen, score - larger, 0.0)), 0.0)
        total = total * shrink + share
        mix = mix * shrink.unsqueeze(-1) + share.unsqueeze(-1) * v[..., key, None, :]
        largest = larger
    return torch.where(total.unsqueeze(-1) > 0, mix / total.clamp_min(1e-30).unsqueeze(-1), 0.0)

"""Lookup by index, a mask from comparing positions, blocks zipped with their caches.

The head is tied by registering the embedding's parameter in it, and multiplied by hand. The
given parts are shorter, for nothing but their names is asked for.
"""

from dataclasses import dataclass

import torch
from torch import nn

from llmpath.labkit.thread import earlier

parts, rope = earlier("blocks"), earlier("positions").rope


@dataclass(frozen=True)
class Config:
    """The fields, with their defaults."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    rope_base: float = 10000.0
    eps: float = 1e-5
    tied: bool = True
    context: int = 1024


class Memory:
    """A cache that keeps the pieces and joins them each time."""

    def __init__(self):
        self.pieces = []

    @property
    def length(self):
        """For how many words."""
        return sum(k.shape[2] for k, _ in self.pieces)

    def extend(self, k, v):
        """Add and join."""
        self.pieces.append((k, v))
        return tuple(torch.cat(each, dim=2) for each in zip(*self.pieces, strict=True))


class Decoder(nn.Module):
    """From ids to normalised vectors."""

    def __init__(self, config):
        super().__init__()
        self.base = config.rope_base
        self.norm = parts.RMSNorm(config.hidden_size, eps=config.eps)
        self.layers = nn.ModuleList()
        for _ in range(config.layers):
            block = parts.Block(
                config.hidden_size,
                config.intermediate_size,
                heads=config.heads,
                kv_heads=config.kv_heads,
                eps=config.eps,
            )
            self.layers.append(block)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)

    def forward(self, ids, cache=None):
        """Every block in turn."""
        past = 0 if cache is None else cache[-1].length if len(cache) else 0
        keys = torch.arange(past + ids.shape[1], device=ids.device)
        queries = keys[past:]
        mask = keys[None, :] <= queries[:, None]

        def rotate(x):
            return rope(x, queries.view(1, 1, -1), self.base)

        vectors = self.embed_tokens.weight[ids]
        for block, memory in zip(self.layers, cache or [None] * len(self.layers), strict=True):
            vectors = block(vectors, mask=mask, rotate=rotate, cache=memory)
        return self.norm(vectors)


class GPT(nn.Module):
    """A decoder and a head."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.model = Decoder(config)
        if config.tied:
            self.lm_head.register_parameter("weight", self.model.embed_tokens.weight)

    def forward(self, ids, cache=None):
        """Logits."""
        return torch.einsum("bth,vh->btv", self.model(ids, cache), self.lm_head.weight)

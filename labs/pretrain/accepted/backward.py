"""The same loop with .backward(), .grad and a log-softmax of its own."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from llmpath.labkit.thread import earlier

GPT, Config = earlier("gpt").GPT, earlier("gpt").Config
optimizers = earlier("optimizers")


@dataclass(frozen=True)
class Recipe:
    """As given."""

    steps: int
    peak: float = 0.006
    warmup: int = 50
    final: float = 0.0
    max_norm: float = 1.0
    betas: tuple = (0.9, 0.95)
    weight_decay: float = 0.1


class Bigram(nn.Module):
    """As given."""

    def __init__(self, vocab_size, dropout=0.0):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids):
        """The rows."""
        return self.dropout(self.table(ids))


def token_bits(logits, targets):
    counts = targets >= 0
    log = logits.log_softmax(-1) / -math.log(2)
    picked = log.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return torch.where(counts, picked, torch.zeros_like(picked))


def train_step(model, batch, state, lr, recipe):
    model.train()
    model.zero_grad(set_to_none=True)
    inputs, targets = batch
    loss = token_bits(model(inputs), targets)[targets >= 0].mean()
    loss.backward()
    params = list(model.parameters())
    grads = [p.grad for p in params]
    norm = optimizers.clip_grad(grads, recipe.max_norm)
    options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay}
    optimizers.adamw_step(params, grads, state, lr, **options)
    return float(loss), norm


def train(model, batches, recipe, state):
    begin = state["step"] if state else 0
    # range first: zip takes from the range before it takes a batch that nobody will use.
    for step, batch in zip(range(begin, recipe.steps), batches, strict=False):
        lr = optimizers.lr_at(step, recipe.steps, recipe.peak, recipe.warmup, recipe.final)
        yield step, *train_step(model, batch, state, lr, recipe)


@torch.no_grad()
def evaluate(model, batches):
    before = model.training
    model.train(False)
    try:
        return [token_bits(model(x), y) for x, y in batches]
    finally:
        model.train(before)

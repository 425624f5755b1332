"""Pretraining: the loop that turns a random network into a base model.

Here everything meets: the batches that you pack, the network that you built, the optimizer that
you wrote. Losses are in bits per token: how many yes-no questions a perfect guesser with the
model's probabilities would need for each next token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

GPT, Config = earlier("gpt").GPT, earlier("gpt").Config
adamw_step = earlier("optimizers").adamw_step
clip_grad = earlier("optimizers").clip_grad
lr_at = earlier("optimizers").lr_at

IGNORE = -100  # a target that counts for nothing, as `batches` of the packing lab marks it
LN_2 = 0.6931471805599453

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Recipe:
    """How to train (given).

    Attributes:
        steps: how many steps there are in all.
        peak, warmup, final: of the learning rate, as `lr_at` takes them.
        max_norm: to which gradients are clipped.
        betas, weight_decay: as `adamw_step` takes them; its eps, between them, keeps its default.
    """

    steps: int
    peak: float = 0.006
    warmup: int = 50
    final: float = 0.0
    max_norm: float = 1.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1


class Bigram(nn.Module):
    """The smallest language model: each token's scores depend on the token before (given).

    Good for trying your loop out: it takes ids, (batch, time), and returns logits,
    (batch, time, vocab_size), as a GPT does, and has a single table to learn.
    """

    def __init__(self, vocab_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """The row of the table for each token."""
        return self.dropout(self.table(ids))


def token_bits(logits: Tensor, targets: Tensor) -> Tensor:
    """How many bits the model needs for each target: -log₂ of the probability that it gave it.

    Args:
        logits: scores, (batch, time, vocab_size). The scores at place i are for target i: the
            shift by one was made when the batch was made, and is not made again.
        targets: ids, (batch, time); `IGNORE` where there is nothing to guess.

    Returns:
        The bits, (batch, time), of the dtype of the logits; 0 where the target is `IGNORE`.

    Example:
        Four tokens that are equally likely take two bits; the second place is not counted:

        >>> token_bits(torch.zeros(1, 2, 4), torch.tensor([[3, -100]]))
        tensor([[2., 0.]])
    """
    ### BEGIN SOLUTION cross-entropy takes a table with a row for each target; it speaks in nats
    rows, wanted = logits.flatten(0, 1), targets.flatten()
    nats = F.cross_entropy(rows, wanted, ignore_index=IGNORE, reduction="none")
    return nats.view_as(targets) / LN_2
    ### END SOLUTION


def train_step(
    model: nn.Module, batch: Batch, state: dict[str, Any], lr: float, recipe: Recipe
) -> tuple[float, float]:
    """Learn from one batch: forward, backward, clip, step.

    The model is switched to training mode first, in whatever mode it comes.
    The loss is the mean of `token_bits` over the targets that count, and its gradient is that of
    this batch alone. Nothing else of the model changes.

    Args:
        model: takes ids and returns logits.
        batch: inputs and targets, each (batch, time).
        state: what `adamw_step` remembers; empty at first.
        lr: the learning rate of this step.
        recipe: for clipping, betas and decay.

    Returns:
        The loss before the step, and the norm of the gradient before clipping, as floats.
    """
    ### BEGIN SOLUTION loss of the batch, its gradient and no other, clip, AdamW
    inputs, targets = batch
    model.train()
    params = list(model.parameters())
    bits = token_bits(model(inputs), targets)
    loss = bits.sum() / (targets != IGNORE).sum()
    grads = list(torch.autograd.grad(loss, params))
    norm = clip_grad(grads, recipe.max_norm)
    adamw_step(params, grads, state, lr, recipe.betas, 1e-8, recipe.weight_decay)
    return loss.item(), norm
    ### END SOLUTION


def train(
    model: nn.Module, batches: Iterable[Batch], recipe: Recipe, state: dict[str, Any]
) -> Iterator[tuple[int, float, float]]:
    """Train until `recipe.steps` are made (a generator), and tell of each step.

    The number of the first step is `state["step"]`, how many steps were made before; 0 if the
    state is empty. So a run that was stopped goes on where it was: its learning rates too.

    Args:
        model: what to train.
        batches: a batch for each step; if they end before the steps do, so does the training.
        recipe: how.
        state: what `adamw_step` remembers; empty for a new run.

    Yields:
        After each step its number (0 for the first of all), its loss and its gradient norm.
    """
    ### BEGIN SOLUTION count from where the state is; a rate and a step for each batch
    step = state.get("step", 0)
    for batch in batches:
        if step >= recipe.steps:
            break
        lr = lr_at(step, recipe.steps, recipe.peak, recipe.warmup, recipe.final)
        loss, norm = train_step(model, batch, state, lr, recipe)
        yield step, loss, norm
        step += 1
    ### END SOLUTION


def evaluate(model: nn.Module, batches: Iterable[Batch]) -> list[Tensor]:
    """The bits of every target in some batches, without learning anything.

    The model is in evaluation mode meanwhile, and afterwards in the mode in which it was.

    Args:
        model: takes ids and returns logits.
        batches: inputs and targets, each (batch, time); sizes may differ from batch to batch.

    Returns:
        For each batch the bits of its targets, (batch, time), without a gradient.
    """
    ### BEGIN SOLUTION switch, measure without gradients, switch back
    training = model.training
    model.eval()
    with torch.no_grad():
        found = [token_bits(model(inputs), targets) for inputs, targets in batches]
    model.train(training)
    return found
    ### END SOLUTION

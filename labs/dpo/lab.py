"""Direct preference optimisation: a model learns which of two answers people like better.

No reward model and no reinforcement learning: comparisons are enough, and a frozen copy of the
model, the reference, from which it may move away only for a reason. Log-probabilities are natural
logarithms here (nats), since β is meant for those.

Sources: "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", Rafailov
and others, 2023; the NLL term is that of "Iterative Reasoning Preference Optimization", Pang and
others, 2024, here as a mean over all tokens of the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# What earlier labs give: the optimizer, its Recipe, and models to try yours on.
adamw_step, clip_grad = earlier("optimizers").adamw_step, earlier("optimizers").clip_grad
Bigram, Recipe = earlier("pretrain").Bigram, earlier("pretrain").Recipe
GPT, Config = earlier("gpt").GPT, earlier("gpt").Config

IGNORE = -100  # a target that counts for nothing, as in the labs before

Batch = tuple[Tensor, Tensor]
Answer = TypeVar("Answer")


def contrast(answers: Sequence[Answer], scores: Sequence[float]) -> tuple[Answer, Answer] | None:
    """Make a pair to learn from out of several answers to one question: the best and the worst.

    Args:
        answers: what was answered; left as they are.
        scores: how good each of them is, the higher the better; of the same length, at least 1.
            Of several that are equally good, the first one counts.

    Returns:
        The chosen answer and the rejected one; None if all are equally good, since such a pair
        would teach nothing but chance.

    Example:
        >>> contrast(["in the mill", "in the pond", "at home"], [1.0, 0.0, 0.5])
        ('in the mill', 'in the pond')
    """
    ### BEGIN SOLUTION where are the highest and the lowest score, and do they differ?
    best, worst = max(scores), min(scores)
    if best == worst:
        return None
    return answers[scores.index(best)], answers[scores.index(worst)]
    ### END SOLUTION


def sequence_logp(logits: Tensor, targets: Tensor) -> Tensor:
    """How likely a model finds each answer as a whole: the logarithm of its probability.

    Args:
        logits: scores, (batch, time, vocab_size). The scores at place i are for target i: the
            shift by one was made when the batch was made.
        targets: ids, (batch, time); `IGNORE` for the prompt and the filling, which the answer
            does not consist of.

    Returns:
        One log-probability for each row, in nats, (batch,), of the dtype of the logits. An answer
        of no tokens has 0, for its probability is 1.

    Example:
        Two tokens, each one of four that are equally likely: ln (1/4 · 1/4).

        >>> sequence_logp(torch.zeros(1, 3, 4), torch.tensor([[-100, 3, 1]]))
        tensor([-2.7726])
    """
    ### BEGIN SOLUTION cross-entropy place by place (classes in dimension 1), then one number a row
    nats = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORE, reduction="none")
    return -nats.sum(dim=1)
    ### END SOLUTION


def dpo_loss(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    reference_chosen: Tensor,
    reference_rejected: Tensor,
    beta: float,
) -> tuple[Tensor, Tensor]:
    """The loss of direct preference optimisation, and the margins that it is made of.

    The implicit reward of an answer is β (log π(answer) - log π_ref(answer)): how much likelier
    it has become. The margin of a pair is the reward of the chosen answer less that of the
    rejected one, and the loss of the pair is -ln σ(margin), which must be finite for every
    finite margin.

    Args:
        policy_chosen: log-probabilities of the chosen answers under the model that learns,
            (batch,).
        policy_rejected: the same of the rejected answers.
        reference_chosen: log-probabilities of the chosen answers under the reference, (batch,).
        reference_rejected: the same of the rejected answers.
        beta: β, what a change is worth. The larger, the closer the model stays to the reference.

    Returns:
        The mean of the losses, a tensor of no dimensions, and the margins, (batch,).

    Example:
        The chosen answer became e times likelier, the rejected one e² times less likely:

        >>> pair = [torch.tensor([x]) for x in (-10.0, -12.0, -11.0, -10.0)]
        >>> dpo_loss(*pair, beta=0.5)
        (tensor(0.2014), tensor([1.5000]))
    """
    ### BEGIN SOLUTION two log-ratios; β times their difference; F.logsigmoid
    chosen = policy_chosen - reference_chosen
    rejected = policy_rejected - reference_rejected
    margins = beta * (chosen - rejected)
    return -F.logsigmoid(margins).mean(), margins
    ### END SOLUTION


def freeze(model: nn.Module) -> nn.Module:
    """Make the reference: a copy of a model as it is now, which nothing changes any more.

    Args:
        model: left as it is, in the mode in which it is, and free to learn.

    Returns:
        Another model with the same parameters, none of which takes a gradient, in evaluation
        mode.
    """
    ### BEGIN SOLUTION copy everything, then two settings of the copy
    reference = copy.deepcopy(model)
    reference.requires_grad_(False)
    return reference.eval()
    ### END SOLUTION


def dpo_step(
    model: nn.Module,
    reference: nn.Module,
    pairs: tuple[Batch, Batch],
    state: dict[str, Any],
    lr: float,
    recipe: Recipe,
    beta: float,
    nll: float = 0.0,
) -> tuple[float, Tensor]:
    """Learn from one batch of pairs: compare, go back, clip, step.

    The loss is that of `dpo_loss` plus `nll` times the mean of -ln p over all tokens of the
    chosen answers that count, under the model that learns. Only that model gets a gradient. It is
    put into evaluation mode, so that dropout does not make it differ from its own copy. All the
    rest is as in pretraining: AdamW with eps 1e-8, after clipping.

    Args:
        model: takes ids and returns logits; it learns.
        reference: likewise; it stays as it is, whether or not somebody froze it.
        pairs: inputs and targets of the chosen answers, each (batch, time), and inputs and
            targets of the rejected ones, each (batch, another time). Row i of the one and row
            i of the other answer the same prompt.
        state: what `adamw_step` remembers; empty at first.
        lr: the learning rate of this step.
        recipe: for `max_norm`, `betas` and `weight_decay`.
        beta: as `dpo_loss` takes it.
        nll: the weight of the second term; 0 leaves it out.

    Returns:
        The loss before the step, as a float, and the margins before the step, (batch,), without
        a gradient.
    """
    ### BEGIN SOLUTION four log-probabilities, two of them without a gradient; the loss; one step
    model.eval()
    policy = [sequence_logp(model(inputs), targets) for inputs, targets in pairs]
    with torch.no_grad():
        fixed = [sequence_logp(reference(inputs), targets) for inputs, targets in pairs]
    loss, margins = dpo_loss(*policy, *fixed, beta)
    loss = loss - nll * policy[0].sum() / (pairs[0][1] != IGNORE).sum()
    params = list(model.parameters())
    grads = list(torch.autograd.grad(loss, params))
    clip_grad(grads, recipe.max_norm)
    adamw_step(params, grads, state, lr, recipe.betas, 1e-8, recipe.weight_decay)
    return loss.item(), margins.detach()
    ### END SOLUTION

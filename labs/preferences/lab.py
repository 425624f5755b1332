"""Preferences: from comparisons of answers to a reward model that foresees them.

Annotators cannot say how good an answer is, but which of two they like better. The law of
Bradley and Terry turns such comparisons into rewards: on a scale of logits, by which the
difference of two rewards is the log-odds of a choice. The lab fits it twice, first to a few known
features of the answers, then with a GPT that reads them.

Sources: "Rank Analysis of Incomplete Block Designs", Bradley and Terry, 1952; "Deep Reinforcement
Learning from Human Preferences", Christiano and others, 2017; "Learning to Summarize from Human
Feedback", Stiennon and others, 2020; "Training Language Models to Follow Instructions with Human
Feedback", Ouyang and others, 2022, for all pairs of a ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# What earlier labs give: the optimizer, its Recipe, and the model that will read answers.
adamw_step, clip_grad = earlier("optimizers").adamw_step, earlier("optimizers").clip_grad
Recipe, GPT, Config = earlier("pretrain").Recipe, earlier("gpt").GPT, earlier("gpt").Config

Answer = TypeVar("Answer")
Rows = tuple[Tensor, Tensor]  # ids (batch, time), and how many of each row are real (batch,)


def padded(rows: Sequence[Sequence[int]], fill: int) -> Rows:
    """Lay texts of different lengths side by side, with `fill` behind the short ones (given).

    Returns:
        Their ids, (batch, longest row), and how many tokens each row has, (batch,).
    """
    lengths = torch.tensor([len(row) for row in rows])
    ids = torch.full((len(rows), int(lengths.max())), fill)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row)] = torch.tensor(row)
    return ids, lengths


class Worths(nn.Module):
    """The smallest reward model: each token has a worth, and a text has their sum (given).

    Good for trying your step out: it is called as `RewardModel` is, and has a single table.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The rewards, (batch,)."""
        real = torch.arange(ids.size(1)) < lengths[:, None]
        return (self.table(ids)[..., 0] * real).sum(dim=1)


def to_pairs(answers: Sequence[Answer], ranks: Sequence[int]) -> list[tuple[Answer, Answer]]:
    """Every comparison that a ranking contains.

    Args:
        answers: what was ranked; left as they are.
        ranks: the rank of each answer, of the same length; 1 is the best. Answers of one rank
            are equally good, and make no pair.

    Returns:
        (the better answer, the worse one) for each two answers of different ranks: first those
        of the first answer with each later one, in their order; then those of the second with
        each that comes after it; and so on.

    Example:
        >>> to_pairs(["so-so", "good", "also so-so"], [2, 1, 2])
        [('good', 'so-so'), ('good', 'also so-so')]
    """
    ### BEGIN SOLUTION every two places, the earlier one first; which of the two has the lower rank?
    pairs = []
    for first in range(len(answers)):
        for second in range(first + 1, len(answers)):
            if ranks[first] < ranks[second]:
                pairs.append((answers[first], answers[second]))
            elif ranks[first] > ranks[second]:
                pairs.append((answers[second], answers[first]))
    return pairs
    ### END SOLUTION


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """How surprising the annotators' choices are, if answers have these rewards.

    By the law of Bradley and Terry an answer with reward a is preferred to one with reward b
    with probability σ(a - b). The loss is the mean over the pairs of -ln of that, in nats, and
    finite for all finite rewards.

    Args:
        chosen: the rewards of the answers that were preferred, (batch,).
        rejected: those of the others, (batch,).

    Returns:
        A tensor of no dimensions.

    Example:
        >>> bradley_terry_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]))
        tensor(0.5032)
    """
    ### BEGIN SOLUTION F.logsigmoid of a difference
    return -F.logsigmoid(chosen - rejected).mean()
    ### END SOLUTION


def agreement(chosen: Tensor, rejected: Tensor) -> float:
    """How often the rewards foresee the choice: the share of pairs, 0 to 1.

    Args:
        chosen: the rewards of the answers that were preferred, (batch,).
        rejected: those of the others, (batch,). A pair with equal rewards counts a half.

    Example:
        >>> agreement(torch.tensor([2.0, 0.0, 1.0]), torch.tensor([1.0, 3.0, 1.0]))
        0.5
    """
    ### BEGIN SOLUTION one for each pair that is right, a half for each tie
    right = (chosen > rejected).sum() + 0.5 * (chosen == rejected).sum()
    return right.item() / len(chosen)
    ### END SOLUTION


def fit(differences: Tensor) -> tuple[Tensor, Tensor]:
    """Find what each feature of an answer is worth to the annotators, and how sure that is.

    The reward of an answer is a sum over its features, each times a weight. The weights that make
    all choices likeliest together are found by Newton's method: from zeros, take off the inverse
    of the second derivatives times the first ones, until nothing moves.

    With x a row of `differences`, w the weights and p = σ(w · x), the loss summed over the pairs
    has the gradient -Σ (1 - p) x and the matrix of second derivatives H = Σ p (1 - p) x xᵀ. The
    standard error of each weight is the root of its place on the diagonal of H⁻¹, at the end.

    Args:
        differences: features of the chosen answer less those of the rejected one, float64,
            (pairs, features). No weights explain all of the pairs, or they would be infinite.

    Returns:
        The weights, within 1e-9 of the best, and their standard errors, each (features,).

    Example:
        Three of four annotators chose the answer that has the only feature: ln 3.

        >>> fit(torch.tensor([[1.0], [1.0], [1.0], [-1.0]], dtype=torch.float64))
        (tensor([1.0986], dtype=torch.float64), tensor([1.1547], dtype=torch.float64))
    """
    ### BEGIN SOLUTION 25 of Newton's steps are more than enough; torch.linalg.solve, then .inv
    weights = torch.zeros_like(differences[0])
    for _ in range(25):
        p = torch.sigmoid(differences @ weights)
        gradient = -((1 - p) @ differences)
        second = (differences.T * (p * (1 - p))) @ differences
        weights = weights - torch.linalg.solve(second, gradient)
    return weights, torch.linalg.inv(second).diagonal().sqrt()
    ### END SOLUTION


class RewardModel(nn.Module):
    """A GPT that says how good a text is: one number in place of the next token.

    Its parts are `model`, the body of the GPT, which is taken over as it is and goes on learning,
    and `score`, an `nn.Linear` without bias from the body's vectors to one number, all zeros at
    first. They are named as in Hugging Face's LlamaForSequenceClassification.

    Args:
        gpt: a model of the lab `gpt`. Its head is not used.

    Example:
        >>> gpt = GPT(Config(500, 64, 176, layers=3, heads=4, kv_heads=2))
        >>> RewardModel(gpt)(torch.tensor([[17, 4, 250], [3, 8, 0]]), torch.tensor([3, 2]))
        tensor([0., 0.], grad_fn=<SelectBackward0>)
    """

    def __init__(self, gpt: GPT) -> None:
        super().__init__()
        ### BEGIN SOLUTION two parts, the score from gpt.config.hidden_size; nn.init.zeros_
        self.model = gpt.model
        self.score = nn.Linear(gpt.config.hidden_size, 1, bias=False)
        nn.init.zeros_(self.score.weight)
        ### END SOLUTION

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """The reward of each text, read at its last real token: the one that has seen all of it.

        Args:
            ids: token ids, (batch, time), whatever you like behind the end of each text.
            lengths: how many tokens each text has, at least 1, (batch,).

        Returns:
            The rewards, (batch,).
        """
        ### BEGIN SOLUTION all vectors; of each row that at its last token; then the score
        vectors = self.model(ids)
        last = vectors[torch.arange(len(ids), device=ids.device), lengths - 1]
        return self.score(last)[:, 0]
        ### END SOLUTION


def reward_step(
    model: nn.Module, pairs: tuple[Rows, Rows], state: dict[str, Any], lr: float, recipe: Recipe
) -> tuple[float, float]:
    """Learn from one batch of comparisons: score, go back, clip, step.

    The loss is `bradley_terry_loss`; all the rest is as in pretraining: AdamW with eps 1e-8,
    after clipping.

    Args:
        model: takes ids and lengths and returns rewards; it learns.
        pairs: ids and lengths of the chosen texts, and ids and lengths of the rejected ones.
            Row i of the one and row i of the other belong together; `time` may differ.
        state: what `adamw_step` remembers; empty at first.
        lr: the learning rate of this step.
        recipe: for `max_norm`, `betas` and `weight_decay`.

    Returns:
        The loss and the agreement before the step, as floats.
    """
    ### BEGIN SOLUTION rewards of both; the loss; its gradients; clip; step
    chosen, rejected = (model(ids, lengths) for ids, lengths in pairs)
    loss = bradley_terry_loss(chosen, rejected)
    params = list(model.parameters())
    grads = list(torch.autograd.grad(loss, params))
    clip_grad(grads, recipe.max_norm)
    adamw_step(params, grads, state, lr, recipe.betas, 1e-8, recipe.weight_decay)
    return loss.item(), agreement(chosen, rejected)
    ### END SOLUTION

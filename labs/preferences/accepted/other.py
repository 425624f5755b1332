"""Plain Python where that will do, gather in place of an index, and .backward()."""

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from llmpath.labkit.thread import earlier

optimizers = earlier("optimizers")
Recipe, GPT, Config = earlier("pretrain").Recipe, earlier("gpt").GPT, earlier("gpt").Config


def padded(rows, fill):
    lengths = torch.tensor([len(row) for row in rows])
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows]), lengths


class Worths(nn.Module):
    """Given."""

    def __init__(self, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, 1)

    def forward(self, ids, lengths):
        """The rewards."""
        real = torch.arange(ids.size(1)) < lengths[:, None]
        return (self.table(ids)[..., 0] * real).sum(dim=1)


def to_pairs(answers, ranks):
    two = itertools.combinations(zip(ranks, answers, strict=True), 2)
    return [(a, b) if i < j else (b, a) for (i, a), (j, b) in two if i != j]


def bradley_terry_loss(chosen, rejected):
    return F.softplus(rejected - chosen).mean()


def agreement(chosen, rejected):
    return float((torch.sign(chosen - rejected).detach().double() / 2 + 0.5).mean())


def fit(differences):
    weights = torch.zeros(differences.size(1), dtype=differences.dtype)
    while True:
        p = 1 / (1 + torch.exp(-(differences @ weights)))
        hessian = torch.einsum("pi,p,pj->ij", differences, p * (1 - p), differences)
        step = torch.linalg.solve(hessian, ((1 - p)[:, None] * differences).sum(0))
        weights = weights + step
        if step.abs().max() < 1e-13:
            return weights, torch.linalg.pinv(hessian).diag() ** 0.5


class RewardModel(nn.Module):
    """Scores every token, then picks."""

    def __init__(self, gpt):
        super().__init__()
        self.model = gpt.model
        self.score = nn.Linear(gpt.config.hidden_size, 1, bias=False)
        with torch.no_grad():
            self.score.weight.fill_(0.0)

    def forward(self, ids, lengths):
        """The rewards."""
        every = self.score(self.model(ids)).squeeze(-1)
        return every.gather(1, lengths[:, None] - 1).squeeze(1)


def reward_step(model, pairs, state, lr, recipe):
    model.zero_grad(set_to_none=True)
    (good, good_lengths), (bad, bad_lengths) = pairs
    chosen, rejected = model(good, good_lengths), model(bad, bad_lengths)
    loss = bradley_terry_loss(chosen, rejected)
    loss.backward()
    params = list(model.parameters())
    grads = [parameter.grad for parameter in params]
    optimizers.clip_grad(grads, recipe.max_norm)
    options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay}
    optimizers.adamw_step(params, grads, state, lr, **options)
    return float(loss.detach()), agreement(chosen, rejected)

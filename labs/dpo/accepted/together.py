"""Chosen and rejected answers side by side in one batch, as trl does it, and .backward()."""

import copy

import torch
import torch.nn.functional as F

from llmpath.labkit.thread import earlier

optimizers = earlier("optimizers")
Bigram, Recipe = earlier("pretrain").Bigram, earlier("pretrain").Recipe
GPT, Config = earlier("gpt").GPT, earlier("gpt").Config


def contrast(answers, scores):
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    low = next(place for place in order if scores[place] == scores[order[-1]])
    if scores[low] == scores[order[0]]:
        return None
    return (answers[order[0]], answers[low])


def sequence_logp(logits, targets):
    counts = targets >= 0
    log = torch.log_softmax(logits, dim=-1)
    picked = torch.gather(log, 2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    return torch.where(counts, picked, torch.zeros_like(picked)).sum(-1)


def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    policy, reference = policy_chosen - policy_rejected, reference_chosen - reference_rejected
    margins = beta * (policy - reference)
    return torch.logaddexp(torch.zeros_like(margins), -margins).mean(), margins


def freeze(model):
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.requires_grad = False
    twin.train(False)
    return twin


def padded(pairs):
    """Both halves of the pairs in one batch."""
    longest = max(inputs.size(1) for inputs, _ in pairs)
    rows = [
        [F.pad(part, (0, longest - part.size(1)), value=fill) for part in column]
        for column, fill in zip(zip(*pairs, strict=True), (0, -100), strict=True)
    ]
    return [torch.cat(each) for each in rows]


def dpo_step(model, reference, pairs, state, lr, recipe, beta, nll=0.0):
    model.train(False)
    model.zero_grad(set_to_none=True)
    inputs, targets = padded(pairs)
    logits = model(inputs)
    logp = sequence_logp(logits, targets).chunk(2)
    with torch.no_grad():
        fixed = sequence_logp(reference(inputs), targets).chunk(2)
    loss, margins = dpo_loss(*logp, *fixed, beta)
    half = len(targets) // 2
    loss = loss + nll * F.cross_entropy(logits[:half].flatten(0, 1), targets[:half].flatten())
    loss.backward()
    params = list(model.parameters())
    grads = [p.grad for p in params]
    optimizers.clip_grad(grads, recipe.max_norm)
    options = {"betas": recipe.betas, "weight_decay": recipe.weight_decay}
    optimizers.adamw_step(params, grads, state, lr, **options)
    return float(loss), margins.detach()

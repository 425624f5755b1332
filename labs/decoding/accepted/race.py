"""The same by thresholds instead of places, by a race instead of a die, and beams as one tensor.

A draw is the winner of a race: each token gets an exponential waiting time, divided by its
probability (Yellott, 1977, "the Gumbel-max trick").
"""

from __future__ import annotations

import torch

from llmpath.labkit.thread import earlier

GPT = earlier("gpt").GPT
Config = earlier("gpt").Config
Memory = earlier("gpt").Memory


def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    """Probabilities of the tokens that are not below a threshold."""
    if not temperature:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    shares = torch.softmax(logits / temperature, -1)
    if top_k is not None and top_k < shares.shape[-1]:
        least = torch.topk(shares, top_k, dim=-1)[0][..., -1:]
        shares = torch.where(shares < least, 0, shares)
        shares = shares / shares.sum(-1, keepdim=True)
    if top_p is not None and top_p != 1:
        ranked = torch.sort(shares, dim=-1, descending=True)[0]
        enough = (ranked.cumsum(-1) < top_p).sum(-1, keepdim=True)
        least = ranked.gather(-1, enough.clamp(max=shares.shape[-1] - 1))
        shares = shares * (shares >= least)
        shares = shares / shares.sum(-1, keepdim=True)
    return shares


def sample(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    """The token that comes first."""
    shares = probabilities(logits, temperature, top_k, top_p)
    times = torch.empty(shares.shape, dtype=torch.float64).exponential_(generator=generator)
    return (times / shares).argmin(-1)


def stream(
    model,
    ids,
    max_new_tokens,
    temperature=1.0,
    top_k=None,
    top_p=None,
    end=None,
    generator=None,
    cache=None,
):
    """Count down; remember which rows go on."""
    going, text, left = [True] * len(ids), ids, max_new_tokens
    while left > 0 and any(going):
        with torch.no_grad():
            answer = model(text) if cache is None else model(ids, cache)
        token = sample(answer[:, -1, :], temperature, top_k, top_p, generator)
        for row, goes in enumerate(going):
            if not goes:
                token[row] = end
            going[row] = goes and (end is None or int(token[row]) != end)
        left -= 1
        ids = token.unsqueeze(1)
        text = torch.hstack([text, ids])
        yield token.clone()


def beam_search(model, ids, max_new_tokens, beams, end=None):
    """Keep texts, their sums, and whether they have ended, in three lists side by side."""
    texts, sums, over = [ids.tolist()], [0.0], [False]
    for _ in range(max_new_tokens):
        if all(over):
            break
        candidates = []
        for text, total, ended in zip(texts, sums, over, strict=True):
            if ended:
                candidates.append((-total, text, True))
                continue
            logits = model(torch.tensor([text]))[0, -1]
            shares = (logits - torch.logsumexp(logits, 0)).tolist()
            for token, share in enumerate(shares):
                candidates.append((-total - share, [*text, token], token == end))
        candidates.sort(key=lambda candidate: candidate[0])
        best = candidates[:beams]
        sums, texts, over = ([-c[0] for c in best], [c[1] for c in best], [c[2] for c in best])
    return [(torch.tensor(text), total) for text, total in zip(texts, sums, strict=True)]

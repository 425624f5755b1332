"""One answer at a time, resamples as weights, and a walk along every document."""

import math
import re

import torch


def choice_logp(model, encode, prompt, choices):
    skip, found = len(encode(prompt)), []
    for choice in choices:
        ids = torch.tensor([encode(prompt + choice)])
        with torch.inference_mode():
            scores = torch.log_softmax(model(ids), -1)[0]
        steps = [scores[t - 1, int(ids[0, t])] for t in range(skip, ids.size(1))]
        found.append(sum(steps, torch.zeros((), dtype=scores.dtype)))
    return torch.stack(found).clone()


def pick(logps, choices, by_bytes=False):
    lengths = [len(bytes(c, "utf-8")) if by_bytes else 1 for c in choices]
    return max(range(len(choices)), key=lambda i: (float(logps[i]) / lengths[i], -i))


def bootstrap(scores, generator, resamples=1000, level=0.95):
    if not len(scores):
        raise ValueError("no scores")
    n = len(scores)
    drawn = torch.multinomial(torch.ones(resamples, n), n, replacement=True, generator=generator)
    counts = torch.zeros(resamples, n, dtype=torch.float64)
    counts.scatter_add_(1, drawn, torch.ones(resamples, n, dtype=torch.float64))
    means = ((counts @ scores.to(torch.float64)) / n).sort().values.tolist()

    def at(share):
        place = share * (resamples - 1)
        low = math.floor(place)
        high = min(low + 1, resamples - 1)
        return means[low] + (place - low) * (means[high] - means[low])

    return [at((1 - level) / 2), at((1 + level) / 2)]


def compare(first, second, generator, resamples=1000, level=0.95):
    if first.shape != second.shape:
        raise ValueError("no pairs")
    pairs = [float(a) - float(b) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    return bootstrap(torch.tensor(pairs, dtype=torch.float64), generator, resamples, level)


def words(text):
    return re.findall(r"[^\W_]+", text.lower())


def contaminated(tests, train, n=13):
    runs = {}
    for place, test in enumerate(tests):
        told = words(test)
        size = min(n, len(told))
        for start in range(len(told) - size + 1 if size else 0):
            runs.setdefault(" ".join(told[start : start + size]), set()).add(place)
    dirty = set()
    sizes = {run.count(" ") + 1 for run in runs}
    for document in train:
        told = words(document)
        for size in sizes:
            for start in range(len(told) - size + 1):
                dirty |= runs.get(" ".join(told[start : start + size]), set())
    return [place in dirty for place in range(len(tests))]

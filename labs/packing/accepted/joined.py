"""The same three functions, written with itertools and a running position."""

from itertools import groupby

import torch

IGNORE = -100


def stream(shards):
    for open_shard in shards:
        for blank, lines in groupby(open_shard(), key=lambda line: not line.strip()):
            if not blank:
                yield "".join(line.rstrip("\n") + "\n" for line in lines)[:-1]


def pack(documents, length, end):
    rows = []
    free = 0
    for document in filter(len, documents):
        ids = [int(i) for i in document] + [end]
        if len(ids) > free:
            if not rows or free < length:
                rows.append([end])
            free = length
        while len(ids) > free:
            rows[-1] += ids[:free]
            rows.append([rows[-1][-1]])
            ids = ids[free:]
            free = length
        rows[-1] += ids
        free -= len(ids)
    out = torch.full((len(rows), length + 1), end, dtype=torch.long)
    for row, ids in zip(out, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    return out


def batches(windows, batch_size, end, seed):
    generator = torch.Generator()
    generator.manual_seed(seed)
    shuffled = windows[torch.randperm(windows.shape[0], generator=generator)]
    for start in range(0, shuffled.shape[0], batch_size):
        chunk = shuffled[start : start + batch_size]
        x, y = chunk[:, :-1].clone(), chunk[:, 1:].clone()
        y[(x == end) & (y == end)] = IGNORE
        yield x, y

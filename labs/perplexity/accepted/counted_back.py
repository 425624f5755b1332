"""The same with natural logarithms, ends counted first, and targets that are ignored."""

import math

import torch
import torch.nn.functional as F

from llmpath.labkit.thread import earlier

Bigram = earlier("pretrain").Bigram


class Tally(torch.nn.Module):
    """As given."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size, self.reads, self.longest, self.gradients = vocab_size, 0, 0, False

    def forward(self, ids):
        """As given."""
        self.reads += ids.numel()
        self.longest = max(self.longest, ids.shape[1])
        self.gradients |= torch.is_grad_enabled()
        return torch.log(F.one_hot(ids, self.vocab_size).cumsum(1).double() + 1)


def perplexity(bits):
    if not bits.numel():
        raise ValueError("nothing")
    flat = bits.flatten().tolist()
    return math.exp(math.fsum(flat) / len(flat) * math.log(2))


def bits_per_byte(total_bits, text):
    if not text:
        raise ValueError("nothing")
    return total_bits / sum(len(sign.encode()) for sign in text)


def corpus_perplexity(batches):
    nats, count = [], 0
    for logits, targets in batches:
        real = targets != -100
        logp = logits[real].double().log_softmax(-1)
        nats += (-logp[torch.arange(len(logp)), targets[real]]).tolist()
        count += len(logp)
    if count < 1:
        raise ValueError("nothing")
    return math.exp(math.fsum(nats) / count)


def windows(count, length, stride):
    if stride < 1 or length < 1 or stride > length:
        raise ValueError("stride")
    if count < 2:
        return []
    ends = [*range(length + 1, count, stride), count]
    firsts = [1, *ends[:-1]]
    return [
        (end - length - 1 if end > length else 0, first, end)
        for first, end in zip(firsts, ends, strict=True)
    ]


@torch.no_grad()
def strided(model, ids, length, stride):
    was, bits = model.training, None
    places = windows(len(ids), length, stride)
    model.train(False)
    for begin, first, end in places:
        targets = ids[begin + 1 : end].clone()
        targets[: first - begin - 1] = -100
        logits = model(ids[None, begin : end - 1])[0]
        nats = F.cross_entropy(logits, targets, reduction="none")
        if bits is None:
            bits = torch.zeros(len(ids) - 1, dtype=logits.dtype)
        bits[begin : end - 1] += nats / math.log(2)
    model.train(was)
    return torch.zeros(0) if bits is None else bits

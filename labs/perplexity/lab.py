"""Perplexity: how surprised a model is by a text, in units that can be compared.

Everything here is a way of adding up bits: by the token, by the byte, over batches of unequal
length, and over a text that is longer than what the model can read at once. Nothing is learned,
and nothing is written by the model.

Sources: "Perplexity: a measure of the difficulty of speech recognition tasks", Jelinek, Mercer,
Bahl and Baker, 1977; the windows are those with which lm-evaluation-harness rolls over a text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# What earlier labs give: token_bits(logits, targets), the bits of each target, (batch, time), with
# 0 where it is IGNORE; and a model to try yours on.
token_bits, Bigram = earlier("pretrain").token_bits, earlier("pretrain").Bigram

IGNORE = -100  # a target that counts for nothing, as in the labs before


class Tally(nn.Module):
    """A language model of which everything can be worked out by hand (given).

    It finds a token the likelier the more often it read it: one that it read c times among n has
    the probability (c + 1) / (n + vocab_size). So what it can read matters, each token of it.

    It takes ids, (batch, time), returns logits in float64, (batch, time, vocab_size), and keeps
    count of how it was used.

    Attributes:
        reads: how many tokens it was given in all.
        longest: how many it was given at once, at most.
        gradients: whether gradients were on when it was called.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.reads, self.longest, self.gradients = 0, 0, False

    def forward(self, ids: Tensor) -> Tensor:
        """Logarithms of counts, each plus one."""
        self.reads += ids.numel()
        self.longest = max(self.longest, ids.size(1))
        self.gradients |= torch.is_grad_enabled()
        counts = F.one_hot(ids, self.vocab_size).cumsum(dim=1)
        return torch.log(counts.double() + 1)


def perplexity(bits: Tensor) -> float:
    """Among how many equally likely tokens the model might as well have chosen each time.

    It is 2 to the power of the mean: one over the geometric mean of the probabilities.

    Args:
        bits: of each token, -log₂ of the probability that the model gave it; of any shape and any
            floating dtype. In half precision too, no digits are lost by adding up.

    Returns:
        1 or more; infinity where the model held a token to be impossible.

    Raises:
        ValueError: if there are no tokens.

    Example:
        The probabilities 1/2, 1/4 and 1/8 take 1, 2 and 3 bits:

        >>> perplexity(torch.tensor([1.0, 2.0, 3.0]))
        4.0
    """
    ### BEGIN SOLUTION refuse nothing at all; the mean in float64; a power of two
    if bits.numel() == 0:
        raise ValueError("there is no perplexity of no tokens")
    return float(2 ** bits.double().mean())
    ### END SOLUTION


def bits_per_byte(total_bits: float, text: str) -> float:
    """What a text costs for each of its bytes, whatever it was cut into.

    Args:
        total_bits: of all tokens of the text together, not their mean.
        text: the text itself; its bytes are those of UTF-8, as files have them.

    Raises:
        ValueError: if the text is empty.

    Example:
        ü takes two bytes in UTF-8:

        >>> bits_per_byte(8.0, "für")
        2.0
    """
    ### BEGIN SOLUTION one quotient, once the text is known to have bytes
    size = len(text.encode("utf-8"))
    if size == 0:
        raise ValueError("an empty text has no bytes to share the bits")
    return total_bits / size
    ### END SOLUTION


def corpus_perplexity(batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The perplexity of a whole corpus, each token counted once, wherever it stands.

    Args:
        batches: logits, (batch, time, vocab_size), and targets, (batch, time), of one batch after
            the other; sizes may differ from batch to batch. The logits at place i are for target
            i. A target that is `IGNORE` is filling, and is no token of the corpus; whole batches
            may be filling.

    Returns:
        2 to the mean of the bits of all tokens.

    Raises:
        ValueError: if there are no tokens.

    Example:
        One token of two bits in the first batch, three of one bit in the second: 5 bits for 4.

        >>> first = torch.zeros(1, 2, 4), torch.tensor([[3, -100]])
        >>> second = torch.zeros(1, 3, 2), torch.tensor([[0, 1, 1]])
        >>> round(corpus_perplexity([first, second]), 4)
        2.3784
    """
    ### BEGIN SOLUTION two sums over all batches: the bits, and the targets that are not IGNORE
    bits, count = 0.0, 0
    for logits, targets in batches:
        bits += float(token_bits(logits, targets).double().sum())
        count += int((targets != IGNORE).sum())
    if count == 0:
        raise ValueError("there is no perplexity of no tokens")
    return perplexity(torch.tensor(bits / count, dtype=torch.float64))
    ### END SOLUTION


class Window(NamedTuple):
    """What the model sees of a text at once, and what it is judged by (given).

    Attributes:
        begin: of what it reads, which is `ids[begin : end - 1]`.
        first: of what it is judged by, which is `ids[first:end]`. The tokens between `begin` and
            `first` are there to be read only.
        end: the place after the last token that it is judged by.
    """

    begin: int
    first: int
    end: int


def windows(count: int, length: int, stride: int) -> list[Window]:
    """Lay windows over a text that is longer than what the model can read.

    The first window reads the first `length` tokens and is judged by all that come after one of
    them, which are the tokens 1 to `length`. (Token 0 has nothing before it, and nobody is judged
    by it.) Each further window is judged by the next `stride` tokens, the last one by what is
    left, and reads as far back as it can. So each token but token 0 is judged once, in order.

    Args:
        count: how many tokens the text has.
        length: how many tokens the model reads at once, at most; 1 or more.
        stride: by how many tokens the windows move on, 1 to `length`.

    Returns:
        The windows, from left to right; none if there is no token to judge.

    Raises:
        ValueError: if length or stride is out of its range.

    Example:
        >>> for window in windows(count=8, length=4, stride=2):
        ...     print(window)
        Window(begin=0, first=1, end=5)
        Window(begin=2, first=5, end=7)
        Window(begin=3, first=7, end=8)
    """
    ### BEGIN SOLUTION refuse; then: where the judged tokens begin, where they end, how far back
    if not 1 <= stride <= length:
        raise ValueError(f"the stride is 1 to the length, {length}, not {stride}")
    found: list[Window] = []
    first, step = 1, length
    while first < count:
        end = min(first + step, count)
        found.append(Window(max(0, end - 1 - length), first, end))
        first, step = end, stride
    return found
    ### END SOLUTION


def strided(model: nn.Module, ids: Tensor, length: int, stride: int) -> Tensor:
    """The bits of each token of a text of any length, read through `windows`.

    The model is in evaluation mode meanwhile, and afterwards in the mode in which it was.

    Args:
        model: takes ids, (batch, time), and returns logits.
        ids: the text, (time,). Begin it with the end-of-text token, so that its first real token
            is judged too.
        length: how many tokens the model is given at once, at most.
        stride: by how many tokens the windows move on, 1 to `length`.

    Returns:
        The bits of the tokens 1, 2, … in order, (time - 1,), of the dtype of the logits (float32
        if there are none), without a gradient.

    Raises:
        ValueError: if length or stride is out of its range.

    Example:
        After reading one 0, of 4 tokens, Tally gives 0 the probability 2/5, and then 3/6:

        >>> strided(Tally(4), torch.tensor([0, 0, 0]), length=8, stride=4)
        tensor([1.3219, 1.0000], dtype=torch.float64)
    """
    ### BEGIN SOLUTION for each window: targets are ids shifted by one; keep the bits from first on
    laid = windows(len(ids), length, stride)
    training = model.training
    model.eval()
    found = [torch.empty(0)] if not laid else []
    with torch.no_grad():
        for begin, first, end in laid:
            row = ids[begin:end].unsqueeze(0)
            bits = token_bits(model(row[:, :-1]), row[:, 1:])
            found.append(bits[0, first - begin - 1 :])
    model.train(training)
    return torch.cat(found)
    ### END SOLUTION

"""A benchmark: questions with known answers, and how sure a score is.

A language model is asked by likelihood: every answer on offer is put behind the question, and the
one that the model finds likeliest is its choice. Nothing is generated, so nothing has to be read.
Log-probabilities are natural logarithms (nats), as the tools of the field give them.

Sources: the bootstrap is that of "Bootstrap methods: another look at the jackknife", Efron, 1979;
contamination by n-grams is looked for as in "Language Models are Few-Shot Learners", Brown and
others, 2020, appendix C.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def choice_logp(
    model: Callable[[Tensor], Tensor],
    encode: Callable[[str], list[int]],
    prompt: str,
    choices: Sequence[str],
) -> Tensor:
    """How likely a model finds each answer, given what stands before it.

    The tokens of an answer are those of `prompt + choice` without the first so many, as many as
    the prompt alone has. Only they count: each adds the logarithm of its probability after
    everything before it. Which other answers are on offer makes no difference to an answer.

    Args:
        model: takes ids, (batch, time), int64, and returns logits, (batch, time, vocab_size);
            the logits at place t are for the token at t + 1. A token never sees what comes
            after it. Gradients are not wanted.
        encode: turns a text into its tokens' ids.
        prompt: what stands before the answer; at least one token.
        choices: the answers on offer, each as it goes on from the prompt: " mill", with its
            space. They may have different numbers of tokens.

    Returns:
        One log-probability for each answer, in nats, (choices,), of the dtype of the logits.
        An answer that the model holds impossible has minus infinity.

    Example:
        For a model by which all of 100 tokens are equally likely, whatever came before, an
        answer of two tokens has ln (1/100 · 1/100) = -9.21.
    """
    ### BEGIN SOLUTION encode whole texts; ask the model; add up what the answer's own tokens have
    start = len(encode(prompt))
    rows = [torch.tensor(encode(prompt + choice)) for choice in choices]
    ids = pad_sequence(rows, batch_first=True)
    with torch.no_grad():
        logits = model(ids)
    logp = logits[:, :-1].log_softmax(dim=-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    place = torch.arange(1, ids.size(1))
    ends = torch.tensor([len(row) for row in rows])
    counts = (place >= start) & (place < ends[:, None])
    return logp.masked_fill(~counts, 0.0).sum(dim=1)
    ### END SOLUTION


def pick(logps: Tensor, choices: Sequence[str], by_bytes: bool = False) -> int:
    """The answer that a model chooses.

    Args:
        logps: how likely it finds each answer, (choices,).
        choices: the answers, in the same order; none of them is empty.
        by_bytes: compare log-probabilities per byte of the answer's text in UTF-8, so that an
            answer does not lose because it is long.

    Returns:
        The place of the best answer in `choices`; of several equally good ones, of the first.

    Example:
        >>> pick(torch.tensor([-3.0, -4.0]), [" ox", " elephant"])
        0
        >>> pick(torch.tensor([-3.0, -4.0]), [" ox", " elephant"], by_bytes=True)  # -1.0, -0.44
        1
    """
    ### BEGIN SOLUTION divide by the lengths if they are to count; then the place of the largest
    scores = logps.tolist()
    if by_bytes:
        scores = [
            score / len(choice.encode()) for score, choice in zip(scores, choices, strict=True)
        ]
    return scores.index(max(scores))
    ### END SOLUTION


def bootstrap(
    scores: Tensor, generator: torch.Generator, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """A confidence interval of a mean, from nothing but the scores themselves.

    The items of an exam are a sample of all that could have been asked. To see how much the mean
    depends on which were, draw as many items again from those at hand, with replacement, and
    take the mean; do so again and again. The interval cuts off the same share of these means
    below and above (the percentile bootstrap).

    Args:
        scores: what each item counted, (items,), of any dtype: 1 for right and 0 for wrong, or
            any other numbers.
        generator: what is drawn is drawn with it, and with nothing else.
        resamples: how many means to take.
        level: how much of the means lies within, 0 to 1.

    Returns:
        The low and the high end, as floats.

    Raises:
        ValueError: if there is no score.

    Example:
        Of two items one is right. Half of the resamples take one of each, a quarter takes the
        wrong one twice, a quarter the right one: the means are 0, 0.5 or 1.

        >>> bootstrap(torch.tensor([0.0, 1.0]), torch.Generator().manual_seed(0))
        (0.0, 1.0)
    """
    ### BEGIN SOLUTION draw (resamples, items) places at once; a mean for each row; two quantiles
    if len(scores) == 0:
        raise ValueError("an interval needs at least one score")
    places = torch.randint(len(scores), (resamples, len(scores)), generator=generator)
    means = scores.double()[places].mean(dim=1)
    tail = (1 - level) / 2
    low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=means.dtype)).tolist()
    return low, high
    ### END SOLUTION


def compare(
    first: Tensor,
    second: Tensor,
    generator: torch.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """A confidence interval of how much better one model is than another on the same items.

    Both answered the same items, so what is drawn again are items, each with both of its scores:
    an item that is hard is hard for both, and cancels.

    Args:
        first: what each item counted for the one model, (items,), of any dtype.
        second: the same for the other, in the same order.
        generator: as `bootstrap` takes it, like
        resamples: how many means to take, and
        level: how much of them lies within.

    Returns:
        The low and the high end of mean(first) - mean(second). If 0 lies between them, the
        items do not show which of the two is better.

    Raises:
        ValueError: if the models did not answer the same number of items.
    """
    ### BEGIN SOLUTION what has to be drawn as one? `bootstrap` does the rest
    if len(first) != len(second):
        raise ValueError(f"these are {len(first)} and {len(second)} scores, which make no pairs")
    return bootstrap(first.double() - second.double(), generator, resamples, level)
    ### END SOLUTION


def words(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation (given).

    Example:
        >>> words("This is Mia. She's 7!")
        ['this', 'is', 'mia', 'she', 's', '7']
    """
    return re.findall(r"[^\W_]+", text.lower())


def ngrams(told: list[str], n: int) -> set[tuple[str, ...]]:
    """Every run of n neighbouring words (given); none if there are fewer words, or n is 0.

    Example:
        >>> sorted(ngrams(["to", "be", "or"], 2))
        [('be', 'or'), ('to', 'be')]
    """
    return set(zip(*(told[start:] for start in range(n)), strict=False))


def contaminated(tests: Sequence[str], train: Iterable[str], n: int = 13) -> list[bool]:
    """Which items of a test stood in the training text.

    An item counts as contaminated if any run of `n` of its words stands in one document of the
    training text, in that order and with nothing between. An item of fewer than n words counts if
    all its words stand there as one run; one without a word never does. What is a word, `words`
    says, so that neither capitals nor punctuation hide anything.

    Args:
        tests: the items: question and answer, as text.
        train: the documents; read once and one at a time, for they may be more than fits into
            memory. Remember no more of them than you need.
        n: how many words have to agree, at least 1.

    Returns:
        For each item, whether it is contaminated.

    Example:
        >>> contaminated(["Mia lives in the mill."], ["I know that Mia lives, in the barn"], n=4)
        [True]
    """
    ### BEGIN SOLUTION the runs of each item; which of them the documents have; then item by item
    told = [words(test) for test in tests]
    runs = [ngrams(each, min(n, len(each))) for each in told]
    wanted = set().union(*runs)
    lengths = {len(run) for run in wanted}
    seen = set()
    for document in train:
        known = words(document)
        for length in lengths:
            seen |= wanted & ngrams(known, length)
    return [bool(run & seen) for run in runs]
    ### END SOLUTION

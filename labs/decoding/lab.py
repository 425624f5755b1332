"""Decoding: from a model that gives probabilities to a text that somebody can read.

`probabilities` bends a distribution (temperature) and cuts off its tail (top-k, top-p), `sample`
draws from it, `stream` writes token after token, and `beam_search` looks for the likeliest
continuation, several at a time.

A model is anything that can be called with ids, (batch, time), and gives logits, (batch, time,
vocab_size), of which those at the last position are the next token's. A GPT is one, and so is a
table of counts. No function here changes its arguments, but for the cache, which grows.

Sources: "The Curious Case of Neural Text Degeneration", Holtzman and others, 2019 (top-p);
"Hierarchical Neural Story Generation", Fan, Lewis and Dauphin, 2018 (top-k).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from llmpath.labkit.thread import earlier

# The model of the step before, for you to try things on, and its cache: one `Memory` a block.
GPT = earlier("gpt").GPT
Config = earlier("gpt").Config
Memory = earlier("gpt").Memory

Model = Callable[..., Tensor]


def probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """The distribution that the next token is drawn from.

    First the logits are divided by the temperature. Then top-k keeps the `top_k` largest. Then
    top-p looks at what is left as a distribution, likeliest first, and keeps the fewest tokens
    that together have at least `top_p`, so the one that crosses the line stays. What is cut gets
    exactly 0, and the rest adds up to 1 again. Temperature 0 means greedy: all of it to the
    largest logit, whatever the rest says.

    Args:
        logits: (..., vocab_size), floating. Some may be -inf.
        temperature: 0 or more; below 1 sharpens, above 1 flattens.
        top_k: how many tokens to keep, 1 or more; None, or more than there are, keeps all.
        top_p: how much probability to keep, above 0 and at most 1; None or 1 keeps all.

    Returns:
        Probabilities, in the shape and dtype of `logits`. Between equal logits at an edge either
        may be kept.

    Example:
        >>> logits = torch.tensor([0.2, 0.5, 0.3]).log()
        >>> probabilities(logits, top_p=0.6)
        tensor([0.0000, 0.6250, 0.3750])
    """
    ### BEGIN SOLUTION greedy by itself; else temperature, top-k and top-p, in that order
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    logits = logits / temperature
    ordered, places = logits.sort(dim=-1, descending=True)
    if top_k is not None:
        ordered[..., top_k:] = float("-inf")
    shares = ordered.softmax(dim=-1)
    if top_p is not None and top_p < 1:
        before = shares.cumsum(dim=-1) - shares  # what the likelier tokens have together
        shares = shares.masked_fill(before >= top_p, 0.0)
        shares = shares / shares.sum(dim=-1, keepdim=True)
    return torch.zeros_like(shares).scatter(-1, places, shares)
    ### END SOLUTION


def sample(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one token for each row of logits, each row by itself.

    Args:
        logits: (..., vocab_size).
        temperature: as `probabilities` takes it.
        top_k: likewise.
        top_p: likewise.
        generator: where the randomness comes from; None is torch's own.

    Returns:
        Token ids, (...), torch.int64.

    Example:
        >>> sample(torch.tensor([[0.0, 9.0, 1.0], [5.0, 0.0, 1.0]]), temperature=0)
        tensor([1, 0])
    """
    ### BEGIN SOLUTION one draw from each row of `probabilities`
    shares = probabilities(logits, temperature, top_k, top_p)
    rows = shares.reshape(-1, shares.size(-1))
    return torch.multinomial(rows, 1, generator=generator).reshape(shares.shape[:-1])
    ### END SOLUTION


@torch.no_grad()
def stream(
    model: Model,
    ids: Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    end: int | None = None,
    generator: torch.Generator | None = None,
    cache: Any = None,
) -> Iterator[Tensor]:
    """Let a model write on, and hand out each token as soon as it is drawn (a generator).

    A row that has drawn `end` is finished: all that comes after it in that row is `end`. When
    every row is finished, or `max_new_tokens` are drawn, the stream ends, and the model is not
    asked again.

    Args:
        model: called as `model(ids)` with all of the text so far; with a cache as
            `model(new, cache)`, with only that part of the text which the cache has not seen.
        ids: what is there to begin with, (batch, time), torch.int64; with a cache, what it has
            not seen. A time of 1 or more.
        max_new_tokens: how many tokens to draw at most, 0 or more.
        temperature: as `sample` takes it.
        top_k: likewise.
        top_p: likewise.
        end: the token that ends a text, which is handed out as well; None: texts never end.
        generator: as `sample` takes it.
        cache: what the model keeps its keys and values in; for a new `GPT`
            `[Memory() for _ in range(model.config.layers)]`. None: there is none.

    Yields:
        The next token of each row, (batch,), torch.int64.

    Example:
        >>> successor = lambda ids: 9.0 * (torch.arange(5) == (ids[..., None] + 1) % 5)
        >>> [int(token) for token in stream(successor, torch.tensor([[2]]), 4, temperature=0)]
        [3, 4, 0, 1]
    """
    ### BEGIN SOLUTION ask, draw from the last position, mind the rows that have ended, hand out
    ended = torch.zeros(ids.size(0), dtype=torch.bool, device=ids.device)
    for _ in range(max_new_tokens):
        logits = model(ids) if cache is None else model(ids, cache)
        drawn = sample(logits[:, -1], temperature, top_k, top_p, generator)
        if end is not None:
            drawn = drawn.masked_fill(ended, end)
            ended = drawn == end
        yield drawn
        if ended.all():
            return
        new = drawn[:, None]
        ids = torch.cat([ids, new], dim=1) if cache is None else new
    ### END SOLUTION


def generate(model: Model, ids: Tensor, max_new_tokens: int, **settings: Any) -> Tensor:
    """The text that `stream` writes, in one piece (given).

    Args:
        model: as `stream` takes it.
        ids: likewise, (batch, time).
        max_new_tokens: likewise.
        **settings: whatever else `stream` takes.

    Returns:
        The ids and the new ones, (batch, time + new), new at most `max_new_tokens`.
    """
    drawn = [token[:, None] for token in stream(model, ids, max_new_tokens, **settings)]
    return torch.cat([ids, *drawn], dim=1)


@torch.no_grad()
def beam_search(
    model: Model, ids: Tensor, max_new_tokens: int, beams: int, end: int | None = None
) -> list[tuple[Tensor, float]]:
    """Look for the likeliest continuations of one text, keeping the best few at every length.

    A continuation is worth the sum of the log-probabilities of its new tokens. Each round tries
    every token after every continuation that has not ended. Of what comes out, and of those that
    had ended before, the `beams` best are kept. The search is over when all that are kept have
    ended, or after `max_new_tokens` rounds. With one beam it is greedy decoding.

    Args:
        model: called as `model(ids)`, with several continuations of one length as rows.
        ids: what is there to begin with, (time,), torch.int64.
        max_new_tokens: how many tokens to add at most, 1 or more.
        beams: how many continuations to keep, 1 or more.
        end: the token that ends a text and is a part of it; None: texts never end.

    Returns:
        What was kept, best first; for each the old and new ids, (time + new,), and the
        log-probability, in nats, as a float. Fewer than `beams` only if there are no more.

    Example:
        >>> successor = lambda ids: 9.0 * (torch.arange(5) == (ids[..., None] + 1) % 5)
        >>> beam_search(successor, torch.tensor([2]), 2, beams=1)
        [(tensor([2, 3, 4]), -0.000987...)]
    """
    ### BEGIN SOLUTION try every token after all that go on; keep the best, with those that ended
    kept = [(ids, 0.0, False)]  # a text, its log-probability, and whether it has ended
    for _ in range(max_new_tokens):
        going = [beam for beam in kept if not beam[2]]
        if not going:
            break
        logits = model(torch.stack([text for text, _, _ in going]))[:, -1]
        totals = logits.log_softmax(dim=-1) + logits.new_tensor([[total] for _, total, _ in going])
        best = totals.flatten().topk(min(beams, totals.numel()))
        grown = [beam for beam in kept if beam[2]]
        for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            row, token = divmod(place, totals.size(-1))
            text = torch.cat([going[row][0], ids.new_tensor([token])])
            grown.append((text, total, token == end))
        kept = sorted(grown, key=lambda beam: beam[1], reverse=True)[:beams]
    return [(text, total) for text, total, _ in kept]
    ### END SOLUTION

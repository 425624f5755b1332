"""From scores to probabilities, to a loss, to the gradient that a model learns from.

Logits are scores, one for each class that could be right: any numbers, the higher the likelier.
The letters `...` stand for any number of leading dimensions: none, (batch), (batch, time). All
logarithms are natural, so that losses are in nats. No function changes its arguments, and each
result has the dtype of x or of the logits.

Arithmetic, exp, log, sums and largest values are all it takes. What torch has ready made
(torch.softmax, torch.logsumexp, F.cross_entropy, autograd) is what yours is compared with.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100  # the target that says: do not count this place


def softmax(x: Tensor, dim: int) -> Tensor:
    """Turn scores into shares: e to the power of each, over the sum of those along `dim`.

    Every finite x is to work, also where e to the power of x is more than a float can hold.

    Args:
        x: scores, of any shape, at least one dimension; -inf means "cannot be", and gets
            exactly 0. There is at least one number above -inf along `dim`.
        dim: the dimension along which the shares are to sum to one; negative ones count from
            the end.

    Returns:
        The shares, of the shape of x.

    Example:
        >>> softmax(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]), dim=1)
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000]])
    """
    ### BEGIN SOLUTION take off the largest number along dim; then powers of e over their sum
    largest = x.amax(dim=dim, keepdim=True)
    powers = (x - largest).exp()
    return powers / powers.sum(dim=dim, keepdim=True)
    ### END SOLUTION


def logsumexp(x: Tensor, dim: int) -> Tensor:
    """The logarithm of the sum, along `dim`, of e to the power of each number.

    Every finite x is to work, also where e to the power of x is more than a float can hold,
    or where all such powers are too small for one.

    Args:
        x: numbers, of any shape, at least one dimension. -inf adds nothing to the sum; where
            there is nothing but -inf along `dim` the result is -inf, the logarithm of 0.
        dim: the dimension to sum along; negative ones count from the end.

    Returns:
        The result, of the shape of x without `dim`.

    Example:
        1000 + ln 2, and -1000 + ln 2:

        >>> logsumexp(torch.tensor([[1000.0, 1000.0], [-1000.0, -1000.0]]), dim=1)
        tensor([1000.6931, -999.3069])
    """
    ### BEGIN SOLUTION take off the largest, which must be finite; sum; put it back on
    top = x.amax(dim=dim, keepdim=True)
    top = top.masked_fill(top == -torch.inf, 0.0)
    return (x - top).exp().sum(dim=dim).log() + top.squeeze(dim)
    ### END SOLUTION


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """How surprised a model is by what was right: -ln p(target), averaged over the targets.

    Targets of -100 (`IGNORED`) are left out, from the sum and from the count; whatever the
    logits say at such a place. If none are left, the loss is 0. Autograd can go through it.

    Args:
        logits: scores, (..., classes).
        targets: the right class of each place, (...), of dtype int64, from 0 to classes - 1,
            or -100.

    Returns:
        The mean, in nats: a tensor of no dimensions.

    Example:
        Two classes that look alike, so ln 2; the second place does not count:

        >>> cross_entropy(torch.tensor([[3.0, 3.0], [9.0, 1.0]]), torch.tensor([0, -100]))
        tensor(0.6931)
    """
    ### BEGIN SOLUTION keep the places that count; log-sum-exp minus the target's logit; the mean
    counted = targets != IGNORED
    rows, wanted = logits[counted], targets[counted]
    chosen = rows.gather(-1, wanted.unsqueeze(-1)).squeeze(-1)
    nats = logsumexp(rows, dim=-1) - chosen
    return nats.sum() / max(len(nats), 1)
    ### END SOLUTION


def cross_entropy_grad(logits: Tensor, targets: Tensor) -> Tensor:
    """The gradient of `cross_entropy` with respect to the logits, by hand and without autograd.

    Args:
        logits: scores, (..., classes).
        targets: as `cross_entropy` takes them, (...).

    Returns:
        How fast the loss climbs with each logit, (..., classes). Exactly 0 at places that
        are ignored.

    Example:
        Both classes have probability one half, and the first is right:

        >>> cross_entropy_grad(torch.tensor([[3.0, 3.0], [9.0, 1.0]]), torch.tensor([0, -100]))
        tensor([[-0.5000,  0.5000],
                [ 0.0000,  0.0000]])
    """
    ### BEGIN SOLUTION probabilities minus the one-hot target, over the count; 0 where ignored
    counted = (targets != IGNORED).unsqueeze(-1)
    right = F.one_hot(targets.clamp(min=0), logits.size(-1))
    grad = (softmax(logits, dim=-1) - right) / counted.sum().clamp(min=1)
    return grad.masked_fill(~counted, 0.0)
    ### END SOLUTION

"""How a model learns from its gradients: AdamW, clipping, and a learning rate that changes.

Everything here works on lists of tensors, one for each parameter of a model, in one order: the
parameters themselves and their gradients. Tensors are changed in place, because a model holds
on to its parameters.

Sources: "Adam: A Method for Stochastic Optimization", Kingma and Ba, 2015; "Decoupled Weight
Decay Regularization", Loshchilov and Hutter, 2019; "On the difficulty of training recurrent
neural networks", Pascanu, Mikolov and Bengio, 2013, for clipping.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


@torch.no_grad()
def adamw_step(
    params: list[Tensor],
    grads: list[Tensor],
    state: dict[str, Any],
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """Move each parameter one step against its gradient, by AdamW.

    With g the gradient, t the number of this step (1 for the first), and all operations
    element by element:

        m = β₁ m + (1 - β₁) g              the mean of recent gradients
        v = β₂ v + (1 - β₂) g²             the mean of their squares
        p = p - lr · weight_decay · p      the decay, apart from the gradient
        p = p - lr · m̂ / (√v̂ + eps)        where m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ)

    Args:
        params: the parameters; changed in place.
        grads: a gradient for each, of its shape; left as they are.
        state: what is remembered from step to step. Empty before the first one; afterwards it
            holds `step` (an int, how many were made), and `m` and `v`, a tensor for each
            parameter.
        lr: the learning rate of this step.
        betas: β₁ and β₂.
        eps: keeps the division away from zero.
        weight_decay: the share of itself that a parameter loses in a step, times lr.

    Example:
        The first step is about lr long, whatever the size of the gradient:

        >>> p, state = torch.tensor([1.0, 1.0]), {}
        >>> adamw_step([p], [torch.tensor([0.001, -50.0])], state, lr=0.1, weight_decay=0.0)
        >>> p
        tensor([0.9000, 1.1000])
    """
    ### BEGIN SOLUTION make the state at the first step; then the four lines, for each parameter
    if not state:
        state["step"] = 0
        state["m"] = [torch.zeros_like(p) for p in params]
        state["v"] = [torch.zeros_like(p) for p in params]
    state["step"] += 1
    beta1, beta2 = betas
    correction1 = 1 - beta1 ** state["step"]
    correction2 = 1 - beta2 ** state["step"]
    for p, g, m, v in zip(params, grads, state["m"], state["v"], strict=True):
        m.mul_(beta1).add_(g, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        p.mul_(1 - lr * weight_decay)
        p.addcdiv_(m / correction1, (v / correction2).sqrt() + eps, value=-lr)
    ### END SOLUTION


@torch.no_grad()
def clip_grad(grads: list[Tensor], max_norm: float) -> float:
    """Shrink the gradients so that all of them together are no longer than `max_norm`.

    The norm is that of one long vector with every number of every gradient in it. If it is at
    most `max_norm`, nothing changes; otherwise all gradients are multiplied by one number, so
    that their direction stays.

    Args:
        grads: the gradients; changed in place.
        max_norm: the longest that they may be together, above 0.

    Returns:
        The norm before clipping.

    Example:
        >>> grads = [torch.tensor([3.0]), torch.tensor([[0.0, 4.0]])]
        >>> clip_grad(grads, 1.0)
        5.0
        >>> grads
        [tensor([0.6000]), tensor([[0.0000, 0.8000]])]
    """
    ### BEGIN SOLUTION one norm over everything; one factor for everything
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in grads))
    if norm > max_norm:
        for g in grads:
            g.mul_(max_norm / norm)
    return norm
    ### END SOLUTION


def lr_at(step: int, total: int, peak: float, warmup: int, final: float = 0.0) -> float:
    """The learning rate of a step: a straight warm-up to the peak, then half a cosine down.

    In the first `warmup` steps it is peak · (step + 1) / warmup. From there, with x the share
    of the remaining steps that are done, (step - warmup) / (total - warmup), it is

        final + (peak - final) · (1 + cos(π x)) / 2

    At `total` and beyond it is `final`.

    Args:
        step: the number of the step, 0 for the first.
        total: how many steps there are.
        peak: the highest rate.
        warmup: how many steps the warm-up has; 0 for none. Less than `total`.
        final: the rate at the end.

    Example:
        >>> [round(lr_at(step, 6, peak=1.0, warmup=2), 3) for step in range(7)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """
    ### BEGIN SOLUTION before, after, and in between
    if step < warmup:
        return peak * (step + 1) / warmup
    if step >= total:
        return final
    x = (step - warmup) / (total - warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * x)) / 2
    ### END SOLUTION

"""The vector-Jacobian product of a learner's function or module, as `lab.vjp` asks for it."""

from __future__ import annotations

import sys
from typing import Any


def vjp(function: Any, args: list[Any], kwargs: dict[str, Any], cotangent: Any) -> dict[str, Any]:
    """The fields of `proxy.Gradients`.

    Args:
        function: what to call; of a module or its method, the parameters count, too.
        args: its positional arguments; floating-point tensors are differentiated.
        kwargs: its keyword arguments.
        cotangent: the gradient with respect to the output, in the output's shape.
    """
    import torch

    inputs = [a.requires_grad_() if _differentiable(a) else None for a in args]
    named = _parameters(function)
    learning = {name: value for name, value in named.items() if value.requires_grad}
    output = function(*args, **kwargs)
    wanted = [a for a in inputs if a is not None] + list(learning.values())
    gradients: list[Any] = [None] * len(wanted)
    if isinstance(output, torch.Tensor) and output.requires_grad:
        # A scalar: autograd.grad with a cotangent of its own imports sympy first (0.5 s).
        scalar = (output * cotangent).sum()
        gradients = list(torch.autograd.grad(scalar, wanted, allow_unused=True))
    by_argument = [None if a is None else gradients.pop(0) for a in inputs]
    return {
        "output": output,
        "args": by_argument,
        "params": dict.fromkeys(named) | dict(zip(learning, gradients, strict=True)),
    }


def _parameters(function: Any) -> dict[str, Any]:
    """The parameters of a module, or of the module that a method is bound to, by name."""
    module: Any = function
    if not hasattr(function, "named_parameters"):
        module = getattr(function, "__self__", None)
    return dict(module.named_parameters()) if hasattr(module, "named_parameters") else {}


def _differentiable(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor) and value.is_floating_point()

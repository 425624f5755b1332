"""Where tensors live, and what is done there to be fast. On a CPU all of it changes nothing."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Module = TypeVar("Module", bound="torch.nn.Module")


class DeviceError(Exception):
    """The device that was asked for is not there."""


def choose(asked: str) -> torch.device:
    """The device of this name; for `auto` the fastest that there is.

    Raises:
        DeviceError: if the device that was asked for is not there.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        asked = next((name for name, there in available.items() if there), "cpu")
    if not available.get(asked, True):
        raise DeviceError(f"This machine has no device {asked!r} that torch can use.")
    return torch.device(asked)


def autocast(device: torch.device) -> AbstractContextManager[Any]:
    """A context in which a GPU that can multiplies in bfloat16; elsewhere it does nothing.

    Weights, gradients and the state of the optimizer stay float32, and bfloat16 has float32's
    range, so that no loss needs to be scaled (Kalamkar et al., "A Study of BFLOAT16 for Deep
    Learning Training", 2019).
    """
    import torch

    if device.type != "cuda" or not torch.cuda.is_bf16_supported():
        return contextlib.nullcontext()
    return torch.autocast("cuda", dtype=torch.bfloat16)


def compiled(module: Module, device: torch.device) -> Module:
    """The module with a compiled `forward`, on a GPU with Triton; elsewhere as it is.

    It is changed in place, so that its `state_dict` keeps its names.
    """
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        module.compile()
    return module


def adamw(parameters: Iterable[Any], device: torch.device, **options: Any) -> torch.optim.AdamW:
    """`torch.optim.AdamW`, on a GPU in its fused form: one kernel for all parameters."""
    import torch

    if device.type == "cuda":
        options = {"fused": True, **options}
    return torch.optim.AdamW(parameters, **options)

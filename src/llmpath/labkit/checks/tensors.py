"""Tensors against tensors: shape, dtype, device and finiteness before values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmpath.labkit.checks.description import describe, is_tensor, place, shape_of, told_apart
from llmpath.labkit.checks.mismatch import Mismatch, Tolerance

if TYPE_CHECKING:
    import torch


def compare_tensors(got: Any, want: torch.Tensor, tolerance: Tolerance, path: str) -> None:
    """Raise a `Mismatch` if `got` is not `want`, a tensor, as closely as `tolerance` says."""
    import torch

    if not is_tensor(got):
        raise tolerance.fail("expected a tensor", describe(want), describe(got), path)
    if tolerance.axes and len(tolerance.axes) != want.dim():
        raise ValueError(f"axes names {len(tolerance.axes)} axes, but the tensor has {want.dim()}")
    if got.shape != want.shape:
        raise _shape_differs(got, want, tolerance, path)
    if got.dtype != want.dtype:
        raise tolerance.fail("the dtype differs", str(want.dtype), str(got.dtype), path)
    if got.device != want.device:
        raise tolerance.fail("the device differs", str(want.device), str(got.device), path)
    if got.numel() == 0:
        return
    got, want = got.detach(), want.detach()
    if not got.is_floating_point() and not got.is_complex():
        _compare_integers(got, want, tolerance, path)
        return
    _compare_finiteness(got, want, tolerance, path)
    double = torch.complex128 if got.is_complex() else torch.float64
    size = want.to(double).abs()
    difference = (got.to(double) - want.to(double)).abs()
    # Equal infinities differ by NaN; unequal ones by more than any tolerance allows.
    difference = torch.where(got == want, torch.zeros_like(difference), difference)
    size = torch.where(torch.isinf(size), torch.zeros_like(size), size)
    wrong = ~(difference <= tolerance.atol + tolerance.rtol * size)
    if bool(wrong.any()):
        summary, worst = _count(wrong, "differs", "differ"), float(difference[wrong].max())
        summary += f", by up to {worst:.3g}" if math.isfinite(worst) else ""
        raise _differs_at(_first_of_largest(difference), summary, got, want, tolerance, path)


def _shape_differs(
    got: torch.Tensor, want: torch.Tensor, tolerance: Tolerance, path: str
) -> Mismatch:
    """The mismatch of two shapes, with the meaning of their axes where that is known."""
    if got.dim() != want.dim():
        axes = f": {', '.join(tolerance.axes)}" if tolerance.axes else ""
        many = f"{want.dim()} {'axis' if want.dim() == 1 else 'axes'}"
        summary = f"the shape differs: expected {many}{axes}"
        return tolerance.fail(summary, shape_of(want, tolerance.axes), shape_of(got), path)
    wrong = [axis for axis in range(want.dim()) if got.shape[axis] != want.shape[axis]]
    names = [f"axis {i}" + (f" ({tolerance.axes[i]})" if tolerance.axes else "") for i in wrong]
    where = " ".join(filter(None, [path, ", ".join(names)]))
    expected, came = shape_of(want, tolerance.axes), shape_of(got, tolerance.axes)
    return tolerance.fail("the shape differs", expected, came, where)


def _compare_finiteness(
    got: torch.Tensor, want: torch.Tensor, tolerance: Tolerance, path: str
) -> None:
    import torch

    kinds = (
        (torch.isnan(got) & ~torch.isnan(want), "is NaN (not a number)", "are NaN (not a number)"),
        (torch.isinf(got) & ~torch.isinf(want), "is infinite", "are infinite"),
        (~torch.isinf(got) & torch.isinf(want), "should be infinite", "should be infinite"),
    )
    for wrong, one, many in kinds:
        if bool(wrong.any()):
            summary = _count(wrong, one, many)
            raise _differs_at(_first(wrong), summary, got, want, tolerance, path)


def _compare_integers(
    got: torch.Tensor, want: torch.Tensor, tolerance: Tolerance, path: str
) -> None:
    wrong = got != want
    if bool(wrong.any()):
        summary = _count(wrong, "differs", "differ")
        raise _differs_at(_first(wrong), summary, got, want, tolerance, path)


def _differs_at(
    index: tuple[int, ...],
    summary: str,
    got: torch.Tensor,
    want: torch.Tensor,
    tolerance: Tolerance,
    path: str,
) -> Mismatch:
    """The mismatch of two tensors of one shape, shown at one of their elements."""
    where = f"{path}[{place(index)}]" if index else path
    expected, came = told_apart(want[index].item(), got[index].item())
    return tolerance.fail(summary, expected, came, where)


def _count(wrong: torch.Tensor, one: str, many: str) -> str:
    """How many values are wrong: "1 of 6 values differs"."""
    if wrong.numel() == 1:
        return f"the value {one}"
    count = int(wrong.sum())
    return f"{count} of {wrong.numel()} values {one if count == 1 else many}"


def _first(mask: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in mask.nonzero()[0])


def _first_of_largest(difference: torch.Tensor) -> tuple[int, ...]:
    flat = int(difference.flatten().nan_to_num(nan=math.inf).argmax())
    index = []
    for size in reversed(difference.shape):
        index.append(flat % size)
        flat //= size
    return tuple(reversed(index))

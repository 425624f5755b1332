"""What `checks.py` files compare with: values against values, in words a learner can use.

Runs in the judge process. Nothing here trusts what it is given: a value that came
from learner code may be of any type. torch is imported only when a tensor is met, so
that a lab of plain Python never pays for it.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class Mismatch(AssertionError):  # noqa: N818 - a verdict, not an error
    """A value is not what a check asked for.

    Attributes:
        expected: what was asked for, in words or digits.
        got: what came instead.
        where: the place where they differ most, or "".
        because: the reason in the learner's terms, or "".
    """

    def __init__(self, summary: str, *, expected: str, got: str, where: str, because: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.expected = expected
        self.got = got
        self.where = where
        self.because = because


def close(got: Any, want: Any, *, atol: float, rtol: float = 0.0, because: str) -> None:
    """Check that `got` equals `want` up to |got - want| <= atol + rtol * |want|.

    Type, shape, dtype, device and finiteness are compared before values. `want` may be a
    tensor, a float or an int, or a list, tuple or dict of these; `got` must have the same
    structure. Infinities must stand in the same places; a NaN is equal to nothing.

    Args:
        got: what the learner's code returned.
        want: what is right.
        atol: the absolute tolerance, always given: there is no default that suits all.
        rtol: the relative tolerance.
        because: one sentence, shown to the learner, that says what the difference means.

    Raises:
        Mismatch: with what was expected, what came, and where they differ most.
    """
    _compare(got, want, _Tolerance(atol, rtol, because), path="")


def same(got: Any, want: Any, *, because: str, strict: bool = False) -> None:
    """Check that `got` is exactly `want`: numbers, text, bytes, None, containers, tensors.

    Args:
        got: what the learner's code returned.
        want: what is right.
        because: one sentence, shown to the learner, that says what the difference means.
        strict: tell lists from tuples.

    Raises:
        Mismatch: with the first place where they differ.
    """
    _compare(got, want, _Tolerance(0.0, 0.0, because, exact=True, strict=strict), path="")


class _Tolerance:
    """How closely to compare, and what to say when it does not hold."""

    def __init__(
        self, atol: float, rtol: float, because: str, exact: bool = False, strict: bool = False
    ) -> None:
        self.atol = atol
        self.rtol = rtol
        self.because = because
        self.exact = exact
        self.strict = strict

    def fail(self, summary: str, expected: str, got: str, where: str = "") -> Mismatch:
        return Mismatch(summary, expected=expected, got=got, where=where, because=self.because)


def _compare(got: Any, want: Any, tolerance: _Tolerance, path: str) -> None:
    if got is None and want is not None:
        summary = "None came back: is a return missing?"
        raise tolerance.fail(summary, describe(want), "None", path)
    if _is_tensor(want):
        _compare_tensors(got, want, tolerance, path)
    elif isinstance(want, bool) or want is None or isinstance(want, (str, bytes)):
        _compare_exactly(got, want, tolerance, path)
    elif isinstance(want, (int, float)):
        _compare_numbers(got, want, tolerance, path)
    elif isinstance(want, (list, tuple)):
        _compare_sequences(got, want, tolerance, path)
    elif isinstance(want, dict):
        _compare_dicts(got, want, tolerance, path)
    else:
        _compare_exactly(got, want, tolerance, path)


def _compare_exactly(got: Any, want: Any, tolerance: _Tolerance, path: str) -> None:
    if type(got) is not type(want):
        raise tolerance.fail(f"expected {describe(want)}", show(want), describe(got), path)
    if got != want:
        where = path
        if isinstance(want, (str, bytes)):
            where = " ".join(filter(None, [path, _first_difference(got, want)]))
        raise tolerance.fail("the value differs", show(want), show(got), where)


def _compare_numbers(got: Any, want: float, tolerance: _Tolerance, path: str) -> None:
    if _is_tensor(got) and got.numel() == 1 and got.dim() == 0 and not tolerance.exact:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        raise tolerance.fail("expected a number", show(want), describe(got), path)
    if tolerance.exact:
        if type(got) is not type(want) or got != want:
            raise tolerance.fail("the value differs", show(want), show(got), path)
        return
    if math.isnan(got):
        raise tolerance.fail("the value is NaN (not a number)", show(want), "nan", path)
    if got == want:
        return
    if not abs(got - want) <= tolerance.atol + tolerance.rtol * abs(want):
        raise tolerance.fail("the value differs", show(want), show(got), path)


def _compare_sequences(got: Any, want: Any, tolerance: _Tolerance, path: str) -> None:
    kinds = (type(want),) if tolerance.strict else (list, tuple)
    if not isinstance(got, kinds):
        raise tolerance.fail(f"expected {describe(want)}", describe(want), describe(got), path)
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        _compare(mine, right, tolerance, f"{path}[{index}]")
    if len(got) != len(want):
        raise tolerance.fail("the length differs", f"{len(want)} items", f"{len(got)} items", path)


def _compare_dicts(got: Any, want: dict[Any, Any], tolerance: _Tolerance, path: str) -> None:
    if not isinstance(got, dict):
        raise tolerance.fail("expected a dict", describe(want), describe(got), path)
    missing = [key for key in want if key not in got]
    extra = [key for key in got if key not in want]
    if missing or extra:
        raise tolerance.fail(
            "the keys differ",
            "the keys " + _shorten(", ".join(show(key) for key in want)),
            "the keys " + (_shorten(", ".join(show(key) for key in got)) or "(none)"),
            path,
        )
    for key, right in want.items():
        _compare(got[key], right, tolerance, f"{path}[{show(key)}]")


def _compare_tensors(got: Any, want: torch.Tensor, tolerance: _Tolerance, path: str) -> None:
    import torch

    if not _is_tensor(got):
        raise tolerance.fail("expected a tensor", describe(want), describe(got), path)
    if got.shape != want.shape:
        raise tolerance.fail("the shape differs", _shape(want), _shape(got), path)
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
    bad = torch.isnan(got) & ~torch.isnan(want) | (torch.isinf(got) != torch.isinf(want))
    if bool(bad.any()):
        index = _first(bad)
        raise tolerance.fail(
            f"{int(bad.sum())} of {got.numel()} values are not finite",
            _at(want, index),
            _at(got, index),
            f"{path}[{_index(index)}]",
        )
    difference = (got.double() - want.double()).abs()
    difference = torch.where(got == want, torch.zeros_like(difference), difference)
    allowed = tolerance.atol + tolerance.rtol * want.double().abs()
    wrong = ~(difference <= allowed)
    if bool(wrong.any()):
        index = _first_of_largest(difference)
        raise tolerance.fail(
            f"{int(wrong.sum())} of {got.numel()} values differ, by up to {difference.max():.3g}",
            _at(want, index),
            _at(got, index),
            f"{path}[{_index(index)}]",
        )


def _compare_integers(
    got: torch.Tensor, want: torch.Tensor, tolerance: _Tolerance, path: str
) -> None:
    wrong = got != want
    if bool(wrong.any()):
        index = _first(wrong)
        raise tolerance.fail(
            f"{int(wrong.sum())} of {got.numel()} values differ",
            _at(want, index),
            _at(got, index),
            f"{path}[{_index(index)}]",
        )


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _first(mask: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(i) for i in mask.nonzero()[0])


def _first_of_largest(difference: torch.Tensor) -> tuple[int, ...]:
    flat = int(difference.flatten().nan_to_num(nan=math.inf).argmax())
    index = []
    for size in reversed(difference.shape):
        index.append(flat % size)
        flat //= size
    return tuple(reversed(index))


def _at(tensor: torch.Tensor, index: tuple[int, ...]) -> str:
    return show(tensor[index].item())


def _index(index: tuple[int, ...]) -> str:
    return ", ".join(str(i) for i in index)


def _shape(tensor: torch.Tensor) -> str:
    return f"shape ({_index(tuple(tensor.shape))}{',' if tensor.dim() == 1 else ''})"


def _first_difference(got: str | bytes, want: str | bytes) -> str:
    unit = "character" if isinstance(want, str) else "byte"
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        if mine != right:
            return f"from {unit} {index}"
    return f"from {unit} {min(len(got), len(want))}"


def _shorten(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def show(value: Any) -> str:
    """A value as a learner would write it, shortened to one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if _is_tensor(value):
        return describe(value)
    return _shorten(repr(value))


def describe(value: Any) -> str:
    """What kind of thing a value is, in words: "a tensor of shape (2, 3), float32"."""
    if value is None:
        return "None"
    if _is_tensor(value):
        return f"a tensor of {_shape(value)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return f"a {type(value).__name__} of {len(value)} items"
    if isinstance(value, (bool, int, float, str, bytes)):
        return f"the {type(value).__name__} {show(value)}"
    return _shorten(str(value))

"""What `checks.py` files compare with: values against values, in words a learner can use.

Runs in the judge process. Nothing here trusts what it is given: a value that came
from learner code may be of any type. torch is imported only when a tensor is met, so
that a lab of plain Python never pays for it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
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


def close(
    got: Any,
    want: Any,
    *,
    atol: float,
    rtol: float = 0.0,
    because: str,
    axes: str | None = None,
) -> None:
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
        axes: what the axes of every tensor in `want` are, such as "batch, heads, time,
            head_size"; shown beside the shapes if they differ.

    Raises:
        Mismatch: with what was expected, what came, and where they differ most.
        ValueError: `axes` does not name each axis of `want`.
    """
    names = tuple(name.strip() for name in axes.split(",")) if axes is not None else ()
    _compare(got, want, _Tolerance(atol, rtol, because, axes=names), path="")


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


@dataclass(frozen=True)
class _Tolerance:
    """How closely to compare, and what to say when it does not hold."""

    atol: float
    rtol: float
    because: str
    axes: tuple[str, ...] = ()
    exact: bool = False
    strict: bool = False

    def fail(self, summary: str, expected: str, got: str, where: str = "") -> Mismatch:
        return Mismatch(summary, expected=expected, got=got, where=where, because=self.because)


def has(got: Any, shape: tuple[int, ...], dtype: torch.dtype, what: str) -> None:
    """Check that a result is a tensor of this shape and dtype, before anything looks inside.

    Args:
        got: what the learner's code returned.
        shape: the shape that it should have.
        dtype: the type that its values should have.
        what: returned it, for the sentence: "attention".

    Raises:
        AssertionError: with what came instead.
    """
    assert _is_tensor(got), f"{what} should return a tensor, and returned {describe(got)}"
    assert got.shape == shape, (
        f"{what} should return the shape {tuple(shape)}, and returned {tuple(got.shape)}"
    )
    assert got.dtype == dtype, f"{what} should return {dtype}, and returned {got.dtype}"


def alike(got: Any, want: torch.Tensor, *, atol: float = 1e-6, rtol: float = 1e-5) -> bool:
    """Whether a result is, in type, shape and value, some answer: often a known wrong one.

    Args:
        got: what the learner's code returned.
        want: the answer.
        atol: how far a value may be off, and
        rtol: how far for each unit of the answer's value.
    """
    return (
        _is_tensor(got)
        and got.shape == want.shape
        and got.dtype == want.dtype
        and bool(sys.modules["torch"].allclose(got, want, atol=atol, rtol=rtol))
    )


def number(rng: torch.Generator, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included, all equally likely.

    Args:
        rng: the check's generator.
        low: the smallest, and
        high: the largest that there is.
    """
    return int(sys.modules["torch"].randint(low, high + 1, (), generator=rng))


def a_generator(got: Any, what: str) -> Any:
    """What a function returned, refused if it is not a generator.

    Args:
        got: what it returned, as a check sees it.
        what: the function, for the sentence: "stream".

    Raises:
        AssertionError: with what came instead.
    """
    name = getattr(got, "type_name", None)
    assert name == "builtins.generator", (
        f"{what} should be a generator (a function with yield), and returned "
        f"{describe(got) if name is None else name}"
    )
    return got


def raises(call: Callable[[], Any], what: str) -> None:
    """Check that a call raises ValueError.

    Args:
        call: the call.
        what: is wrong with it, for the sentence: "an empty text".

    Raises:
        AssertionError: if it does not, with what came instead.
    """
    try:
        got = call()
    except ValueError:
        return
    raise AssertionError(f"{what} should raise ValueError, and gave {describe(got)}")


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
    if got == want:
        return
    if isinstance(want, (str, bytes)):
        index = _first_difference(got, want)
        unit = "character" if isinstance(want, str) else "byte"
        where = ", ".join(filter(None, [path, f"{unit} {index}"]))
        expected, came = _excerpt(want, index), _excerpt(got, index)
        raise tolerance.fail("the value differs", expected, came, where)
    raise tolerance.fail("the value differs", show(want), show(got), path)


def _compare_numbers(got: Any, want: float, tolerance: _Tolerance, path: str) -> None:
    if _is_tensor(got) and got.numel() == 1 and got.dim() == 0 and not tolerance.exact:
        got = got.item()
    if isinstance(got, bool) or not isinstance(got, (int, float)):
        raise tolerance.fail("expected a number", show(want), describe(got), path)
    if tolerance.exact and type(got) is not type(want):
        summary = f"expected {'an int' if isinstance(want, int) else 'a float'}"
        raise tolerance.fail(summary, describe(want), describe(got), path)
    if got != got:  # NaN; math.isnan takes no whole number beyond a float
        raise tolerance.fail("the value is NaN (not a number)", show(want), "nan", path)
    if got == want:
        return
    if tolerance.exact or not _near(got, want, tolerance):
        raise tolerance.fail("the value differs", *_told_apart(want, got), path)


def _near(got: float, want: float, tolerance: _Tolerance) -> bool:
    if math.isinf(want):
        return False  # rtol * inf would allow every difference
    try:
        return abs(got - want) <= tolerance.atol + tolerance.rtol * abs(want)
    except OverflowError:  # a whole number beyond what a float can hold
        return False


def _compare_sequences(got: Any, want: Any, tolerance: _Tolerance, path: str) -> None:
    kinds = (type(want),) if tolerance.strict else (list, tuple)
    if not isinstance(got, kinds):
        raise tolerance.fail(f"expected {describe(want)}", describe(want), describe(got), path)
    if tolerance.exact and _alike(got, want):
        return
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        _compare(mine, right, tolerance, f"{path}[{index}]")
    if len(got) != len(want):
        raise tolerance.fail("the length differs", _items(want), _items(got), path)


def _alike(got: Any, want: Any) -> bool:
    """Whether two sequences are equal and of one kind of item; told fast for long ones."""
    kinds = set(map(type, want))
    one = len(kinds) == 1 and kinds <= {int, str, bytes}
    return one and set(map(type, got)) == kinds and list(got) == list(want)


def _compare_dicts(got: Any, want: dict[Any, Any], tolerance: _Tolerance, path: str) -> None:
    if not isinstance(got, dict):
        raise tolerance.fail("expected a dict", describe(want), describe(got), path)
    missing = [key for key in want if key not in got]
    extra = [key for key in got if key not in want]
    if missing or extra:
        raise tolerance.fail(
            "the keys differ",
            "the keys " + (_shorten(", ".join(show(key) for key in want)) or "(none)"),
            "the keys " + (_shorten(", ".join(show(key) for key in got)) or "(none)"),
            path,
        )
    for key, right in want.items():
        _compare(got[key], right, tolerance, f"{path}[{show(key)}]")


def _compare_tensors(got: Any, want: torch.Tensor, tolerance: _Tolerance, path: str) -> None:
    import torch

    if not _is_tensor(got):
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
    got: torch.Tensor, want: torch.Tensor, tolerance: _Tolerance, path: str
) -> Mismatch:
    """The mismatch of two shapes, with the meaning of their axes where that is known."""
    if got.dim() != want.dim():
        axes = f": {', '.join(tolerance.axes)}" if tolerance.axes else ""
        many = f"{want.dim()} {'axis' if want.dim() == 1 else 'axes'}"
        summary = f"the shape differs: expected {many}{axes}"
        return tolerance.fail(summary, _shape(want, tolerance.axes), _shape(got), path)
    wrong = [axis for axis in range(want.dim()) if got.shape[axis] != want.shape[axis]]
    names = [f"axis {i}" + (f" ({tolerance.axes[i]})" if tolerance.axes else "") for i in wrong]
    where = " ".join(filter(None, [path, ", ".join(names)]))
    expected, came = _shape(want, tolerance.axes), _shape(got, tolerance.axes)
    return tolerance.fail("the shape differs", expected, came, where)


def _compare_finiteness(
    got: torch.Tensor, want: torch.Tensor, tolerance: _Tolerance, path: str
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
    got: torch.Tensor, want: torch.Tensor, tolerance: _Tolerance, path: str
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
    tolerance: _Tolerance,
    path: str,
) -> Mismatch:
    """The mismatch of two tensors of one shape, shown at one of their elements."""
    where = f"{path}[{_index(index)}]" if index else path
    expected, came = _told_apart(want[index].item(), got[index].item())
    return tolerance.fail(summary, expected, came, where)


def _count(wrong: torch.Tensor, one: str, many: str) -> str:
    """How many values are wrong: "1 of 6 values differs"."""
    if wrong.numel() == 1:
        return f"the value {one}"
    count = int(wrong.sum())
    return f"{count} of {wrong.numel()} values {one if count == 1 else many}"


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


def _index(index: tuple[int, ...]) -> str:
    return ", ".join(str(i) for i in index)


def _shape(tensor: torch.Tensor, axes: tuple[str, ...] = ()) -> str:
    """The shape in words, such as "shape (2, 3): batch 2, time 3"."""
    text = f"shape ({_index(tuple(tensor.shape))}{',' if tensor.dim() == 1 else ''})"
    sizes = (f"{name} {size}" for name, size in zip(axes, tensor.shape, strict=False))
    return f"{text}: {', '.join(sizes)}" if axes else text


def _told_apart(want: Any, got: Any) -> tuple[str, str]:
    """Two numbers that are not equal, with as many digits as it takes to see that."""
    if isinstance(want, float) and isinstance(got, float):
        for digits in range(6, 18):
            expected, came = f"{want:.{digits}g}", f"{got:.{digits}g}"
            if expected != came:
                return expected, came
    return show(want), show(got)


def _first_difference(got: str | bytes, want: str | bytes) -> int:
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        if mine != right:
            return index
    return min(len(got), len(want))


def _excerpt(text: str | bytes, index: int, around: int = 60) -> str:
    """A text as it would be written in Python; of a long one, what stands around an index."""
    if len(text) <= 2 * around:
        return show(text)
    start, end = max(index - around, 0), index + around
    before, after = ("…" if start else ""), ("…" if end < len(text) else "")
    return before + show(text[start:end]) + after


def _items(value: Any) -> str:
    return f"{len(value)} item{'' if len(value) == 1 else 's'}"


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
        return f"a {type(value).__name__} of {_items(value)}"
    if isinstance(value, (bool, int, float, str, bytes)):
        return f"the {type(value).__name__} {show(value)}"
    return _shorten(str(value))

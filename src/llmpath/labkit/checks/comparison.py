"""Values against values, of whatever type: exactly, or up to a tolerance.

Nothing here trusts what it is given: a value that came from learner code may be of any type.
"""

from __future__ import annotations

import math
from typing import Any

from llmpath.labkit.checks.description import (
    describe,
    excerpt,
    is_tensor,
    items,
    shorten,
    show,
    told_apart,
)
from llmpath.labkit.checks.mismatch import Tolerance
from llmpath.labkit.checks.tensors import compare_tensors


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
    _compare(got, want, Tolerance(atol, rtol, because, axes=names), path="")


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
    _compare(got, want, Tolerance(0.0, 0.0, because, exact=True, strict=strict), path="")


def _compare(got: Any, want: Any, tolerance: Tolerance, path: str) -> None:
    if got is None and want is not None:
        summary = "None came back: is a return missing?"
        raise tolerance.fail(summary, describe(want), "None", path)
    if is_tensor(want):
        compare_tensors(got, want, tolerance, path)
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


def _compare_exactly(got: Any, want: Any, tolerance: Tolerance, path: str) -> None:
    if type(got) is not type(want):
        raise tolerance.fail(f"expected {describe(want)}", show(want), describe(got), path)
    if got == want:
        return
    if isinstance(want, (str, bytes)):
        index = _first_difference(got, want)
        unit = "character" if isinstance(want, str) else "byte"
        where = ", ".join(filter(None, [path, f"{unit} {index}"]))
        expected, came = excerpt(want, index), excerpt(got, index)
        raise tolerance.fail("the value differs", expected, came, where)
    raise tolerance.fail("the value differs", show(want), show(got), path)


def _first_difference(got: str | bytes, want: str | bytes) -> int:
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        if mine != right:
            return index
    return min(len(got), len(want))


def _compare_numbers(got: Any, want: float, tolerance: Tolerance, path: str) -> None:
    if is_tensor(got) and got.numel() == 1 and got.dim() == 0 and not tolerance.exact:
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
        raise tolerance.fail("the value differs", *told_apart(want, got), path)


def _near(got: float, want: float, tolerance: Tolerance) -> bool:
    if math.isinf(want):
        return False  # rtol * inf would allow every difference
    try:
        return abs(got - want) <= tolerance.atol + tolerance.rtol * abs(want)
    except OverflowError:  # a whole number beyond what a float can hold
        return False


def _compare_sequences(got: Any, want: Any, tolerance: Tolerance, path: str) -> None:
    kinds = (type(want),) if tolerance.strict else (list, tuple)
    if not isinstance(got, kinds):
        raise tolerance.fail(f"expected {describe(want)}", describe(want), describe(got), path)
    if tolerance.exact and _alike(got, want):
        return
    for index, (mine, right) in enumerate(zip(got, want, strict=False)):
        _compare(mine, right, tolerance, f"{path}[{index}]")
    if len(got) != len(want):
        raise tolerance.fail("the length differs", items(want), items(got), path)


def _alike(got: Any, want: Any) -> bool:
    """Whether two sequences are equal and of one kind of item; told fast for long ones."""
    kinds = set(map(type, want))
    one = len(kinds) == 1 and kinds <= {int, str, bytes}
    return one and set(map(type, got)) == kinds and list(got) == list(want)


def _compare_dicts(got: Any, want: dict[Any, Any], tolerance: Tolerance, path: str) -> None:
    if not isinstance(got, dict):
        raise tolerance.fail("expected a dict", describe(want), describe(got), path)
    missing = [key for key in want if key not in got]
    extra = [key for key in got if key not in want]
    if missing or extra:
        raise tolerance.fail(
            "the keys differ",
            "the keys " + (shorten(", ".join(show(key) for key in want)) or "(none)"),
            "the keys " + (shorten(", ".join(show(key) for key in got)) or "(none)"),
            path,
        )
    for key, right in want.items():
        _compare(got[key], right, tolerance, f"{path}[{show(key)}]")

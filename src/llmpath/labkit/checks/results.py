"""What a result has to be before its value is looked at, and whether it is a known one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmpath.labkit.checks.description import describe, is_tensor

if TYPE_CHECKING:
    import torch


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
    assert is_tensor(got), f"{what} should return a tensor, and returned {describe(got)}"
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
        is_tensor(got)
        and got.shape == want.shape
        and got.dtype == want.dtype
        and bool(sys.modules["torch"].allclose(got, want, atol=atol, rtol=rtol))
    )


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

"""What a value is, in words that a learner can use.

Whatever came from learner code may be of any type, and its text of any length. torch is looked at
only where it has been loaded, so that a lab of plain Python never pays for it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def describe(value: Any) -> str:
    """What kind of thing a value is, in words: "a tensor of shape (2, 3), float32"."""
    if value is None:
        return "None"
    if is_tensor(value):
        return f"a tensor of {shape_of(value)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        return f"a {type(value).__name__} of {items(value)}"
    if isinstance(value, (bool, int, float, str, bytes)):
        return f"the {type(value).__name__} {show(value)}"
    return shorten(str(value))


def show(value: Any) -> str:
    """A value as a learner would write it, shortened to one line."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if is_tensor(value):
        return describe(value)
    return shorten(repr(value))


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor, told without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def told_apart(want: Any, got: Any) -> tuple[str, str]:
    """Two numbers that are not equal, with as many digits as it takes to see that."""
    if isinstance(want, float) and isinstance(got, float):
        for digits in range(6, 18):
            expected, came = f"{want:.{digits}g}", f"{got:.{digits}g}"
            if expected != came:
                return expected, came
    return show(want), show(got)


def shape_of(tensor: torch.Tensor, axes: tuple[str, ...] = ()) -> str:
    """The shape in words, such as "shape (2, 3): batch 2, time 3"."""
    text = f"shape ({place(tuple(tensor.shape))}{',' if tensor.dim() == 1 else ''})"
    sizes = (f"{name} {size}" for name, size in zip(axes, tensor.shape, strict=False))
    return f"{text}: {', '.join(sizes)}" if axes else text


def place(index: tuple[int, ...]) -> str:
    """An index, or a shape, as it stands between its brackets."""
    return ", ".join(str(i) for i in index)


def items(value: Any) -> str:
    """How many items there are: "1 item", "3 items"."""
    return f"{len(value)} item{'' if len(value) == 1 else 's'}"


def excerpt(text: str | bytes, index: int, around: int = 60) -> str:
    """A text as it would be written in Python; of a long one, what stands around an index."""
    if len(text) <= 2 * around:
        return show(text)
    start, end = max(index - around, 0), index + around
    before, after = ("…" if start else ""), ("…" if end < len(text) else "")
    return before + show(text[start:end]) + after


def shorten(text: str, limit: int = 160) -> str:
    """A text of no more characters than `limit`, the last of which says that there were more."""
    return text if len(text) <= limit else text[: limit - 1] + "…"

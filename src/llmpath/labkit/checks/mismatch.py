"""How closely a value has to equal another, and the verdict where it does not."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class Tolerance:
    """How closely to compare, and what to say when it does not hold.

    Attributes:
        atol: how far a number may be off, and
        rtol: how far for each unit of the right one.
        because: the reason in the learner's terms.
        axes: what the axes of every tensor are, where the check has named them.
        exact: let nothing be off, and tell types of numbers apart.
        strict: tell lists from tuples.
    """

    atol: float
    rtol: float
    because: str
    axes: tuple[str, ...] = ()
    exact: bool = False
    strict: bool = False

    def fail(self, summary: str, expected: str, got: str, where: str = "") -> Mismatch:
        """The mismatch to raise, with the check's own reason."""
        return Mismatch(summary, expected=expected, got=got, where=where, because=self.because)

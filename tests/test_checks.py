"""What checks compare with: every kind of difference is found, and told in a learner's words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from llmpath.labkit.checks import Mismatch, alike, close, describe, has, number, same, show

BECAUSE = "the reason"


def told(got: Any, want: Any, **options: Any) -> tuple[str, str, str, str]:
    """What `close` says of a difference: summary, expected, got, where."""
    with pytest.raises(Mismatch) as caught:
        close(got, want, **({"atol": 1e-6, "because": BECAUSE} | options))
    return _parts(caught.value)


def told_exactly(got: Any, want: Any, **options: Any) -> tuple[str, str, str, str]:
    """What `same` says of a difference."""
    with pytest.raises(Mismatch) as caught:
        same(got, want, because=BECAUSE, **options)
    return _parts(caught.value)


def _parts(mismatch: Mismatch) -> tuple[str, str, str, str]:
    assert mismatch.because == BECAUSE
    assert str(mismatch) == mismatch.summary
    return mismatch.summary, mismatch.expected, mismatch.got, mismatch.where


def tensor(*values: Any, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (1.0, 1),
        (2, 2.0),
        (tensor(1.0, 2.0), tensor(1.0, 2.0)),
        (tensor(1.0, 2.0).requires_grad_(), tensor(1.0, 2.0)),
        (torch.tensor(1.5), 1.5),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (tensor(1, 2, dtype=torch.int64), tensor(1, 2, dtype=torch.int64)),
        (tensor(True, False, dtype=torch.bool), tensor(True, False, dtype=torch.bool)),
        (tensor(1 + 2j, dtype=torch.complex64), tensor(1 + 2j, dtype=torch.complex64)),
        (tensor(math.inf, -math.inf), tensor(math.inf, -math.inf)),
        ([1.0, (2.0, {"a": 3})], (1.0, [2.0, {"a": 3}])),
        ("text", "text"),
        (b"bytes", b"bytes"),
        (None, None),
        (True, True),
        (-math.inf, -math.inf),
        ({1, 2}, {2, 1}),
    ],
)
def test_what_is_equal_passes(got, want):
    """Equal values pass, lists for tuples and whole numbers for floats among them."""
    close(got, want, atol=0.0, because=BECAUSE)


def test_the_tolerance_is_atol_plus_rtol_times_the_wanted_size():
    """A difference of exactly the tolerance passes, the next larger one does not; the size that
    `rtol` is a share of is that of the wanted value.
    """
    for got, want in ((1.5, 1.0), (tensor(0.0, 1.5), tensor(0.0, 1.0))):
        close(got, want, atol=0.5, because=BECAUSE)
        close(got, want, atol=0.25, rtol=0.25, because=BECAUSE)
        told(got, want, atol=math.nextafter(0.5, 0))
        told(got, want, atol=0.25, rtol=0.2499)
    close(8.0, 16.0, atol=0.0, rtol=0.5, because=BECAUSE)
    told(16.0, 8.0, atol=0.0, rtol=0.5)


def test_a_missing_return_is_told_as_one():
    """None instead of a value asks for the return, wherever it stands."""
    assert told(None, tensor(1.0, 2.0)) == (
        "None came back: is a return missing?",
        "a tensor of shape (2,), float64",
        "None",
        "",
    )
    assert told_exactly([1, None], [1, 2])[3] == "[1]"


@pytest.mark.parametrize(
    ("got", "want", "summary", "came"),
    [
        ([1.0], tensor(1.0), "expected a tensor", "a list of 1 item"),
        ("1", 1.0, "expected a number", "the str '1'"),
        (True, 1, "expected a number", "the bool True"),
        (tensor(1.0, 2.0), 1.0, "expected a number", "a tensor of shape (2,), float64"),
        (5, [5], "expected a list of 1 item", "the int 5"),
        ([5], {"a": 5}, "expected a dict", "a list of 1 item"),
        (1, True, "expected the bool True", "the int 1"),
        (b"a", "a", "expected the str 'a'", "the bytes b'a'"),
        (0, None, "expected None", "the int 0"),
        ([1], {1}, "expected a set of 1 item", "a list of 1 item"),
    ],
)
def test_a_wrong_type_is_named(got, want, summary, came):
    """A value of another kind is told by what kind it is, before anything else."""
    said = told(got, want)
    assert (said[0], said[2]) == (summary, came)


def test_shapes_are_shown_side_by_side():
    """A wrong shape shows both shapes, and the axes in which they differ."""
    assert told(torch.zeros(2, 4, 3), torch.zeros(2, 3, 4)) == (
        "the shape differs",
        "shape (2, 3, 4)",
        "shape (2, 4, 3)",
        "axis 1, axis 2",
    )
    assert told(torch.zeros(3), torch.zeros(2))[1:] == ("shape (2,)", "shape (3,)", "axis 0")


def test_shapes_are_shown_with_their_meaning():
    """With `axes`, each size stands beside what it counts."""
    axes = "batch, heads, time, head_size"
    got, want = torch.zeros(2, 5, 4, 8), torch.zeros(2, 4, 5, 8)
    assert told(got, want, axes=axes) == (
        "the shape differs",
        "shape (2, 4, 5, 8): batch 2, heads 4, time 5, head_size 8",
        "shape (2, 5, 4, 8): batch 2, heads 5, time 4, head_size 8",
        "axis 1 (heads), axis 2 (time)",
    )
    assert told([torch.zeros(2)], [torch.zeros(3)], axes="time")[3] == "[0] axis 0 (time)"
    close(want, want, atol=0.0, because=BECAUSE, axes=axes)


def test_another_number_of_axes_is_told_as_that():
    """Where axes are missing or too many, sizes get no names that may not be theirs."""
    assert told(torch.zeros(2, 8), torch.zeros(2, 4, 8), axes="batch, time, head_size") == (
        "the shape differs: expected 3 axes: batch, time, head_size",
        "shape (2, 4, 8): batch 2, time 4, head_size 8",
        "shape (2, 8)",
        "",
    )
    assert told(torch.tensor(1.0), torch.ones(1))[0] == "the shape differs: expected 1 axis"


def test_axes_that_do_not_fit_are_the_courses_fault():
    """A check that names the wrong number of axes is broken, whatever the learner returned."""
    for got in (torch.zeros(2, 3), torch.zeros(7)):
        with pytest.raises(ValueError, match="axes names 1 axes, but the tensor has 2"):
            close(got, torch.zeros(2, 3), atol=0.0, because=BECAUSE, axes="time")


def test_dtype_and_device_come_before_values():
    """Right numbers of the wrong kind, or in the wrong place, are told as that."""
    assert told(torch.ones(2), torch.zeros(2).double()) == (
        "the dtype differs",
        "torch.float64",
        "torch.float32",
        "",
    )
    said = told(torch.ones(2, device="meta"), torch.zeros(2))
    assert said[:3] == ("the device differs", "cpu", "meta")


@pytest.mark.parametrize("rtol", [0.0, 1.0])
def test_values_that_are_not_finite_are_named(rtol):
    """NaN and infinity where there should be none, and none where there should be, at any rtol."""
    want, inf = tensor(1.0, 2.0, 3.0), math.inf
    assert told(tensor(1.0, math.nan, math.nan), want, rtol=rtol) == (
        "2 of 3 values are NaN (not a number)",
        "2",
        "nan",
        "[1]",
    )
    assert told(tensor(1.0, 2.0, -inf), want, rtol=rtol) == (
        "1 of 3 values is infinite",
        "3",
        "-inf",
        "[2]",
    )
    assert told(tensor(5.0, 2.0), tensor(inf, 2.0), rtol=rtol) == (
        "1 of 2 values should be infinite",
        "inf",
        "5",
        "[0]",
    )
    assert told(tensor(-inf, 2.0), tensor(inf, 2.0), rtol=rtol)[0] == "1 of 2 values differs"
    assert told(math.nan, 1.0, rtol=rtol)[0] == "the value is NaN (not a number)"
    assert told(5.0, inf, rtol=rtol)[1:3] == ("inf", "5")
    assert told(-inf, inf, rtol=rtol)[1:3] == ("inf", "-inf")
    assert told(inf, 1.0, rtol=rtol)[1:3] == ("1", "inf")


def test_nan_is_equal_to_nothing():
    """Not even a wanted NaN is met by a NaN."""
    told(math.nan, math.nan)
    assert told(tensor(math.nan, 1.0), tensor(math.nan, 1.0))[0] == "1 of 2 values differs"


def test_the_largest_difference_is_shown():
    """Of several differences the largest is shown, with its index in every axis."""
    want = torch.arange(6, dtype=torch.float64).reshape(2, 3)
    got = want.clone()
    got[0, 1] += 0.5
    got[1, 2] -= 2.0
    assert told(got, want) == ("2 of 6 values differ, by up to 2", "5", "3", "[1, 2]")
    assert told(torch.tensor(2.5), torch.tensor(1.0)) == (
        "the value differs, by up to 1.5",
        "1",
        "2.5",
        "",
    )


def test_whole_numbers_are_compared_exactly():
    """A tolerance means nothing for whole numbers and truth values; the first difference shows."""
    want = torch.tensor([[1, 2], [3, 4]])
    got = torch.tensor([[1, 9], [3, 9]])
    assert told(got, want, atol=100.0) == ("2 of 4 values differ", "2", "9", "[0, 1]")
    bits = torch.tensor([True, False])
    assert told(~bits, bits)[1:] == ("True", "False", "[0]")


def test_the_imaginary_part_counts():
    """Complex numbers differ by the distance between them."""
    want = tensor(1 + 2j, 3 + 0j, dtype=torch.complex64)
    got = tensor(1 + 2j, 3 + 4j, dtype=torch.complex64)
    said = told(got, want)
    assert said[0] == "1 of 2 values differs, by up to 4"
    assert said[3] == "[1]"


@pytest.mark.parametrize(("got", "want"), [(1 + 1e-9, 1.0), (tensor(1 + 1e-9), tensor(1.0))])
def test_numbers_get_as_many_digits_as_tell_them_apart(got, want):
    """What was expected and what came never look alike."""
    _, expected, came, _ = told(got, want, atol=1e-12)
    assert (expected, came) == ("1", "1.000000001")


def test_a_number_too_large_for_a_float_only_differs():
    """A whole number of 400 digits is a wrong answer, not a broken check."""
    assert told(10**400, 1.0)[0] == "the value differs"


def test_nested_values_are_named_by_their_place():
    """In lists, tuples and dicts the path to the value is told."""
    want = [1, {"weights": (torch.zeros(2, 2), 5.0)}]
    got = [1, {"weights": (torch.eye(2), 5.0)}]
    assert told(got, want)[3] == "[1]['weights'][0][0, 0]"
    assert told([1, {"weights": (torch.zeros(2, 2), 6.0)}], want)[3] == "[1]['weights'][1]"


def test_lengths_and_keys_are_told():
    """Too few, too many, missing and unknown entries are told by number or by name."""
    assert told([1, 2], [1, 2, 3]) == ("the length differs", "3 items", "2 items", "")
    assert told([[1, 2]], [[1]])[1:] == ("1 item", "2 items", "[0]")
    assert told([9, 2], [1, 2, 3])[0] == "the value differs"
    assert told({"a": 1, "c": 2}, {"a": 1, "b": 2}) == (
        "the keys differ",
        "the keys 'a', 'b'",
        "the keys 'a', 'c'",
        "",
    )
    assert told({}, {"a": 1})[2] == "the keys (none)"
    assert told({"a": 1, "b": 2}, {"a": 1})[0] == "the keys differ"
    assert told({"a": 2}, {"a": 1})[3] == "['a']"


def test_texts_are_told_by_where_they_part():
    """A text shows from which character on it differs, bytes from which byte."""
    assert told("learn", "learns") == (
        "the value differs",
        "'learns'",
        "'learn'",
        "character 5",
    )
    assert told(["abc"], ["axc"])[3] == "[0], character 1"
    assert told(b"\x00\x01", b"\x00\x02")[3] == "byte 1"


def test_long_texts_show_what_stands_around_the_difference():
    """Of a long text, the piece with the difference is shown and not its equal beginning."""
    want = "x" * 500 + "right" + "y" * 500
    _, expected, came, where = told(want.replace("right", "wrong"), want)
    assert "right" in expected
    assert "wrong" in came
    assert where == "character 500"
    assert len(expected) < 160
    assert expected.startswith("…")
    assert expected.endswith("…")
    assert not told("Y" + "y" * 500, "y" * 501)[1].startswith("…")


def test_same_allows_no_tolerance():
    """`same` tells 1 from 1.0 and 0.1 + 0.2 from 0.3, and accepts what is equal."""
    same([1, "a", None, (2.5,)], [1, "a", None, [2.5]], because=BECAUSE)
    assert told_exactly(1.0, 1)[:3] == ("expected an int", "the int 1", "the float 1")
    assert told_exactly(1, 1.0)[0] == "expected a float"
    assert told_exactly(0.1 + 0.2, 0.3)[1:3] == ("0.29999999999999999", "0.30000000000000004")
    assert told_exactly(torch.tensor(1.0), 1.0)[0] == "expected a number"
    assert told_exactly({1}, {2})[:2] == ("the value differs", "{2}")
    assert told_exactly(tensor(1.0 + 1e-12), tensor(1.0))[0].startswith("the value differs")


def test_strict_tells_lists_from_tuples():
    """Only on request do a list and a tuple of the same values differ."""
    same((1, 2), [1, 2], because=BECAUSE)
    assert told_exactly((1, 2), [1, 2], strict=True)[:3] == (
        "expected a list of 2 items",
        "a list of 2 items",
        "a tuple of 2 items",
    )
    assert told_exactly([[1]], [(1,)], strict=True)[3] == "[0]"


def test_values_are_shown_on_one_short_line():
    """Whatever a value is, it is shown in a line that fits a report."""
    assert show(1 / 3) == "0.333333"
    assert show(torch.zeros(2, 3)) == "a tensor of shape (2, 3), float32"
    assert len(show("x" * 1000)) == 160
    assert describe(None) == "None"
    assert describe({}) == "a dict of 0 items"
    assert describe(2 + 1j) == "(2+1j)"


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (None, "attention should return a tensor, and returned None"),
        ([1.0], "attention should return a tensor, and returned a list"),
        (torch.zeros(3, 2), r"should return the shape \(2, 3\), and returned \(3, 2\)"),
        (torch.zeros(2, 3, dtype=torch.int64), "should return torch.float32, and returned"),
    ],
)
def test_has_says_what_came_instead_of_the_tensor(got, said):
    """What is no tensor, or of another shape or type, is told in a sentence before values are."""
    with pytest.raises(AssertionError, match=said):
        has(got, (2, 3), torch.float32, "attention")
    has(torch.zeros(2, 3), (2, 3), torch.float32, "attention")


def test_alike_knows_an_answer_by_type_shape_and_value():
    """Anything may be asked about, and only what is the answer is alike."""
    want = torch.tensor([1.0, -torch.inf])
    assert alike(want + torch.tensor([1e-7, 0.0]), want)
    assert not alike(want + torch.tensor([1e-3, 0.0]), want)
    assert not alike(want.double(), want)
    assert not alike(want[None], want)
    assert not alike([1.0, -math.inf], want)


def test_numbers_reach_both_ends() -> None:
    """A drawn number is an int from low to high, both included, and the generator decides it."""
    rng = torch.Generator().manual_seed(0)
    drawn = [number(rng, 2, 5) for _ in range(200)]
    assert set(drawn) == {2, 3, 4, 5}
    assert all(type(each) is int for each in drawn)
    assert [number(rng.manual_seed(0), 2, 5) for _ in range(3)] == [drawn[0]] * 3
    assert number(rng, 7, 7) == 7

"""The wire between judge and worker carries data, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from llmpath.codec import CodecError, Decoder, Encoder, refuse
from llmpath.grading.wire import HEADER, MAGIC, Closed, Stream, WireError


def no_other(value: Any) -> dict[str, Any]:
    raise CodecError(f"cannot send {type(value).__name__}")


def there_and_back(value: Any) -> Any:
    encoder = Encoder(no_other)
    encoded = json.loads(json.dumps(encoder.encode(value)))
    return Decoder(encoder.blob(), refuse).decode(encoded)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.binary(), inner)
        | st.sets(st.integers() | st.text())
    ),
    max_leaves=20,
)


@given(plain)
@settings(max_examples=200, deadline=None)
def test_plain_data_arrives_as_it_was_sent(value: Any) -> None:
    """Any nesting of plain data comes back equal and of the same types."""
    got = there_and_back(value)
    assert got == value
    assert repr(type(got)) == repr(type(value))


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_arrive_to_the_bit(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Shape, dtype and every value survive, also of empty and zero-dimensional tensors."""
    value = torch.randn(shape).to(dtype)
    got = there_and_back(value)
    assert got.dtype == dtype
    assert got.shape == value.shape
    assert torch.equal(got, value)


def test_views_of_one_memory_arrive_apart() -> None:
    """Two tensors that share memory, one of them transposed, can be sent together."""
    base = torch.arange(6.0).reshape(2, 3)
    first, second = there_and_back([base, base.T])
    assert torch.equal(first, base)
    assert torch.equal(second, base.T)


def test_odd_numbers_arrive() -> None:
    """NaN, infinities, huge integers and signed zero survive, though JSON lacks them."""
    got = there_and_back([math.nan, math.inf, -math.inf, -0.0, 10**5000])
    assert math.isnan(got[0])
    assert got[1:3] == [math.inf, -math.inf]
    assert math.copysign(1, got[3]) == -1
    assert got[4] == 10**5000


def test_a_namespace_arrives_with_its_attributes() -> None:
    """An object of attributes keeps their names and values."""
    got = there_and_back(SimpleNamespace(length=2, parts=[torch.ones(2), "x"]))
    assert (got.length, got.parts[1]) == (2, "x")
    assert torch.equal(got.parts[0], torch.ones(2))


def test_a_value_within_itself_is_refused() -> None:
    """A cyclic structure is an error with a reason, not an endless loop."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(CodecError, match="within itself"):
        there_and_back(value)


KINDS = ["tuple", "set", "dict", "bytes", "int", "float", "complex", "tensor", "array", "dtype"]
KINDS += ["device", "generator", "handle", "callback", "frozenset", "namespace", "nonsense"]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.fixed_dictionaries(
            {
                "t": st.sampled_from(KINDS),
                "v": inner,
            }
        )
        | st.dictionaries(st.sampled_from(["t", "v", "x"]), inner)
    ),
    max_leaves=12,
)


@given(json_values, st.binary(max_size=64))
@settings(max_examples=500, deadline=None)
def test_no_json_makes_the_decoder_fail_otherwise(value: Any, blob: bytes) -> None:
    """Whatever JSON and bytes arrive, the decoder returns a value or raises CodecError."""
    with contextlib.suppress(CodecError):
        Decoder(blob, refuse).decode(value)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_stream_fail_otherwise(data: bytes) -> None:
    """Whatever bytes arrive, a frame is read or WireError is raised; nothing hangs."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        Stream(reading, -1).receive()
    except WireError:
        pass
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEADER.pack(MAGIC, 10, 0) + b"[]",
        HEADER.pack(MAGIC, 2**32 - 1, 0),
        HEADER.pack(MAGIC, 2, 2**63) + b"[]",
        HEADER.pack(MAGIC, 3, 0) + b"NaN",
        HEADER.pack(MAGIC, 200_000, 0) + b"[" * 200_000,
        struct.pack("!4sIQ", b"evil", 2, 0) + b"[]",
    ],
    ids=["empty", "truncated", "huge text", "huge blob", "NaN", "deep", "magic"],
)
def test_broken_frames_are_refused(data: bytes, tmp_path: Any) -> None:
    """Truncated, oversized, malformed and very deep frames raise WireError at once."""
    file = tmp_path / "frames"
    file.write_bytes(data)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        with pytest.raises(WireError):
            Stream(descriptor, -1).receive()
    finally:
        os.close(descriptor)


def test_the_end_of_the_stream_is_told_apart() -> None:
    """A closed pipe is `Closed`, so that a death is not taken for a malformed frame."""
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(Closed):
        Stream(reading, -1).receive()
    os.close(reading)

"""Values as JSON and a block of tensors, and back; never pickle.

Plain values stand for themselves in JSON (None, booleans, finite floats, text, small
integers, lists); all else is an object `{"t": kind, "v": value}`. Kinds that refer to
something on one side only (handles and call-backs) are left to the caller's hooks. Whatever
JSON and bytes there are, decoding them yields plain data or raises `CodecError`, and runs
nothing: `llmpath.grading.wire` reads what learner code sends with it, and
`llmpath.labkit.checkpoint` what an earlier run kept.

torch is imported only when a tensor is met.
"""

from __future__ import annotations

import binascii
import math
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from safetensors import serialize

MAX_DEPTH = 64
MAX_INT_BITS = 65_536
# json.loads reads a decimal integer in quadratic time; larger ones travel in hexadecimal.
PLAIN_INT = 2**63

SCALARS = frozenset({type(None), bool, str})
# What JSON holds as it is; of floats and integers, most.
PLAIN = SCALARS | {int, float}
# Kinds of tensors that numpy has as well.
IN_NUMPY = frozenset(
    {"torch.float64", "torch.float32", "torch.float16", "torch.bool", "torch.uint8"}
    | {f"torch.int{bits}" for bits in (8, 16, 32, 64)}
)


class CodecError(Exception):
    """A value that cannot be read, or may not be written."""


class Encoder:
    """Turns values into JSON and a block of tensors.

    Args:
        other: called with a value that is not data; returns its JSON object, or raises
            `CodecError` if such a thing may not be sent.
    """

    def __init__(self, other: Callable[[Any], dict[str, Any]]) -> None:
        self._other = other
        self._tensors: dict[str, Any] = {}

    def encode(self, value: Any, depth: int = 0) -> Any:
        """The JSON value for `value`; tensors are put aside for `blob`."""
        kind = type(value)
        if kind in SCALARS:
            return value
        if kind is int:
            return _integer(value)
        if kind is float:
            return value if math.isfinite(value) else {"t": "float", "v": repr(value)}
        if kind is bytes:
            return _bytes(value)
        if depth > MAX_DEPTH:
            raise CodecError(f"a value nested more than {MAX_DEPTH} deep (or within itself)")
        return self._compound(value, depth + 1)

    def blob(self, metadata: dict[str, str] | None = None) -> bytes:
        """All tensors that `encode` met, as safetensors bytes with metadata.

        Empty if there were neither.
        """
        if not self._tensors:
            return b"" if metadata is None else serialize({}, metadata)
        if all(str(tensor.dtype) in IN_NUMPY for tensor in self._tensors.values()):
            from safetensors.numpy import save as save_arrays  # in a third of the time

            return save_arrays({n: t.numpy() for n, t in self._tensors.items()}, metadata)
        from safetensors.torch import save

        return save(self._tensors, metadata)

    def _compound(self, value: Any, depth: int) -> Any:
        if isinstance(value, list):
            return value if _stands(value) else [self.encode(item, depth) for item in value]
        if isinstance(value, tuple):
            return {"t": "tuple", "v": [self.encode(item, depth) for item in value]}
        if isinstance(value, dict):
            pairs = [[self.encode(k, depth), self.encode(v, depth)] for k, v in value.items()]
            return {"t": "dict", "v": pairs}
        if isinstance(value, (set, frozenset)):
            name = "set" if isinstance(value, set) else "frozenset"
            return {"t": name, "v": [self.encode(item, depth) for item in value]}
        if isinstance(value, (bytes, bytearray)):
            return _bytes(value)
        if isinstance(value, complex):
            return {"t": "complex", "v": [self.encode(value.real), self.encode(value.imag)]}
        if isinstance(value, slice):
            return {"t": "slice", "v": self.encode([value.start, value.stop, value.step], depth)}
        if isinstance(value, SimpleNamespace):
            return {"t": "namespace", "v": self.encode(vars(value), depth)}
        if isinstance(value, (bool, int, float, str)):
            return self._subclass(value)
        return self._library(value)

    def _subclass(self, value: Any) -> Any:
        if isinstance(value, str):
            return str.__str__(value)
        return self.encode(int(value) if isinstance(value, int) else float(value))

    def _library(self, value: Any) -> Any:
        """Tensors, arrays and the small types of torch and numpy; the rest is `other`'s."""
        torch = sys.modules.get("torch")
        if torch is not None:
            if type(value) in (torch.Tensor, torch.nn.Parameter):
                return {"t": "tensor", "v": self._put(value)}
            if isinstance(value, torch.dtype):
                return {"t": "dtype", "v": str(value).removeprefix("torch.")}
            if isinstance(value, torch.device):
                return {"t": "device", "v": str(value)}
            if isinstance(value, torch.Generator):
                return {"t": "generator", "v": self._put(value.get_state())}
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(value, numpy.generic):
            return self.encode(value.item())
        if numpy is not None and type(value) is numpy.ndarray and value.dtype != object:
            import torch as loaded

            return {"t": "array", "v": self._put(loaded.from_numpy(value.copy()))}
        return self._other(value)

    def _put(self, tensor: Any) -> str:
        if tensor.is_sparse or tensor.is_quantized or tensor.device.type == "meta":
            raise CodecError("a sparse, quantised or meta tensor")
        name = str(len(self._tensors))
        # A copy: safetensors refuses tensors that share memory.
        self._tensors[name] = (
            tensor.detach().resolve_conj().resolve_neg().cpu().clone().contiguous()
        )
        return name


def _bytes(value: bytes | bytearray) -> Any:
    return {"t": "bytes", "v": binascii.b2a_base64(value, newline=False).decode("ascii")}


def _stands(value: list[Any]) -> bool:
    """Whether JSON holds a list as it is; told for a long one in a fraction of the time."""
    kinds = set(map(type, value))
    if kinds <= SCALARS:
        return True
    if kinds == {float}:
        return all(map(math.isfinite, value))
    return kinds == {int} and min(value) > -PLAIN_INT and max(value) < PLAIN_INT


def _integer(value: int) -> Any:
    if -PLAIN_INT < value < PLAIN_INT:
        return value
    if value.bit_length() > MAX_INT_BITS:
        raise CodecError(f"an integer of {value.bit_length():,} bits")
    return {"t": "int", "v": hex(value)}


class Decoder:
    """Turns JSON and a block of tensors back into values.

    Args:
        blob: the safetensors bytes of the frame.
        other: called with (kind, value) for kinds that are not data; raises `CodecError`
            for those that it does not know.
    """

    def __init__(self, blob: bytes, other: Callable[[str, Any], Any]) -> None:
        self._blob = blob
        self._other = other
        self._tensors: dict[str, Any] | None = None

    def decode(self, value: Any) -> Any:
        """The value; `CodecError` if it is not one."""
        try:
            return self._decode(value, 0)
        except CodecError:
            raise
        except (TypeError, ValueError, KeyError, LookupError, RuntimeError, OverflowError) as error:
            # RuntimeError covers RecursionError and torch's refusals.
            raise CodecError(f"a value that cannot be read ({type(error).__name__})") from error

    def _decode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in SCALARS or kind is int or kind is float:
            return value
        if depth > MAX_DEPTH + 1:
            raise CodecError(f"a value nested more than {MAX_DEPTH} deep")
        if kind is list:
            if PLAIN.issuperset(map(type, value)):
                return list(value)  # never the message's own, which is compared with it later
            return [self._decode(item, depth + 1) for item in value]
        if kind is dict and len(value) == 2 and "v" in value and type(value.get("t")) is str:
            return self._tagged(value["t"], value["v"], depth + 1)
        raise CodecError("an object that is not a value")

    def _tagged(self, kind: str, value: Any, depth: int) -> Any:
        if kind in ("tuple", "set", "frozenset"):
            items = [self._decode(item, depth) for item in _a(list, value)]
            return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)
        if kind == "dict":
            pairs = [(self._decode(k, depth), self._decode(v, depth)) for k, v in _a(list, value)]
            return dict(pairs)
        if kind == "slice":
            return slice(*_a(list, self._decode(value, depth)))
        if kind == "namespace":
            return SimpleNamespace(**_a(dict, self._decode(value, depth)))
        if kind == "bytes":
            return binascii.a2b_base64(_a(str, value), strict_mode=True)
        if kind == "int":
            if len(_a(str, value)) > MAX_INT_BITS // 4 + 8:
                raise CodecError("an integer that is too long")
            return int(value, 16)
        if kind == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[_a(str, value)]
        if kind == "complex":
            real, imag = (self._decode(part, depth) for part in _a(list, value))
            return complex(real, imag)
        return self._library(kind, value)

    def _library(self, kind: str, value: Any) -> Any:
        if kind == "tensor":
            return self._tensor(_a(str, value))
        if kind == "array":
            return self._tensor(_a(str, value)).numpy()
        if kind in ("dtype", "device", "generator"):
            import torch

            if kind == "dtype":
                found = getattr(torch, _a(str, value), None)
                if not isinstance(found, torch.dtype):
                    raise CodecError("a dtype that does not exist")
                return found
            if kind == "device":
                return torch.device(_a(str, value))
            generator = torch.Generator()
            generator.set_state(self._tensor(_a(str, value)))
            return generator
        return self._other(kind, value)

    def _tensor(self, name: str) -> Any:
        if self._tensors is None:
            from safetensors import SafetensorError
            from safetensors.torch import load

            try:
                self._tensors = load(self._blob)
            except SafetensorError as error:
                raise CodecError("tensors that are not safetensors") from error
        return self._tensors[name]


def _a(kind: type, value: Any) -> Any:
    """`value`, if it is exactly of this kind."""
    if type(value) is not kind:
        raise CodecError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def refuse(kind: str, _value: Any) -> Any:
    """The `other` of a decoder that takes plain data only."""
    raise CodecError(f"a value of the unknown kind {kind!r}")

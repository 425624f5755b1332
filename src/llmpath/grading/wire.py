"""Data between judge and worker: length-prefixed JSON, with tensors as safetensors bytes.

A frame is a header of two lengths, a JSON text and, if there are tensors, one
safetensors block; `llmpath.codec` makes values of the two. Never pickle: what arrives
from the worker was made by learner code. A frame that cannot be read raises `WireError`;
nothing else leaves `receive`.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Any

HEADER = struct.Struct("!4sIQ")
MAGIC = b"lmp1"
MAX_JSON = 64 * 1024 * 1024
MAX_BLOB = 512 * 1024 * 1024


class WireError(Exception):
    """A frame that cannot be read, or is too large to send."""


class Closed(WireError):  # noqa: N818 - the end of a stream is not a fault by itself
    """The other side closed the stream, or its process ended."""


class Stream:
    """Frames over a pair of file descriptors.

    Args:
        reading: descriptor that frames are read from.
        writing: descriptor that frames are written to.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing

    def send(self, message: Any, blob: bytes = b"") -> None:
        """Write one frame; `Closed` if the other side is gone."""
        text = _JSON.encode(message).encode("ascii")
        if len(text) > MAX_JSON or len(blob) > MAX_BLOB:
            raise WireError(f"the value is too large to send ({len(text) + len(blob):,} bytes)")
        view = memoryview(HEADER.pack(MAGIC, len(text), len(blob)) + text + blob)
        try:
            while view:
                view = view[os.write(self._writing, view) :]
        except OSError as error:
            raise Closed("the other side is gone") from error

    def receive(self) -> tuple[Any, bytes]:
        """Read one frame: its JSON value and its block of tensors."""
        magic, text_size, blob_size = HEADER.unpack(self._exactly(HEADER.size))
        if magic != MAGIC:
            raise WireError("the frame does not begin as frames do")
        if text_size > MAX_JSON or blob_size > MAX_BLOB:
            raise WireError(f"the frame is too large ({text_size + blob_size:,} bytes)")
        text, blob = self._exactly(text_size), self._exactly(blob_size)
        try:
            return _NO_MORE_THAN_JSON.decode(text.decode()), blob
        except (ValueError, RecursionError) as error:
            raise WireError("the frame is not JSON") from error

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = os.read(self._reading, min(size - len(parts), 1 << 20))
            except OSError as error:
                raise Closed("the other side is gone") from error
            if not part:
                raise Closed("the other side is gone")
            parts += part
        return bytes(parts)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_NO_MORE_THAN_JSON = json.JSONDecoder(parse_constant=_no_constant)

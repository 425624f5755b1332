"""What a training run needs to go on where it was: one safetensors file, never a pickle.

The tensors of a state are the tensors of the file; its structure, its numbers and its texts are
JSON in the file's metadata, and so are the random states of Python and numpy. Together with
torch's, they are taken when a checkpoint is written and put back by `restore_random_state`.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpath.codec import CodecError, Decoder, Encoder, refuse

FILE = "checkpoint.safetensors"
_FORMAT = "1"


class CheckpointError(Exception):
    """A checkpoint that cannot be read, or a state that cannot be kept in one."""


@dataclass(frozen=True)
class Checkpoint:
    """A training run at one moment.

    Attributes:
        step: how many steps were done.
        state: what was given to `run.checkpoint`; its tensors are on the CPU, where
            `load_state_dict` takes them from whatever the device.
    """

    step: int
    state: dict[str, Any]


def write(path: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; the one that was there stays until then.

    Args:
        path: the file.
        step: how many steps are done.
        state: tensors, numbers, texts, `torch.Generator`s, and lists, tuples and dicts of
            those, such as a `state_dict()`.

    Raises:
        CheckpointError: if the state holds anything else.
        OSError: if it cannot be written.
    """
    encoder = Encoder(_cannot_keep)
    try:
        values = encoder.encode({"state": dict(state), "random": _random_state()})
    except CodecError as error:
        raise CheckpointError(f"the state holds {error}, which cannot be kept.") from None
    metadata = {"format": "pt", "llmpath": _FORMAT, "step": str(step), "values": json.dumps(values)}
    data = encoder.blob(metadata)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)  # a part of it would keep a full disk full
        raise


def read(path: Path) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint, and the random state to be given to `restore_random_state`.

    Raises:
        CheckpointError: if the file is not one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        values = Decoder(path.read_bytes(), refuse).decode(json.loads(metadata["values"]))
        return Checkpoint(int(metadata["step"]), values["state"]), values["random"]
    except (OSError, SafetensorError, CodecError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path.name} cannot be read ({error}).") from error


def _random_state() -> dict[str, Any]:
    state: dict[str, Any] = {"python": random.getstate()}
    if "numpy" in sys.modules:
        import numpy

        name, keys, *rest = numpy.random.get_state(legacy=True)
        state["numpy"] = (name, [int(key) for key in keys], *rest)
    if "torch" in sys.modules:
        import torch

        state["torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        if torch.backends.mps.is_available():
            state["mps"] = torch.mps.get_rng_state()
    return state


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Let the generators of Python, numpy and torch go on where they were."""
    random.setstate(state["python"])
    if "numpy" in state:
        import numpy

        numpy.random.set_state(state["numpy"])
    if "torch" in state:
        import torch

        torch.set_rng_state(state["torch"])
        if "cuda" in state and torch.cuda.device_count() == len(state["cuda"]):
            torch.cuda.set_rng_state_all(state["cuda"])
        if "mps" in state and torch.backends.mps.is_available():
            torch.mps.set_rng_state(state["mps"])


def _cannot_keep(value: Any) -> dict[str, Any]:
    kind = type(value).__name__
    advice = "; keep its state_dict()" if hasattr(value, "state_dict") else ""
    raise CodecError(f"a {kind}{advice}")

"""How large an artefact is: its parameters, from the headers of its weights alone, and its bytes.

transformers keeps weights in `model.safetensors`, or in several files called
`model-00001-of-00003.safetensors`. Other tensors that lie beside them, such as the codes of
quantised weights, are no parameters of their own.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_WEIGHTS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight")  # transformers' names, as in its Llama


@dataclass(frozen=True)
class Weights:
    """The weights in an artefact's folder.

    Attributes:
        parameters: how many numbers they are, weights that are shared counted once.
        embedding: how many of them are the embeddings of tokens, and a head that is not tied.
        types: the types of the numbers as safetensors names them, such as F32, most first.
    """

    parameters: int
    embedding: int
    types: tuple[str, ...]


def weights(folder: Path) -> Weights | None:
    """The weights in a folder; None if there are none, or none that can be read."""
    from safetensors import SafetensorError, safe_open

    counts: Counter[str] = Counter()
    embedding = 0
    try:
        files = [path for path in sorted(folder.iterdir()) if _WEIGHTS.fullmatch(path.name)]
        for path in files:
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    part = file.get_slice(name)
                    numbers = math.prod(part.get_shape())
                    counts[part.get_dtype()] += numbers
                    embedding += numbers if name.endswith(_EMBEDDINGS) else 0
    except (OSError, SafetensorError):
        return None
    if not counts:
        return None
    return Weights(counts.total(), embedding, tuple(kind for kind, _ in counts.most_common()))


def size(path: Path) -> int:
    """The bytes of all files in a folder and below it, or of a file."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())

"""A fingerprint of everything that an artefact is made from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.running.resume import listing

DEFAULT_DATA = "microworld"


@dataclass(frozen=True)
class Variant:
    """What an artefact may be made with, other than code.

    Attributes:
        scale: how much the experiment does: micro, mini or gpu.
        data: the text that it learns from, as `lab run --data` takes it.
        seed: of the experiment.
    """

    scale: str = "micro"
    data: str = DEFAULT_DATA
    seed: int = 0


def fingerprint(course: Course, lab: Lab, variant: Variant) -> str:
    """A hash, in hexadecimal, of all that a lab's reference makes its artefacts from.

    It changes with the lab's code and experiment, the code of the labs that it uses, labkit
    but for its comparisons, the scale, data and seed, and the same of every artefact that it
    needs. Versions of libraries are left out: another torch makes other roundings, not another
    model.
    """
    digest = hashlib.sha256()
    for line in _ingredients(course, lab, variant):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _ingredients(course: Course, lab: Lab, variant: Variant) -> Iterator[str]:
    yield f"scale {variant.scale} seed {variant.seed}"
    yield f"data {variant.data} {_state(variant.data)}"
    yield f"labkit {_labkit()}"
    yield f"experiment {_hash(course.lab_folder(lab) / 'experiment.py')}"
    for each in (lab, *course.used_by(lab)):
        yield f"code {each.id} {_hash(course.lab_folder(each) / 'lab.py')}"
    for name in lab.needs:
        yield f"artefact {name} {fingerprint(course, course.maker_of(name), variant)}"


def _state(data: str) -> str:
    """Sizes and times of files of data, so that a changed one is new data; "" for a name.

    What follows a `#` names a column.
    """
    for name in (data, data.rpartition("#")[0]):
        path = Path(name).expanduser()
        if name and path.is_dir():
            return listing(path)
        with contextlib.suppress(OSError, ValueError):
            status = path.stat()
            return f"{status.st_size} {status.st_mtime_ns}" if name else ""
    return ""


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = error.strerror or str(error)
        raise LlmpathError(f"{path} cannot be read: {reason}.") from error


@cache
def _labkit() -> str:
    """A hash of what experiments import: worlds and tokenizers come from there.

    A sentence of a check can change without a model having to be made anew.
    """
    root = Path(__file__).parent.parent / "labkit"
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith("checks/"):
            digest.update(f"{name} {_hash(path)}\n".encode())
    return digest.hexdigest()

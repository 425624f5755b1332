"""What was proven before, kept by the content of everything that it rests on.

Only proofs of labs that found nothing are kept, in the user's cache folder: what has to be mended
is looked at again. What cannot be read or written is as good as not there.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from pydantic import ValidationError

import llmpath
from llmpath.artefacts.recipe import Variant, fingerprint
from llmpath.authoring.check.finding import ProofName, Proved
from llmpath.authoring.check.subject import LabSubject
from llmpath.errors import LlmpathError
from llmpath.workspace import files

UNUSED_DAYS = 60
_DAY = 86_400.0
# What draws and what reads the command line decides nothing.
_OUTSIDE = ("ui", "cli", "_course")


def key(subject: LabSubject, proof: ProofName, chosen: tuple[float, ...]) -> str:
    """A hash, in hexadecimal, of all that a proof of a lab rests on.

    It changes with how thoroughly it is proven (`chosen`), with the lab, its step and lesson, the
    labs and artefacts that it builds on, the course's standards and starters, llmpath itself,
    Python, and every installed package.
    """
    digest = hashlib.sha256(json.dumps([proof, *chosen]).encode())
    for line in (*_course(subject), _ours(), _machine()):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def recall(mark: str) -> Proved | None:
    """The proof that was kept under a key, if there is one."""
    file = _folder() / f"{mark}.json"
    try:
        proved = Proved.model_validate_json(file.read_bytes())
        os.utime(file)  # what is used is not old
    except (OSError, ValidationError):
        return None
    return proved.model_copy(update={"cached": True})


def keep(mark: str, proved: Proved) -> None:
    """Keep a proof that found nothing."""
    with contextlib.suppress(OSError, LlmpathError):
        _folder().mkdir(parents=True, exist_ok=True)
        files.write(_folder() / f"{mark}.json", proved.model_dump_json().encode())
        _forget_unused()


def _course(subject: LabSubject) -> Iterator[str]:
    course, lab, step = subject.course, subject.lab, subject.step
    yield course.standards.model_dump_json()
    yield step.model_dump_json()
    yield _hash([course.lesson_path(step)])
    for each in (lab, *course.used_by(lab)):
        yield f"{each.id} {_hash(_files(course.lab_folder(each)))}"
    for name in lab.needs:
        yield f"{name} {fingerprint(course, course.maker_of(name), Variant())}"
    # The learner's tree holds the starters of all labs.
    yield _hash(course.lab_folder(each) / "lab.py" for each in course.labs.values())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in parts):
            yield path


def _hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@cache
def _ours() -> str:
    """A hash of the parts of llmpath that decide what a proof finds."""
    root = Path(llmpath.__file__).parent
    kept = (path for path in _files(root) if path.relative_to(root).parts[0] not in _OUTSIDE)
    return _hash(kept)


@cache
def _machine() -> str:
    """Python, the system, and every installed package with its version."""
    packages = {
        (str(each.metadata["Name"]).lower(), each.version)
        for each in importlib.metadata.distributions()
    }
    return json.dumps([sys.version, platform.platform(), sorted(packages)])


def _folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("llmpath", appauthor=False)) / "proofs"


def _forget_unused() -> None:
    limit = time.time() - UNUSED_DAYS * _DAY
    for path in _folder().iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()

"""Where real models are kept: one folder each in the user's data folder, with a manifest.

A model's folder gets its name when it is complete, and the manifest says how large each file
must be, so that what was damaged since is noticed. What is on its way is in `.partial`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from llmpath.errors import LlmpathError
from llmpath.inventory import holds
from llmpath.models.catalogue import Model

if TYPE_CHECKING:
    from filelock import BaseFileLock

VARIABLE = "LLMPATH_MODELS"  # names another folder, such as one that a class shares
MANIFEST = "llmpath.json"
State = Literal["there", "absent", "damaged"]


class Manifest(BaseModel):
    """What is known of a model on the disk.

    Attributes:
        model: its id.
        source: where it was had from, in words.
        sha256: of what was downloaded: of the package, or of the weights.
        pulled: when, in ISO 8601.
        files: the size of each file in bytes, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    title: str
    licence: str
    authors: str
    source: str
    sha256: str
    pulled: str
    files: dict[str, int]

    @property
    def size(self) -> int:
        """Of all files together, in bytes."""
        return sum(self.files.values())


def root() -> Path:
    """The folder of all models."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("llmpath", appauthor=False)) / "models"


def folder(model: Model) -> Path:
    """Where a model is, or would be."""
    return root() / model.id


def state(model: Model) -> State:
    """Whether a model is there, and whole."""
    if not folder(model).exists():
        return "absent"
    return "there" if manifest(model) is not None else "damaged"


def manifest(model: Model) -> Manifest | None:
    """The manifest of a model; None if it is not there, or one of its files is not as it was."""
    path = folder(model)
    try:
        found = Manifest.model_validate_json((path / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.model == model.id and holds(path, found.files) else None


def find(model: Model) -> Path:
    """The folder of a model that is there.

    Raises:
        LlmpathError: if it is not there, or damaged.
    """
    now = state(model)
    if now == "there":
        return folder(model)
    what = "is not on this machine" if now == "absent" else f"in {folder(model)} is damaged"
    raise LlmpathError(
        f"The model {model.id} {what}.",
        f"llmpath models pull {model.id} brings it, about {model.size / 1e6:.0f} MB.",
    )


def lock(model: Model) -> BaseFileLock:
    """The lock under which a model's folder changes; not taken yet.

    Raises:
        LlmpathError: if the folder of all models cannot be written.
    """
    from filelock import FileLock

    with writing():
        _partial().mkdir(parents=True, exist_ok=True)
    return FileLock(_partial() / f"{model.id}.lock")


def staging(model: Model) -> Path:
    """Where a model is put together, for the holder of its lock."""
    path = _partial() / model.id
    path.mkdir(parents=True, exist_ok=True)
    return path


def commit(model: Model, made: Path, manifest: Manifest) -> Path:
    """Put a finished folder in place, with its manifest; what stood there before goes.

    Hold the lock meanwhile.
    """
    (made / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _discard(folder(model))
    made.replace(folder(model))
    _discard(staging(model))
    return folder(model)


def remove(model: Model) -> int:
    """Remove a model, and what an interrupted pull left of it.

    Returns:
        How many bytes were freed.

    Raises:
        LlmpathError: if somebody is pulling it right now, or it cannot be removed.
    """
    from filelock import Timeout

    try:
        with lock(model).acquire(timeout=0), writing():
            paths = (folder(model), staging(model))
            freed = sum(size(path) for path in paths)
            for path in paths:
                _discard(path)
            return freed
    except Timeout as error:
        raise LlmpathError(
            f"The model {model.id} is being pulled right now.", "Wait for that to end, or stop it."
        ) from error


def size(path: Path) -> int:
    """Of all files below a folder, in bytes; what goes away meanwhile does not count."""
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Say in a sentence why the store cannot be written."""
    try:
        yield
    except OSError as error:
        raise LlmpathError(
            f"The models in {root()} cannot be changed: {error.strerror or error}.",
            f"Make room there, see that you may write, or name another folder in {VARIABLE}.",
        ) from error


def _partial() -> Path:
    return root() / ".partial"


def _discard(path: Path) -> None:
    """Take a folder away in one step, then remove it at leisure."""
    if not os.path.lexists(path):
        return
    away = Path(tempfile.mkdtemp(prefix="old-", dir=_partial()))
    path.replace(away / path.name)
    shutil.rmtree(away, ignore_errors=True)

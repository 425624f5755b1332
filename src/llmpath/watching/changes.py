"""Notices that files were saved: by notifications where they arrive, else by polling.

Whether they arrive is tried at the start. What is written on the other side of a shared folder
(by an editor on Windows, when llmpath runs in WSL; on the host of a container; on a server) is
never notified, though what is written on this side is, so such folders are polled untried. And
should a notification be lost all the same, the file is looked at now and then.

Editors save in several ways: in place, by renaming a new file over the old one, by deleting
it first. So the folders are watched, any stir in them only says "look", and what counts is
whether a file's own identity, size or time differ from what they were.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil
import watchfiles

STEP = 20  # milliseconds without a further change, after which a save is taken to be over
DEBOUNCE = 400  # milliseconds, at most, that a save in many small writes is waited for
LOOK = 500  # milliseconds between looks without a notification: a link leads to other folders
POLL = 200  # milliseconds between looks where notifications do not arrive
SELF_TEST = 0.5  # seconds that a notification may take
RETRY = 0.2  # seconds between looks for a folder that is gone

# Kinds of file systems that others change behind this system's back; "fuse" stands for all its
# kinds, among them those of sshfs and of Docker and VMware on other systems.
SHARED = (
    *("9p", "drvfs", "v9fs", "virtiofs", "vboxsf", "prl_fs", "fakeowner", "osxfs", "fuse"),
    *("nfs", "cifs", "smb", "afp", "webdav", "afs", "ceph", "gluster"),
)
# What watchfiles raises when a folder is gone, or the system has no more notifications to give.
_NO_NOTICE = (OSError, RuntimeError)

Stamp = tuple[int, int, int]


def stamp(file: Path) -> Stamp | None:
    """What changes when a file is saved (inode, size, time); None if there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def shared(folder: Path) -> bool:
    """Whether a folder lies on a file system that is changed from elsewhere, too."""
    path, kind = Path(os.path.realpath(folder)), ""
    longest = -1
    for each in psutil.disk_partitions(all=True):
        # Of two at one place, the later one is on top.
        if path.is_relative_to(each.mountpoint) and len(each.mountpoint) >= longest:
            longest, kind = len(each.mountpoint), each.fstype.lower()
    return is_shared(kind)


def is_shared(kind: str) -> bool:
    """The same for the name of a kind of file system."""
    return kind.startswith(SHARED)


def notified(folder: Path, seconds: float = SELF_TEST) -> bool:
    """Whether the system tells of a file that is written into `folder`, tried by writing one."""
    probe = folder / f".watch-{os.getpid()}-{os.urandom(4).hex()}"
    over = threading.Event()
    arrived = False
    writer = threading.Thread(target=_stir, args=(probe, over, seconds), daemon=True)
    try:
        changes = watchfiles.watch(
            folder,
            watch_filter=lambda _, path: Path(path).name == probe.name,
            stop_event=over,
            debounce=50,
            step=10,
            rust_timeout=100,
            recursive=False,
            raise_interrupt=False,
        )
        writer.start()
        arrived = next(changes, None) is not None
    except _NO_NOTICE:
        arrived = False
    over.set()
    if writer.ident is not None:
        writer.join()
    return arrived


def _stir(probe: Path, over: threading.Event, seconds: float) -> None:
    """Write a file again and again until that was noticed or time is up."""
    end = time.monotonic() + seconds
    try:
        while not over.wait(0.03) and time.monotonic() < end:
            probe.write_bytes(os.urandom(8))
    except OSError:
        pass  # a folder that cannot be written: nothing is known, so it is polled
    finally:
        over.set()
        probe.unlink(missing_ok=True)


class Changes:
    """Calls `saved` or `gone` as files change, from a thread of its own.

    Args:
        files: the files; neither they nor their folders need exist.
        state: a folder beside them that may be written, for the self-test.
        saved: called after each save.
        gone: called when all that has changed is that files are no longer there.
    """

    def __init__(
        self,
        files: Iterable[Path],
        state: Path,
        saved: Callable[[], None],
        gone: Callable[[], None],
    ) -> None:
        self._state = state
        self._saved = saved
        self._gone = gone
        self._seen = {file: stamp(file) for file in files}
        self._over = threading.Event()
        self.polling: bool | None = None
        # A daemon, as the wait for a notification can not always be cut short.
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _run(self) -> None:
        self.polling = shared(self._state) or not notified(self._state)
        folders = sorted({file.parent for file in self._seen})
        while not self._over.is_set():
            try:
                self._follow(folders)
            except _NO_NOTICE:  # a folder is gone, or went while it was watched
                self._look()
                self._over.wait(RETRY)

    def _follow(self, folders: list[Path]) -> None:
        """Look at the files whenever something stirs in their folders, while these are the same."""
        identities = [folder.stat().st_ino for folder in folders]
        for _ in watchfiles.watch(
            *folders,
            watch_filter=None,
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=self._over,
            rust_timeout=LOOK,
            yield_on_timeout=True,
            # None leaves it to WATCHFILES_FORCE_POLLING, for those who know better.
            force_polling=True if self.polling else None,
            poll_delay_ms=POLL,
            recursive=False,
            raise_interrupt=False,
        ):
            self._look()
            if [folder.stat().st_ino for folder in folders] != identities:
                return

    def _look(self) -> None:
        now = {file: stamp(file) for file in self._seen}
        changed = [after for file, after in now.items() if after != self._seen[file]]
        if not changed or self._over.is_set():
            return
        self._seen = now
        if all(after is None for after in changed):
            self._gone()
        else:
            self._saved()

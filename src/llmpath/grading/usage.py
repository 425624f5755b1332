"""How much a process, or a folder, takes up at this moment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil


def resident(process: psutil.Process) -> int:
    """The resident bytes of a process; none if it is gone."""
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def own_share(process: psutil.Process) -> int:
    """The same, with memory that processes share counted once among them, where it can be told.

    It takes the system a while, so it is asked only when the plain sum is over the limit.
    """
    try:
        return int(getattr(process.memory_full_info(), "pss", 0)) or resident(process)
    except psutil.Error:
        return 0


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder; a file that vanishes meanwhile counts nothing."""
    total, waiting = 0, [str(folder)]
    while waiting:  # a loop, because learner code can nest folders deeper than calls can
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total

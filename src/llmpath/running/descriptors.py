"""What a child process does with the three descriptors that it is started with.

Descriptor 0 first carries a request, then tells that the parent is alive; descriptor 1 is the
pipe of events; whatever is printed goes to descriptor 2. `llmpath.running.process` is the other
end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable


def take() -> tuple[int, int]:
    """Take the pipes away from the standard descriptors, and give those to the learner."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(  # noqa: SIM115
        1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    return reading, writing


def end_with_parent(reading: int) -> None:
    """End this process and its group as soon as the other end of `reading` is gone."""
    if sys.platform == "linux":
        _signal_on_close(reading)

    on_close(reading, _end)


def take_lines(reading: int, call: Callable[[bytes], object]) -> None:
    """Call something, in a thread, with each line that comes; end with the parent."""

    def read() -> None:
        with open(reading, "rb", closefd=False) as pipe:
            for line in pipe:
                call(line)
        _end()

    threading.Thread(target=read, daemon=True).start()


def on_close(reading: int, call: Callable[[], object]) -> None:
    """Call something, in a thread, as soon as the other end of `reading` is gone."""

    def watch() -> None:
        while os.read(reading, 4096):
            pass
        call()

    threading.Thread(target=watch, daemon=True).start()


def _end() -> None:
    """End this process and its group."""
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _signal_on_close(reading: int) -> None:
    """Have the kernel send SIGIO, which ends a process, to the group.

    A thread cannot notice while other code keeps the interpreter's lock, such as a regular
    expression that goes astray.
    """
    import fcntl

    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(reading, fcntl.F_SETOWN, -os.getpgrp())
    flags = fcntl.fcntl(reading, fcntl.F_GETFL)
    fcntl.fcntl(reading, fcntl.F_SETFL, flags | os.O_ASYNC)


def listen_for_interrupt() -> None:
    """Ctrl-C raises KeyboardInterrupt, even where the parent was told to ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGBREAK"):  # what a process group gets on Windows
        signal.signal(signal.SIGBREAK, signal.default_int_handler)


def ignore_interrupt() -> None:
    """Ctrl-C is for the parent, which decides what is to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def flush() -> None:
    """Write out what was printed, if there is still somebody to take it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()

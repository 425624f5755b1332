"""The child process of a run: the one place of `running` that starts and ends processes.

Descriptor 1 of the child is its event pipe (the child takes it away at once and lets
descriptor 1 be descriptor 2), descriptor 2 the learner's output, and descriptor 0 first
carries the request and then stays open for as long as this process lives; a child that asks for
more is told more there. Nothing but
the three standard descriptors is inherited, so the same holds on Windows.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Literal, NamedTuple, Self

import psutil

POSIX = os.name == "posix"
KEPT_OUTPUT = 1_000_000  # characters of the learner's output that are passed on
CUT = "\n… output cut\n"
LONGEST_LINE = 16_000_000  # bytes of one event
GRACE = 3.0  # seconds from one way of ending to the next, harder one
DRAIN = 1.0  # seconds for what is left in the pipes of a child that has ended
TICK = 0.1  # seconds


class Message(NamedTuple):
    """Something that came from the child: a line of its event pipe, or learner's output."""

    pipe: Literal["event", "output"]
    data: bytes
    text: str = ""


@dataclass(frozen=True)
class Usage:
    """What a process and those that it waited for have used; zeros where that is not known.

    Attributes:
        processor_seconds: of all of them together.
        memory_mb: resident memory of the largest of them at its most, in MiB.
    """

    processor_seconds: float = 0.0
    memory_mb: int = 0


class Child:
    """A Python module that runs in a process group of its own.

    Leaving the context kills whatever of the group is left.

    Args:
        module: the module to run.
        request: one line of JSON, its input.
        folder: its working folder.
    """

    def __init__(self, module: str, request: bytes, folder: Path) -> None:
        self.exit_code = 0
        self.usage = Usage()
        self.stopping = False
        self._harder: list[tuple[float, signal.Signals]] = []
        self._messages: queue.Queue[Message] = queue.Queue(maxsize=1000)
        self._closed = threading.Event()
        self._exited = threading.Event()
        self._process = _spawn(module, folder)
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in (self._read_events, self._read_output, self._wait)
        ]
        for thread in self._threads:
            thread.start()
        self._telling = threading.Lock()
        self._write(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self._closed.set()
        self._kill_group()
        self._exited.wait()
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()
        for thread in self._threads:
            thread.join(DRAIN)

    def messages(self) -> Iterator[Message | None]:
        """What comes from the child until it has ended; None now and then, while it is quiet."""
        drained_by = float("inf")
        while True:
            try:
                yield self._messages.get(timeout=TICK)
            except queue.Empty:
                if not any(thread.is_alive() for thread in self._threads):
                    if self._messages.empty():
                        return
                elif time.monotonic() > drained_by:
                    return  # something that left the group holds a pipe open
                yield None
            if self._exited.is_set():
                drained_by = min(drained_by, time.monotonic() + DRAIN)
            self._escalate()

    def waiting(self) -> Iterator[Message]:
        """What has come from the child and was not taken yet; does not wait for more."""
        with contextlib.suppress(queue.Empty):
            while True:
                yield self._messages.get_nowait()

    def tell(self, order: Mapping[str, object]) -> None:
        """Send the child one more line of JSON; nothing happens if it has ended.

        Only for a child that reads on, with `descriptors.take_lines`.
        """
        self._write(json.dumps(order).encode())

    def stop(self) -> None:
        """Ask the child to end; asked again, or ignored for `GRACE` seconds, insist."""
        if self._exited.is_set():
            return
        if not self.stopping:
            self.stopping = True
            now = time.monotonic()
            kill = signal.SIGKILL if POSIX else signal.SIGTERM
            self._harder = [(now + GRACE, signal.SIGTERM), (now + 2 * GRACE, kill)]
            self._signal(signal.SIGINT)
        else:
            self._harder = [(0.0, sig) for _, sig in self._harder]

    @contextlib.contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """While in this context, Ctrl-C stops the child and does not raise here."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            self.stop()

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _write(self, line: bytes) -> None:
        with self._telling, contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            stdin = _pipe(self._process.stdin)
            stdin.write(line + b"\n")
            stdin.flush()

    def _escalate(self) -> None:
        if self._harder and time.monotonic() > self._harder[0][0]:
            sig = self._harder.pop(0)[1]
            if sig == signal.SIGTERM and POSIX:
                self._signal(sig)
            else:
                self._kill_group()

    def _signal(self, sig: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            if POSIX:
                os.killpg(self._process.pid, sig)
            else:
                self._process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", sig))

    def _kill_group(self) -> None:
        if POSIX:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            return
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(OSError):
            self._process.kill()

    # The three threads

    def _wait(self) -> None:
        self.exit_code, self.usage = _reap(self._process)
        self._exited.set()
        self._kill_group()

    def _read_events(self) -> None:
        with _pipe(self._process.stdout) as pipe:
            while line := pipe.readline(LONGEST_LINE):
                self._put(Message("event", line))

    def _read_output(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        left = KEPT_OUTPUT
        with _pipe(self._process.stderr) as pipe:
            while data := os.read(pipe.fileno(), 65536):
                text = decoder.decode(data)[:left]
                if text:
                    left -= len(text)
                    self._put(Message("output", b"", text if left else text + CUT))

    def _put(self, message: Message) -> None:
        """Pass a message on; where nobody takes it, the child waits, unless we are closing."""
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=TICK)
                return


def _spawn(module: str, folder: Path) -> subprocess.Popen[bytes]:
    new_group = 0 if POSIX else getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        # -P: a file in the working folder must not shadow a module of the standard library.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={
            **os.environ,
            # Sets of text are walked in the same order each time: same seed, same figures.
            "PYTHONHASHSEED": "0",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
            "TOKENIZERS_PARALLELISM": "false",
            "MPLBACKEND": "Agg",
            # Threads that wait spin for a moment, some tens of microseconds, and then sleep. The
            # usual spin is much longer and, on a busy machine, keeps the working threads from
            # running; without any, waking up eats what a second thread gains on small tensors.
            "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "50000"),
            # Training frees and asks for the same megabytes at every step. glibc would give them
            # back to the system each time, and pay for every page again.
            "MALLOC_MMAP_THRESHOLD_": os.environ.get("MALLOC_MMAP_THRESHOLD_", "1073741824"),
            "MALLOC_TRIM_THRESHOLD_": os.environ.get("MALLOC_TRIM_THRESHOLD_", "2147483647"),
        },
        start_new_session=POSIX,
        creationflags=new_group,
    )


def _reap(process: subprocess.Popen[bytes]) -> tuple[int, Usage]:
    """Wait for the end of a process; its exit code, and what it has used."""
    if not hasattr(os, "wait4"):
        return process.wait(), Usage()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    resident = used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    seconds = round(used.ru_utime + used.ru_stime, 3)
    return process.returncode, Usage(seconds, resident // 2**20)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe

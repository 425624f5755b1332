"""One judge and one worker, with the pipes between them and to the parent.

They are started before it is known what to grade: the worker confines itself, the judge
collects the checks, and both wait. `begin` then says what to grade. A session that was made
ready ahead has a verdict sooner, and one that is not needed any more is just closed.
"""

from __future__ import annotations

import contextlib
import math
import os
import queue
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from llmpath.grading.children import Child, ChildrenError, Nursery, Role
from llmpath.grading.events import Ended, Event, read
from llmpath.grading.output import Output
from llmpath.grading.report import Frame
from llmpath.grading.request import GradeRequest
from llmpath.grading.usage import own_share, resident, size_of
from llmpath.grading.wire import Closed, Stream, WireError

MAX_PROCESSES = 64
MAX_DISK = 256 * 2**20  # bytes in the scratch folder


@dataclass(frozen=True)
class Setting:
    """What has to be known to make a session ready; all else can wait.

    Attributes:
        checks: checks.py.
        state: when checks.py was last changed, in nanoseconds: a session that has collected
            other checks is of no use.
        file: the name of the learner's file.
        confine: whether to confine the worker.
        cpu_seconds: processor time that each process of the worker may use.
        hidden: folders that it must not read, even if packages are installed around them.
    """

    checks: Path
    state: int
    file: str
    confine: bool
    cpu_seconds: int
    hidden: tuple[Path, ...]

    @classmethod
    def of(cls, request: GradeRequest) -> Self:
        """What a session for this request has to be made ready for, as checks.py is now."""
        checks = (request.folder / "checks.py").resolve()
        try:
            state = checks.stat().st_mtime_ns
        except OSError:
            state = 0  # the judge says what is the matter with it
        return cls(
            checks=checks,
            state=state,
            file=request.lab.file,
            confine=request.isolation != "off",
            cpu_seconds=math.ceil(request.lab.limits.seconds) + 5,
            hidden=(request.folder.resolve().parent,),
        )


class Session:
    """One judge and one worker, with the pipes between them and to us.

    Args:
        nursery: starts them.
        setting: what they are made ready for.

    Raises:
        ChildrenError: if they cannot be started, or there is no room for their files.
    """

    def __init__(self, nursery: Nursery, setting: Setting) -> None:
        self.setting = setting
        self.importing = False
        self._output: Output | None = None
        self._judge_size = 0
        self._nursery = nursery
        self._folder = _scratch_folder()
        self._where = self._folder / "where.txt"
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._children: list[Child] = []
        self._readers: list[threading.Thread] = []
        self._order = -1
        self._ordering = threading.Lock()
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        setting = self.setting
        worker = {
            "file": str(self._folder / setting.file),
            "where": str(self._where),
            "confine": setting.confine,
            "hidden": [str(folder) for folder in setting.hidden],
            "cpu_seconds": setting.cpu_seconds,
        }
        with contextlib.ExitStack() as ours:
            to_worker, to_judge, verdicts, output = (_pipe(ours) for _ in range(4))
            self._begin("worker", worker, (to_worker[0], to_judge[1], output[1]))
            judge = {"checks": str(setting.checks)}
            self._begin("judge", judge, (to_judge[0], to_worker[1], verdicts[1]))
            # What to grade reaches the judge where the worker's answers do. So the worker cannot
            # be asked for anything, and no learner code runs, before the judge has read it.
            self._order = os.dup(to_judge[1])
            self._read(self._read_verdicts, os.dup(verdicts[0]))
            self._read(self._read_output, os.dup(output[0]))

    def begin(
        self,
        source: bytes,
        thread: Mapping[str, tuple[str, bytes]],
        order: Mapping[str, Any],
        output: Output,
    ) -> None:
        """Say what to grade.

        Args:
            source: the learner's file.
            thread: for each earlier lab, the name and the content of the file that stands for it.
            order: what the judge needs to know, but for where the files of `thread` are.
            output: keeps what learner code prints.

        Raises:
            ChildrenError: if the files cannot be written where learner code finds them.
        """
        self._output = output
        self._judge_size = self._size_of_judge()
        try:
            files = self._write(source, thread)
        except OSError as error:
            raise _unwritable(error) from error
        with self._ordering, contextlib.suppress(Closed):  # it has ended: its events tell
            if self._order >= 0:
                Stream(-1, self._order).send({**order, "thread": files})
        self._withdraw()

    def _write(self, source: bytes, thread: Mapping[str, tuple[str, bytes]]) -> dict[str, str]:
        """Write the learner's file and those of earlier labs; where the latter are."""
        (self._folder / self.setting.file).write_bytes(source)
        files = {}
        for lab, (name, content) in thread.items():
            copy = self._folder / "earlier" / lab / name
            copy.parent.mkdir(parents=True)
            copy.write_bytes(content)
            files[lab] = str(copy)
        return files

    def _withdraw(self) -> None:
        """Close our end of the pipe to the judge, which then sees the worker end."""
        with self._ordering:
            if self._order >= 0:
                os.close(self._order)
                self._order = -1

    def _begin(self, role: Role, config: dict[str, Any], fds: tuple[int, int, int]) -> None:
        self._children.append(self._nursery.start(role, config, self._folder, fds))

    def _read(self, target: Any, descriptor: int) -> None:
        thread = threading.Thread(target=target, args=(descriptor,), daemon=True)
        thread.start()
        self._readers.append(thread)

    def _read_verdicts(self, descriptor: int) -> None:
        stream = Stream(descriptor, -1)
        try:
            while True:
                self._events.put(read(stream.receive()[0]))
        except WireError:
            self._events.put(Ended())
        finally:
            os.close(descriptor)

    def _read_output(self, descriptor: int) -> None:
        # To the end, whatever is kept: a full pipe would stop the learner's code.
        while data := os.read(descriptor, 1 << 16):
            if self._output is not None:  # learner code has begun
                self._output.add(data)
        os.close(descriptor)
        self._withdraw()  # a worker that ends before it has begun must not be waited for

    def require_started(self) -> None:
        """Wait until both have begun; `ChildrenError` if they could not be started."""
        for child in self._children:
            child.pid  # noqa: B018 - asking for it is waiting for it

    def event(self, timeout: float) -> Event | None:
        """The judge's next event; None if there was none for `timeout` seconds."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def peak_mb(self) -> int:
        """The resident memory of the worker at its most so far, in MiB; 0 where nothing tells."""
        with contextlib.suppress(OSError, IndexError, ChildrenError):
            status = Path(f"/proc/{self._children[0].pid}/status").read_text(encoding="ascii")
            peak = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
            return int(peak[1]) // 1024 if peak else 0
        return 0

    def excess(self, memory_mb: int) -> str:
        """What is used too much of, as a sentence; "" if nothing.

        Args:
            memory_mb: the resident memory that the worker and its children may use together,
                and that the judge may need for what they have answered, in MiB.
        """
        processes: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error, IndexError):
            worker = psutil.Process(self._children[0].pid)
            processes = [worker, *worker.children(recursive=True)]
        if len(processes) > MAX_PROCESSES:
            return f"it started more than the {MAX_PROCESSES} processes that it may"
        limit = memory_mb * 2**20
        if sum(map(resident, processes)) > limit and sum(map(own_share, processes)) > limit:
            return f"it used more than the {memory_mb} MB of memory that it may"
        if self._size_of_judge() - self._judge_size > limit:
            return f"what it returned takes more than the {memory_mb} MB of memory that it may"
        if size_of(self._folder) > MAX_DISK:
            return f"it wrote more than the {MAX_DISK // 2**20} MB that it may"
        return ""

    def _size_of_judge(self) -> int:
        with contextlib.suppress(psutil.Error):
            return resident(psutil.Process(self._children[1].pid))
        return 0

    def running_line(self, file: str, source: bytes) -> tuple[Frame, ...]:
        """The line of the learner's file that the worker is at, where that can be told."""
        if not hasattr(signal, "SIGUSR1") or not self._children:
            return ()
        with contextlib.suppress(OSError):
            os.kill(self._children[0].pid, signal.SIGUSR1)
        found: list[tuple[str, str]] = []
        for _ in range(20):
            time.sleep(0.01)
            with contextlib.suppress(OSError, ValueError):
                text = _read_regular(self._where, 20_000)
                found = re.findall(rf'{re.escape(file)}", line (\d+) in (\S+)', text)
            if found:
                break
        lines = source.decode(errors="replace").splitlines()
        return tuple(
            Frame(file=file, line=int(line), function=name, text=_line(lines, int(line)))
            for line, name in reversed(found[:8])
        )

    def end_worker(self) -> int | None:
        """End the worker, and return its exit code (negative: the signal that ended it)."""
        # It may be about to exit by itself, with a code that is worth telling.
        with contextlib.suppress(psutil.Error):
            psutil.Process(self._children[0].pid).wait(timeout=0.2)
        return self._children[0].end()

    def close(self) -> None:
        """End both processes and wait until their pipes are read to the end."""
        for child in self._children:
            with contextlib.suppress(ChildrenError):
                child.end()
        # What has not begun holds its ends of the pipes until the server ends.
        begun = all(child.begun for child in self._children)
        for thread in self._readers:
            thread.join(timeout=1.0 if begun else 0.0)
        self._withdraw()
        remove(self._folder)


def _unwritable(error: OSError) -> ChildrenError:
    """The error of a grading whose files cannot be written."""
    where = error.filename or tempfile.gettempdir()
    return ChildrenError(f"{where} cannot be written: {error.strerror}")


def _scratch_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="llmpath-"))
    except OSError as error:
        raise _unwritable(error) from error


def remove(folder: Path) -> None:
    """Remove a scratch folder, however deep it was made; what resists is left to the system."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        with contextlib.suppress(OSError):
            subprocess.run(["rm", "-rf", "--", str(folder)], capture_output=True, check=False)


def _read_regular(path: Path, limit: int) -> str:
    """The beginning of a file, if it is one and no pipe, link or device put in its place."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        return os.read(descriptor, limit).decode(errors="replace")
    finally:
        os.close(descriptor)


def _pipe(closing: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        closing.callback(os.close, end)
    return ends


def _line(lines: list[str], number: int) -> str:
    return lines[number - 1].rstrip() if 0 < number <= len(lines) else ""

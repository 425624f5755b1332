"""Starts and ends the judge and the worker: the one place where gradings make processes.

On Linux both are forked from a `forkserver` that has torch loaded. Elsewhere, where
forking a process that has loaded system frameworks is not safe (macOS) or does not
exist (Windows), they are fresh interpreters; the rest of the grader sees no difference.

This module imports little, so that a server can be started, and import what it always needs,
while its parent is still finding out what to grade.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

StartMethod = Literal["fork", "fresh"]
Role = Literal["judge", "worker"]
PATIENCE = 0.5  # seconds, at most, that ending a child waits for its beginning
MAX_REQUEST = 1 << 16  # bytes of one request to the fork server

# What children inherit of the environment: where programs and libraries are, the
# language, and which devices there are. Not: Python's own settings, tokens, keys.
INHERITED = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "SYSTEMROOT",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "USERPROFILE",
        "APPDATA",
        "LOCALAPPDATA",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_HOME",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX",
    ]
)

# -P: the current folder, which is the learner's, is not searched for modules.
_PYTHON = (sys.executable, "-P", "-m")


def default_method() -> StartMethod:
    """How children are started on this machine."""
    return "fork" if sys.platform == "linux" else "fresh"


class Child(Protocol):
    """A judge or a worker."""

    @property
    def pid(self) -> int:
        """Its process id. It is waited for; `ChildrenError` if the child could not be started."""

    @property
    def begun(self) -> bool:
        """Whether it is known to have begun."""

    def end(self) -> int | None:
        """Kill it with its process group, and return its exit code where that is known.

        A child of a server that is still importing has not begun, and is not waited for.
        """


class Nursery(Protocol):
    """Starts children; a context that ends them all on exit."""

    def load(self, modules: Mapping[Role, Sequence[str]]) -> None:
        """Have each role's modules imported before its children begin.

        Args:
            modules: names of modules, each alone or as `module:name`, which also looks the
                name up, so that a package that loads its parts when asked for loads this one.
        """

    def start(
        self, role: Role, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        """Start `role` with its three standard descriptors; the caller still closes its own."""

    def __enter__(self) -> Nursery:
        """Itself."""

    def __exit__(self, *error: object) -> None:
        """End everything that was started."""


def nursery(method: StartMethod | None = None) -> Nursery:
    """A nursery of the kind that suits this machine, unless a kind is asked for."""
    return _ForkServer() if (method or default_method()) == "fork" else _Fresh()


def environment() -> dict[str, str]:
    """The environment of a child process."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in INHERITED}
    # Sets and dicts of text are walked in the same order each time: the same seed, the
    # same report.
    settings = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **settings, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class _ForkServer:
    """Children forked from one server process."""

    def __init__(self) -> None:
        # Packets keep their bounds, so that each request is received as it was sent.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*_PYTHON, "llmpath.grading.forkserver"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        self._asked: deque[_Forked] = deque()  # whose process id is still to be received
        self._living: set[int] = set()

    def load(self, modules: Mapping[Role, Sequence[str]]) -> None:
        # One process for both: what one role needs costs the other one nothing. No answer is
        # waited for: what is asked for next waits its turn.
        self._send({"load": sorted({name for names in modules.values() for name in names})})

    def start(
        self, role: Role, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        # No answer is waited for here, either: there is enough to do while a server imports.
        self._send({"role": role, "config": config, "folder": str(folder)}, descriptors)
        child = _Forked(self)
        self._asked.append(child)
        return child

    def settles(self, timeout: float) -> bool:
        """Whether the next answer comes in time, which it does not in the midst of an import."""
        return bool(select.select([self._control], [], [], timeout)[0])

    def settle(self) -> None:
        """Receive the process ids of all children that were asked for."""
        while self._asked:
            pid = int(self._receive()["pid"])
            self._asked.popleft().started(pid)
            self._living.add(pid)

    def end(self, pid: int) -> int:
        """Kill a child with its process group; its exit code."""
        self.settle()
        self._send({"reap": pid})
        code = int(self._receive()["code"])
        self._living.discard(pid)
        return code

    def _receive(self) -> dict[str, Any]:
        """The server's next answer."""
        try:
            answer = self._control.recv(MAX_REQUEST)
        except OSError:
            answer = b""
        if not answer:
            raise self._gone()
        return dict(json.loads(answer))

    def _send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], list(descriptors))
        except OSError as error:
            raise self._gone() from error

    def _gone(self) -> ChildrenError:
        return ChildrenError(f"the grading server ended (exit code {self._process.poll()})")

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        self._control.close()
        if not self._living:
            # It may be in the midst of an import. Children that it has just started die with it.
            self._process.kill()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Forked:
    """A child of the fork server."""

    def __init__(self, server: _ForkServer) -> None:
        self._server = server
        self._pid = 0
        self._code: int | None = None
        self._ended = False

    def started(self, pid: int) -> None:
        """Note its process id."""
        self._pid = pid

    @property
    def pid(self) -> int:
        if not self._pid:
            self._server.settle()
        return self._pid

    @property
    def begun(self) -> bool:
        return bool(self._pid)

    def end(self) -> int | None:
        if not self._ended:
            self._ended = True
            if self._pid or self._server.settles(PATIENCE):
                self._code = self._server.end(self.pid)
        return self._code


class _Fresh:
    """Children that are interpreters of their own."""

    def __init__(self) -> None:
        self._modules: dict[Role, tuple[str, ...]] = {"judge": (), "worker": ()}
        self._children: list[_Interpreter] = []

    def load(self, modules: Mapping[Role, Sequence[str]]) -> None:
        for role, names in modules.items():
            self._modules[role] = tuple(dict.fromkeys((*self._modules[role], *names)))

    def start(
        self, role: Role, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        stdin, stdout, stderr = descriptors
        process = subprocess.Popen(
            [*_PYTHON, "llmpath.grading.fresh", role, json.dumps(config), *self._modules[role]],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )
        child = _Interpreter(process)
        self._children.append(child)
        return child

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._children:
            child.end()


class _Interpreter:
    """A child that is an interpreter of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def begun(self) -> bool:
        return True

    def end(self) -> int | None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg") and self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        return self._process.wait()


class ChildrenError(Exception):
    """A child process could not be started."""

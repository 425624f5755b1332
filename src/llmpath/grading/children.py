"""Starts and ends the judge and the worker: the one place where gradings make processes.

On Linux both are forked from a `forkserver` that has torch loaded. Elsewhere, where
forking a process that has loaded system frameworks is not safe (macOS) or does not
exist (Windows), they are fresh interpreters; the rest of the grader sees no difference.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, Protocol

StartMethod = Literal["fork", "fresh"]

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

    pid: int

    def end(self) -> int | None:
        """Kill it with its process group, and return its exit code where that is known."""


class Nursery(Protocol):
    """Starts children, and ends them all when it is closed."""

    def start(
        self, role: str, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        """Start `role` with its three standard descriptors; the caller still closes its own."""

    def close(self) -> None:
        """End everything that was started."""


def nursery(preload: tuple[str, ...], method: StartMethod | None = None) -> Nursery:
    """A nursery of the kind that suits this machine, unless a kind is asked for."""
    if (method or default_method()) == "fork":
        return _ForkServer(preload)
    return _Fresh(preload)


def environment() -> dict[str, str]:
    """The environment of a child process."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in INHERITED}
    # Sets and dicts of text are walked in the same order each time: the same seed, the
    # same report.
    settings = {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **settings, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class _ForkServer:
    """Children forked from one server process."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*_PYTHON, "llmpath.grading.forkserver", *preload],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        self._control = ours
        self._answers = ours.makefile("rb")

    def start(
        self, role: str, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        message = {"role": role, "config": config, "folder": str(folder)}
        return _Forked(self, int(self.ask(message, descriptors)["pid"]))

    def ask(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> dict[str, Any]:
        """Send one request to the server and wait for its answer."""
        data = json.dumps(message).encode() + b"\n"
        try:
            sent = socket.send_fds(self._control, [data], list(descriptors))
            self._control.sendall(data[sent:])
            answer = self._answers.readline()
        except OSError:
            answer = b""
        if not answer:
            raise ChildrenError(f"the grading server ended (exit code {self._process.poll()})")
        return dict(json.loads(answer))

    def close(self) -> None:
        self._answers.close()
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class _Forked:
    """A child of the fork server."""

    def __init__(self, server: _ForkServer, pid: int) -> None:
        self._server = server
        self.pid = pid
        self._code: int | None = None
        self._ended = False

    def end(self) -> int | None:
        if not self._ended:
            self._ended = True
            self._code = int(self._server.ask({"reap": self.pid})["code"])
        return self._code


class _Fresh:
    """Children that are interpreters of their own."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        self._preload = preload
        self._children: list[_Interpreter] = []

    def start(
        self, role: str, config: dict[str, Any], folder: Path, descriptors: tuple[int, int, int]
    ) -> Child:
        stdin, stdout, stderr = descriptors
        process = subprocess.Popen(
            [*_PYTHON, "llmpath.grading.fresh", role, json.dumps(config), *self._preload],
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

    def close(self) -> None:
        for child in self._children:
            child.end()


class _Interpreter:
    """A child that is an interpreter of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def end(self) -> int | None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg") and self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._process.kill()
        return self._process.wait()


class ChildrenError(Exception):
    """A child process could not be started."""

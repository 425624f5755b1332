"""A process that has imported what gradings need, and forks judges and workers from it.

Importing torch and pytest takes seconds, forking takes milliseconds. The server runs no
learner code and no tensor operation itself (so that no thread is lost in a fork); it
reads one request a packet from the socket that is its stdin. When its parent goes away, so
do it and everything that it has started.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from typing import Any

from llmpath.grading import imports, sandbox
from llmpath.grading.children import MAX_REQUEST

CHILD_DESCRIPTORS = 3
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Load what every grading needs, then serve until the socket closes."""
    control = socket.socket(fileno=os.dup(0))
    imports.load(["llmpath.grading.worker", "llmpath.grading.judge"])
    sandbox.load()
    _adopt_orphans()
    children: set[int] = set()
    try:
        while (request := _receive(control)) is not None:
            message, descriptors = request
            if "load" in message:
                imports.load(message["load"])
            elif "reap" in message:
                _answer(control, _reap(message["reap"], children))
            else:
                _answer(control, _fork(control, message, descriptors, children))
    finally:
        for child in children:
            _kill(child)
        _end_orphans(set())


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    try:
        data, descriptors, _, _ = socket.recv_fds(control, MAX_REQUEST, CHILD_DESCRIPTORS)
    except ConnectionResetError:  # the parent was killed with an answer of ours still unread
        return None
    return (json.loads(data), list(descriptors)) if data else None


def _answer(control: socket.socket, answer: dict[str, Any]) -> None:
    control.send(json.dumps(answer).encode())


def _reap(child: int, children: set[int]) -> dict[str, Any]:
    """Kill a child and what it has left behind; its exit code."""
    _kill(child)
    children.discard(child)
    _, status = os.waitpid(child, 0)
    _end_orphans(children)
    return {"code": os.waitstatus_to_exitcode(status)}


def _fork(
    control: socket.socket, message: dict[str, Any], descriptors: list[int], children: set[int]
) -> dict[str, Any]:
    gc.freeze()  # keeps the pages shared with the children from being copied
    server = os.getpid()
    child = os.fork()
    if child == 0:
        control.detach()
        _become(message, descriptors, server)
    for descriptor in descriptors:
        os.close(descriptor)
    children.add(child)
    return {"pid": child}


def _become(message: dict[str, Any], descriptors: list[int], server: int) -> None:
    """Turn this fork into a judge or a worker; never returns."""
    code = 1
    try:
        os.setsid()
        die_with_parent(server)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(CHILD_DESCRIPTORS, max(descriptors) + 64)
        os.chdir(message["folder"])
        module = importlib.import_module(f"llmpath.grading.{message['role']}")
        module.main(message["config"])
        code = 0
    finally:
        os._exit(code)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to end this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _adopt_orphans() -> None:
    """Become the parent of whatever a worker leaves behind, also from new sessions (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _end_orphans(children: set[int]) -> None:
    """End what the worker that has just ended left behind, until nothing of it is left."""
    while orphans := _own() - children:
        for orphan in orphans:
            _kill(orphan)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)


def _own() -> set[int]:
    """The children of this process, which has one thread."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return set(map(int, file.read().split()))
    except OSError:  # a kernel without that file: all processes are looked through
        import psutil

        return {child.pid for child in psutil.Process().children()}


def _kill(child: int) -> None:
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(child, signal.SIGKILL)


if __name__ == "__main__":
    main()

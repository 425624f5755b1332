"""The worker: the one process that runs learner code during a grading.

It imports the learner's file, then does as the judge's frames ask: look up a name,
call it, index a result, take a gradient. It never sees the checks, and nothing it
sends is believed by virtue of being sent: verdicts are the judge's alone.

`main` confines the process before any learner code is imported. What answering needs of llmpath is
imported by then as well, so learner code cannot put a module of its own in its place.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from llmpath.codec import CodecError, Decoder, Encoder
from llmpath.grading.account import cut, explain
from llmpath.grading.changes import identical, snapshot
from llmpath.grading.handles import Handles
from llmpath.grading.learner import import_file, require_python
from llmpath.grading.sandbox import confine
from llmpath.grading.seeding import seed_everything
from llmpath.grading.vjp import vjp
from llmpath.grading.warmup import warm_up
from llmpath.grading.wire import Closed, Stream


def main(config: dict[str, Any]) -> None:
    """Serve one judge until it closes the pipe.

    Args:
        config: `file` (the learner's file, inside the scratch folder, where it will stand once
            the judge asks to import it), `where` (a file for the line that was running when time
            ran out), `confine` (whether to), `cpu_seconds` and `hidden` (folders that must not be
            read).
    """
    reading, writing = os.dup(0), os.dup(1)
    _detach_standard_streams()
    _listen_for_timeouts(config["where"])
    folder = Path(config["file"]).parent
    _settle_in(folder)
    stream = Stream(reading, writing)
    # Before any learner code, so what it says is true.
    force: frozenset[str] = frozenset()
    if config["confine"]:
        hidden = tuple(Path(name) for name in config["hidden"])
        force = confine(folder, config["cpu_seconds"], hidden)
    stream.send({"isolation": sorted(force)})
    _settle_threads()
    warm_up()
    Worker(stream, config).serve()


def _settle_threads() -> None:
    """One thread for each tensor operation: those of checks are small, and threads have a price.

    On a busy machine, waiting for a second one takes many times as long as the operation.
    """
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def _settle_in(folder: Path) -> None:
    """Make the scratch folder the home and the place of temporary files."""
    for name, path in (("HOME", folder / "home"), ("TMPDIR", folder / "tmp")):
        path.mkdir()
        os.environ[name] = str(path)


# Streams that stay open for the life of the process are no contexts.
# ruff: noqa: SIM115


def _detach_standard_streams() -> None:
    """Give learner code an empty stdin, and its report's pipe (descriptor 2) as stdout."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout, sys.stderr = _writing(1), _writing(2)


def _writing(descriptor: int) -> TextIO:
    """A stream of text that is sent line by line, and never fails for a character."""
    return open(
        descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
    )


def _listen_for_timeouts(where: str) -> None:
    """Have the stack written to `where` on SIGUSR1, even from within a C loop."""
    if hasattr(faulthandler, "register"):
        import signal

        file = open(where, "w", encoding="utf-8")
        faulthandler.register(signal.SIGUSR1, file=file, all_threads=False)


class Worker:
    """Answers the judge's frames with the learner's module.

    Args:
        stream: the pipe to the judge.
        config: as `main` takes it.
    """

    def __init__(self, stream: Stream, config: dict[str, Any]) -> None:
        self._stream = stream
        self._file = Path(config["file"])
        self._module: ModuleType | None = None
        self._handles = Handles()
        # Learner code may have threads that call a check's functions. On the pipe they take turns;
        # whoever waits for a frame there is the only one who does.
        self._turn = threading.RLock()

    def serve(self) -> None:
        """Answer requests until the judge closes the pipe."""
        while True:
            try:
                with self._turn:
                    request, blob = self._stream.receive()
            except Closed:
                return
            self._answer(request, blob)

    def _answer(self, request: dict[str, Any], blob: bytes) -> None:
        operations: dict[str, Callable[[dict[str, Any], Decoder], Any]] = {
            "import": self._import,
            "attribute": self._attribute,
            "set": self._set,
            "call": self._call,
            "item": self._item,
            "length": self._length,
            "iterate": self._iterate,
            "vjp": self._vjp,
        }
        encoder = Encoder(self._handle)
        request["_blob"] = blob
        reply: dict[str, Any] = {"seq": request["seq"]}
        try:
            self._handles.release(request.get("dropped", ()))
            if "seed" in request:
                seed_everything(request["seed"])
            result = operations[request["op"]](request, Decoder(blob, self._refer))
            value, changed = result if isinstance(result, _Changed) else (result, {})
            reply["value"] = encoder.encode(value)
            if changed:
                reply["changed"] = encoder.encode(changed)
            with self._turn:
                self._stream.send(reply, encoder.blob())
        except Closed:
            return
        except BaseException as error:  # learner code may raise anything, SystemExit included
            account = explain(error, self._file.parent)
            with self._turn:
                self._stream.send({"seq": request["seq"], "error": account})

    # What the judge may ask for

    def _import(self, request: dict[str, Any], decoder: Decoder) -> None:
        if request["thread"]:
            from llmpath.labkit import thread

            thread.configure(request["thread"])
        require_python(self._file)
        self._module = import_file(self._file)

    def _attribute(self, request: dict[str, Any], decoder: Decoder) -> Any:
        target, name = self._target(request), request["name"]
        if target is self._module and not hasattr(target, name):
            raise AttributeError(f"there is no `{name}` in {self._file.name}")
        return getattr(target, name)

    def _set(self, request: dict[str, Any], decoder: Decoder) -> None:
        setattr(self._target(request), request["name"], decoder.decode(request["value"]))

    def _call(self, request: dict[str, Any], decoder: Decoder) -> Any:
        args = decoder.decode(request["args"])
        kwargs = decoder.decode(request["kwargs"])
        before = snapshot(args, kwargs)
        value = self._target(request)(*args, **kwargs)
        if before and before == snapshot(args, kwargs):
            return value
        return _Changed(value, self._changes(request, args, kwargs))

    def _item(self, request: dict[str, Any], decoder: Decoder) -> Any:
        return self._target(request)[decoder.decode(request["key"])]

    def _length(self, request: dict[str, Any], decoder: Decoder) -> Any:
        return len(self._target(request))

    def _iterate(self, request: dict[str, Any], decoder: Decoder) -> Any:
        """The next `count` items of an iterator handle, or of a new iterator over a value."""
        target = self._target(request)
        iterator = target if request["started"] else iter(target)
        items = []
        for item in iterator:
            items.append(item)
            if len(items) == request["count"]:
                break
        return (_Opaque(iterator), items)

    def _vjp(self, request: dict[str, Any], decoder: Decoder) -> Any:
        names = ("args", "kwargs", "cotangent")
        args, kwargs, cotangent = (decoder.decode(request[name]) for name in names)
        return vjp(self._target(request), args, kwargs, cotangent)

    # How values cross

    def _target(self, request: dict[str, Any]) -> Any:
        handle = request.get("handle")
        return self._module if handle is None else self._handles[handle]

    def _refer(self, kind: str, value: Any) -> Any:
        if kind == "handle":
            return self._handles[value]
        if kind == "callback":
            return _Callback(self, value["id"], value["name"])
        raise CodecError(f"a value of the unknown kind {kind!r}")

    def _handle(self, value: Any) -> dict[str, Any]:
        value = value.value if isinstance(value, _Opaque) else value
        if isinstance(value, _Callback):
            return {"t": "callback", "v": {"id": value.number, "name": value.__name__}}
        number = self._handles.number_of(value)
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        own = getattr(value, "__qualname__", "") if callable(value) else ""
        return {
            "t": "handle",
            "v": {"id": number, "type": cut(name), "name": cut(str(own))},
        }

    def _changes(self, request: dict[str, Any], args: Any, kwargs: Any) -> dict[Any, Any]:
        """Arguments that the call changed in place, by position or keyword."""
        changed = {}
        originals = Decoder(request["_blob"], self._refer)
        for key, before, after in [
            *((i, b, a) for i, (b, a) in enumerate(zip(request["args"], args, strict=True))),
            *(
                (b[0], b[1], a)
                for b, a in zip(request["kwargs"]["v"], kwargs.values(), strict=True)
            ),
        ]:
            compound = isinstance(before, (list, dict))
            if compound and not identical(originals.decode(before), after):
                changed[key] = after
        return changed

    def call_back(self, number: int, args: Any, kwargs: Any) -> Any:
        """Have the judge call a function that a check passed."""
        encoder = Encoder(self._handle)
        message = {
            "callback": number,
            "args": encoder.encode(list(args)),
            "kwargs": encoder.encode(kwargs),
        }
        with self._turn:
            self._stream.send(message, encoder.blob())
            while True:
                reply, blob = self._stream.receive()
                if "op" in reply:  # the check's function uses the proxy in turn
                    self._answer(reply, blob)
                    continue
                if "error" in reply:
                    raise CallbackError(reply["error"])
                return Decoder(blob, self._refer).decode(reply["value"])


class CallbackError(Exception):
    """A function that a check passed in has raised."""


class _Changed(tuple[Any, dict[Any, Any]]):
    """A call's value, with the arguments that the call changed in place."""

    __slots__ = ()

    def __new__(cls, value: Any, changed: dict[Any, Any]) -> _Changed:
        return super().__new__(cls, (value, changed))


class _Opaque:
    """Marks a value that crosses as a handle even if it is data."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Callback:
    """A function of the check, as learner code sees it."""

    def __init__(self, worker: Worker, number: int, name: str) -> None:
        self._worker = worker
        self.number = number
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._worker.call_back(self.number, args, kwargs)

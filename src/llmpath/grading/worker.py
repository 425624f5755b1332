"""The worker: the one process that runs learner code during a grading.

It imports the learner's file, then does as the judge's frames ask: look up a name,
call it, index a result, take a gradient. It never sees the checks, and nothing it
sends is believed by virtue of being sent: verdicts are the judge's alone.

This module does not confine itself; `forkserver` and `children` do that before
`main` runs.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import linecache
import marshal
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import Any

from llmpath.codec import CodecError, Decoder, Encoder
from llmpath.grading.sandbox import confine
from llmpath.grading.warmup import warm_up
from llmpath.grading.wire import Closed, Stream

MAX_TEXT = 2000
MAX_FRAMES = 12


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
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", buffering=1, errors="backslashreplace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)


def _listen_for_timeouts(where: str) -> None:
    """Have the stack written to `where` on SIGUSR1, even from within a C loop."""
    if hasattr(faulthandler, "register"):
        import signal

        file = open(where, "w")
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
        self._handles: dict[int, Any] = {}  # by number
        self._numbers: dict[int, int] = {}  # by the identity of the object
        self._uses: Counter[int] = Counter()  # how many handles of the judge's have the number
        self._next = 0
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
            self._release(request.get("dropped", ()))
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
            with self._turn:
                self._stream.send({"seq": request["seq"], "error": self._explain(error)})

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
        before = _snapshot(args, kwargs)
        value = self._target(request)(*args, **kwargs)
        if before and before == _snapshot(args, kwargs):
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
        import torch

        function = self._target(request)
        args = decoder.decode(request["args"])
        kwargs = decoder.decode(request["kwargs"])
        cotangent = decoder.decode(request["cotangent"])
        inputs = [a.requires_grad_() if _differentiable(a) else None for a in args]
        # Of a method, its module's parameters.
        module = function if hasattr(function, "named_parameters") else _owner(function)
        named = dict(module.named_parameters()) if hasattr(module, "named_parameters") else {}
        learning = {name: value for name, value in named.items() if value.requires_grad}
        output = function(*args, **kwargs)
        wanted = [a for a in inputs if a is not None] + list(learning.values())
        gradients: list[Any] = [None] * len(wanted)
        if isinstance(output, torch.Tensor) and output.requires_grad:
            # A scalar: autograd.grad with a cotangent of its own imports sympy first (0.5 s).
            scalar = (output * cotangent).sum()
            gradients = list(torch.autograd.grad(scalar, wanted, allow_unused=True))
        by_argument = [None if a is None else gradients.pop(0) for a in inputs]
        return {
            "output": output,
            "args": by_argument,
            "params": dict.fromkeys(named) | dict(zip(learning, gradients, strict=True)),
        }

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
        number = self._numbers.setdefault(id(value), self._next)
        self._next = max(self._next, number + 1)  # a number is not used again
        self._handles[number] = value  # kept alive, so that its id stays its own
        self._uses[number] += 1
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        own = getattr(value, "__qualname__", "") if callable(value) else ""
        return {
            "t": "handle",
            "v": {"id": number, "type": _cut(name), "name": _cut(str(own))},
        }

    def _release(self, dropped: Iterable[int]) -> None:
        """Let go of what the judge has no handle of any more: a check may build large modules."""
        for number in dropped:
            self._uses[number] -= 1
            if self._uses[number] == 0:
                del self._uses[number]
                del self._numbers[id(self._handles.pop(number))]

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
            if compound and not _identical(originals.decode(before), after):
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

    def _explain(self, error: BaseException) -> dict[str, Any]:
        return explain(error, self._file.parent)


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


def _owner(function: Any) -> Any:
    return getattr(function, "__self__", None)


def _differentiable(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor) and value.is_floating_point()


def _snapshot(args: list[Any], kwargs: dict[str, Any]) -> bytes:
    """Bytes that are the same as long as the arguments are; b"" for other than plain data."""
    try:
        return marshal.dumps((args, kwargs), 2)  # a version that does not look at identities
    except ValueError:
        return b""


def _identical(before: Any, after: Any) -> bool:
    """Whether two pieces of data are the same to the bit."""
    if type(before) is not type(after):
        return False
    if isinstance(before, SimpleNamespace):
        return True  # an object that learner code may write to; what it holds is not compared
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(_identical, before, after))
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(
            _identical(value, after[key]) for key, value in before.items()
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(before, torch.Tensor):
        if before.shape != after.shape or before.dtype != after.dtype:
            return False
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    if torch is not None and isinstance(before, torch.Generator):
        return True
    return bool(before is after or before == after or before != before)


def require_python(path: Path) -> None:
    """Raise `SyntaxError` for a file that is no Python, whatever is the matter with it."""
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except ValueError as error:  # before Python 3.12, NUL bytes; undecodable text
        raise SyntaxError(str(error), (str(path), 1, None, "")) from None


def import_file(path: Path) -> ModuleType:
    """Import one file under its own name; a module of the same name elsewhere is hidden."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch, those that are in use."""
    import random

    random.seed(seed)
    if "numpy.random" in sys.modules:
        import numpy

        numpy.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        # torch.manual_seed notes the stack for each kind of device that is not in use (3 ms).
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed_all(seed)


def explain(error: BaseException, folder: Path) -> dict[str, Any]:
    """An exception as text: its type, its message and the frames of files in `folder`."""
    report: dict[str, Any] = {
        "type": _cut(type(error).__name__),
        "bases": [_cut(base.__name__) for base in type(error).__mro__[:8]],
        "message": _message(error),
        "frames": _frames(error.__traceback__, folder),
    }
    if isinstance(error, SyntaxError):
        file, line = error.filename or "", error.lineno or 1
        report["frames"] += [_frame(file, line, "", error.text or "")] if file else []
        report["syntax"] = True
    return report


def _message(error: BaseException) -> str:
    try:
        return _cut(error.msg if isinstance(error, SyntaxError) else str(error))
    except BaseException as second:  # a lying __str__
        return f"(its message could not be read: {type(second).__name__})"


def _frames(trace: TracebackType | None, folder: Path) -> list[dict[str, Any]]:
    found = [
        _frame(code.co_filename, line, code.co_name, "")
        for code, line in ((frame.f_code, line) for frame, line in traceback.walk_tb(trace))
        if Path(code.co_filename).is_relative_to(folder)
    ]
    if len(found) > MAX_FRAMES:
        found = found[: MAX_FRAMES // 2] + found[-MAX_FRAMES // 2 :]
    return found


def _frame(file: str, line: int, function: str, text: str) -> dict[str, Any]:
    text = text or linecache.getline(file, line)
    return {
        "file": _cut(Path(file).name),
        "line": line,
        "function": _cut(function),
        "text": _cut(text.rstrip()),
    }


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"

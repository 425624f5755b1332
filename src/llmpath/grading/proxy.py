"""`lab` as a check sees it: the learner's module, which lives in another process.

Calls take and return data. What is not data stays in the worker and is a `Handle`
here, which can be called, indexed, iterated and asked for attributes. In-place
changes to tensors, lists and dicts are carried back, so that a check can look for
them as if there were one process.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from llmpath.codec import CodecError, Decoder, Encoder, refuse
from llmpath.grading.changes import carry_back
from llmpath.grading.wire import Closed, Stream, WireError

# How many items of a remote iterator one frame brings.
ITEMS_PER_FRAME = 64
MAX_CALLBACKS = 1_000_000


class LearnerError(Exception):
    """The learner's code raised; `report` holds what and where, as text.

    An exception of a builtin type is raised as a subclass of both `LearnerError` and that
    type, so that `pytest.raises(ValueError)` works in a check.
    """

    report: dict[str, Any]


class WorkerDiedError(Exception):
    """The learner's process ended, or sent something that is no answer."""


@dataclass(frozen=True)
class Gradients:
    """What `lab.vjp` found.

    Attributes:
        output: what the function returned.
        args: the gradient for each positional argument; None for those without one.
        params: the gradient for each parameter of a module, by name; None for those that are
            frozen, or that the output does not depend on.
    """

    output: Any
    args: list[Any]
    params: dict[str, Any]


class Connection:
    """Asks the worker, one request at a time."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._seq = 0
        self._callbacks: dict[int, Callable[..., Any]] = {}
        self._called_back = 0
        self._failure: AssertionError | None = None
        self._seed: int | None = None
        self._dropped: list[int] = []

    def drop(self, number: int) -> None:
        """Have the worker let go of what a handle stood for, with the next request."""
        self._dropped.append(number)

    def seed(self, seed: int) -> None:
        """Have the worker's generators seeded, before it does what it is next asked for."""
        self._seed = seed

    def isolation(self) -> list[str]:
        """What the worker says is in force: its first frame, sent before any learner code runs."""
        reply, _ = self._receive()
        found = reply.get("isolation")
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    def order(self) -> dict[str, Any]:
        """What to grade: the parent's one frame, before the worker is asked for anything."""
        order, _ = self._receive()
        return order

    def ask(self, op: str, **fields: Any) -> Any:
        """Send one request and return the value of its reply."""
        value, _ = self.request(op, {}, **fields)
        return value

    def request(self, op: str, data: dict[str, Any], **fields: Any) -> tuple[Any, dict[Any, Any]]:
        """Send a request whose `data` are encoded; return its value and what it changed."""
        self._seq += 1
        seq = self._seq
        encoder = Encoder(self._refer_to)
        encoded = {name: encoder.encode(value) for name, value in data.items()}
        if self._seed is not None:
            fields["seed"], self._seed = self._seed, None
        if self._dropped:
            fields["dropped"], self._dropped = self._dropped, []
        self._send({"seq": seq, "op": op, **fields, **encoded}, encoder.blob())
        while True:
            reply, blob = self._receive()
            if "callback" in reply:
                self._call_back(reply, blob)
                continue
            if reply.get("seq") != seq:
                raise WorkerDiedError("it sent an answer to a question that was not asked")
            return self._settle(reply, blob)

    def _settle(self, reply: dict[str, Any], blob: bytes) -> tuple[Any, dict[Any, Any]]:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if "error" in reply:
            raise learner_error(reply["error"])
        decoder = Decoder(blob, self._other)
        try:
            changed = decoder.decode(reply["changed"]) if "changed" in reply else {}
            value = decoder.decode(reply.get("value"))
        except CodecError as error:
            raise WorkerDiedError(f"it sent something unreadable: {error}") from None
        return value, changed if isinstance(changed, dict) else {}

    def _call_back(self, reply: dict[str, Any], blob: bytes) -> None:
        self._called_back += 1
        function = self._callbacks.get(reply["callback"]) if _hashable(reply["callback"]) else None
        if function is None or self._called_back > MAX_CALLBACKS:
            raise WorkerDiedError("it called a function that it was not given")
        decoder = Decoder(blob, self._other)
        try:
            args, kwargs = decoder.decode(reply.get("args")), decoder.decode(reply.get("kwargs"))
        except CodecError as error:
            raise WorkerDiedError(f"it sent something unreadable: {error}") from None
        encoder = Encoder(self._refer_to)
        try:
            answer = {"value": encoder.encode(function(*args, **kwargs))}
        except AssertionError as error:  # the check's verdict: raised again when the call ends
            self._failure = error
            answer = {"error": "the check's function found something wrong"}
        except (TypeError, ValueError, KeyError, LookupError, RuntimeError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        self._send(answer, encoder.blob())

    def _send(self, message: Any, blob: bytes) -> None:
        try:
            self._stream.send(message, blob)
        except Closed:
            raise WorkerDiedError("it ended") from None

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        try:
            reply, blob = self._stream.receive()
        except Closed:
            raise WorkerDiedError("it ended") from None
        except WireError as error:
            raise WorkerDiedError(f"it sent something unreadable: {error}") from None
        if not isinstance(reply, dict):
            raise WorkerDiedError("it sent something that is no answer")
        return reply, blob

    def _refer_to(self, value: Any) -> dict[str, Any]:
        if isinstance(value, Handle):
            return {"t": "handle", "v": value._number}
        if callable(value):
            number = len(self._callbacks)
            self._callbacks[number] = value
            return {
                "t": "callback",
                "v": {"id": number, "name": getattr(value, "__name__", "function")},
            }
        raise CodecError(f"a check cannot pass a {type(value).__name__} to learner code")

    def _other(self, kind: str, value: Any) -> Any:
        if kind == "handle" and isinstance(value, dict):
            number, type_name, name = value.get("id"), value.get("type"), value.get("name")
            if type(number) is int and isinstance(type_name, str) and isinstance(name, str):
                return Handle(self, number, type_name, name)
        if kind == "callback" and isinstance(value, dict) and _hashable(value.get("id")):
            function = self._callbacks.get(value["id"])
            if function is not None:
                return function
        return refuse(kind, value)


def _hashable(value: Any) -> bool:
    return isinstance(value, int)


class _Remote:
    """What the module and the handles into it have in common."""

    _connection: Connection
    _number: int | None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._connection.ask("attribute", handle=self._number, name=name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute in the worker."""
        self._connection.request("set", {"value": value}, handle=self._number, name=name)


class Lab(_Remote):
    """The learner's module."""

    def __init__(self, connection: Connection) -> None:
        self.__dict__.update(_connection=connection, _number=None)

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if isinstance(value, Handle):
            # A function or class stays what it is for the length of a check; data may not.
            self.__dict__[name] = value
        return value

    def __repr__(self) -> str:
        return "lab"

    def vjp(self, function: Handle, /, *args: Any, cotangent: Any, **kwargs: Any) -> Gradients:
        """The output of `function` and the vector-Jacobian product with `cotangent`.

        Args:
            function: a function or module of the learner's.
            args: its positional arguments; floating-point tensors are differentiated.
            cotangent: the gradient with respect to the output, in the output's shape.
            kwargs: its keyword arguments, not differentiated.
        """
        data = {"args": list(args), "kwargs": kwargs, "cotangent": cotangent}
        number = _handle(function)._number
        value, _ = self._connection.request("vjp", data, handle=number)
        if not isinstance(value, dict) or set(value) != {"output", "args", "params"}:
            raise WorkerDiedError("it sent something that is no answer")
        shape, wanted = getattr(value["output"], "shape", None), cotangent.shape
        # A product would stretch one to the other, and a wrong shape go unnoticed.
        assert shape == wanted, f"the output has shape {_shape(shape)}, not {_shape(wanted)}"
        return Gradients(**value)


class Handle(_Remote):
    """Something in the worker that is not data: a function, a module, a generator, an object.

    Attributes:
        type_name: the full name of its type, as the worker tells it.
    """

    _number: int
    type_name: str
    _name: str

    def __init__(self, connection: Connection, number: int, type_name: str, name: str) -> None:
        self.__dict__.update(
            _connection=connection, _number=number, type_name=type_name, _name=name
        )

    def __del__(self) -> None:
        self._connection.drop(self._number)

    def __eq__(self, other: object) -> bool:
        """Whether both are the same object in the worker."""
        return isinstance(other, Handle) and other._number == self._number

    def __hash__(self) -> int:
        return hash(self._number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the worker; in-place changes to the arguments are carried back."""
        data = {"args": list(args), "kwargs": kwargs}
        value, changed = self._connection.request("call", data, handle=self._number)
        for key, after in changed.items():
            carry_back(_argument(args, kwargs, key), after)
        return value

    def __getitem__(self, key: Any) -> Any:
        value, _ = self._connection.request("item", {"key": key}, handle=self._number)
        return value

    def __len__(self) -> int:
        length = self._connection.ask("length", handle=self._number)
        if type(length) is not int or length < 0:
            raise WorkerDiedError("it sent a length that is none")
        return length

    def __iter__(self) -> Iterator[Any]:
        number, started = self._number, False
        while True:
            answer = self._connection.ask(
                "iterate", handle=number, started=started, count=ITEMS_PER_FRAME
            )
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise WorkerDiedError("it sent something that is no answer")
            iterator, items = answer
            number, started = _handle(iterator)._number, True
            if not isinstance(items, list) or not items:
                return
            yield from items
            if len(items) < ITEMS_PER_FRAME:
                return

    def __bool__(self) -> bool:
        raise AssertionError(f"expected data, got {self!r}")

    def __repr__(self) -> str:
        short = self.type_name.removeprefix("builtins.").rsplit(".", 1)[-1]
        return f"a {short} ({self._name})" if self._name else f"an object of type {short}"


def _shape(shape: Any) -> str:
    return "none, for it is no tensor" if shape is None else str(tuple(shape))


def _handle(value: Any) -> Handle:
    if not isinstance(value, Handle):
        raise AssertionError(f"expected a function or an object, got {value!r:.80}")
    return value


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], key: Any) -> Any:
    if type(key) is int and 0 <= key < len(args):
        return args[key]
    if isinstance(key, str) and key in kwargs:
        return kwargs[key]
    raise WorkerDiedError("it changed an argument that does not exist")


def learner_error(report: Any) -> LearnerError:
    """The exception that stands for one that learner code raised, from its report."""
    if not isinstance(report, dict):
        raise WorkerDiedError("it sent something that is no answer")
    bases = report.get("bases")
    names = [name for name in bases if isinstance(name, str)] if isinstance(bases, list) else []
    kind = _kinds(next((name for name in names if name in _RAISABLE), None))
    error = kind(f"{report.get('type')}: {report.get('message')}")
    error.report = report
    return error


# Builtin exceptions that can be made from one string and that a check may expect.
_RAISABLE = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, (UnicodeError, BaseExceptionGroup, AssertionError))
    and kind not in (Exception, StopIteration, StopAsyncIteration)  # these would end a loop
)


def _kinds(name: str | None) -> type[LearnerError]:
    if name is None:
        return LearnerError
    return type(f"Learner{name}", (LearnerError, getattr(builtins, name)), {})

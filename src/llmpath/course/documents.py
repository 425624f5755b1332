"""The only reader of YAML: bytes become plain data, and every value keeps its place.

What course files need of YAML is read: mappings with text keys, lists, text,
numbers. What surprises people or can be used to exhaust a machine is refused
with its place: anchors and aliases, tags, directives, duplicate keys, deep
nesting, and words without quotes that YAML 1.1 takes for something else
(`yes`, `2024-01-01`, `017`, `1:30`). Events are read one by one and put together
here without recursion, so that no input can overflow a stack.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.course.problems import Problem

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

KeyPath = tuple[str | int, ...]
Data = str | int | float | bool | None | list[Any] | dict[str, Any]

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL_FRACTION = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+][0-9]+)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_TAGS = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Place:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """One YAML file as plain data, with the place of everything in it.

    Attributes:
        name: the file's path as problems name it.
        data: what the file holds; None where it could not be read.
        readable: whether `data` is what the file holds (possibly beside `problems`).
        values: the place of each value, by its path of keys and indices from the root.
        keys: the place of each key, by the path of its value.
        written: scalars as they are written in the file, by path.
        problems: what is wrong with the file as YAML.
    """

    name: str
    data: Data
    readable: bool
    values: Mapping[KeyPath, Place] = field(default_factory=dict)
    keys: Mapping[KeyPath, Place] = field(default_factory=dict)
    written: Mapping[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """The place of a value (or of its key), or of the nearest thing around it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Place(1, 1))

    def problem(self, path: KeyPath, message: str, mend: str = "", *, key: bool = False) -> Problem:
        """A problem with the value at this path (or with its key)."""
        place = self.place(path, key=key)
        return Problem(self.name, place.line, place.column, message, mend)


def read(path: Path, name: str | None = None) -> Document:
    """Read a YAML file. Whatever is wrong with it is in the document's problems.

    Args:
        path: the file.
        name: how problems name it; the path itself if not given.
    """
    name = path.as_posix() if name is None else name
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(Problem(name, 0, 0, *unopened(error)))
    return parse(source, name)


def parse(source: bytes, name: str) -> Document:
    """Parse the bytes of a YAML file. No input whatever makes it raise."""
    if len(source) > MAX_BYTES:
        message = f"The file is larger than {MAX_BYTES // 1_000_000} MB."
        return _unreadable(Problem(name, 0, 0, message, "A course file is a few pages of text."))
    text = decode(source, name)
    if isinstance(text, Problem):
        return _unreadable(text)
    if unprintable := _CONTROL.search(text):
        place = _place_of(text, unprintable.start())
        shown = f"U+{ord(unprintable[0]):04X}"
        message = f"The control character {shown} stands here."
        return _unreadable(Problem(name, place.line, place.column, message, "Delete it."))
    return _Builder(name, text).build()


def decode(source: bytes, name: str) -> str | Problem:
    """The text of a UTF-8 file without its byte order mark, or the problem that prevents it.

    Line endings stay as they are.
    """
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = len(source[: error.start].rpartition(b"\n")[2].decode("utf-8-sig", "replace")) + 1
        byte = source[error.start]
        message = f"The file is not UTF-8: the byte 0x{byte:02x} cannot stand here."
        return Problem(name, line, column, message, "Save the file as UTF-8.")


def unopened(error: OSError) -> tuple[str, str]:
    """What is wrong with a file that cannot be opened, and what to do about it."""
    if isinstance(error, FileNotFoundError):
        return "The file does not exist.", "Create it, or correct the name that refers to it."
    if isinstance(error, IsADirectoryError):
        return "This is a folder; a file belongs here.", ""
    return f"The file cannot be read ({error.strerror or error}).", "Check its permissions."


def _unreadable(problem: Problem) -> Document:
    return Document(problem.path, None, readable=False, problems=(problem,))


def _place_of(text: str, offset: int) -> Place:
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - before.rfind("\n"))


class _Stop(Exception):
    """The rest of the file cannot be made sense of."""


@dataclass
class _Frame:
    """A list or mapping that is still open."""

    container: list[Any] | dict[str, Any]
    path: KeyPath
    key: str | None = None
    skipped: bool = False


class _Builder:
    """Puts the events of one file together."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.data: Data = None
        self.filled = False
        self.frames: list[_Frame] = []
        self.values: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.written: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.skipping = 0

    def build(self) -> Document:
        """Read all events."""
        try:
            self._read_events()
            if not self.filled:
                self._problem(Place(1, 1), "The file is empty.", "Write its keys and values.")
                raise _Stop
        except _Stop:
            return Document(self.name, None, readable=False, problems=tuple(self.problems))
        return Document(
            self.name,
            self.data,
            readable=True,
            values=self.values,
            keys=self.keys,
            written=self.written,
            problems=tuple(self.problems),
        )

    def _problem(self, place: Place, message: str, mend: str = "") -> None:
        self.problems.append(Problem(self.name, place.line, place.column, message, mend))

    def _read_events(self) -> None:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text)
        documents = 0
        try:
            while (event := loader.get_event()) is not None:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    self._document(event, documents)
                elif isinstance(event, yaml.NodeEvent):
                    self._node(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._close()
        except yaml.YAMLError as error:
            self._problem(*_explain(error, self.text))
            raise _Stop from None
        finally:
            loader.dispose()

    def _document(self, event: yaml.DocumentStartEvent, count: int) -> None:
        place = _mark(event.start_mark)
        if count > 1:
            self._problem(place, "A second document begins here.", "Delete the line `---`.")
            raise _Stop
        if event.version or event.tags:
            self._problem(Place(1, 1), "Course files have no `%` directives.", "Delete this line.")

    def _node(self, event: yaml.NodeEvent) -> None:
        """Take in a scalar, or open a list or a mapping."""
        import yaml

        place = _mark(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            message = f"`*{event.anchor}` is an alias, which course files do not have."
            self._problem(place, message, "Write the value out.")
            raise _Stop
        if event.anchor is not None:
            message = f"`&{event.anchor}` is an anchor, which course files do not have."
            self._problem(place, message, "Delete it, and write the value out where it is used.")
        opens = not isinstance(event, yaml.ScalarEvent)
        if event.tag is not None and event.tag != "!":
            self._problem(place, "Course files have no tags (`!…`).", "Delete the tag.")
        if opens and len(self.frames) >= MAX_DEPTH:
            message = f"This is nested more than {MAX_DEPTH} levels deep."
            self._problem(place, message, "No course file needs that; close a bracket earlier.")
            raise _Stop
        if not opens:
            self._scalar(event, place)
        else:
            self._open({} if isinstance(event, yaml.MappingStartEvent) else [], place)

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, event, place)
            return
        path = self._path()
        if control := _CONTROL.search(event.value):
            shown = f"U+{ord(control[0]):04X}"
            self._problem(place, f"This text holds the control character {shown}.", "Delete it.")
        self._put(self._resolve(event, place), path, place)
        if event.implicit[0]:
            self.written[path] = event.value

    def _key(self, frame: _Frame, event: yaml.ScalarEvent, place: Place) -> None:
        key: str = event.value
        if event.implicit[0] and key == "<<":
            self._problem(place, "`<<` merges mappings, which course files do not do.", "Write the keys out.")
            raise _Stop
        path = (*frame.path, key)
        if event.implicit[0] and not isinstance(_plain(key), str):
            message = f"The key `{_short(key)}` is not text."
            self._problem(place, message, "Put it in quotes if it is meant as a name.")
        frame.key = key
        frame.skipped = path in self.keys
        if frame.skipped:
            message = f"`{_short(key)}` stands here a second time; the first is on line {self.keys[path].line}."
            self._problem(place, message, "Keep one of the two.")
        else:
            self.keys[path] = place

    def _resolve(self, event: yaml.ScalarEvent, place: Place) -> Data:
        if not event.implicit[0]:
            return str(event.value)
        value = _plain(event.value)
        if isinstance(value, _Surprise):
            self._problem(place, value.message, value.mend)
            return str(event.value)
        return value

    def _open(self, container: list[Any] | dict[str, Any], place: Place) -> None:
        frame = self.frames[-1] if self.frames else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._problem(place, "A list or mapping stands where a key belongs.", "Use a word as key.")
            raise _Stop
        path = self._path()
        skipping = bool(self.skipping or (frame is not None and frame.skipped))
        self._put(container, path, place)
        self.skipping += skipping
        self.frames.append(_Frame(container, path))

    def _close(self) -> None:
        self.frames.pop()
        self.skipping = max(0, self.skipping - 1)

    def _path(self) -> KeyPath:
        if not self.frames:
            return ()
        frame = self.frames[-1]
        last = len(frame.container) if isinstance(frame.container, list) else frame.key
        return (*frame.path, last if last is not None else "")

    def _put(self, value: Data, path: KeyPath, place: Place) -> None:
        if not self.frames:
            self.data = value
            self.filled = True
            self.values[()] = place
            return
        frame = self.frames[-1]
        skipped = frame.skipped

"""The only reader of YAML: bytes become plain data, and every value keeps its place.

What course files need of YAML is read: mappings with text keys, lists, text,
numbers. What surprises people or can be used to exhaust a machine is refused
with its place: anchors and aliases, tags, directives, duplicate keys, deep
nesting, and words without quotes that YAML 1.1 takes for something else
(`yes`, `2024-01-01`, `017`, `1:30`). Events are read one by one and put together
here without recursion, so that no input can overflow a stack.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from llmpath.course.problems import Problem
from llmpath.course.scalars import Surprise, plain, shown
from llmpath.course.syntax import TOO_DEEP, explain

if TYPE_CHECKING:
    import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_PROBLEMS = 50
# Stands in the path of a left-out value; no key can hold it.
_REPEATED = "\0"

KeyPath = tuple[str | int, ...]
Data = str | int | float | bool | None | list[Any] | dict[str, Any]

# Control characters, the two Unicode line ends that editors do not count, and non-characters.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


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
    if unprintable := _UNPRINTABLE.search(text):
        place = _place_of(text, unprintable.start())
        message = f"The unprintable character U+{ord(unprintable[0]):04X} stands here."
        return _unreadable(Problem(name, place.line, place.column, message, "Delete it."))
    return _Builder(name, text).build()


def complaint(text: str) -> tuple[int, str] | None:
    """The line at which a text is no YAML of any kind, and why; None where it is.

    For examples in lessons, which may use what course files may not.
    """
    import yaml

    try:
        for _ in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            pass
    except yaml.YAMLError as error:
        line, _, message, _ = explain(error, text)
        return line, message.rstrip(".")
    return None


def decode(source: bytes, name: str) -> str | Problem:
    """The text of a UTF-8 file without its byte order mark, or the problem that prevents it.

    Line endings stay as they are.
    """
    source = source.removeprefix(codecs.BOM_UTF8)
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = len(source[: error.start].rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        byte = source[error.start]
        message = f"The file is not UTF-8: the byte 0x{byte:02x} cannot stand here."
        return Problem(name, line, column, message, "Save the file as UTF-8.")


def unopened(error: OSError) -> tuple[str, str]:
    """What is wrong with a file that cannot be opened, and what to do about it."""
    if isinstance(error, FileNotFoundError):
        return "The file does not exist.", "Create it, or correct the name that refers to it."
    if isinstance(error, IsADirectoryError):
        return "This is a folder; a file belongs here.", ""
    return f"This cannot be read ({error.strerror or error}).", "Check its permissions."


def _unreadable(problem: Problem) -> Document:
    return Document(problem.path, None, readable=False, problems=(problem,))


def _place_of(text: str, offset: int) -> Place:
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - before.rfind("\n"))


class _StopError(Exception):
    """The rest of the file cannot be made sense of."""


@dataclass
class _Frame:
    """A list or mapping that is still open.

    Attributes:
        key: the key whose value comes next, in a mapping; None where a key comes next.
        repeated: whether that key stood in the mapping before, so that its value is left out.
    """

    container: list[Any] | dict[str, Any]
    path: KeyPath
    key: str | None = None
    repeated: bool = False

    @property
    def wants_key(self) -> bool:
        return isinstance(self.container, dict) and self.key is None


class _Builder:
    """Puts the events of one file together."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.roots: list[Data] = []
        self.frames: list[_Frame] = []
        self.values: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.written: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []

    def build(self) -> Document:
        """Read all events."""
        try:
            self._read_events()
            if not self.roots:
                self._stop(Place(1, 1), "The file is empty.", "Write its keys and values.")
        except _StopError:
            return Document(self.name, None, readable=False, problems=tuple(self.problems))
        return Document(
            self.name,
            self.roots[0],
            readable=True,
            values=self.values,
            keys=self.keys,
            written=self.written,
            problems=tuple(self.problems),
        )

    def _problem(self, place: Place, message: str, mend: str) -> None:
        self.problems.append(Problem(self.name, place.line, place.column, message, mend))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _StopError

    def _stop(self, place: Place, message: str, mend: str) -> NoReturn:
        self._problem(place, message, mend)
        raise _StopError

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
                    self.frames.pop()
        except yaml.YAMLError as error:
            line, column, message, mend = explain(error, self.text)
            self._stop(Place(line, column), message, mend)
        finally:
            loader.dispose()

    def _document(self, event: yaml.DocumentStartEvent, count: int) -> None:
        place = _mark(event)
        if count > 1:
            self._stop(place, "A second document begins here.", "Delete the line `---`.")
        if event.version or event.tags:
            self._problem(Place(1, 1), "Course files have no `%` directives.", "Delete the line.")

    def _node(self, event: yaml.NodeEvent) -> None:
        """Take in a scalar, or open a list or a mapping."""
        import yaml

        self._refuse_references(event)
        place = _mark(event)
        frame = self.frames[-1] if self.frames else None
        if isinstance(event, yaml.ScalarEvent):
            if frame is not None and frame.wants_key:
                self._key(frame, event, place)
            else:
                self._scalar(event, place)
            return
        if frame is not None and frame.wants_key:
            self._stop(place, "A list or mapping stands where a key belongs.", "Write a word.")
        if len(self.frames) >= MAX_DEPTH:
            self._stop(place, *TOO_DEEP)
        container: list[Any] | dict[str, Any] = (
            {} if isinstance(event, yaml.MappingStartEvent) else []
        )
        path = self._put(container, place)
        self.frames.append(_Frame(container, path))

    def _refuse_references(self, event: yaml.NodeEvent) -> None:
        import yaml

        place = _mark(event)
        anchor = shown(event.anchor or "")
        if isinstance(event, yaml.AliasEvent):
            message = f"`*{anchor}` is an alias, which course files do not have."
            self._stop(place, message, "Write the value out, or put it in quotes if it is text.")
        if event.anchor is not None:
            message = f"`&{anchor}` is an anchor, which course files do not have."
            self._problem(place, message, "Delete it, and write the value out at each place.")
        elif getattr(event, "tag", None) is not None:
            self._problem(place, "Course files have no tags (`!…`).", "Delete the tag.")

    def _key(self, frame: _Frame, event: yaml.ScalarEvent, place: Place) -> None:
        key: str = event.value
        name = shown(key)
        unquoted = event.implicit[0]
        if unquoted and key == "<<":
            self._stop(
                place, "`<<` merges mappings, which course files do not do.", "Write the keys out."
            )
        if unquoted and not isinstance(plain(key), str):
            self._problem(
                place, f"The key `{name}` is not text.", "Write a word, or put it in quotes."
            )
        self._refuse_unprintable(key, place)
        path = (*frame.path, key)
        frame.key = key
        frame.repeated = path in self.keys
        if frame.repeated:
            first = self.keys[path].line
            message = f"`{name}` stands here a second time; the first is on line {first}."
            self._problem(place, message, "Keep one of the two.")
        else:
            self.keys[path] = place

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        value: Data = str(event.value)
        if event.implicit[0]:
            meaning = plain(event.value)
            if isinstance(meaning, Surprise):
                self._problem(place, meaning.message, meaning.mend)
            else:
                value = meaning
        self._refuse_unprintable(event.value, place)
        path = self._put(value, place)
        if event.implicit[0]:
            self.written[path] = event.value

    def _refuse_unprintable(self, text: str, place: Place) -> None:
        if unprintable := _UNPRINTABLE.search(text):
            code = f"U+{ord(unprintable[0]):04X}"
            self._problem(place, f"This text holds the unprintable character {code}.", "Delete it.")

    def _put(self, value: Data, place: Place) -> KeyPath:
        """Put a value where it belongs, and say where that is."""
        if not self.frames:
            self.roots.append(value)
            self.values[()] = place
            return ()
        frame = self.frames[-1]
        if isinstance(frame.container, list):
            path: KeyPath = (*frame.path, len(frame.container))
            frame.container.append(value)
        else:
            assert frame.key is not None
            # The second value of a key is read, for the problems in it, and left out.
            path = (
                (*frame.path, frame.key, _REPEATED) if frame.repeated else (*frame.path, frame.key)
            )
            if not frame.repeated:
                frame.container[frame.key] = value
            frame.key = None
        self.values[path] = place
        return path


def _mark(event: yaml.Event) -> Place:
    mark = event.start_mark
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)

"""Carrying a log from one machine to another, as JSON Lines.

The first line names the format and counts the events, so that a file that was cut
short is noticed; each further line is one event. A log merged twice, or in another
order, comes to the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.workspace import events, files
from llmpath.workspace.events import Event
from llmpath.workspace.folder import Workspace
from llmpath.workspace.log import Writing, salvage

FORMAT = "llmpath-progress"
FORMAT_VERSION = 1
_SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Imported:
    """What an import did: how many events were new, and how many were known already."""

    added: int
    known: int


def export_text(log: Iterable[Event]) -> str:
    """Events as the text of an export."""
    known = tuple(log)
    header = {"format": FORMAT, "version": FORMAT_VERSION, "events": len(known)}
    lines = [header, *({**vars(event), "payload": dict(event.payload)} for event in known)]
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)


def export(workspace: Workspace, path: Path) -> int:
    """Write the whole log to `path`; returns the number of events.

    An older export is replaced; any other file there is left alone with an `LlmpathError`.
    """
    log = workspace.log.events()
    present = files.read(path)
    if present and f'"format": "{FORMAT}"'.encode() not in present.split(b"\n", 1)[0]:
        raise LlmpathError(
            f"{path} exists and is not an export of progress, so it was left alone.",
            "Choose another name.",
        )
    if not os.path.isdir(path.absolute().parent):
        raise LlmpathError(f"There is no folder {path.absolute().parent} to export to.")
    files.write(path, export_text(log).encode())
    return len(log)


def import_(workspace: Workspace, path: Path) -> Imported:
    """Merge an export, or the readable part of a log that was set aside, into the log.

    Raises:
        LlmpathError: a line is damaged (the message has its number), the file was cut short,
            or it is of a newer format. Nothing is imported then.
    """
    content = files.read(path)
    if content is None:
        raise LlmpathError(f"There is no file {path} to import.")
    if content.startswith(_SQLITE_MAGIC) or path.suffix == workspace.log.path.suffix:
        incoming = salvage(path)
        if not incoming:
            raise LlmpathError(f"No event can be read from {path} any more.")
    else:
        incoming = _parse(content, path)
    with workspace.log.writing() as writing:
        return _merge(workspace, writing, incoming, path)


def _merge(
    workspace: Workspace, writing: Writing, incoming: tuple[Event, ...], path: Path
) -> Imported:
    known = {event.id: event for event in writing.events()}
    new: dict[str, Event] = {}
    for event in incoming:
        twin = known.get(event.id) or new.get(event.id)
        if twin is None:
            new[event.id] = event
        elif twin != event:
            raise LlmpathError(
                f"{path} tells of event {event.id} ({event.kind}) otherwise than this log does. "
                "Nothing was imported.",
                "One of the two was altered by hand; export it again from where it came.",
            )
    writing.append(*new.values())
    # Importing is itself worth an event, but an import of nothing but imports is not, or two
    # machines that exchange their logs would never come to rest.
    if any(event.kind != events.IMPORT for event in new.values()):
        writing.append(*workspace.mark([events.imported(path.name, len(new))]))
    return Imported(len(new), len(incoming) - len(new))


def _parse(content: bytes, path: Path) -> tuple[Event, ...]:
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    expected = _header(_object(lines[0] if lines else b"", path, 1), path)
    found = []
    for number, line in enumerate(lines[1:], start=2):
        data = _object(line, path, number)
        if set(data) != {"id", "time", "step", "kind", "payload"}:
            raise _bad_line(path, number, "it does not have the five parts of an event")
        try:
            payload = events.encode(data["payload"])
            found.append(
                events.parse(data["id"], data["time"], data["step"], data["kind"], payload)
            )
        except (ValueError, TypeError, RecursionError) as error:
            raise _bad_line(path, number, str(error)) from error
    if len(found) != expected:
        raise LlmpathError(
            f"{path} should hold {expected} events and holds {len(found)}: it was cut short or "
            "added to. Nothing was imported.",
            "Copy or export it again.",
        )
    return tuple(found)


def _header(data: dict[str, Any], path: Path) -> int:
    """The number of events that the first line promises."""
    version, count = data.get("version"), data.get("events")
    if data.get("format") != FORMAT or type(version) is not int or type(count) is not int:
        raise _bad_line(path, 1, "it is not the first line of an export")
    if version > FORMAT_VERSION:
        raise LlmpathError(
            f"{path} was exported by a newer llmpath (format {version}; this one reads up to "
            f"{FORMAT_VERSION}).",
            "Upgrade llmpath: pip install --upgrade llmpath",
        )
    return count


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad_line(path, number, "it is not JSON") from error
    if not isinstance(data, dict):
        raise _bad_line(path, number, "it is not a JSON object")
    return data


def _bad_line(path: Path, number: int, reason: str) -> LlmpathError:
    return LlmpathError(
        f"{path}, line {number}: {reason}. Nothing was imported.",
        "Make the file again with: llmpath progress export",
    )

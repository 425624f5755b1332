"""The log of what happened: one SQLite file with one table that only ever grows.

SQLite's own journal makes an event recorded or not, never half, through a kill or a
power cut, and lets several processes write at once. A file that cannot be read as such
a log is set aside and named; nothing here ever takes it for an empty one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.workspace import events, files
from llmpath.workspace.events import Event

SCHEMA_VERSION = 1
_BUSY_SECONDS = 10.0
_COLUMNS = ["id", "time", "step", "kind", "payload"]
_SELECT = "SELECT id, time, step, kind, payload FROM events"
_SCHEMA = f"""
CREATE TABLE events (
    id TEXT PRIMARY KEY NOT NULL,
    time REAL NOT NULL,
    step TEXT,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL
);
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
-- REPLACE deletes without asking the trigger above, so a known id is left alone instead.
CREATE TRIGGER events_are_never_replaced BEFORE INSERT ON events
WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
BEGIN SELECT RAISE(IGNORE); END;
PRAGMA user_version = {SCHEMA_VERSION};
"""


class _DamagedError(Exception):
    """The file is not, or no longer, a log of this schema; the message says how."""


@dataclass(frozen=True)
class Writing:
    """A log held for writing: what is read stays true until what is appended is recorded."""

    _connection: sqlite3.Connection

    def events(self) -> tuple[Event, ...]:
        """All events, in the order in which this log came to know them."""
        return _read(self._connection)

    def append(self, *new: Event) -> None:
        """Add events; one whose id is known already is left as it is."""
        rows = [(e.id, e.time, e.step, e.kind, events.encode(e.payload)) for e in new]
        self._connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?)", rows)


@dataclass(frozen=True)
class Log:
    """The event log in one file.

    Every method raises `LlmpathError` when the file is missing, damaged (it is then set
    aside first), of a newer version, busy for more than ten seconds, or not writable.
    """

    path: Path

    def create(self) -> bool:
        """Make an empty log unless a file stands there; whether one was made."""
        if os.path.lexists(self.path):
            return False
        temporary = self.path.with_name(f".{self.path.name}.{os.urandom(6).hex()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(temporary)) as connection:
                connection.executescript(_SCHEMA)
            return files.place_new(temporary, self.path)
        except OSError as error:
            raise files.failure(error, self.path, "written") from error
        except sqlite3.Error as error:
            raise self._cannot_write(error) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def events(self) -> tuple[Event, ...]:
        """All events, in the order in which this log came to know them."""
        with self._open() as connection:
            return _read(connection)

    def append(self, *new: Event) -> None:
        """Record events: all of them or, if it fails, none."""
        with self.writing() as writing:
            writing.append(*new)

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """Hold the log for one all-or-nothing change; leaving with an error records nothing."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Writing(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(_connect(self.path)) as connection:
                self._check_schema(connection)
                yield connection
        except _DamagedError as error:
            raise self._set_aside(str(error)) from error
        except sqlite3.Error as error:
            raise self._refusal(error) from error

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise LlmpathError(
                f"{self.path} was written by a newer llmpath (format {version}; this one reads "
                f"up to {SCHEMA_VERSION}).",
                "Upgrade llmpath: pip install --upgrade llmpath",
            )
        columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
        if version != SCHEMA_VERSION or columns != _COLUMNS:
            raise _DamagedError("it has no table of events as llmpath writes it")

    def _refusal(self, error: sqlite3.Error) -> LlmpathError:
        """What SQLite could not do, as a sentence; a damaged file is set aside on the way."""
        code = _primary_code(error)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self._set_aside(str(error))
        if code == sqlite3.SQLITE_CANTOPEN and not os.path.lexists(self.path):
            return self._missing()
        if not self.path.is_file() or not os.access(self.path, os.R_OK):
            return LlmpathError(
                f"{self.path} cannot be read as a file.", "Mend its permissions, or move it away."
            )
        return self._cannot_write(error)

    def _cannot_write(self, error: sqlite3.Error) -> LlmpathError:
        """What kept a sound log from being written, as a sentence."""
        code = _primary_code(error)
        if code == sqlite3.SQLITE_BUSY:
            return LlmpathError(
                f"{self.path} has been held by another process for {_BUSY_SECONDS:.0f} seconds.",
                "Wait for the other llmpath to finish and try again.",
            )
        if code == sqlite3.SQLITE_FULL or _is_full(self.path.parent):
            return LlmpathError(
                f"There is no room on the disk: nothing was recorded in {self.path}.",
                "Free some space and try again; what was recorded before is safe.",
            )
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return LlmpathError(
                f"Progress cannot be recorded: {self.path} or its folder is write-protected.",
                "Make the workspace writable, or copy it to a folder that is.",
            )
        return LlmpathError(f"{self.path} cannot be used: {error}.")

    def _missing(self) -> LlmpathError:
        message = f"The progress log {self.path} is missing."
        aside = sorted(self.path.parent.glob(f"{self.path.stem}.damaged-*{self.path.suffix}"))
        if aside:
            message += f" A damaged one was set aside as {aside[-1].name}."
        hint = f"llmpath init {_folder_of(self.path)} starts a new, empty one."
        if aside:
            hint += f" Then llmpath progress import {aside[-1]} brings back what can be read."
        return LlmpathError(message, hint + " A backup of the old one can be put there instead.")

    def _set_aside(self, reason: str) -> LlmpathError:
        """Move the damaged file, with SQLite's companions of it, out of the way; say so."""
        aside = _free_name(self.path)
        message = f"The progress log {self.path} is damaged: {reason}."
        try:
            for suffix in ("-journal", "-wal", "-shm", ""):
                source = self.path.with_name(self.path.name + suffix)
                if os.path.lexists(source):
                    os.replace(source, aside.with_name(aside.name + suffix))
        except OSError as error:
            return LlmpathError(
                f"{message} It could not be set aside: {error.strerror}.",
                f"Move it away yourself, then run: llmpath init {_folder_of(self.path)}",
            )
        return LlmpathError(
            f"{message} It was set aside as {aside}; your files are untouched.",
            f"llmpath init {_folder_of(self.path)} starts a new log, and llmpath progress "
            f"import {aside} then brings back what can still be read.",
        )


def salvage(path: Path) -> tuple[Event, ...]:
    """Every event that can still be read from a log, damaged or whole, in its order.

    Reads from both ends, so that a bad page in the middle costs only its own events.
    """
    found: dict[int, Event] = {}
    for order in ("ASC", "DESC"):
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(_connect(path)) as connection,
        ):
            query = _SELECT.replace("SELECT", "SELECT rowid,") + f" ORDER BY rowid {order}"
            for number, *values in connection.execute(query):
                with contextlib.suppress(ValueError):
                    found[number] = events.parse(*values)
    return tuple(found[number] for number in sorted(found))


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw never creates a file, and falls back to reading where writing is not allowed.
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    # Text that is not UTF-8 must become a clear verdict in `parse`, not an error of Python's.
    connection.text_factory = _text_or_bytes
    return connection


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _read(connection: sqlite3.Connection) -> tuple[Event, ...]:
    # The order of arrival, not of clocks: what undoes an event always came after it.
    parse: Callable[..., Event] = events.parse
    try:
        return tuple(parse(*row) for row in connection.execute(f"{_SELECT} ORDER BY rowid"))
    except ValueError as error:
        raise _DamagedError(f"an event cannot be read: {error}") from error


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_full(folder: Path) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        return os.statvfs(folder).f_bavail == 0
    return False


def _folder_of(path: Path) -> Path:
    """The workspace in whose `.llmpath` a log stands."""
    return path.parent.parent


def _free_name(path: Path) -> Path:
    """A name for the damaged log, with the time (UTC), that nothing bears yet."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    stem, count = f"{path.stem}.damaged-{stamp}", 1
    candidate = path.with_name(stem + path.suffix)
    while os.path.lexists(candidate):
        count += 1
        candidate = path.with_name(f"{stem}-{count}{path.suffix}")
    return candidate

"""Texts in files: plain text, JSONL, Parquet, and folders of those.

A row of JSONL or Parquet is a document. A file of plain text is one document, or several if it is
long: it is cut at blank lines, so that there is something to hold out. Files are read as streams,
and whatever is wrong in one is said with its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from llmpath.errors import LlmpathError
from llmpath.labkit.data.columns import TextColumnError, listed, text_column
from llmpath.labkit.data.corpus import DOCUMENT_LIMIT, Corpus, Texts, held_out

TEXT = (".txt", ".text", ".md", ".rst", ".py")
JSONL = (".jsonl", ".ndjson")
PARQUET = (".parquet",)
SUFFIXES = (*TEXT, *JSONL, *PARQUET)

PIECE = (200, 8000)  # characters after which a text may be cut: at least, at most
PIECES = 50  # as many as a source of plain text should have, if it is long enough
END = "<|endoftext|>"  # parts documents in a file of text, as in the files of TinyStories
BLOCK = 2**16  # characters read at once
SIDES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev", "test")}

Reader = Callable[[Path], Iterator[str]]


def address(name: str) -> tuple[str, str | None]:
    """The path and the column of `PATH#COLUMN`; a `#` that belongs to the path stays in it."""
    path, sign, column = name.rpartition("#")
    if not sign or Path(name).exists():
        return name, None
    return path, column or None


def corpus(name: str, column: str | None = None) -> Corpus:
    """The texts of a file or of a folder.

    In a folder whose files or subfolders are called `train…` and `validation…` (or `valid`, `val`,
    `dev`, `test`), the names say what is held out; else the content of each document does.

    Args:
        name: the path.
        column: which column of JSONL and Parquet holds the text; if None, the one called `text`,
            or by another of the usual names, or the only one that holds text.

    Raises:
        LlmpathError: if there is nothing to read, or its beginning cannot be read.
    """
    root = Path(name)
    found = _files(root) if root.is_dir() else Found((_again_and_again(root),))
    if not found.files:
        raise LlmpathError(
            f"{root} holds no file of text.",
            f"Files that are read end in one of {', '.join(SUFFIXES)}.",
        )
    remarks = found.remarks()
    sides = {side: _on_side(root, found.files, names) for side, names in SIDES.items()}
    if root.is_dir() and all(sides.values()):
        train, validation = (_texts(files, column) for files in sides.values())
        for side, texts in (("train", train), ("validation", validation)):
            _require_some(root, side, texts)
    else:
        train, validation = held_out(_texts(found.files, column).__iter__, str(root))
    title = f"{'Folder' if root.is_dir() else 'File'} {root.name or root}"
    return Corpus(name, title, "unknown", train, validation, remarks=remarks)


# Which files


@dataclass(frozen=True)
class Found:
    """The files of a folder that are read, and the suffixes of those that are not."""

    files: tuple[Path, ...]
    others: tuple[str, ...] = ()

    def remarks(self) -> tuple[str, ...]:
        """A sentence on what was left out."""
        if not self.others:
            return ()
        kinds = ", ".join(sorted({kind or "no suffix" for kind in self.others}))
        count = len(self.others)
        which = f"{count} files were" if count > 1 else "1 file was"
        return (f"{which} left out, being no text, JSONL or Parquet by name: {kinds}.",)


def _files(root: Path) -> Found:
    """The files of a folder and of the folders in it, in the order of their names."""
    files, others = [], []
    for folder, folders, names in os.walk(root, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__")))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if path.suffix.lower() in SUFFIXES and path.is_file():
                files.append(path)
            else:
                others.append(path.suffix.lower())
    return Found(tuple(files), tuple(others))


def _again_and_again(path: Path) -> Path:
    """The path, unless it is that of a pipe or a socket, which can be read once at most."""
    if path.is_fifo() or path.is_socket():
        raise LlmpathError(
            f"{path} is no file, and a corpus is read several times.",
            "Write what comes from there to a file, and give that.",
        )
    return path


def _refuse(error: OSError) -> None:
    raise _unreadable(Path(error.filename or "."), error)


def _on_side(root: Path, files: tuple[Path, ...], names: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that the first of some names claims, by their own or their top folder's name."""
    for name in names:
        claimed = tuple(
            path for path in files if _first_word(path.relative_to(root).parts[:1]) == name
        )
        if claimed:
            return claimed
    return ()


def _first_word(parts: tuple[str, ...]) -> str:
    """`train` of `train-00000-of-00002.parquet`, of `train.txt` and of `train/`."""
    name = parts[0].lower() if parts else ""
    letters = next((i for i, letter in enumerate(name) if not letter.isalpha()), len(name))
    return name[:letters]


def _require_some(root: Path, side: str, texts: Texts) -> None:
    if next(iter(texts), None) is None:
        raise LlmpathError(f"The {side} files of {root} hold no text.", "Fill or remove them.")


# What is in them


def _texts(files: tuple[Path, ...], column: str | None) -> Texts:
    total = sum(_size(path) for path in files if _kind(path) == "text")
    piece = min(max(total // PIECES, PIECE[0]), PIECE[1])
    readers: dict[str, Reader] = {
        "text": lambda path: pieces(path, piece),
        "jsonl": lambda path: json_lines(path, column),
        "parquet": lambda path: parquet(path, column),
    }
    return Texts(lambda: (text for path in files for text in readers[_kind(path)](path)))


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "jsonl" if suffix in JSONL else "parquet" if suffix in PARQUET else "text"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def pieces(path: Path, piece: int) -> Iterator[str]:
    """The documents of a file of plain text.

    A line that says `<|endoftext|>` parts documents. In a file without any, a document ends at
    the first blank line after `piece` characters; where there is none for long, at a line's end.

    Raises:
        LlmpathError: if the file is no UTF-8 text.
    """
    rest, parted = "", None
    for block in _blocks(path):
        rest += block
        if parted is None:
            parted = END in rest
        if parted:
            *whole, rest = rest.split(END)
            _require_bounded(path, rest)
        else:
            whole, rest = _cut(rest, piece)
        yield from (document for text in whole if (document := text.strip()))
    if document := rest.strip():
        yield document


def _cut(text: str, piece: int) -> tuple[list[str], str]:
    """What can be cut off a text, and what must wait for more of it."""
    whole, start = [], 0
    while len(text) - start > 2 * piece:
        end = text.find("\n\n", start + piece)
        if end < 0 and len(text) - start <= 8 * piece:
            break  # a blank line may come yet
        for mark in ("\n", " "):
            end = end if end >= 0 else text.find(mark, start + piece)
        end = end if end >= 0 else len(text)
        whole.append(text[start:end])
        start = end
    return whole, text[start:]


def _blocks(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            while block := file.read(BLOCK):
                if "\0" in block:
                    raise _no_text(path)
                yield block
    except UnicodeDecodeError as error:
        raise _no_text(path) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def json_lines(path: Path, column: str | None) -> Iterator[str]:
    """The documents of a file with one JSON object a line.

    Raises:
        LlmpathError: if a line is no object, or has no text in the column; names the line.
    """
    try:
        with path.open("rb") as file:
            yield from _rows(path, file, column)
    except OSError as error:
        raise _unreadable(path, error) from error


def _rows(path: Path, file: IO[bytes], column: str | None) -> Iterator[str]:
    number = 0
    while line := file.readline(DOCUMENT_LIMIT):
        number += 1
        if len(line) == DOCUMENT_LIMIT:
            raise LlmpathError(
                f"{path}, line {number} is longer than {DOCUMENT_LIMIT // 2**20} MiB.",
                "JSONL has one object on each line; this looks like another format.",
            )
        if not line.strip():
            continue
        row = _parse(path, number, line)
        column = column or _chosen(f"{path}, line {number}", row)
        text = row.get(column)
        if not isinstance(text, str):
            there = f"is {_named(text)}" if column in row else "is missing"
            raise LlmpathError(
                f"{path}, line {number}: the column {column!r} {there}. There are: {listed(row)}.",
                "Each line needs a text in that column; PATH#COLUMN names another.",
            )
        if text.strip():
            yield text


def _parse(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        row = json.loads(text.rstrip("\r\n"))  # or else a cut line is wrong on the next one
    except UnicodeDecodeError as error:
        raise _no_text(path, number) from error
    except json.JSONDecodeError as error:
        raise LlmpathError(
            f"{path}, line {number}, column {error.colno} is no JSON: {error.msg}.",
            "JSONL has one whole JSON object on each line. Mend or remove that line.",
        ) from error
    except (RecursionError, ValueError) as error:
        raise LlmpathError(
            f"{path}, line {number} cannot be read as JSON: {error}.", "Mend or remove that line."
        ) from error
    if not isinstance(row, dict):
        raise LlmpathError(
            f"{path}, line {number} is {_named(row)}, not an object.",
            'Each line is an object such as {"text": "Once upon a time …"}.',
        )
    return row


def parquet(path: Path, column: str | None) -> Iterator[str]:
    """The documents of a Parquet file, read some rows at a time.

    Raises:
        LlmpathError: if it is no Parquet file, or the column holds no text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            kinds = {field.name: field.type for field in schema}
            texts = [name for name, kind in kinds.items() if _is_text(kind)]
            row = {name: "" if name in texts else None for name in kinds}  # as JSONL would have it
            column = column or _chosen(str(path), row)
            if column not in texts:
                there = f"holds {kinds[column]}" if column in kinds else "is missing"
                raise LlmpathError(
                    f"{path}: the column {column!r} {there}. Columns of text: {listed(texts)}.",
                    "PATH#COLUMN names the column to read.",
                )
            for batch in file.iter_batches(batch_size=256, columns=[column]):
                yield from (text for text in batch.column(0).to_pylist() if text and text.strip())
    except pa.ArrowException as error:
        raise LlmpathError(
            f"{path} cannot be read as Parquet: {_sentence(error)}",
            "Make the file anew, or give it the suffix of what it is.",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):  # as pandas stores categories
        kind = kind.value_type
    return any(
        is_text(kind)
        for is_text in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _chosen(place: str, row: dict[str, Any]) -> str:
    try:
        return text_column(row)
    except TextColumnError as error:
        raise LlmpathError(f"{place}: {error}.", error.mend) from error


# What is wrong with them


def _no_text(path: Path, line: int | None = None) -> LlmpathError:
    """What a file is that is no UTF-8, as far as its first bytes tell, and where it is not."""
    with path.open("rb") as file:
        start = file.read(4)
        place, line_of_byte = _first_bad_byte(path)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return LlmpathError(
            f"{path} is text in UTF-16, and UTF-8 is needed.",
            f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name} > new.txt",
        )
    where = f"{path}, line {line or line_of_byte}"
    if place == 0:
        return LlmpathError(
            f"{where} holds a zero byte, so this is no file of text.",
            "Take the file out, or convert it to text first.",
        )
    return LlmpathError(
        f"{where} is no UTF-8: it holds the byte 0x{place:02x} where no character has it.",
        "If it is text in an older encoding, convert it: "
        f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > new.txt",
    )


def _first_bad_byte(path: Path) -> tuple[int, int]:
    """The first byte that UTF-8 text cannot hold at its place, and the line that it is on."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(BLOCK):
            number += 1
            zero = line.find(b"\0")
            try:
                line.decode()
            except UnicodeDecodeError as error:
                cut_off = len(line) == BLOCK and error.start > len(line) - 4
                if not cut_off and not 0 <= zero < error.start:
                    return line[error.start], number
            if zero >= 0:
                return 0, number
    return 0, number


def _unreadable(path: Path, error: OSError) -> LlmpathError:
    why = error.strerror or str(error)
    return LlmpathError(f"{path} cannot be read: {why}.", "Look at the file and its rights.")


def _named(value: Any) -> str:
    kinds = {"NoneType": "null", "bool": "true or false", "list": "a list", "str": "a text"}
    kinds |= {"int": "a number", "float": "a number", "dict": "an object"}
    return kinds.get(type(value).__name__, type(value).__name__)


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _require_bounded(path: Path, text: str) -> None:
    if len(text) > DOCUMENT_LIMIT:
        raise LlmpathError(
            f"{path} has a document of more than {DOCUMENT_LIMIT // 2**20} million characters.",
            f"Part its documents with a line that says {END}.",
        )

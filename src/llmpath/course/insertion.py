"""One word added to a list of a YAML file, with every other byte left as it is.

Comments and layout are the author's. Where a library that writes YAML would lay a file out
anew, this puts a word where the list ends and then reads both texts: the edit stands only if
the new one holds what the old one did, and the word.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from llmpath.course.documents import KeyPath, parse
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    import yaml

WIDTH = 100  # columns, after which a list in brackets goes on in the next line


def append(text: str, path: KeyPath, word: str, name: str) -> str:
    """The text of a YAML file with a word at the end of the list at a path.

    Args:
        text: the file, which can be read without problems. Line endings may be of any kind.
        path: keys and indices from the root to the list; the last key may be missing.
        word: what is added; it needs no quotes.
        name: how an error names the file.

    Raises:
        LlmpathError: the list is written in a way in which nothing can be added to it safely.
    """
    where, piece = _insertion(text, path, word)
    changed = text[:where] + piece + text[where:]
    if parse(changed.encode(), name).data != _expected(text, path, word, name):
        listing = ".".join(map(str, path))
        raise LlmpathError(
            f"{word} cannot be added to {listing} in {name} without changing more than that.",
            "Add it by hand, then type the command again.",
        )
    return changed


def _expected(text: str, path: KeyPath, word: str, name: str) -> Any:
    data = copy.deepcopy(parse(text.encode(), name).data)
    *parents, key = path
    inner: Any = data
    for part in parents:
        inner = inner[part]
    inner[key] = [*inner.get(key, ()), word]
    return data


def _insertion(text: str, path: KeyPath, word: str) -> tuple[int, str]:
    """Where to insert what."""
    import yaml

    # The loader in Python counts characters; the one in C counts bytes.
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for part in path[:-1]:
        node = _child(node, part)
    listing = _child(node, path[-1])
    if listing is None:
        return _key(text, node, f"{path[-1]}: [{word}]")
    if not listing.flow_style:
        indent = " " * listing.start_mark.column
        return _line_after(text, listing, f"{indent}- {word}")
    if not listing.value:
        return listing.start_mark.index + 1, word
    last = listing.value[-1]
    if last.end_mark.column + len(word) + len(", ]") > WIDTH:
        newline = "\r\n" if "\r\n" in text else "\n"
        return last.end_mark.index, f",{newline}{' ' * (listing.start_mark.column + 1)}{word}"
    return last.end_mark.index, f", {word}"


def _child(node: Any, part: str | int) -> Any:
    """The node at a key or index; None where a mapping has no such key."""
    if isinstance(part, int):
        return node.value[part]
    return next((value for key, value in node.value if key.value == part), None)


def _key(text: str, mapping: yaml.MappingNode, line: str) -> tuple[int, str]:
    """Where a key with its value goes at the end of a mapping."""
    first, last = mapping.value[0][0], mapping.value[-1][1]
    if mapping.flow_style:
        return last.end_mark.index, f", {line}"
    return _line_after(text, last, " " * first.start_mark.column + line)


def _line_after(text: str, node: yaml.Node, line: str) -> tuple[int, str]:
    """Where a line goes below the last one that a node has something on."""
    newline = "\r\n" if "\r\n" in text else "\n"
    end = len(text[: _end(node)].rstrip())
    at = text.find("\n", end)
    return (len(text), newline + line) if at < 0 else (at + 1, line + newline)


def _end(node: Any) -> int:
    """Where a node ends; a list or mapping without brackets ends with the last thing in it."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)

"""One entry added to a list of a YAML file, with every other byte left as it is.

Comments and layout are the author's. Where a library that writes YAML would lay a file out
anew, this puts the entry where the list ends and then reads both texts: the edit stands only
if the new one holds what the old one did, and the entry.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from llmpath.course.documents import KeyPath, parse
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    import yaml

WIDTH = 100  # columns, after which a list in brackets goes on in the next line


def append(text: str, path: KeyPath, entry: str, name: str) -> str:
    """The text of a YAML file with an entry at the end of the list at a path.

    Args:
        text: the file, which can be read without problems. Line endings may be of any kind.
        path: keys and indices from the root to the list; the last key may be missing.
        entry: what is added, as YAML on one line: a word, or a mapping in braces.
        name: how an error names the file.

    Raises:
        LlmpathError: the list is written in a way in which nothing can be added to it safely.
    """
    where, piece = _insertion(text, path, entry)
    changed = text[:where] + piece + text[where:]
    if parse(changed.encode(), name).data != _expected(text, path, entry, name):
        listing = ".".join(map(str, path))
        raise LlmpathError(
            f"{entry} cannot be added to {listing} in {name} without changing more than that.",
            "Add it by hand, then type the command again.",
        )
    return changed


def _expected(text: str, path: KeyPath, entry: str, name: str) -> Any:
    added: Any = parse(f"- {entry}".encode(), name).data
    data = copy.deepcopy(parse(text.encode(), name).data)
    *parents, key = path
    inner: Any = data
    for part in parents:
        inner = inner[part]
    inner[key] = [*inner.get(key, ()), *(added or ())]
    return data


def _insertion(text: str, path: KeyPath, entry: str) -> tuple[int, str]:
    """Where to insert what."""
    import yaml

    # The loader in Python counts characters; the one in C counts bytes.
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for part in path[:-1]:
        node = _child(node, part)
    listing = _child(node, path[-1])
    if listing is None:
        return _key(text, node, f"{path[-1]}: [{entry}]")
    if not listing.flow_style:
        indent = " " * listing.start_mark.column
        return _line_after(text, listing, f"{indent}- {entry}")
    if not listing.value:
        return listing.start_mark.index + 1, entry
    last = listing.value[-1]
    if last.end_mark.column + len(entry) + len(", ]") > WIDTH:
        newline = "\r\n" if "\r\n" in text else "\n"
        return last.end_mark.index, f",{newline}{' ' * (listing.start_mark.column + 1)}{entry}"
    return last.end_mark.index, f", {entry}"


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

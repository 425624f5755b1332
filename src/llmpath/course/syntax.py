"""What a YAML parser's complaint means to the person who wrote the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

TOO_DEEP = (
    "This is nested too deeply.",
    "No course file needs more than three or four levels: close a bracket earlier.",
)
_TAB = "A tab stands in the indentation."
_SPACES = "Indent with spaces, two for each level."
_UNCLOSED_QUOTE = "The quote that opens here is never closed."
_CLOSE_QUOTE = "Close it, or write the text as a block after `|` if it holds quotes."

# A part of libyaml's wording -> what is wrong, what to write instead.
_COMPLAINTS = {
    "found a tab character": (_TAB, _SPACES),
    "nesting depth": TOO_DEEP,
    "mapping values are not allowed": (
        "A `:` makes this a key, but no key can stand here.",
        "Put a value that holds a colon in quotes, and check that keys of one mapping line up.",
    ),
    "block sequence entries are not allowed": (
        "A list cannot begin on the line of its key.",
        "Put each `- ` on a line of its own, or the text in quotes if `- ` is part of it.",
    ),
    "expected ',' or ']'": (
        "The list that opens here is never closed, or a comma is missing.",
        "Separate the entries with commas and close the list with `]`.",
    ),
    "expected ',' or '}'": (
        "The mapping that opens here is never closed, or a comma is missing.",
        "Separate the entries with commas and close the mapping with `}`.",
    ),
    "unexpected end of stream": (_UNCLOSED_QUOTE, _CLOSE_QUOTE),
    "unexpected document indicator": (_UNCLOSED_QUOTE, _CLOSE_QUOTE),
    "unknown escape character": (
        "This backslash does not begin an escape of YAML.",
        "Use single quotes, in which a backslash is a backslash, or write it twice.",
    ),
    "expected hexdecimal number": (
        "This escape needs hexadecimal digits.",
        "Use single quotes, in which a backslash is a backslash.",
    ),
    "invalid Unicode character escape": (
        "This escape names no character.",
        "Write the character itself.",
    ),
    "expected '-' indicator": (
        "A list entry belongs here.",
        "Begin it with `- `, in the column of the entries above.",
    ),
    "did not find expected key": (
        "A key belongs here.",
        "Check that it lines up with the keys above, and that a quoted value ends its line.",
    ),
    "could not find expected ':'": (
        "This line is neither a key nor part of a value.",
        "Write it as `key: value`, or indent it as part of the value above.",
    ),
    "expected node content": (
        "A value belongs here.",
        "Put it in quotes if it begins with a bracket or a comma.",
    ),
    "cannot start any token": (
        "A value cannot begin with this character.",
        "Put the value in quotes.",
    ),
    "expected <document start>": ("The document has ended above.", "Delete the line `...`."),
    "expected comment or line break": (
        "Nothing but a comment can stand on the line of `|` or `>`.",
        "Begin the text on the next line, indented.",
    ),
    "indentation indicator": (
        "This number after `|` or `>` is not an indentation.",
        "Delete it.",
    ),
    "directive": ("Course files have no `%` directives.", "Delete this line."),
    "incompatible YAML document": ("Course files have no `%` directives.", "Delete this line."),
    "tag": ("Course files have no tags (`!…`).", "Put the value in quotes if `!` is part of it."),
    "alphabetic or numeric character": (
        "`&` and `*` begin anchors and aliases, which course files do not have.",
        "Put the value in quotes if the sign is part of it.",
    ),
}
# These are best shown where the thing began that was never closed.
_SHOWN_AT_START = (
    "expected ',' or",
    "unexpected end of stream",
    "unexpected document indicator",
    "could not find expected ':'",
)


def explain(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """The line and column of a syntax error, what is wrong, and what to write instead."""
    complaint = " ".join(filter(None, (getattr(error, "problem", None), _context(error))))
    mark = getattr(error, "problem_mark", None)
    if any(part in complaint for part in _SHOWN_AT_START):
        mark = getattr(error, "context_mark", None) or mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    message, mend = _meaning(complaint)
    if _tab_at(text, line, column):
        message, mend = _TAB, _SPACES
    return line + 1, column + 1, message, mend


def _context(error: yaml.YAMLError) -> str:
    return getattr(error, "context", None) or ""


def _meaning(complaint: str) -> tuple[str, str]:
    for part, meaning in _COMPLAINTS.items():
        if part in complaint:
            return meaning
    return f"This is not YAML ({complaint or 'the parser does not say why'}).", ""


def _tab_at(text: str, line: int, column: int) -> bool:
    lines = text.splitlines()
    if line >= len(lines):
        return False
    indentation = lines[line][: len(lines[line]) - len(lines[line].lstrip(" \t"))]
    return "\t" in indentation and column <= len(indentation)

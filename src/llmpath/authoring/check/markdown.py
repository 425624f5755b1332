"""What can be wrong with a piece of Markdown, whatever it is for."""

from __future__ import annotations

import doctest
import json
import re
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it.token import Token

from llmpath.course.documents import complaint
from llmpath.course.tree import parse as tree_of
from llmpath.markup.parser import parser

# A command of TeX, where none has a meaning; a backslash before a mark of Markdown is none.
_STRAY = re.compile(r"\\[A-Za-z]{2,}")


@dataclass(frozen=True)
class Flaw:
    """Something wrong at a line of a text, counted from 1."""

    line: int
    message: str
    mend: str = ""


def tokens(text: str) -> list[Token]:
    """The block tokens of a text."""
    return parser().parse(text)


def inline(text: str) -> Iterator[tuple[int, Token]]:
    """The inline tokens of a text, each with its line."""
    lines = text.splitlines()
    for block in tokens(text):
        if block.type == "inline" and block.map is not None:
            start, end = block.map
            for token in block.children or ():
                yield _line_of(lines, token, start, end), token


def _line_of(lines: list[str], token: Token, start: int, end: int) -> int:
    """The line on which an inline token stands; that of its block where it cannot be told."""
    wanted = token.content or str(token.attrs.get("href", token.attrs.get("src", "")))
    for number in range(start, end):
        if wanted and number < len(lines) and wanted.splitlines()[0] in lines[number]:
            return number + 1
    return start + 1


def flaws(text: str) -> Iterator[Flaw]:
    """Code that does not parse, formulas that cannot be set or have no end, and HTML."""
    for block in tokens(text):
        line = block.map[0] + 1 if block.map else 1
        if block.type == "fence":
            yield from _fence(block, line)
        elif block.type == "math_block":
            yield from _formula(block.content, line)
        elif block.type == "html_block":
            yield from _html(block.content, line)
    for line, token in inline(text):
        if token.type in ("math_inline", "math_inline_double"):
            yield from _formula(token.content, line)
        elif token.type == "text":
            yield from _stray(token.content, line)
        elif token.type == "html_inline":
            yield from _html(token.content, line)


def _stray(text: str, line: int) -> Iterator[Flaw]:
    """A command of TeX in prose, as behind a dollar sign that is never closed."""
    if found := _STRAY.search(text):
        message = f"`{found[0]}` stands outside of a formula."
        yield Flaw(line, message, "Put a dollar sign before the formula and one behind it.")


def _html(source: str, line: int) -> Iterator[Flaw]:
    """HTML has no meaning in a terminal; a remark is meant to be seen by authors alone."""
    if not source.lstrip().startswith("<!--"):
        message = f"`{source.strip().splitlines()[0]}` is HTML, which a terminal cannot show."
        yield Flaw(line, message, "Write it in Markdown.")


def _formula(source: str, line: int) -> Iterator[Flaw]:
    # pylatexenc is worth its import only where there is a formula.
    from llmpath.markup.atoms import FormulaError
    from llmpath.markup.formula import convert

    try:
        convert(source)
    except FormulaError as error:
        yield Flaw(line, str(error), "Write it with commands that llmpath can set as text.")


def _fence(block: Token, line: int) -> Iterator[Flaw]:
    language = block.info.split()[0].lower() if block.info.split() else ""
    if not language:
        message = "This block of code does not say its language."
        yield Flaw(line, message, "Write ```python, or ```text for none.")
        return
    error = _unreadable(language, block.content)
    if error is not None:
        within, reason = error
        message = f"This block is not {language}: {reason}."
        yield Flaw(line + within, message, "Correct it, or mark it as ```text.")
    elif not _is_known(language):
        yield Flaw(line, f"No language is called `{language}`.", "Write ```text for none.")


def _is_known(language: str) -> bool:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        get_lexer_by_name(language)
    except ClassNotFound:
        return False
    return True


def _unreadable(language: str, source: str) -> tuple[int, str] | None:
    """The line within a block at which it is not what it says, and why; None if it is."""
    try:
        if language in ("python", "py", "python3"):
            _read_python(source)
        elif language == "json":
            json.loads(source)
        elif language == "toml":
            tomllib.loads(source)
        elif language in ("yaml", "yml") and (error := complaint(source)):
            return error
    except json.JSONDecodeError as error:
        return error.lineno, error.msg
    except SyntaxError as error:
        return error.lineno or 1, error.msg
    except (ValueError, RecursionError) as error:
        return 1, str(error)
    return None


def _read_python(source: str) -> None:
    """Parse a program, or the examples of a session at the prompt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if ">>>" not in source:
            tree_of(source)
            return
        for example in doctest.DocTestParser().get_examples(source):
            try:
                tree_of(example.source)
            except SyntaxError as error:
                error.lineno = (error.lineno or 1) + example.lineno
                raise

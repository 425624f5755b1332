"""The atoms of a formula, and how they are set on a line of Unicode text.

In the manner of TeX, each piece is an atom of some kind, and the kinds of two neighbours decide
the space between them (Knuth, The TeXbook, 1984, chapter 18). Two-dimensional layout is not
attempted, except for the rows of `aligned` and `cases`. Knows nothing of LaTeX's commands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len

Kind = Literal[
    "ordinary",  # letters, numbers, roots
    "word",  # a named function, or text set upright
    "big",  # a sum or a product
    "binary",
    "relation",
    "open",
    "close",
    "punctuation",
    "fraction",
    "space",  # as wide as it is
    "gap",  # a space that the author typed, which counts only between operands
    "script",  # `_` or `^`: the next atom belongs to the one before
    "cell",  # `&`
    "row",  # `\\`
]


@dataclass(frozen=True)
class Atom:
    """A piece of a formula that is never broken up again.

    Attributes:
        parts: what a braced group was made of, so that it can dissolve into its surroundings.
    """

    text: str
    kind: Kind = "ordinary"
    parts: tuple[Atom, ...] = ()


class FormulaError(ValueError):
    """A formula that cannot be read, with the reason as a sentence."""


ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}


def fraction(numerator: list[Atom], denominator: list[Atom]) -> Atom:
    """`a/b`, with brackets around what would otherwise be read otherwise."""
    over = join(numerator)
    under = join(denominator)
    if any(_depth_zero(numerator, ("binary", "relation", "big", "fraction", "punctuation"))):
        over = f"({over})"
    if not _is_factor(denominator):
        under = f"({under})"
    slash = " / " if " " in over + under else "/"
    return Atom(f"{over}{slash}{under}", "fraction")


def root(degree: str, body: list[Atom]) -> Atom:
    """`√x`, `√(x + 1)`, `∛x`, `ⁿ√x`."""
    sign = ROOTS.get(degree) or converted(degree, SUPERSCRIPTS) + "√"
    simple = len(body) == 1 and body[0].kind in ("ordinary", "word") and not body[0].parts
    return Atom(f"{sign}{join(body)}" if simple else f"{sign}({join(body)})")


def _depth_zero(atoms: list[Atom], kinds: tuple[Kind, ...]) -> Iterator[Atom]:
    """The atoms of these kinds that stand in no bracket; a leading sign does not count."""
    depth = 0
    for index, atom in enumerate(atoms):
        depth += (atom.kind == "open") - (atom.kind == "close" and atom.text != "!")
        if depth == 0 and atom.kind in kinds and not (atom.kind == "binary" and index == 0):
            yield atom


def _is_factor(atoms: list[Atom]) -> bool:
    """Whether a line of atoms reads as one thing: `x`, `√d`, `f(x)`, `(a + b)`."""
    kinds = [atom.kind for atom in atoms]
    if len(atoms) == 1:
        return kinds[0] in ("ordinary", "word") and not atoms[0].parts
    if kinds and kinds[0] in ("ordinary", "word"):
        atoms = atoms[1:]
    if not atoms or atoms[0].kind != "open" or atoms[-1].kind != "close":
        return False
    depth = 0
    for atom in atoms[:-1]:
        depth += (atom.kind == "open") - (atom.kind == "close")
        if depth == 0:
            return False
    return True


def _script_table(form: str) -> dict[int, str]:
    """Plain characters to their raised or lowered forms, read from the Unicode data.

    Only the blocks that terminal fonts commonly have are searched.
    """
    table: dict[int, str] = {}
    blocks = ((0xB2, 0xBA), (0x2B0, 0x300), (0x1D2C, 0x1DC0), (0x2070, 0x20A0), (0x2C7C, 0x2C7E))
    for code in (code for block in blocks for code in range(*block)):
        tag, _, plain = unicodedata.decomposition(chr(code)).partition(" ")
        if tag == form and " " not in plain:
            table.setdefault(int(plain, 16), chr(code))
    return table


SUBSCRIPTS = _script_table("<sub>")
SUPERSCRIPTS = _script_table("<super>") | {ord("⊤"): "ᵀ"}
RAISED_ALREADY = frozenset("′∗⋆†‡°")


def attach(atoms: Iterable[Atom]) -> Iterator[Atom]:
    """The atoms with each script joined to what it belongs to."""
    done: list[Atom] = []
    stream = iter(atoms)
    for atom in stream:
        if atom.kind != "script":
            done.append(atom)
            continue
        script = next((item for item in stream if item.kind != "gap"), None)
        if script is None or script.kind in ("script", "cell", "row"):
            raise FormulaError(f"Something is missing after {atom.text!r}.")
        while done and done[-1].kind == "gap":
            done.pop()
        base = done.pop() if done else Atom("")
        done.append(_with_script(base, atom.text, script))
    return _dissolved(done)


def _with_script(base: Atom, mark: str, script: Atom) -> Atom:
    text = join(script.parts, tight=True) if script.parts else script.text
    if mark == "^" and text in ("·", "*"):
        text = "∗"
    if mark == "^" and set(text) <= RAISED_ALREADY:
        lifted = text
    else:
        lifted = converted(text, SUBSCRIPTS if mark == "_" else SUPERSCRIPTS)
    if not lifted:
        braced = len(text) > 1 and not (mark == "_" and text.isalnum())
        lifted = f"{mark}{{{text}}}" if braced else mark + text
    if base.kind == "fraction" or len(base.parts) > 1:
        return Atom(f"({base.text}){lifted}")
    return replace(base, text=base.text + lifted, parts=())


def converted(text: str, table: dict[int, str]) -> str:
    """The text in raised or lowered characters; empty if one of them does not exist."""
    return text.translate(table) if all(ord(character) in table for character in text) else ""


def _dissolved(atoms: Iterable[Atom]) -> Iterator[Atom]:
    """The atoms with the braces gone that were only there to keep things together."""
    for atom in atoms:
        if atom.parts:
            yield from _dissolved(atom.parts)
        else:
            yield atom


OPERANDS = ("ordinary", "word", "big", "fraction", "close")
# After which kind a space comes before which kinds.
SPACED: dict[str, tuple[str, ...]] = {
    "ordinary": ("word", "big", "fraction"),
    "close": ("word", "big", "fraction"),
    "word": ("ordinary", "word", "big", "fraction"),
    "fraction": ("ordinary", "word", "big", "open", "fraction"),
    "big": ("ordinary", "word", "big", "open", "fraction"),
    "punctuation": ("ordinary", "word", "big", "open", "fraction"),
}
# A script that stayed on the line, and would run into a letter after it.
TRAILING_SCRIPT = re.compile(r"[_^]\w+$")


def join(atoms: Sequence[Atom], tight: bool = False) -> str:
    """A line of atoms, with spaces as between terms, or without any in a script."""
    line = ""
    previous: Atom | None = None
    gap = False
    atoms = _bracketed_fractions(list(atoms))
    for index, atom in enumerate(atoms):
        if atom.kind == "gap":
            gap = True
            continue
        if atom.kind == "space":
            line = line.rstrip(" ") + atom.text if len(atom.text) > 1 else line + atom.text
        elif previous is None or tight:
            line += atom.text
        else:
            unary = _is_unary(atoms, index)
            line += _space(previous, atom, gap, unary, line) + atom.text
        previous = replace(atom, kind="open") if _is_unary(atoms, index) else atom
        gap = False
    return line.strip()


def _space(left: Atom, right: Atom, gap: bool, unary: bool, line: str) -> str:
    """What stands between two neighbours."""
    if line.endswith(" ") or right.text.startswith(" ") or "space" in (left.kind, right.kind):
        return ""
    if left.kind == "open" or right.kind in ("close", "punctuation"):
        return ""
    if "relation" in (left.kind, right.kind):
        return "" if left.kind == right.kind else " "
    if unary:
        return " " if left.kind in ("punctuation", "binary", "word") else ""
    if "binary" in (left.kind, right.kind) or right.kind in SPACED.get(left.kind, ()):
        return " "
    if right.kind == "ordinary" and TRAILING_SCRIPT.search(left.text):
        return " "
    return " " if gap and left.kind in (*OPERANDS, "punctuation") else ""


def _is_unary(atoms: Sequence[Atom], index: int) -> bool:
    """Whether this is a sign before a term rather than an operation between two."""
    if atoms[index].kind != "binary":
        return False
    before = [atom for atom in atoms[:index] if atom.kind != "gap"]
    # A wide space separates two formulas, a thin one stands between terms.
    while before and before[-1].text == " ":
        before.pop()
    return not before or before[-1].kind not in ("ordinary", "close", "fraction")


def _bracketed_fractions(atoms: list[Atom]) -> list[Atom]:
    """Brackets around each fraction that would run into its neighbour: `(a/b) x`, `log(a/b)`."""
    solid = [atom for atom in atoms if atom.kind != "gap"]
    for index, atom in enumerate(solid):
        if atom.kind != "fraction":
            continue
        before = solid[index - 1].kind if index else None
        after = solid[index + 1].kind if index + 1 < len(solid) else None
        followed = after in ("ordinary", "word", "big", "open", "fraction")
        if followed or before in ("word", "fraction"):
            place = next(i for i, other in enumerate(atoms) if other is atom)
            atoms[place] = replace(atom, text=f"({atom.text})")
    return atoms


def rows_of(atoms: list[Atom]) -> list[list[str]]:
    """The cells of each row, as text."""
    rows: list[list[list[Atom]]] = [[[]]]
    for atom in atoms:
        if atom.kind == "row":
            rows.append([[]])
        elif atom.kind == "cell":
            rows[-1].append([])
        else:
            rows[-1][-1].append(atom)
    texts = [[join(list(attach(cell))) for cell in row] for row in rows]
    return [row for row in texts if any(row)]


def aligned(rows: list[list[str]]) -> str:
    """Rows with their columns under one another: the first to the right, the next to the left."""
    width = [max(cell_len(row[i]) for row in rows if i < len(row)) for i in range(_columns(rows))]
    lines = []
    for row in rows:
        line = ""
        for index, (cell, wide) in enumerate(zip(row, width, strict=False)):
            padding = " " * (wide - cell_len(cell))
            separator = "   " if index and index % 2 == 0 else " " * bool(index and width[0])
            line += separator + (padding + cell if index % 2 == 0 else cell + padding)
        lines.append(line.rstrip())
    return "\n".join(lines)


def _columns(rows: list[list[str]]) -> int:
    return max((len(row) for row in rows), default=0)


def cases(rows: list[list[str]]) -> str:
    """Rows of a value and its condition, beside a brace."""
    wide = max((cell_len(row[0]) for row in rows), default=0)
    braces = "{" if len(rows) == 1 else "⎰" + "⎱" if len(rows) == 2 else ""
    signs = braces or "⎧" + "⎨" * (len(rows) - 2) + "⎩"
    lines = []
    for sign, row in zip(signs, rows, strict=True):
        first = row[0] + " " * (wide - cell_len(row[0]))
        lines.append("   ".join([f"{sign} {first}", *row[1:]]).rstrip())
    return "\n".join(lines)


def lines_of(atoms: list[Atom]) -> str:
    """The whole formula: its rows, with what stands beside a block of rows set beside it."""
    rows = [list(attach(row)) for row in _split_rows(atoms)]
    return "\n".join(_beside(row) for row in rows if row)


def _split_rows(atoms: list[Atom]) -> Iterator[list[Atom]]:
    row: list[Atom] = []
    for atom in atoms:
        if atom.kind == "row":
            yield row
            row = []
        elif atom.kind != "cell":
            row.append(atom)
    yield row


def _beside(atoms: list[Atom]) -> str:
    """One row, in which a block of several lines hangs from what stands before it."""
    block = next((index for index, atom in enumerate(atoms) if "\n" in atom.text), None)
    if block is None:
        return join(atoms)
    before = join(atoms[:block])
    indent = " " * (cell_len(before) + bool(before))
    first, *others = atoms[block].text.split("\n")
    lines = [f"{before} {first}" if before else first, *(indent + line for line in others)]
    after = join([atom for atom in atoms[block + 1 :] if atom.kind != "gap"])
    return "\n".join([*lines[:-1], lines[-1] + (after if after in ",.;" else f" {after}")])

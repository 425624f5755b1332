r"""LaTeX formulas as readable Unicode text: `\frac{QK^\top}{\sqrt{d_k}}` becomes `QKᵀ/√dₖ`.

pylatexenc reads the formula and knows the symbols; this module sets the result on a line, in
the manner of TeX: each piece is an atom of some kind, and the kinds of two neighbours decide
the space between them (Knuth, The TeXbook, 1984, chapter 18). Two-dimensional layout is not
attempted, except for the rows of `aligned` and `cases`.

pylatexenc is imported with this module, so import it only where a formula occurs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from pylatexenc.latex2text import get_default_latex_context_db as default_symbols
from pylatexenc.latexwalker import LatexWalker, LatexWalkerParseError
from pylatexenc.latexwalker import get_default_latex_context_db as default_macros
from pylatexenc.macrospec import std_macro
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


def readable(source: str) -> str:
    """A formula as Unicode text, or as it was written if it cannot be read.

    Args:
        source: LaTeX without the dollar signs.

    Returns:
        One line, or several where the formula has rows.
    """
    try:
        return convert(source)
    except FormulaError:
        return source.strip()


def convert(source: str) -> str:
    """A formula as Unicode text.

    Args:
        source: LaTeX without the dollar signs.

    Raises:
        FormulaError: a bracket is not closed, or a command is not known.
    """
    try:
        nodes, _, _ = LatexWalker(
            source, latex_context=_macros(), tolerant_parsing=False
        ).get_latex_nodes()
        return _lines(list(_atoms(nodes)))
    except LatexWalkerParseError as error:
        raise FormulaError(f"The formula {source.strip()!r} cannot be read: {error.msg}") from error
    except RecursionError as error:
        raise FormulaError("The formula is nested too deeply.") from error


# --- reading: nodes of pylatexenc to atoms ---

RELATIONS = frozenset("=<>≤≥≠≈≃≅≡∼∝∈∉∋⊂⊆⊃⊇→←↔⇒⇐⇔↦⟶⟵⟹⟸⟺≪≫∣∥⊥≜≔⊢⊨")
BINARIES = frozenset("+−·×±∓∘⊙⊗⊕∗⋆÷∪∩∧∨∖")
BIG = frozenset("∑∏∫∮⋃⋂⨁⨂∐")
OPENING = frozenset("([{⌈⌊⟨")
CLOSING = frozenset(")]}⌉⌋⟩!")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(RELATIONS, "relation"),
    **dict.fromkeys(BINARIES, "binary"),
    **dict.fromkeys(BIG, "big"),
    **dict.fromkeys(OPENING, "open"),
    **dict.fromkeys(CLOSING, "close"),
    **dict.fromkeys(",;", "punctuation"),
}
TOKENS = re.compile(r"\s+|\d+(?:\.\d+)?|:=|[<>!]=|[_^]|'+|.", re.DOTALL)
RESPELT = {"-": "−", "*": "·", "<=": "≤", ">=": "≥", "!=": "≠", "~": " "}

# Commands that pylatexenc's table of symbols lacks or gives in a form for running text.
SYMBOLS = {
    **{"argmax": "argmax", "argmin": "argmin", "softmax": "softmax", "Pr": "Pr"},
    **{"gets": "←", "iff": "⇔", "implies": "⇒", "land": "∧", "lor": "∨", "lnot": "¬"},
    **{"mid": "∣", "vert": "|", "lvert": "|", "rvert": "|", "middle": "", "|": "‖"},
    **{"top": "⊤", "intercal": "⊤", "prime": "′", "star": "⋆", "ast": "∗", "setminus": "∖"},
    **{"colon": ":", "coloneqq": ":=", "lbrack": "[", "rbrack": "]", "backslash": "\\"},
    **{"bmod": "mod", "dotsc": "…", "dotsb": "⋯", "blacksquare": "■", "checkmark": "✓"},
    **{"{": "{", "}": "}", "%": "%", "$": "$", "#": "#", "&": "&", "_": "_"},
}
SPACES = {
    **{"quad": "  ", "qquad": "    ", ",": " ", ":": " ", ";": " ", ">": " ", " ": " "},
    **{"!": "", "enspace": " ", "thinspace": " ", "\n": " "},
}
# Sizes and styles, which a line of text does not have.
IGNORED = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr displaystyle "
    "textstyle scriptstyle limits nolimits mathstrut nonumber notag".split()
)
UPRIGHT = frozenset("mathrm operatorname mathsf mathtt mathop".split())
PLAIN = frozenset("mathbf mathit boldsymbol bm mathnormal".split())
PROSE = frozenset("text textrm textbf textit texttt textsf textnormal mbox".split())
STYLED = frozenset("mathbb mathcal mathscr mathfrak".split())
ACCENTS = {
    **{"hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303"},
    **{"bar": "\u0304", "overline": "\u0305", "vec": "\u20d7", "dot": "\u0307"},
    **{"ddot": "\u0308", "underline": "\u0332"},
}
FRACTIONS = frozenset("frac dfrac tfrac cfrac".split())
ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
ALIGNED = frozenset("aligned align align* alignedat split gathered gather gather* equation".split())
MATRICES = frozenset("matrix pmatrix bmatrix smallmatrix".split())


@cache
def _macros() -> Any:
    """pylatexenc's table of commands and their arguments, with those that it lacks."""
    table = default_macros()
    arguments = {name: "{" for name in UPRIGHT | PLAIN | PROSE | STYLED | ACCENTS.keys()}
    arguments |= dict.fromkeys(FRACTIONS | {"binom"}, "{{")
    arguments |= {"operatorname": "*{", "\\": "*", "sqrt": "[{"}
    specs = [std_macro(name, spec) for name, spec in arguments.items()]
    table.add_context_category("llmpath", macros=specs, prepend=True)
    return table


@cache
def _symbols() -> Any:
    return default_symbols()


def _atoms(nodes: Iterable[Any]) -> Iterator[Atom]:
    """The atoms of some nodes, in order; scripts are still unattached."""
    for node in nodes:
        name = type(node).__name__
        if name == "LatexCharsNode":
            yield from _character_atoms(node.chars)
        elif name == "LatexGroupNode":
            parts = tuple(_attach(_atoms(node.nodelist)))
            yield Atom(_join(parts), parts=parts) if len(parts) != 1 else parts[0]
        elif name == "LatexMacroNode":
            yield from _macro_atoms(node)
        elif name == "LatexSpecialsNode":
            yield from _special_atoms(node.specials_chars)
        elif name == "LatexEnvironmentNode":
            yield _environment(node)
        elif name != "LatexCommentNode":
            raise FormulaError("There is a dollar sign inside the formula.")


def _character_atoms(characters: str) -> Iterator[Atom]:
    for token in TOKENS.findall(characters):
        text = RESPELT.get(token, token)
        if text.isspace():
            yield Atom(" ", "gap")
        elif text in ("_", "^"):
            yield Atom(text, "script")
        elif text.startswith("'"):
            yield Atom("^", "script")
            yield Atom("′" * len(text))
        else:
            yield Atom(text, KINDS.get(text, "relation" if text == ":=" else "ordinary"))


def _special_atoms(characters: str) -> Iterator[Atom]:
    if characters == "&":
        yield Atom("", "cell")
    else:
        # pylatexenc takes these together for the quotation marks and dashes of running text.
        yield from _character_atoms(characters)


def _macro_atoms(node: Any) -> Iterator[Atom]:
    name = node.macroname
    if name == "\\":
        yield Atom("", "row")
    elif name in SPACES:
        yield Atom(SPACES[name], "space")
    elif name not in IGNORED:
        yield _macro(name, [argument for argument in _arguments(node) if argument is not None])


def _arguments(node: Any) -> Sequence[Any]:
    return node.nodeargd.argnlist if node.nodeargd is not None else ()


def _macro(name: str, arguments: list[Any]) -> Atom:
    if name in FRACTIONS:
        return _fraction(*(_parts(argument) for argument in arguments))
    if name == "sqrt":
        return _root(arguments)
    if name == "binom":
        upper, lower = (_join(_parts(argument)) for argument in arguments)
        return Atom(f"({upper} choose {lower})")
    if name in PROSE:
        return Atom(_verbatim(arguments[-1]))
    if name in UPRIGHT:
        text = _join(_parts(arguments[-1]), tight=True)
        return Atom(text, "word" if len(text) > 1 else "ordinary")
    if name in PLAIN:
        parts = _parts(arguments[-1])
        return parts[0] if len(parts) == 1 else Atom(_join(parts), parts=tuple(parts))
    if name in STYLED:
        return Atom("".join(_styled(name, letter) for letter in _join(_parts(arguments[-1]))))
    if name in ACCENTS:
        return Atom(_accented(_join(_parts(arguments[-1])), ACCENTS[name]))
    text = _symbol(name)
    return Atom(text, KINDS.get(text, "word" if text.isalpha() and len(text) > 1 else "ordinary"))


def _parts(node: Any) -> list[Atom]:
    """The atoms of one argument, without the braces around it."""
    nodes = node.nodelist if type(node).__name__ == "LatexGroupNode" else [node]
    return list(_attach(_atoms(nodes)))


def _verbatim(node: Any) -> str:
    r"""The words of `\text{…}`, which keep their spaces and their low lines."""
    source = node.latex_verbatim()
    inner = source[1:-1] if source.startswith("{") else source
    return re.sub(r"\\([_%&#$ {}])", r"\1", inner).replace("~", " ")


def _symbol(name: str) -> str:
    if name in SYMBOLS:
        return SYMBOLS[name]
    spec = _symbols().get_macro_spec(name)
    text = getattr(spec, "simplify_repl", None)
    if not isinstance(text, str) or not text.strip() or "%" in text:
        raise FormulaError(f"The command \\{name} is not known.")
    return text


def _styled(name: str, letter: str) -> str:
    """Blackboard or script letters, where fonts are likely to have them; else the letter."""
    style = {"mathbb": "DOUBLE-STRUCK", "mathfrak": "BLACK-LETTER"}.get(name, "SCRIPT")
    try:
        return unicodedata.lookup(f"{style} CAPITAL {letter}") if letter.isupper() else letter
    except KeyError:
        return letter


def _accented(text: str, accent: str) -> str:
    return unicodedata.normalize("NFC", "".join(letter + accent for letter in text))


def _environment(node: Any) -> Atom:
    name = node.environmentname
    rows = _rows(list(_atoms(node.nodelist)))
    if name in ALIGNED:
        return Atom(_aligned(rows))
    if name == "cases":
        return Atom(_cases(rows))
    if name in MATRICES:
        return Atom("[" + ", ".join("[" + ", ".join(row) + "]" for row in rows) + "]")
    raise FormulaError(f"The environment {name} is not known.")


# --- fractions, roots and scripts ---


def _fraction(numerator: list[Atom], denominator: list[Atom]) -> Atom:
    over = _join(numerator)
    under = _join(denominator)
    if any(_depth_zero(numerator, ("binary", "relation", "big", "fraction", "punctuation"))):
        over = f"({over})"
    if not _is_factor(denominator):
        under = f"({under})"
    slash = " / " if " " in over + under else "/"
    return Atom(f"{over}{slash}{under}", "fraction")


def _root(arguments: list[Any]) -> Atom:
    degree = _join(_parts(arguments[0])) if len(arguments) > 1 else ""
    sign = ROOTS.get(degree) or _converted(degree, SUPERSCRIPTS) + "√"
    body = _parts(arguments[-1])
    text = _join(body)
    simple = len(body) == 1 and body[0].kind in ("ordinary", "word") and not body[0].parts
    return Atom(f"{sign}{text}" if simple else f"{sign}({text})")


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


def _attach(atoms: Iterable[Atom]) -> Iterator[Atom]:
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
    text = _join(script.parts, tight=True) if script.parts else script.text
    if mark == "^" and text in ("·", "*"):
        text = "∗"
    if mark == "^" and set(text) <= RAISED_ALREADY:
        lifted = text
    else:
        lifted = _converted(text, SUBSCRIPTS if mark == "_" else SUPERSCRIPTS)
    if not lifted:
        braced = len(text) > 1 and not (mark == "_" and text.isalnum())
        lifted = f"{mark}{{{text}}}" if braced else mark + text
    if base.kind == "fraction" or len(base.parts) > 1:
        return Atom(f"({base.text}){lifted}")
    return replace(base, text=base.text + lifted, parts=())


def _converted(text: str, table: dict[int, str]) -> str:
    """The text in raised or lowered characters; empty if one of them does not exist."""
    return text.translate(table) if all(ord(character) in table for character in text) else ""


def _dissolved(atoms: Iterable[Atom]) -> Iterator[Atom]:
    """The atoms with the braces gone that were only there to keep things together."""
    for atom in atoms:
        if atom.parts:
            yield from _dissolved(atom.parts)
        else:
            yield atom


# --- setting: atoms to lines ---

OPERANDS = ("ordinary", "word", "big", "fraction", "close")
SPACED: frozenset[tuple[Kind, Kind]] = frozenset(
    [
        *[(left, "word") for left in ("ordinary", "close", "word", "big", "fraction")],
        *[(left, "big") for left in ("ordinary", "close", "word", "fraction")],
        *[("word", right) for right in ("ordinary", "fraction")],
        *[("big", right) for right in ("ordinary", "big", "open", "fraction")],
        *[("ordinary", "fraction"), ("close", "fraction"), ("fraction", "ordinary")],
        *[("fraction", "open"), ("fraction", "fraction")],
        *[("punctuation", right) for right in ("ordinary", "word", "big", "open", "fraction")],
    ]  # type: ignore[list-item]
)


def _join(atoms: Sequence[Atom], tight: bool = False) -> str:
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
    if "binary" in (left.kind, right.kind) or (left.kind, right.kind) in SPACED:
        return " "
    return " " if gap and left.kind in (*OPERANDS, "punctuation") else ""


def _is_unary(atoms: Sequence[Atom], index: int) -> bool:
    """Whether this is a sign before a term rather than an operation between two."""
    if atoms[index].kind != "binary":
        return False
    before = [atom for atom in atoms[:index] if atom.kind not in ("gap", "space")]
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


def _rows(atoms: list[Atom]) -> list[list[str]]:
    """The cells of each row, as text."""
    rows: list[list[list[Atom]]] = [[[]]]
    for atom in atoms:
        if atom.kind == "row":
            rows.append([[]])
        elif atom.kind == "cell":
            rows[-1].append([])
        else:
            rows[-1][-1].append(atom)
    texts = [[_join(list(_attach(cell))) for cell in row] for row in rows]
    return [row for row in texts if any(row)]


def _aligned(rows: list[list[str]]) -> str:
    """Rows with their columns under one another: the first to the right, the next to the left."""
    width = [max(cell_len(row[i]) for row in rows if i < len(row)) for i in range(_columns(rows))]
    lines = []
    for row in rows:
        line = ""
        for index, (cell, wide) in enumerate(zip(row, width, strict=False)):
            padding = " " * (wide - cell_len(cell))
            separator = "   " if index and index % 2 == 0 else " " * bool(index and line.strip())
            line += separator + (padding + cell if index % 2 == 0 else cell + padding)
        lines.append(line.rstrip())
    return "\n".join(lines)


def _columns(rows: list[list[str]]) -> int:
    return max((len(row) for row in rows), default=0)


def _cases(rows: list[list[str]]) -> str:
    wide = max((cell_len(row[0]) for row in rows), default=0)
    braces = "{" if len(rows) == 1 else "⎰" + "⎱" if len(rows) == 2 else ""
    signs = braces or "⎧" + "⎨" * (len(rows) - 2) + "⎩"
    lines = []
    for sign, row in zip(signs, rows, strict=True):
        first = row[0] + " " * (wide - cell_len(row[0]))
        lines.append("   ".join([f"{sign} {first}", *row[1:]]).rstrip())
    return "\n".join(lines)


def _lines(atoms: list[Atom]) -> str:
    """The whole formula: its rows, with what stands beside a block of rows set beside it."""
    rows = [list(_attach(row)) for row in _split_rows(atoms)]
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
        return _join(atoms)
    before = _join(atoms[:block])
    indent = " " * (cell_len(before) + bool(before))
    first, *others = atoms[block].text.split("\n")
    lines = [f"{before} {first}" if before else first, *(indent + line for line in others)]
    after = _join([atom for atom in atoms[block + 1 :] if atom.kind != "gap"])
    return "\n".join([*lines[:-1], lines[-1] + (after if after in ",.;" else f" {after}")])

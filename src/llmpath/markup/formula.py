r"""LaTeX formulas as readable Unicode text: `\frac{QK^\top}{\sqrt{d_k}}` becomes `QKᵀ/√dₖ`.

pylatexenc reads the formula and knows most symbols; here its nodes become atoms, which
`llmpath.markup.atoms` sets on a line. pylatexenc is imported with this module, so import it only
where a formula occurs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pylatexenc.latex2text import get_default_latex_context_db as default_symbols
from pylatexenc.latexwalker import LatexWalker, LatexWalkerParseError
from pylatexenc.latexwalker import get_default_latex_context_db as default_macros
from pylatexenc.macrospec import std_macro

from llmpath.markup.atoms import (
    Atom,
    FormulaError,
    Kind,
    aligned,
    attach,
    cases,
    fraction,
    join,
    lines_of,
    root,
    rows_of,
)

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
TOKENS = re.compile(r"\s+|\d+(?:\.\d+)?|[a-z]{3,}|:=|[<>!]=|[_^]|'+|.", re.DOTALL)
RESPELT = {"-": "−", "*": "·", "<=": "≤", ">=": "≥", "!=": "≠", "~": " "}

# Commands that pylatexenc's table of symbols lacks or gives in a form for running text.
SYMBOLS = {
    "argmax": "argmax",
    "argmin": "argmin",
    "softmax": "softmax",
    "Pr": "Pr",
    "gets": "←",
    "iff": "⇔",
    "implies": "⇒",
    "land": "∧",
    "lor": "∨",
    "lnot": "¬",
    "ne": "≠",
    "vert": "|",
    "|": "‖",
    "top": "⊤",
    "intercal": "⊤",
    "prime": "′",
    "star": "⋆",
    "ast": "∗",
    "setminus": "∖",
    "colon": ":",
    "coloneqq": ":=",
    "lbrack": "[",
    "rbrack": "]",
    "backslash": "\\",
    "bmod": "mod",
    "dotsc": "…",
    "dotsb": "⋯",
    "blacksquare": "■",
    "checkmark": "✓",
    "{": "{",
    "}": "}",
    "%": "%",
    "$": "$",
    "#": "#",
    "&": "&",
    "_": "_",
}
DELIMITERS = {
    "mid": Atom("|", "relation"),
    "lvert": Atom("|", "open"),
    "rvert": Atom("|", "close"),
    "lVert": Atom("‖", "open"),
    "rVert": Atom("‖", "close"),
}
SPACES = {
    "quad": "  ",
    "qquad": "    ",
    ",": " ",
    ":": " ",
    ";": " ",
    ">": " ",
    " ": " ",
    "!": "",
    "enspace": " ",
    "thinspace": " ",
    "\n": " ",
}
# Sizes and styles, which a line of text does not have.
IGNORED = frozenset(
    [
        "left",
        "right",
        "middle",
        "big",
        "Big",
        "bigg",
        "Bigg",
        "bigl",
        "bigr",
        "Bigl",
        "Bigr",
        "biggl",
        "biggr",
        "Biggl",
        "Biggr",
        "displaystyle",
        "textstyle",
        "scriptstyle",
        "limits",
        "nolimits",
        "mathstrut",
        "nonumber",
        "notag",
    ]
)
UPRIGHT = frozenset(["mathrm", "operatorname", "mathsf", "mathtt", "mathop"])
PLAIN = frozenset(["mathbf", "mathit", "boldsymbol", "bm", "mathnormal"])
PROSE = frozenset(["text", "textrm", "textbf", "textit", "texttt", "textsf", "textnormal", "mbox"])
STYLED = frozenset(["mathbb", "mathcal", "mathscr", "mathfrak"])
ACCENTS = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "bar": "\u0304",
    "overline": "\u0305",
    "vec": "\u20d7",
    "dot": "\u0307",
    "ddot": "\u0308",
    "underline": "\u0332",
}
FRACTIONS = frozenset(["frac", "dfrac", "tfrac", "cfrac"])
ALIGNED = frozenset(
    [
        "aligned",
        "align",
        "align*",
        "alignedat",
        "split",
        "gathered",
        "gather",
        "gather*",
        "equation",
    ]
)
# The invisible partner of a bracket that is only opened or only closed.
NO_DELIMITER = re.compile(r"\\(?:left|right)\s*\.")
MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "smallmatrix"])


def convert(source: str) -> str:
    """A formula as Unicode text.

    Args:
        source: LaTeX without the dollar signs.

    Raises:
        FormulaError: a bracket is not closed, or a command is not known.
    """
    try:
        nodes, _, _ = LatexWalker(
            NO_DELIMITER.sub("", source), latex_context=_macros(), tolerant_parsing=False
        ).get_latex_nodes()
        return lines_of(list(_atoms(nodes)))
    except LatexWalkerParseError as error:
        raise FormulaError(f"The formula {source.strip()!r} cannot be read: {error.msg}") from error
    except RecursionError as error:
        raise FormulaError("The formula is nested too deeply.") from error


@cache
def _macros() -> Any:
    """Pylatexenc's table of commands and their arguments, with those that it lacks."""
    table = default_macros()
    arguments = dict.fromkeys(UPRIGHT | PLAIN | PROSE | STYLED | ACCENTS.keys(), "{")
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
            parts = tuple(attach(_atoms(node.nodelist)))
            yield _group(parts)
        elif name == "LatexMacroNode":
            yield from _macro_atoms(node)
        elif name == "LatexSpecialsNode":
            yield from _special_atoms(node.specials_chars)
        elif name == "LatexEnvironmentNode":
            yield _environment(node)
        elif name != "LatexCommentNode":
            raise FormulaError("There is a dollar sign inside the formula.")


def _group(parts: tuple[Atom, ...]) -> Atom:
    """Braces: a sign alone in them becomes an ordinary atom, as in `1{,}000`."""
    if len(parts) != 1:
        return Atom(join(parts), parts=parts)
    part = parts[0]
    return part if part.kind in ("word", "fraction") else replace(part, kind="ordinary")


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
        return fraction(*(_parts(argument) for argument in arguments))
    if name == "sqrt":
        degree = join(_parts(arguments[0])) if len(arguments) > 1 else ""
        return root(degree, _parts(arguments[-1]))
    if name == "binom":
        upper, lower = (join(_parts(argument)) for argument in arguments)
        return Atom(f"({upper} choose {lower})")
    if name in PROSE:
        return Atom(_verbatim(arguments[-1]))
    if name in UPRIGHT:
        text = join(_parts(arguments[-1]), tight=True)
        return Atom(text, "word" if len(text) > 1 else "ordinary")
    if name in PLAIN:
        parts = _parts(arguments[-1])
        return parts[0] if len(parts) == 1 else Atom(join(parts), parts=tuple(parts))
    if name in STYLED:
        return Atom("".join(_styled(name, letter) for letter in join(_parts(arguments[-1]))))
    if name in ACCENTS:
        return Atom(_accented(join(_parts(arguments[-1])), ACCENTS[name]))
    if name in DELIMITERS:
        return DELIMITERS[name]
    text = _symbol(name)
    return Atom(text, KINDS.get(text, "word" if text.isalpha() and len(text) > 1 else "ordinary"))


def _parts(node: Any) -> list[Atom]:
    """The atoms of one argument, without the braces around it."""
    nodes = node.nodelist if type(node).__name__ == "LatexGroupNode" else [node]
    return list(attach(_atoms(nodes)))


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
    rows = rows_of(list(_atoms(node.nodelist)))
    if name in ALIGNED:
        return Atom(aligned(rows))
    if name == "cases":
        return Atom(cases(rows))
    if name in MATRICES:
        return Atom("[" + ", ".join("[" + ", ".join(row) + "]" for row in rows) + "]")
    raise FormulaError(f"The environment {name} is not known.")

"""Readable stand-ins for characters that a stream's encoding lacks.

A Windows pipe in cp1252 or a terminal with LANG=C cannot carry `√dₖ ≤ 1`; it gets
`sqrt d_k <= 1` instead of an error or a row of question marks.
"""

from __future__ import annotations

import codecs
import itertools
import unicodedata
from collections.abc import Mapping

STAND_INS = "llmpath.stand-ins"
# What a character's Unicode name or decomposition does not tell; `_stand_in` finds the rest.
# Pairs of a character and its stand-in, where a low line is a space.
_TABLE = """
✓ +   ✗ x   ○ o   ● *   • *   · *   ⋅ *   ∙ *   × x   ⊙ *   ∗ *   ⋆ *   ± +-   ÷ /
– -   — -   − -   ‐ -   ‑ -   … ...   ⋯ ...   ‘ '   ’ '   “ "   ” "   ′ '   ″ "   € EUR
─ -   ━ -   ═ =   │ |   ┃ |   ▌ |   ▍ |   █ #   ▓ #   ▒ :   ░ .   ‖ ||   ∣ |   ∥ ||
≤ <=   ≥ >=   ≠ !=   ≈ ~=   ≡ ==   ∼ ~   ∝ prop._to   ∞ inf   ∈ in   ∉ not_in   ∀ for_all
→ ->   ← <-   ⇒ =>   ↔ <->   ⇔ <=>   ↦ |->   ⟨ <   ⟩ >   ⌈ ceil(   ⌉ )   ⌊ floor(   ⌋ )
√ sqrt_   ∛ cbrt_   ∑ sum   ∏ prod   ∫ integral   ∂ d   ∇ grad_   ⊤ T
"""
KNOWN_STAND_INS: Mapping[str, str] = {
    character: stand_in.replace("_", " ")
    for character, stand_in in zip(_TABLE.split()[::2], _TABLE.split()[1::2], strict=True)
}


def write_anything(stream: object) -> None:
    """Make a stream write stand-ins for what its encoding lacks, instead of raising."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        return
    # In UTF-8, surrogateescape gives file names back byte for byte; elsewhere it hides letters.
    unicode_stream = "utf" in (getattr(stream, "encoding", "") or "").lower()
    if not (unicode_stream and getattr(stream, "errors", "") == "surrogateescape"):
        reconfigure(errors=STAND_INS)


def _stand_in(character: str) -> str:
    """A readable ASCII text for one character; `?` if there is none."""
    known = KNOWN_STAND_INS.get(character)
    if known is not None:
        return known
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "+"
    if name.startswith("GREEK") and " LETTER " in name:
        letter = name.split(" LETTER ")[1].split(" WITH ")[0].lower()
        return letter.capitalize() if "CAPITAL" in name else letter
    plain = unicodedata.normalize("NFKD", character).replace("−", "-").replace("⁄", "/")
    ascii_only = plain.encode("ascii", "ignore").decode()
    return ascii_only or ("" if unicodedata.combining(character) else "?")


def _script(character: str) -> str:
    """`_` for a subscript character, `^` for a superscript one, nothing for all others."""
    form = unicodedata.decomposition(character).partition(" ")[0]
    return {"<sub>": "_", "<super>": "^"}.get(form, "")


def _replace_unprintable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    replaced = ""
    for script, run in itertools.groupby(error.object[error.start : error.end], key=_script):
        text = "".join(_stand_in(character) for character in run)
        replaced += f"{script}{{{text}}}" if script and len(text) > 1 else script + text
    return replaced, error.end


codecs.register_error(STAND_INS, _replace_unprintable)

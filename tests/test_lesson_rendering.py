"""Lessons in the terminal: the real renderer, printed to a buffer."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.color import Color
from rich.style import Style

from llmpath.markup.atoms import FormulaError
from llmpath.markup.formula import convert
from llmpath.ui.lesson import render
from llmpath.ui.theme import ASCII, CODE_STYLES, STYLES, UNICODE, make_console, symbols

TABLE = """
| Model | Parameters | Training tokens |
|:------|-----------:|----------------:|
| Alpha | 1.5 B      | 300 B           |
| Beta  | 70 B       | 1.4 T           |
"""


def shown(markdown: str, width: int = 80, **options: bool) -> str:
    """What a console of this width prints for some Markdown."""
    buffer = io.StringIO()
    make_console(file=buffer, width=width, **options).print(render(markdown))
    return buffer.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{a + b}{c}", "(a + b) / c"),
        (r"\frac{a}{2d}", "a/(2d)"),
        (r"\frac12 x", "(1/2) x"),
        (r"\frac{\frac{a}{b}}{c}", "(a/b)/c"),
        (r"\frac{\exp(x_i)}{\sum_j \exp(x_j)}", "exp(xᵢ) / (∑ⱼ exp(xⱼ))"),
        (r"\frac{count(a, b)}{count(a)}", "count(a, b) / count(a)"),
        (r"\frac{a}{b}^2", "(a/b)²"),
        (r"\log \frac{a}{b}", "log (a/b)"),
        (r"\sqrt{d} + \sqrt{d_k} + \sqrt{2d} + \sqrt[3]{x}", "√d + √dₖ + √(2d) + ∛x"),
        (r"\operatorname{softmax}\left(\frac{QK^\top}{\sqrt{d_k}}\right)", "softmax(QKᵀ/√dₖ)"),
        (r"x_i^2 + x_{t+1} - y'", "xᵢ² + xₜ₊₁ − y′"),
        (r"10^{-3}", "10⁻³"),
        (r"\sum_{i=1}^{n} p_i \log_2 p_i", "∑ᵢ₌₁ⁿ pᵢ log₂ pᵢ"),
        (r"d_\text{model} \times d_{head}", "d_model × d_head"),
        (r"p(x_t \mid x_{<t})", "p(xₜ | x_{<t})"),
        (r"\pi_{\theta_{old}}", "π_{θ_old}"),
        (r"\eta\nabla_\theta L", "η∇_θ L"),
        (r"\mathbf{W}^{(1)} \in \mathbb{R}^{d \times h}", "W⁽¹⁾ ∈ ℝ^{d×h}"),
        (r"\hat{y} = \sigma(x)", "ŷ = σ(x)"),
        (r"-3 \cdot -2 = 6", "−3 · −2 = 6"),
        (r"a = 1 \qquad -\log_2 p", "a = 1    −log₂ p"),
        (r"1{,}000 \approx 10^3", "1,000 ≈ 10³"),
        (r"\lfloor x \rfloor \ne \lvert y \rvert", "⌊x⌋ ≠ |y|"),
        (r"\left. x\right|_0", "x|₀"),
        (r"x \in \{0, 1\}", "x ∈ {0, 1}"),
        (r"f(x) \text{ if } x_a > 0", "f(x) if xₐ > 0"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "[[1, 2], [3, 4]]"),
        (r"\begin{aligned} a &= b \\ &= c \end{aligned}", "a = b\n  = c"),
        (r"f = \begin{cases} 1 & x \\ 22 & y \end{cases}", "f = ⎰ 1    x\n    ⎱ 22   y"),
    ],
)
def test_formulas_become_unicode(source: str, expected: str) -> None:
    """A formula reads as a mathematician would type it, brackets only where they are needed."""
    assert convert(source) == expected


@pytest.mark.parametrize("source", [r"\frac{a}{", r"\nosuchcommand x", "x_", "{a", r"\begin{foo}x"])
def test_a_malformed_formula_stays_as_written(source: str) -> None:
    """What cannot be read is refused by `convert` and shown as it was written by `render`."""
    with pytest.raises(FormulaError):
        convert(source)
    assert words(shown(f"see ${source}$ there")) == f"see ${source}$ there"


@settings(deadline=None)
@given(st.text(alphabet=r"\{}[]()_^&'|.,!~%$ab1+-=<>" + "\n é", max_size=40))
def test_no_formula_crashes(source: str) -> None:
    """Whatever stands between dollar signs gives text or a `FormulaError`, nothing else."""
    try:
        assert isinstance(convert(source), str)
    except FormulaError as error:
        assert str(error)  # noqa: PT017 - either outcome is right, a third one is not


@settings(deadline=None)
@given(st.text(alphabet="$`*_#>|-[]()!\\ab1 \n:", max_size=60), st.integers(1, 100))
def test_no_markdown_crashes(markdown: str, width: int) -> None:
    """Any Markdown is rendered, in a window of any width."""
    shown(markdown, width)


def test_formulas_are_safe_from_markdown() -> None:
    """Low lines and stars inside a formula are not taken for emphasis."""
    assert words(shown("both $a_i * b_i$ and $c_j * d_k$")) == "both aᵢ · bᵢ and cⱼ · dₖ"


def test_dollar_signs_that_are_no_formulas() -> None:
    """Prices, escaped dollar signs and dollar signs in code stay as they are."""
    text = r"costs $5 or $10, a \$ sign, `$x_i$`, `$` and $n^2$"
    assert words(shown(text)) == "costs $5 or $10, a $ sign, $x_i$, $ and n²"
    assert "$y_i$" in shown("```\n$y_i$\n```")


def test_a_display_formula_stands_alone_and_set_in() -> None:
    """A formula between double dollar signs has lines of its own, indented and not cut off."""
    lines = shown("before\n\n$$a = b + c + d + e + f + g$$\n\nafter", width=20).splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    formula = [line for line in lines[1:-1] if line]
    assert len(formula) > 1
    assert all(line.startswith("    ") and len(line) <= 20 for line in formula)
    assert words(" ".join(formula)) == "a = b + c + d + e + f + g"


def test_a_short_formula_is_not_broken() -> None:
    """A formula of a few signs moves to the next line as a whole."""
    for width in range(10, 40):
        assert "n − 1" in shown("so a document of $n$ tokens holds $n - 1$ exercises", width)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100])
def test_nothing_is_wider_than_the_window(width: int) -> None:
    """Every line fits, whatever the lesson holds, and no character of it is lost."""
    code = "```python\n    result = function(argument_one, argument_two)  # and why\n```"
    markdown = f"## A heading of several words\n\n1. item one of the list\n\n{TABLE}\n\n{code}\n"
    text = shown(markdown, width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    squeezed = re.sub(r"\s", "", text)
    assert "result=function(argument_one,argument_two)#andwhy" in squeezed
    assert all(value in text for value in ("Alpha", "1.5 B", "300 B", "Beta", "70 B", "1.4 T"))


def test_prose_keeps_to_a_readable_width() -> None:
    """In a very wide window lines of prose still end where they can be read."""
    assert max(len(line) for line in shown("word " * 100, width=200).splitlines()) <= 88


def test_a_wide_table_becomes_a_list_of_entries() -> None:
    """Where columns would not fit, each row is a short list with its columns named."""
    wide, narrow = shown(TABLE, 60), shown(TABLE, 24)
    assert re.search(r"Alpha +1\.5 B +300 B", wide)
    assert narrow.splitlines() == [
        "Alpha", "  Parameters: 1.5 B", "  Training tokens: 300 B",
        "",
        "Beta", "  Parameters: 70 B", "  Training tokens: 1.4 T",
    ]  # fmt: skip


def test_headings_stand_left_and_are_underlined() -> None:
    """A heading begins at the edge and can be told from prose without any colour."""
    assert shown("## Why scale\n\ntext").splitlines()[:2] == ["Why scale", "─" * 9]


def test_numbered_lists_count_on() -> None:
    """Numbers start where the list says, stand under one another, and nested lists are set in."""
    items = "\n".join(f"{number}. item" for number in range(8, 11))
    lines = shown(f"{items}\n    - inner").splitlines()
    assert lines == ["  8. item", "  9. item", " 10. item", "      • inner"]


def test_code_can_be_copied() -> None:
    """A code block is set in by spaces, with nothing before or after its lines."""
    text = shown("```python\ndef f():\n\n    return 1\n```")
    assert text.splitlines() == ["    def f():", "", "        return 1"]


def test_code_is_highlighted_without_a_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal code has colours, and leaves the terminal's own background alone."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "")
    text = shown("```python\nreturn 1  # why\n```", force_terminal=True)
    codes = [code for run in re.findall(r"\x1b\[([\d;]+)m", text) for code in run.split(";")]
    assert "38" in codes
    assert not {"40", "48", "100"} & set(codes)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set not one colour is written, even to a terminal."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown(f"## Title\n\n`code` $x$\n{TABLE}\n```python\nx = 1\n```", force_terminal=True)
    runs = re.findall(r"\x1b\[([\d;]*)m", text)
    assert not [run for run in runs if {"38", "48"} & set(run.split(";"))]


def test_links_and_figures_say_where_they_lead() -> None:
    """The address of a link and the path of a figure are spelt out, each once."""
    text = words(
        shown(
            "[paper](https://a.org/x), <https://b.org>, [up](#top), [next](b.md)\n\n![Map](m.png)"
        )
    )
    assert text == "paper (https://a.org/x), https://b.org, up, next (b.md) Figure: Map (m.png)"


def test_text_in_brackets_is_not_markup() -> None:
    """Markup of rich in a lesson, such as `[bold]`, is text like any other."""
    assert words(shown("a list `x[red]` and [bold]word[/bold] :smile:")) == (
        "a list x[red] and [bold]word[/bold] :smile:"
    )


def test_symbols_follow_the_encoding() -> None:
    """A console that cannot print ✓ gets the ASCII signs, all others the Unicode ones."""
    for encoding, expected in (("utf-8", UNICODE), ("cp1252", ASCII), ("ascii", ASCII)):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        assert symbols(make_console(file=stream)) == expected
    assert all(sign.isascii() for sign in vars(ASCII).values())


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", '+ sqrt d_k <= theta_{t+1}^2 - "naive" sum_{i=1}^n -> ?'),
        ("cp1252", "+ sqrt d_k <= theta_{t+1}² - “naïve” sum_{i=1}^n -> ?"),
        ("utf-8", "✓ √dₖ ≤ θₜ₊₁² − “naïve” ∑ᵢ₌₁ⁿ → 漢"),
    ],
)
def test_streams_that_lack_characters_get_readable_ones(encoding: str, expected: str) -> None:
    """A stream in another encoding never raises; it gets ASCII that says the same."""
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding, newline="\n")
    make_console(file=stream, width=80).print("✓ √dₖ ≤ θₜ₊₁² − “naïve” ∑ᵢ₌₁ⁿ → 漢")
    stream.flush()
    assert buffer.getvalue().decode(encoding).rstrip("\n") == expected


@pytest.mark.parametrize("style", sorted({*STYLES.values(), *CODE_STYLES.values()}))
def test_colours_read_on_light_and_dark(style: str) -> None:
    """Each colour keeps a contrast of 3.5 to 1 (WCAG 2's formula) against white and black."""
    color = Style.parse(style).color
    if color is None:
        return
    light = _luminance(color)
    assert 1.05 / (light + 0.05) >= 3.5
    assert (light + 0.05) / 0.05 >= 3.5


def _luminance(color: Color) -> float:
    """The relative luminance of a colour, from 0 (black) to 1 (white)."""
    shares = [part / 255 for part in color.get_truecolor()]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_formulas_are_paid_for_only_where_they_occur() -> None:
    """A lesson without a formula does not import pylatexenc, and no lesson imports torch."""
    program = (
        "import io, sys; from llmpath.ui.lesson import render; "
        "from llmpath.ui.theme import make_console; "
        "make_console(file=io.StringIO()).print(render(sys.argv[1])); "
        "print(*(name for name in ('pylatexenc', 'torch') if name in sys.modules))"
    )
    for lesson, loaded in (("plain $5 text", ""), ("a $x$ formula", "pylatexenc")):
        result = subprocess.run(
            [sys.executable, "-c", program, lesson], capture_output=True, text=True, check=True
        )
        assert result.stdout.strip() == loaded

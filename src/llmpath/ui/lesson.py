"""Lessons in the terminal: Markdown with formulas, tables that fit, code that can be copied.

`render` takes the text of a lesson, a hint or a quiz question and gives a rich renderable. The
parsing is markdown-it's and the frame rich's; here are the elements that a lesson wants
otherwise: headings to the left, code without a coloured box, addresses of links spelt out,
tables that turn into lists of entries where the window is too narrow for their columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, cast

from markdown_it.token import Token
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.markdown import (
    BlockQuote,
    CodeBlock,
    Heading,
    ListElement,
    ListItem,
    Markdown,
    MarkdownContext,
    MarkdownElement,
    Paragraph,
    TableElement,
    TextElement,
)
from rich.segment import Segment
from rich.style import Style
from rich.syntax import ANSISyntaxTheme, Syntax
from rich.table import Table
from rich.text import Text

from llmpath.markup.parser import parser
from llmpath.ui.theme import CODE_STYLES, symbols

# Columns beyond which a line of prose is tiring to read.
WIDTH = 88
INDENT = 4
# A short formula is not broken at the end of a line. rich breaks at every kind of blank, so this
# character of the private use area stands in for the blanks until the lines are set.
GLUE = "\ue000"
GLUED = 16


def render(markdown: str, width: int = WIDTH) -> RenderableType:
    """Markdown as something to print on a console made by `llmpath.ui.theme.make_console`.

    Args:
        markdown: CommonMark with tables and `$…$` and `$$…$$` formulas.
        width: columns that are used at most, however wide the window is.
    """
    return Constrain(_Lesson(markdown), width)


def _formula(source: str, marks: str) -> str:
    """A formula as Unicode text; one that cannot be read stays as it was written."""
    # pylatexenc is worth its import only where there is a formula.
    from llmpath.markup.atoms import FormulaError
    from llmpath.markup.formula import convert

    try:
        return convert(source)
    except FormulaError:
        return f"{marks}{source.strip()}{marks}"


class _Paragraph(Paragraph):
    """A paragraph without blanks up to the edge of the window, which would be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "default"
        yield self.text


class _Heading(Heading):
    """A heading to the left; the upper two levels are underlined, so that they show anywhere."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        text = self.text.copy()
        text.justify = "default"
        text.stylize(console.get_style(self.style_name, default="bold"))
        yield text
        if self.tag in ("h1", "h2"):
            lines = text.wrap(console, options.max_width)
            longest = max((line.cell_len for line in lines), default=0)
            yield Text(symbols(console).rule * longest, style="markdown.hr", no_wrap=True)


class _CodeBlock(CodeBlock):
    """Code in the terminal's own background, indented, without padding that would be copied."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Text(str(self.text).rstrip())
        # Loading a lexer takes tens of milliseconds, which nobody sees who sees no colours.
        if console.color_system is not None and self.lexer_name != "text":
            theme = code_theme(console)
            code = Syntax("", self.lexer_name, theme=theme).highlight(code.plain)
        code.rstrip()
        indent = min(INDENT, options.max_width // 10)
        for line in code.split("\n", allow_blank=True):
            yield from _hanging(line, console, options.max_width, indent, 4)


def code_theme(console: Console) -> ANSISyntaxTheme:
    """The colours of code, in the terminal's own background."""
    return ANSISyntaxTheme(
        {tuple(name.split(".")): console.get_style(style) for name, style in CODE_STYLES.items()}
    )


def _hanging(
    line: Text, console: Console, width: int, indent: int, hang: int
) -> Iterator[RenderableType]:
    """A line set in by `indent`, and its continuation by `hang` more than it began itself."""
    line.rstrip()
    if not line:
        yield line
        return
    own = len(line.plain) - len(line.plain.lstrip())
    if indent + line.cell_len <= width:
        yield Text(" " * indent) + line
        return
    body = line[own:]
    start, further = indent + own, min(indent + own + hang, width // 2)
    room = max(width - further, 8)
    for number, piece in enumerate(body.wrap(console, room, justify="left", overflow="fold")):
        piece.rstrip()
        yield Text(" " * (start if number == 0 else further)) + piece


class _FormulaBlock(TextElement):
    """A formula on lines of its own, set in."""

    def on_text(self, context: MarkdownContext, text: str | Text) -> None:
        self.formula = _formula(str(text), "$$")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.formula.split("\n"):
            text = Text(line, style="formula")
            yield from _hanging(text, console, options.max_width, INDENT, 2)


class _BlockQuote(BlockQuote):
    """A quotation with a bar that this console can print."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        inner = options.update(width=max(options.max_width - 2, 1))
        bar = Segment(symbols(console).edge + " ", console.get_style("muted"))
        for line in console.render_lines(self.elements, inner, style=self.style, pad=False):
            yield bar
            yield from line
            yield Segment.line()


class _Item(ListItem):
    """An item of a list, which hands over its parts for the list to set."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[MarkdownElement] = []

    def on_child_close(self, context: MarkdownContext, child: MarkdownElement) -> bool:
        self.parts.append(child)
        return False


class _List(ListElement):
    """A list whose numbers stand under one another, with their full stops."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ordered = self.list_type == "ordered_list_open"
        first = self.list_start if self.list_start is not None else 1
        widest = len(str(first + len(self.items) - 1))
        style = console.get_style(f"markdown.item.{'number' if ordered else 'bullet'}")
        for index, item in enumerate(cast("list[_Item]", self.items)):
            label = f"{first + index:>{widest}}." if ordered else symbols(console).bullet
            yield from _item(item, f" {label} ", style, console, options)
            if _is_spread(item) and index + 1 < len(self.items):
                yield Segment.line()


def _is_spread(item: _Item) -> bool:
    """Whether an item holds more than a paragraph with a list below it."""
    return any(not isinstance(part, ListElement) for part in item.parts[1:])


def _item(
    item: _Item, label: str, style: Style, console: Console, options: ConsoleOptions
) -> Iterator[Segment]:
    """The lines of one item, the first with its label and the others set in as far."""
    inner = options.update(width=max(options.max_width - len(label), 1))
    lines: list[list[Segment]] = []
    for index, part in enumerate(item.parts):
        # A list right under the words that announce it needs no gap; all else does.
        if index and not isinstance(part, ListElement):
            lines.append([])
        lines += console.render_lines(part, inner, style=item.style, pad=False)
    for number, line in enumerate(lines or [[]]):
        yield Segment(label, style) if number == 0 else Segment(" " * len(label) if line else "")
        yield from line
        yield Segment.line()


class _Table(TableElement):
    """A table, or where its columns do not fit, one short list for each row."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header = self.header.row if self.header is not None else None
        head = [cell.content for cell in header.cells] if header is not None else []
        body = self.body.rows if self.body is not None else []
        rows = [[cell.content for cell in row.cells] for row in body]
        if _least_width([head, *rows]) <= options.max_width:
            yield _columns(head, rows)
        else:
            yield from _entries(head, rows, console, options.max_width)


GAP = 2


def _least_width(rows: list[list[Text]]) -> int:
    """The columns that a table needs so that no word is broken."""
    count = max((len(row) for row in rows), default=0)
    widths = [
        max((_longest_word(row[index]) for row in rows if index < len(row)), default=1)
        for index in range(count)
    ]
    return sum(widths) + GAP * max(count - 1, 0) + 2


def _longest_word(text: Text) -> int:
    return max((Text(word).cell_len for word in text.plain.split()), default=1)


def _columns(head: list[Text], rows: list[list[Text]]) -> Table:
    table = Table(
        box=box.SIMPLE, pad_edge=False, padding=(0, GAP, 0, 0), show_header=bool(head),
        header_style="markdown.table.header", border_style="markdown.table.border", show_edge=False,
    )  # fmt: skip
    for cell in head:
        table.add_column(cell, justify=cell.justify or "default")
    for row in rows:
        table.add_row(*row)
    return table


def _entries(
    head: list[Text], rows: list[list[Text]], console: Console, width: int
) -> Iterator[RenderableType]:
    """Each row as its first cell, with the others named and set in below it."""
    for number, row in enumerate(rows):
        if number:
            yield Text()
        first, *others = row
        title = first.copy()
        title.justify = "default"
        title.stylize("markdown.table.header")
        yield title
        for name, cell in zip(head[1:], others, strict=False):
            if not cell.plain.strip():
                continue
            value = cell.copy()
            value.justify = "default"
            label = Text.assemble((name.plain, "label"), ": ") if name.plain.strip() else Text()
            yield from _hanging(label + value, console, width, 2, 2)


class _Lesson(Markdown):
    """Markdown with formulas, read by markdown-it and drawn by the elements of this module."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = Markdown.elements | {
        "paragraph_open": _Paragraph,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
        "blockquote_open": _BlockQuote,
        "list_item_open": _Item,
        "bullet_list_open": _List,
        "ordered_list_open": _List,
        "table_open": _Table,
        "math_block": _FormulaBlock,
    }
    inlines = Markdown.inlines | {"math", "destination", "figure"}

    def __init__(self, markup: str) -> None:
        super().__init__("")
        self.markup = markup
        self.parsed = list(_adapted(parser().parse(markup)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        begun = False
        for part in super().__rich_console__(console, options):
            if isinstance(part, Segment):
                # rich puts an empty line before a list or a table, even if nothing is above it.
                begun = begun or bool(part.text.strip("\n"))
                if begun:
                    yield Segment(part.text.replace(GLUE, " "), part.style, part.control)
            else:
                yield part


def _adapted(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens with formulas, links and figures in the form that rich can draw."""
    opened: list[Token] = []
    for token in tokens:
        if token.type == "html_block":
            continue
        if token.type == "math_block":
            token.tag = ""
            yield token
        elif token.type == "math_inline":
            yield _inline("math", _glued(re.sub(r"\s*\n\s*", "; ", _formula(token.content, "$"))))
        elif token.type == "image":
            yield _inline("figure", f"Figure: {token.content} ({token.attrs.get('src', '')})")
        elif token.type == "link_open":
            opened.append(token)
            yield from [token] if _is_address(token) else []
        elif token.type == "link_close":
            yield from _link_end(token, opened.pop())
        else:
            if opened:
                opened[-1].content += token.content
            if token.children and token.type == "inline":
                token.children = list(_adapted(token.children))
            yield token


def _glued(formula: str) -> str:
    return formula.replace(" ", GLUE) if len(formula) <= GLUED else formula


def _inline(tag: str, content: str) -> Token:
    return Token(f"{tag}_inline", tag, 0, content=content)


def _is_address(link: Token) -> bool:
    return re.match(r"(https?|mailto):", str(link.attrs.get("href", ""))) is not None


def _link_end(token: Token, link: Token) -> Iterator[Token]:
    """The end of a link, with its address spelt out: not every terminal can follow a link."""
    href = str(link.attrs.get("href", ""))
    if _is_address(link):
        yield token
    shown = link.content.strip()
    if href and not href.startswith("#") and href.removeprefix("mailto:") != shown:
        yield _inline("destination", f" ({href})")

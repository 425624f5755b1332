"""The report card in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.portfolio.card import LabCard, ReportCard
from llmpath.ui.card import wording
from llmpath.ui.theme import symbols
from llmpath.ui.words import one_line

NARROW = 60  # columns


def render(card: ReportCard, console: Console) -> Group:
    """The whole report card, or what to do first if there is nothing in it."""
    parts: list[RenderableType] = [Text(wording.TITLE, style="heading")]
    if card.empty:
        onward = Text.assemble((wording.ONWARD, "command"), " begins.")
        return Group(*parts, Text(wording.EMPTY), onward)
    parts += [_facts(wording.summary(card)), Text(wording.SELF_CHECKED, style="warn"), Text()]
    for lab in (*([card.summary] if card.summary else []), *card.told):
        parts += _lab(lab, card.root, console)
    waiting = [lab.lab.id for lab in card.labs if not lab.begun]
    if waiting:
        parts += [Text(f"Not begun: {', '.join(waiting)}.", style="muted"), Text()]
    if card.artefacts:
        parts += [Text("What the labs have made", style="title"), *_made(card, console)]
    return Group(*parts)


def _facts(rows: tuple[tuple[str, str], ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="muted")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(one_line(name), one_line(value))
    return table


def _lab(lab: LabCard, root: Path, console: Console) -> list[RenderableType]:
    marks = symbols(console)
    sign = (marks.done, "good") if lab.own else (marks.open, "muted")
    graded = "not graded"
    if lab.graded:
        graded = f"{wording.checks(lab)} checks, {wording.points(lab)} points"
    head = Text.assemble(sign, " ", (lab.lab.title, "title"))
    stands = Text.assemble((wording.code(lab), "good" if lab.own else "muted"), f", {graded}")
    below: list[RenderableType] = [stands]
    if lab.run is None:
        below.append(Text(wording.no_run(lab), style="muted"))
    else:
        below += [Text(one_line(lab.run.sentence)), Text(wording.run(lab.run), style="muted")]
        below += [_facts(wording.figures(lab.run))] if lab.run.figures else []
        below += [Text(_near(each.path, root), style="path") for each in lab.pictures]
    return [head, Padding(Group(*below), (0, 0, 1, 2))]


def _near(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _made(card: ReportCard, console: Console) -> list[RenderableType]:
    """A row for each artefact; in a narrow window, a few lines for each."""
    rows = [wording.made(each) for each in card.artefacts]
    if console.width < NARROW:
        named = ("", "parameters", "on disk", "from")
        return [
            Padding(
                Group(
                    Text(name, style="title"),
                    _facts(tuple((n, v) for n, v in zip(named, values, strict=True) if v)),
                ),
                (0, 0, 0, 2),
            )
            for name, *values in rows
        ]
    table = Table(box=None, pad_edge=False, header_style="muted")
    for title in ("", "whose", "parameters", "on disk", "from"):
        justify = "right" if title in ("parameters", "on disk") else "left"
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    return [Padding(table, (0, 2))]

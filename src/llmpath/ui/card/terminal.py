"""The report card in the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

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
    if trained := wording.trained(card):
        parts += [Text(), Text(wording.TRAINING, style="title")]
        parts += _rows(wording.TRAINING_COLUMNS, trained, console, right=(1, 2, 3, 4))
        parts += [Padding(Text(wording.TRAINING_NOTE, style="muted"), (0, 2))]
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
        found = wording.found(lab)
        if found.compared:
            right = range(1, 1 + len(found.models))
            rows = _rows(("", *found.models), found.compared, console, right=right)
            below += [Text(), *rows, Text()]
        below += [_facts(found.figures)] if found.figures else []
        below += [Text(_near(each.path, root), style="path") for each in lab.pictures]
    return [head, Padding(Group(*below), (0, 0, 1, 2))]


def _near(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _made(card: ReportCard, console: Console) -> list[RenderableType]:
    rows = tuple(wording.made(each) for each in card.artefacts)
    titles = ("", "whose", "parameters", "on disk", "from")
    return _rows(titles, rows, console, right=(2, 3))


def _rows(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    *,
    right: Collection[int],
) -> list[RenderableType]:
    """Rows under titles, the columns with some numbers (from 0) set to the right.

    In a narrow window there are a few lines for each row, headed by its first cell.
    """
    if console.width < NARROW:
        return [
            Padding(
                Group(
                    Text(name, style="title"),
                    _facts(tuple((n, v) for n, v in zip(titles[1:], values, strict=True) if v)),
                ),
                (0, 0, 0, 2),
            )
            for name, *values in rows
        ]
    table = Table(box=None, pad_edge=False, header_style="muted")
    for number, title in enumerate(titles):
        table.add_column(title, justify=_side(number in right))
    for row in rows:
        table.add_row(*row)
    return [Padding(table, (0, 2))]


def _side(right: bool) -> Literal["left", "right"]:
    return "right" if right else "left"

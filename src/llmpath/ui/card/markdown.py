"""The report card as Markdown, as GitHub and editors show it; pictures stay files beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from llmpath.markup.literal import literal
from llmpath.portfolio.card import LabCard, ReportCard
from llmpath.ui.card import wording


def document(card: ReportCard, folder: Path) -> str:
    """The report card, with pictures named as they are found from `folder`."""
    parts = [f"# {wording.TITLE}", table(("", ""), wording.summary(card)), wording.SELF_CHECKED]
    if card.empty:
        return "\n\n".join([*parts, f"{wording.EMPTY} `{wording.ONWARD}` begins."]) + "\n"
    if card.summary is not None:
        parts += _lab(card.summary, folder)
    rows = [
        (each.lab.title, wording.code(each), wording.checks(each), wording.points(each))
        for each in card.labs
    ]
    parts += ["## Labs", table(("Lab", "Stands on", "Checks", "Points"), rows)]
    if card.artefacts:
        made = [wording.made(each) for each in card.artefacts]
        headings = ("Artefact", "Whose", "Parameters", "On disk", "From")
        parts += ["## What the labs have made", table(headings, made)]
    if trained := wording.trained(card):
        parts += [f"### {wording.TRAINING}", table(wording.TRAINING_COLUMNS, trained)]
        parts += [wording.TRAINING_NOTE]
    for each in card.told:
        parts += _lab(each, folder)
    return "\n\n".join(parts) + "\n"


def _lab(lab: LabCard, folder: Path) -> list[str]:
    parts = [f"## {literal(lab.lab.title)}"]
    if lab.run is None:
        return [*parts, wording.no_run(lab)]
    parts += [literal(lab.run.sentence), f"{literal(wording.run(lab.run))}."]
    found = wording.found(lab)
    if found.compared:
        parts.append(table(("", *found.models), found.compared))
    if found.figures:
        parts.append(table(("Figure", "Value"), found.figures))
    for picture in lab.pictures:
        parts.append(f"![{literal(picture.name)}]({_address(picture.path, folder)})")
    return [part for part in parts if part]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, each shown as it stands."""
    lines = [headings, ["---"] * len(headings)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join(text + [f"| {' | '.join(map(literal, row))} |" for row in rows])


def _address(path: Path, folder: Path) -> str:
    try:
        path = Path(os.path.relpath(path, folder))
    except ValueError:  # another drive, on Windows
        return path.as_uri()
    return quote(path.as_posix())

"""The report card as one HTML page with its pictures inside: to be sent, printed or kept."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from llmpath.portfolio.card import LabCard, ReportCard
from llmpath.portfolio.provenance import Picture
from llmpath.ui.card import wording
from llmpath.ui.document import add, begin, serialise
from llmpath.ui.words import one_line


def page(card: ReportCard) -> str:
    """A whole HTML document."""
    root, main = begin(f"{wording.TITLE}: {card.title}", pictures=True)
    add(main, "h1", wording.TITLE)
    _facts(main, wording.summary(card))
    add(main, "p", wording.SELF_CHECKED, class_="note")
    if card.empty:
        paragraph = add(main, "p", f"{wording.EMPTY} ")
        add(paragraph, "code", wording.ONWARD).tail = " begins."
        return serialise(root)
    if card.summary is not None:
        _lab(add(main, "section"), card.summary)
    add(main, "h2", "Labs")
    _labs(main, card)
    if card.artefacts:
        add(main, "h2", "What the labs have made")
        rows = [wording.made(each) for each in card.artefacts]
        _table(main, ("Artefact", "Whose", "Parameters", "On disk", "From"), rows, (2, 3))
    if trained := wording.trained(card):
        add(main, "h3", wording.TRAINING)
        _table(main, wording.TRAINING_COLUMNS, trained, (1, 2, 3, 4))
        add(main, "p", wording.TRAINING_NOTE, class_="muted")
    for lab in card.told:
        _lab(add(main, "section"), lab)
    return serialise(root)


def _facts(parent: Element, rows: Sequence[tuple[str, str]]) -> None:
    listing = add(parent, "dl")
    for name, value in rows:
        add(listing, "dt", one_line(name))
        add(listing, "dd", one_line(value))


def _labs(main: Element, card: ReportCard) -> None:
    rows = [
        (each.lab.title, wording.code(each), wording.checks(each), wording.points(each))
        for each in card.labs
    ]
    table = _table(main, ("Lab", "Stands on", "Checks", "Points"), rows, (2, 3))
    total = add(add(table, "tfoot"), "tr")
    add(total, "th", "In all", scope="row")
    add(total, "td", f"{card.own} on own code")
    add(total, "td", f"{card.checks_passed} of {card.checks}", class_="points")
    add(total, "td", f"{card.points} of {card.max_points}", class_="points")


def _table(
    parent: Element, headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]
) -> Element:
    """Texts under headings; the columns with these numbers (from 0) are set to the right."""
    styles = [{"class_": "points"} if number in right else {} for number in range(len(headings))]
    # A wide table moves within its own box, and not the page on a phone.
    table = add(add(parent, "div", class_="wide"), "table")
    head = add(add(table, "thead"), "tr")
    for heading, style in zip(headings, styles, strict=True):
        add(head, "th", heading, scope="col", **style)
    body = add(table, "tbody")
    for first, *others in rows:
        row = add(body, "tr")
        add(row, "th", one_line(first), scope="row")
        for text, style in zip(others, styles[1:], strict=True):
            add(row, "td", one_line(text), **style)
    return table


def _lab(section: Element, lab: LabCard) -> None:
    add(section, "h2", lab.lab.title)
    if lab.run is None:
        add(section, "p", wording.no_run(lab), class_="muted")
        return
    add(section, "p", one_line(lab.run.sentence))
    add(section, "p", wording.run(lab.run), class_="muted")
    found = wording.found(lab)
    if found.compared:
        numbers = range(1, 1 + len(found.models))
        _table(section, ("", *found.models), found.compared, numbers)
    if found.figures:
        _facts(section, found.figures)
    for picture in lab.pictures:
        _picture(section, picture, lab)


def _picture(section: Element, picture: Picture, lab: LabCard) -> None:
    try:
        content = picture.path.read_bytes()
    except OSError:
        return  # it was removed a moment ago
    figure = add(section, "figure")
    words = f"{lab.lab.title}: {picture.name}"
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    add(figure, "img", alt=words, src=source, loading="lazy")
    add(figure, "figcaption", words)

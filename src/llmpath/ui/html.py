"""Gradings as one self-contained HTML page: to be handed in, read on a phone, or printed.

The page is built as a tree (`xml.etree`), so that every text, whatever a learner's code
printed or raised, is escaped by the serialiser; there is no place to forget it. It asks for
nothing from outside, and holds no script.
"""

from __future__ import annotations

import html
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from llmpath.feedback import CheckFeedback, Feedback
from llmpath.grading.report import Frame, GradeReport
from llmpath.ui.theme import UNICODE
from llmpath.ui.words import clean

SIGNS = {"passed": UNICODE.passed, "skipped": UNICODE.skipped, "error": UNICODE.warning}
WORDS = {
    "passed": "passed",
    "failed": "failed",
    "timeout": "out of time",
    "error": "course at fault",
    "skipped": "not run",
}
# A browser that honours this loads and runs nothing, whatever should ever slip into the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Graded:
    """One grading with what is to be said about it.

    Attributes:
        title: the lab's title.
        file: the name of the file that was graded.
    """

    title: str
    file: str
    report: GradeReport
    feedback: Feedback


def page(graded: Sequence[Graded], when: datetime) -> str:
    """A whole HTML document.

    Args:
        graded: the gradings, in order.
        when: the time of the grading, with its time zone.
    """
    root = Element("html", {"lang": "en"})
    title = _title(graded)
    _head(root, title)
    main = _add(_add(root, "body"), "main")
    if len(graded) > 1:
        _add(main, "h1", title)
        _overview(main, graded)
    for each in graded:
        _grading(_add(main, "article"), each, when, level=1 if len(graded) == 1 else 2)
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")


def _add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """A new element at the end of another; `class_` stands for `class`."""
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    element = SubElement(parent, tag, names)
    element.text = clean(text)
    return element


def _title(graded: Sequence[Graded]) -> str:
    points = sum(each.feedback.points for each in graded)
    most = sum(each.feedback.max_points for each in graded)
    name = graded[0].title if len(graded) == 1 else f"{len(graded)} labs"
    return f"{name}: {points} of {most} points"


def _head(root: Element, title: str) -> None:
    head = _add(root, "head")
    _add(head, "meta", charset="utf-8")
    _add(head, "meta", http_equiv="Content-Security-Policy", content=POLICY)
    _add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "meta", name="color-scheme", content="light dark")
    _add(head, "title", title)
    style = importlib.resources.files("llmpath.ui").joinpath("report.css")
    _add(head, "style", style.read_text(encoding="utf-8"))


def _overview(main: Element, graded: Sequence[Graded]) -> None:
    rows = [
        (each.title, _outcome(each), each.feedback.points, each.feedback.max_points)
        for each in graded
    ]
    _table(main, "Lab", rows)


def _outcome(graded: Graded) -> str:
    """The status of a check that stands for all of a grading."""
    return {"passed": "passed", "error": "error"}.get(graded.report.status, "failed")


def _table(parent: Element, what: str, rows: Sequence[tuple[str, str, int, int]]) -> None:
    """Titles, statuses and points, with their sum."""
    table = _add(parent, "table")
    head = _add(_add(table, "thead"), "tr")
    _add(head, "th", what, scope="col")
    _add(head, "th", "Result", scope="col")
    _add(head, "th", "Points", scope="col", class_="points")
    body = _add(table, "tbody")
    for title, status, points, most in rows:
        row = _add(body, "tr")
        _add(row, "th", title, scope="row")
        sign = SIGNS.get(status, UNICODE.failed)
        _add(row, "td", f"{sign} {WORDS[status]}", class_=status)
        _add(row, "td", f"{points} of {most}", class_="points")
    row = _add(_add(table, "tfoot"), "tr")
    _add(row, "th", "In all", scope="row")
    _add(row, "td")
    total = f"{sum(row[2] for row in rows)} of {sum(row[3] for row in rows)}"
    _add(row, "td", total, class_="points")


def _grading(parent: Element, graded: Graded, when: datetime, level: int) -> None:
    feedback = graded.feedback
    _add(parent, f"h{level}", graded.title)
    points = f"{feedback.points} of {feedback.max_points} points"
    passed = feedback.passed
    words = f"{UNICODE.passed} Passed" if passed else f"{UNICODE.failed} Not passed"
    _add(parent, "p", f"{words}: {points}", class_=f"result {'passed' if passed else 'failed'}")
    if feedback.problem is not None:
        _add(parent, f"h{level + 1}", "Why it could not be graded")
        _reasons(parent, feedback.problem)
    _add(parent, f"h{level + 1}", "Checks")
    rows = [(c.title, c.status, c.points, c.max_points) for c in feedback.checks]
    _table(parent, "Check", rows)
    _failures(parent, feedback, level + 1)
    _mistakes(parent, feedback, level + 1)
    if feedback.after:
        _add(parent, f"h{level + 1}", "What to notice")
        _prose(parent, feedback.after)
    if graded.report.output.strip():
        _add(parent, f"h{level + 1}", "What the code printed")
        _add(parent, "pre", graded.report.output.rstrip())
    _add(parent, f"h{level + 1}", "About this grading")
    _about(parent, graded, when)


def _failures(parent: Element, feedback: Feedback, level: int) -> None:
    failed = [c for c in feedback.checks if c.status not in ("passed", "skipped")]
    if feedback.problem is not None or not failed:
        return
    _add(parent, f"h{level}", "What failed, and why")
    for check in failed:
        section = _add(parent, "section")
        _add(section, f"h{level + 1}", check.title)
        _reasons(section, check)


def _reasons(parent: Element, check: CheckFeedback) -> None:
    """Why one check did not pass: the difference, what it means, the learner's own lines."""
    _add(parent, "p", check.headline, class_=check.status)
    if check.facts or check.because:
        facts = _add(parent, "dl")
        for name, value in check.facts:
            _add(facts, "dt", name)
            _add(_add(facts, "dd"), "code", value)
        if check.because:
            _add(facts, "dt", "why")
            _add(facts, "dd", check.because)
    if check.status == "timeout" and check.frames:
        _add(parent, "p", "It was at:")
    for frame in check.frames:
        _frame(parent, frame)
    if check.hint:
        note = _add(parent, "div", class_="note")
        _add(_add(note, "p"), "strong", "Hint")
        _prose(note, check.hint)


def _frame(parent: Element, frame: Frame) -> None:
    where = f" in {frame.function}" if frame.function and frame.function != "<module>" else ""
    _add(parent, "p", f"{frame.file}, line {frame.line}{where}", class_="muted")
    if frame.text.strip():
        _add(_add(parent, "pre"), "code", frame.text.strip())


def _mistakes(parent: Element, feedback: Feedback, level: int) -> None:
    several = feedback.possible_mistakes
    if not feedback.mistake and not several:
        return
    title = "This is how it fails when" + (" one of these is so" if several else "")
    _add(parent, f"h{level}", title)
    for mistake in several or (feedback.mistake,):
        _prose(_add(parent, "div", class_="note"), mistake)


def _about(parent: Element, graded: Graded, when: datetime) -> None:
    report = graded.report
    facts = (
        ("Lab", report.lab),
        ("File", graded.file),
        ("Course", report.course),
        ("Graded", when.isoformat(" ", "seconds")),
        ("Took", f"{report.seconds:.1f} s"),
        ("Seed", f"{report.seed} (grading with it again draws the same inputs)"),
        ("Standing", report.isolation.standing),
        ("Isolation", ", ".join(report.isolation.measures) or "none"),
    )
    listing = _add(parent, "dl")
    for name, value in facts:
        _add(listing, "dt", name)
        _add(listing, "dd", value)


def _prose(parent: Element, markdown: str) -> None:
    """Markdown of the course's author, with formulas as text and without images or HTML."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).disable("image")
    dollarmath_plugin(parser, allow_space=False, allow_digits=False, renderer=_formula)
    # What markdown-it writes is well-formed, so it becomes a part of the tree.
    parent.extend(ElementTree.fromstring(f"<div>{parser.render(clean(markdown))}</div>"))


def _formula(source: str, options: dict[str, bool]) -> str:
    from llmpath.markup.atoms import FormulaError
    from llmpath.markup.formula import convert

    try:
        return html.escape(convert(source))
    except FormulaError:
        return html.escape(source.strip())

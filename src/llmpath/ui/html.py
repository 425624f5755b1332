"""Gradings as one self-contained HTML page: to be handed in, read on a phone, or printed.

The page is a `document`: whatever a learner's code printed or raised stays text.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from llmpath.feedback import CheckFeedback, Feedback
from llmpath.grading.report import Frame, GradeReport
from llmpath.ui.document import add, begin, serialise
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
    title = _title(graded)
    root, main = begin(title)
    if len(graded) > 1:
        add(main, "h1", title)
        _overview(main, graded)
    for each in graded:
        _grading(add(main, "article"), each, when, level=1 if len(graded) == 1 else 2)
    return serialise(root)


def _title(graded: Sequence[Graded]) -> str:
    points = sum(each.feedback.points for each in graded)
    most = sum(each.feedback.max_points for each in graded)
    name = graded[0].title if len(graded) == 1 else f"{len(graded)} labs"
    return f"{name}: {points} of {most} points"


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
    table = add(parent, "table")
    head = add(add(table, "thead"), "tr")
    add(head, "th", what, scope="col")
    add(head, "th", "Result", scope="col")
    add(head, "th", "Points", scope="col", class_="points")
    body = add(table, "tbody")
    for title, status, points, most in rows:
        row = add(body, "tr")
        add(row, "th", title, scope="row")
        sign = SIGNS.get(status, UNICODE.failed)
        add(row, "td", f"{sign} {WORDS[status]}", class_=status)
        add(row, "td", f"{points} of {most}", class_="points")
    row = add(add(table, "tfoot"), "tr")
    add(row, "th", "In all", scope="row")
    add(row, "td")
    total = f"{sum(row[2] for row in rows)} of {sum(row[3] for row in rows)}"
    add(row, "td", total, class_="points")


def _grading(parent: Element, graded: Graded, when: datetime, level: int) -> None:
    feedback = graded.feedback
    add(parent, f"h{level}", graded.title)
    points = f"{feedback.points} of {feedback.max_points} points"
    passed = feedback.passed
    words = f"{UNICODE.passed} Passed" if passed else f"{UNICODE.failed} Not passed"
    add(parent, "p", f"{words}: {points}", class_=f"result {'passed' if passed else 'failed'}")
    if feedback.problem is not None:
        add(parent, f"h{level + 1}", "Why it could not be graded")
        _reasons(parent, feedback.problem)
    add(parent, f"h{level + 1}", "Checks")
    rows = [(c.title, c.status, c.points, c.max_points) for c in feedback.checks]
    _table(parent, "Check", rows)
    _failures(parent, feedback, level + 1)
    _mistakes(parent, feedback, level + 1)
    if feedback.after:
        add(parent, f"h{level + 1}", "What to notice")
        _prose(parent, feedback.after)
    if graded.report.output.strip():
        add(parent, f"h{level + 1}", "What the code printed")
        add(parent, "pre", graded.report.output.rstrip())
    add(parent, f"h{level + 1}", "About this grading")
    _about(parent, graded, when)


def _failures(parent: Element, feedback: Feedback, level: int) -> None:
    failed = [c for c in feedback.checks if c.status not in ("passed", "skipped")]
    if feedback.problem is not None or not failed:
        return
    add(parent, f"h{level}", "What failed, and why")
    for check in failed:
        section = add(parent, "section")
        add(section, f"h{level + 1}", check.title)
        _reasons(section, check)


def _reasons(parent: Element, check: CheckFeedback) -> None:
    """Why one check did not pass: the difference, what it means, the learner's own lines."""
    add(parent, "p", check.headline, class_=check.status)
    if check.facts or check.because:
        facts = add(parent, "dl")
        for name, value in check.facts:
            add(facts, "dt", name)
            add(add(facts, "dd"), "code", value)
        if check.because:
            add(facts, "dt", "why")
            add(facts, "dd", check.because)
    if check.status == "timeout" and check.frames:
        add(parent, "p", "It was at:")
    for frame in check.frames:
        _frame(parent, frame)
    if check.hint:
        note = add(parent, "div", class_="note")
        add(add(note, "p"), "strong", "Hint")
        _prose(note, check.hint)


def _frame(parent: Element, frame: Frame) -> None:
    where = f" in {frame.function}" if frame.function and frame.function != "<module>" else ""
    add(parent, "p", f"{frame.file}, line {frame.line}{where}", class_="muted")
    if frame.text.strip():
        add(add(parent, "pre"), "code", frame.text.strip())


def _mistakes(parent: Element, feedback: Feedback, level: int) -> None:
    several = feedback.possible_mistakes
    if not feedback.mistake and not several:
        return
    title = "Perhaps one of these is so" if several else "This is how it fails when"
    add(parent, f"h{level}", title)
    for mistake in several or (feedback.mistake,):
        _prose(add(parent, "div", class_="note"), mistake)


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
    listing = add(parent, "dl")
    for name, value in facts:
        add(listing, "dt", name)
        add(listing, "dd", value)


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

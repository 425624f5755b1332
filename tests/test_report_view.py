"""A grading in the terminal: what failed alike is told once, and hints are Markdown."""

from __future__ import annotations

import io

from llmpath.feedback import CheckFeedback, Feedback
from llmpath.grading.report import Frame, GradeReport
from llmpath.ui import report as view
from llmpath.ui.theme import make_console


def shown(*checks: CheckFeedback, width: int = 60, **feedback: object) -> str:
    """What a learner reads of a grading with these checks."""
    output = io.StringIO()
    console = make_console(file=output, width=width)
    said = Feedback(False, 0, len(checks), checks, **feedback)  # type: ignore[arg-type]
    report = GradeReport(
        lab="x", status="failed", points=0, max_points=1, checks=(), seed=1, course="0"
    )
    console.print(view.render(report, said, console, "A lab"))
    return output.getvalue()


def stopped(title: str, function: str, line: int) -> CheckFeedback:
    frame = Frame(file="x.py", line=line, function=function, text="while True:")
    return CheckFeedback(title, "timeout", 0, 1, headline="Too slow", frames=(frame,))


def test_what_fails_alike_is_told_once():
    """Checks that stopped in one function are explained together; another function is not."""
    text = shown(stopped("A", "f", 3), stopped("B", "f", 4), stopped("C", "g", 9))
    assert text.count("Too slow") == 2
    assert "and 1 other check, for the same reason" in text
    assert "x.py, line 3 in f" in text
    assert "x.py, line 9 in g" in text
    assert "more will be explained" not in text


def test_different_values_are_told_apart():
    """The same sentence about other values is another difference."""
    checks = [
        CheckFeedback(str(n), "failed", 0, 1, headline="Differs", facts=(("got", str(n)),))
        for n in range(5)
    ]
    text = shown(*checks)
    assert text.count("Differs") == 3
    assert "2 more will be explained once these pass." in text


def test_hints_and_mistakes_are_markdown():
    """Code marks and formulas of the author are set, not printed raw; all fits the window."""
    check = CheckFeedback(
        "A", "failed", 0, 1, headline="No", because="so", hint=r"Use `k` and $\pi$."
    )
    text = shown(check, possible_mistakes=("Takes `max`, " * 8, "Takes `min`."))
    assert "Use k and π." in text
    assert "why  so" in text
    assert "one of these 2" in text
    assert "`" not in text
    assert max(map(len, text.splitlines())) <= 60

"""Quiz questions and their answers in the terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.course.models import Question
from llmpath.ui.lesson import render as prose
from llmpath.ui.theme import symbols


def question(asked: Question, position: int, total: int, of: str = "") -> Group:
    """One question with its numbered choices, and the title of the step that it is `of`."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", style="accent", no_wrap=True)
    table.add_column()
    for number, choice in enumerate(asked.choices, start=1):
        table.add_row(f"{number}.", prose(choice))
    head = Text(f"Question {position} of {total}", style="muted")
    if of:
        head.append(f": {of}")
    return Group(head, prose(asked.ask), Padding(table, (1, 2)))


def verdict(asked: Question, correct: bool, console: Console) -> Group:
    """Whether the answer was right, and the reason."""
    marks = symbols(console)
    if correct:
        head = Text(f"{marks.passed} Right.", style="good")
    else:
        head = Text(f"{marks.failed} It is {asked.answer}:", style="bad")
        answer = Padding(prose(asked.choices[asked.answer - 1]), (0, 2))
        return Group(head, answer, Padding(prose(asked.because), (0, 2, 1, 2)))
    return Group(head, Padding(prose(asked.because), (0, 2, 1, 2)))


def summary(right: int, total: int, console: Console) -> Text:
    """How many were right, and what to do about the others."""
    if right == total:
        return Text.assemble(
            (f"{symbols(console).passed} All {total} right. ", "good"), ("llmpath next", "command")
        )
    rest = f"{right} of {total} right. Those that were not will be asked again: "
    return Text.assemble(rest, ("llmpath quiz", "command"))

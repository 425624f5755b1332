"""`llmpath review`: questions of earlier quizzes again, before they are forgotten."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.learning import chosen_answer
from llmpath.cli.options import AsJson

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.recall import Card


def review(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", "-n", min=1, help="Ask so many at most.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Answer again what you answered in quizzes, each question about when it would be forgotten.

    One that you know comes back later each time; one that you do not, the next day.

    Example: [bold]llmpath review[/]
    """
    from llmpath.recall import cards
    from llmpath.ui import review as view

    state: State = context.obj
    now = time.time()
    known = cards(state.course, state.here.log.events(), now)
    if as_json:
        typer.echo(json.dumps([view.as_data(card, now) for card in known], indent=2))
        return
    due = [card for card in known if card.due <= now]
    asked = due[:most]
    answers = {
        card: _ask(state, card, position, len(asked)) for position, card in enumerate(asked, 1)
    }
    after = cards(state.course, state.here.log.events(), time.time()) if asked else known
    left = len(due) - len(asked)
    state.console.print(view.summary(answers, left, after, now, state.console))


def _ask(state: State, card: Card, position: int, total: int) -> bool:
    """Ask a card's question, record the answer; whether it was right."""
    from llmpath.ui import quiz as view
    from llmpath.workspace import events

    # In another order each time, so that what is remembered is the answer and not its place.
    question = card.question
    order = random.sample(range(len(question.choices)), len(question.choices))
    question = question.model_copy(
        update={
            "choices": tuple(question.choices[index] for index in order),
            "answer": order.index(question.answer - 1) + 1,
        }
    )
    state.console.print(view.question(question, position, total, card.step.title))
    correct = chosen_answer(len(question.choices)) == question.answer
    state.here.record(events.reviewed(card.step.id, card.number, correct))
    state.console.print(view.verdict(question, correct, state.console))
    return correct

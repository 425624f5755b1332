"""Questions come back when they would be forgotten: the schedule, and the command."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import replace
from pathlib import Path

from conftest import SMALL_COURSE, Learner
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import COURSE

from llmpath.course.loader import load
from llmpath.recall import DAY, cards, due
from llmpath.workspace import events
from llmpath.workspace.events import Event

NOW = 1_000 * DAY


def answer(days_ago: float, right: bool, step: str = "reading", number: int = 1) -> Event:
    return replace(events.answered(step, {number: right}), time=NOW - days_ago * DAY)


def wait(*log: Event) -> float:
    """In how many days from NOW the one card of a log is due."""
    (card,) = cards(COURSE, log, NOW)
    return (card.due - NOW) / DAY


def test_what_was_never_answered_has_no_card() -> None:
    """An empty log asks nothing, nor does what the course does not ask (any more)."""
    assert cards(COURSE, (), NOW) == ()
    gone = [answer(5, True, "no-such-step"), answer(5, True, number=9), answer(5, True, "adding")]
    assert cards(COURSE, gone, NOW) == due(COURSE, gone, NOW) == ()


def test_a_right_answer_comes_back_later_each_time_and_a_wrong_one_the_next_day() -> None:
    """Intervals are whole days; each recall at its time makes the next one longer."""
    assert wait(answer(0, False)) == 1
    first = wait(answer(0, True))
    assert first >= 2
    second = wait(answer(first, True), answer(0, True))
    third = wait(answer(first + second, True), answer(second, True), answer(0, True))
    assert first < second < third
    assert wait(answer(first + second, True), answer(second, True), answer(0, False)) < second


def test_quiz_and_review_count_alike() -> None:
    """A review is an answer like one in a quiz."""
    again = replace(events.reviewed("reading", 1, True), time=NOW)
    assert wait(answer(3, True), again) == wait(answer(3, True), answer(0, True))


def test_the_longest_overdue_comes_first() -> None:
    """Cards are in the order in which they fall due, and `due` has those that have."""
    log = [answer(20, True, number=1), answer(40, False, number=2), answer(0, True, "aside")]
    assert [(card.step.id, card.number) for card in cards(COURSE, log, NOW)] == [
        ("reading", 2),
        ("reading", 1),
        ("aside", 1),
    ]
    assert [card.number for card in due(COURSE, log, NOW)] == [2, 1]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.booleans())))
def test_any_clock_and_any_order_of_arrival_give_one_schedule(
    given_: list[tuple[float, bool]],
) -> None:
    """Logs merged from machines whose clocks are wrong give the same cards in either order."""
    log = [replace(events.answered("reading", {1: right}), time=when) for when, right in given_]
    distinct = {event.time: event for event in log}  # of two at the same time, either may be first
    forwards, backwards = list(distinct.values()), list(reversed(distinct.values()))
    assert cards(COURSE, forwards, NOW) == cards(COURSE, backwards, NOW)
    for card in cards(COURSE, forwards, NOW):
        assert card.due >= DAY


def test_review_of_a_fresh_workspace_says_where_questions_come_from(learner: Learner) -> None:
    """Without any answer there is nothing to ask, which is said, and no failure."""
    told = learner.types("review")
    assert told.returncode == 0
    assert "llmpath quiz" in told.stdout
    assert learner.reads("review") == []


def age(learner: Learner, days: float) -> None:
    """Let all that happened in a workspace have happened some days earlier."""
    with sqlite3.connect(learner.root / ".llmpath" / "progress.db") as log:
        log.execute("DROP TRIGGER IF EXISTS events_are_never_changed")
        log.execute("UPDATE events SET time = time - ?", [days * DAY])


def test_questions_come_back_in_another_order_of_choices(learner: Learner, tmp_path: Path) -> None:
    """What is due is announced, asked with the right choice somewhere, recorded, and then rests."""
    learner.types("quiz", "welcome", stdin="2\n1\n")
    assert "llmpath review" not in learner.types("next").stdout
    assert "Nothing is due" in learner.types("review").stdout
    age(learner, 30)
    assert "2 questions are due to be asked again: llmpath review" in learner.types("next").stdout
    assert "llmpath review" in learner.types("status").stdout
    assert [card["due"] for card in learner.reads("review")] == [True, True]

    # Type 1 whatever stands there, as often as it takes to see both orders; the verdict tells.
    seen: set[bool] = set()
    for _ in range(40):
        told = learner.types("review", "--most", "1", stdin="1\n").stdout
        assert "Question 1 of 1: Welcome" in told
        seen.add("Right." in told)
        if len(seen) == 2:
            return
        age(learner, 400)
    raise AssertionError(f"the right choice was never, or always, the first: {seen}")


def test_a_review_changes_nothing_of_what_is_done(learner: Learner) -> None:
    """A question forgotten since is not missing from its step, and the current step stays."""
    learner.types("quiz", "welcome", stdin="2\n1\n")
    age(learner, 30)
    before = learner.reads("list")
    asked = learner.types("review", stdin="1\n1\n").stdout
    known = asked.count("Right.")
    assert f"{known} of 2 still known" in re.sub(r"\s+", " ", asked)
    assert ("llmpath show welcome" in asked) == (known < 2)
    assert "the next question comes" in re.sub(r"\s+", " ", asked)
    assert learner.reads("list") == before
    assert not any(card["due"] for card in learner.reads("review"))
    assert [card["answered"] for card in learner.reads("review")] == [2, 2]


def test_the_small_course_asks_what_it_is_reviewed_with() -> None:
    """The questions that these tests answer are those of the small course."""
    quiz = load(SMALL_COURSE).step("welcome").quiz
    assert json.dumps([question.answer for question in quiz]) == "[2, 1]"

"""What comes next: the planner on courses and progress made by hand, and on random ones."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llmpath.course.course import Course, Stage
from llmpath.course.models import Check, Lab, Question, Step
from llmpath.planner import Missing, Status, missing, plan
from llmpath.workspace import events
from llmpath.workspace.events import Event
from llmpath.workspace.progress import Progress, derive

QUESTION = Question(ask="Which?", choices=("this", "that"), answer=1, because="It is this.")


def make_step(name: str, *requires: str, lab: bool = False, questions: int = 0) -> Step:
    return Step(
        id=name,
        title=name.title(),
        minutes=5,
        requires=requires,
        goals=("Know it",),
        lesson=f"{name}.md",
        lab=name if lab else None,
        quiz=(QUESTION,) * questions,
    )


def make_course(*stages: tuple[Step, ...]) -> Course:
    labs = {
        step.id: Lab(
            id=step.id,
            title=step.title,
            file=f"{step.id}.py",
            checks=(Check(id="works", title="It works", points=4),),
        )
        for steps in stages
        for step in steps
        if step.lab
    }
    numbered = enumerate(stages)
    made = tuple(Stage(f"stage-{number}", "A stage", "About it", s) for number, s in numbered)
    return Course(Path("nowhere"), "A course", "1", made, labs)


def grade(step: str, points: int) -> Event:
    return events.graded(
        step,
        step,
        status="passed" if points == 4 else "failed",
        points=points,
        max_points=4,
        failed=[] if points == 4 else ["works"],
        sha256="0" * 64,
        course_version="1",
    )


COURSE = make_course(
    (make_step("reading", questions=2), make_step("adding", "reading", lab=True)),
    (make_step("aside", questions=1), make_step("both", "adding", "aside", lab=True, questions=1)),
)


def statuses(*log: Event) -> list[str]:
    return [state.status.value for state in plan(COURSE, derive(log)).states]


def test_a_fresh_learner_starts_at_the_first_step_and_sees_why_others_are_locked() -> None:
    """With nothing done, the first step is current and each locked step names what it waits for."""
    fresh = plan(COURSE, Progress())
    assert statuses() == ["current", "locked", "open", "locked"]
    assert fresh.current is not None
    assert fresh.current.step.id == "reading"
    both = COURSE.step("both")
    assert [step.id for step in fresh.of(both).locked_by] == ["adding", "aside"]


def test_a_quiz_is_done_once_each_question_was_right_once() -> None:
    """Right answers of different sittings add up, and a later wrong one takes nothing away."""
    first = events.answered("reading", {1: True, 2: False})
    assert missing(COURSE, derive([first]), COURSE.step("reading")) == Missing(questions=(2,))
    second = events.answered("reading", {1: False, 2: True})
    assert statuses(first, second) == ["done", "current", "open", "locked"]


def test_a_lab_says_how_far_it_got_until_it_passes() -> None:
    """What is missing of a lab is its best points so far, and nothing once it has passed."""
    step = COURSE.step("adding")
    fresh = missing(COURSE, Progress(), step)
    assert fresh.lab is COURSE.lab("adding")
    assert not fresh.graded
    assert fresh.max_points == 4
    tried = missing(COURSE, derive([grade("adding", 3), grade("adding", 1)]), step)
    assert (tried.points, tried.max_points, tried.graded) == (3, 4, True)
    assert not missing(COURSE, derive([grade("adding", 4), grade("adding", 0)]), step)


def test_a_step_with_lab_and_quiz_needs_both() -> None:
    """Passing the lab alone leaves the questions, and answering them alone leaves the lab."""
    step = COURSE.step("both")
    assert missing(COURSE, derive([grade("both", 4)]), step) == Missing(questions=(1,))
    answered = missing(COURSE, derive([events.answered("both", {1: True})]), step)
    assert answered.lab is COURSE.lab("both")
    assert answered.questions == ()


def test_skipping_unlocks_what_follows_and_stays_visible() -> None:
    """A skipped step satisfies `requires`, is shown as skipped, and counts as done once done."""
    skip = events.skipped("reading")
    assert statuses(skip) == ["skipped", "current", "open", "locked"]
    assert statuses(skip, events.answered("reading", {1: True, 2: True}))[0] == "done"
    assert statuses(skip, events.unskipped("reading"))[0] == "current"


def test_a_finished_course_has_no_next_step_but_offers_what_was_skipped() -> None:
    """When every step is done or skipped there is no current one, and the skipped are listed."""
    log = [
        events.answered("reading", {1: True, 2: True}),
        grade("adding", 4),
        events.skipped("aside"),
        grade("both", 4),
        events.answered("both", {1: True}),
    ]
    finished = plan(COURSE, derive(log))
    assert finished.finished
    assert finished.current is None
    assert [state.step.id for state in finished.skipped] == ["aside"]
    assert [state.step.id for state in finished.done] == ["reading", "adding", "both"]


def test_steps_that_left_the_course_are_ignored() -> None:
    """Events of a step that the course no longer has change nothing for the others."""
    assert statuses(events.skipped("gone"), grade("gone", 4)) == statuses()


@st.composite
def _courses(draw: st.DrawFn) -> tuple[Course, Progress]:
    """A random acyclic course, its steps in any order, with random progress."""
    count = draw(st.integers(1, 8))
    names = [f"step-{number}" for number in range(count)]
    steps = [
        make_step(name, *draw(st.sets(st.sampled_from(names[:index]))), questions=1)
        if index
        else make_step(name, questions=1)
        for index, name in enumerate(names)
    ]
    course = make_course(tuple(draw(st.permutations(steps))))
    log = [events.answered(name, {1: True}) for name in draw(st.sets(st.sampled_from(names)))]
    log += [events.skipped(name) for name in draw(st.sets(st.sampled_from(names)))]
    return course, derive(log)


@settings(deadline=None, max_examples=60)
@given(_courses())
def test_there_is_always_a_way_on(drawn: tuple[Course, Progress]) -> None:
    """Unless all is done or skipped, exactly one step is current: the first that is possible."""
    course, progress = drawn
    drawn_plan = plan(course, progress)
    current = [s for s in drawn_plan.states if s.status is Status.CURRENT]
    left = [s for s in drawn_plan.states if s.status not in (Status.DONE, Status.SKIPPED)]
    assert len(current) == (1 if left else 0)
    assert drawn_plan.current == (current[0] if left else None)
    for state in left:
        assert (state.status is Status.LOCKED) == bool(state.locked_by)
        if state.status is not Status.LOCKED:
            assert drawn_plan.states.index(state) >= drawn_plan.states.index(current[0])

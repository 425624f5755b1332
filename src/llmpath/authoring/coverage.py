"""Which steps teach each topic, and what tests each goal. Pure: a course in, a map out."""

from __future__ import annotations

from dataclasses import dataclass

from llmpath.course.course import Course
from llmpath.course.models import Step, Topic


@dataclass(frozen=True)
class TopicCoverage:
    """One topic of the syllabus, and the steps that name it.

    Attributes:
        taught: the ids of the steps that teach it, in the order of the path.
        planned: the step that will teach it, while none does.
        stale: whether its `planned` names a step that is no longer to come.
    """

    topic: Topic
    taught: tuple[str, ...]
    planned: str | None
    stale: bool

    @property
    def missing(self) -> bool:
        """Whether no step teaches it, and none is planned that will."""
        return not self.taught and self.planned is None


@dataclass(frozen=True)
class GoalCoverage:
    """One goal of a step, and what tests it.

    Attributes:
        number: its place among the step's goals, counted from 1.
        checks: the ids of the checks of the step's lab that name it.
        questions: the numbers of the step's questions that name it.
    """

    step: str
    number: int
    text: str
    checks: tuple[str, ...]
    questions: tuple[int, ...]

    @property
    def missing(self) -> bool:
        """Whether nothing tests it."""
        return not self.checks and not self.questions


@dataclass(frozen=True)
class Coverage:
    """The map of a course: its topics, then its goals, in the order of the path."""

    topics: tuple[TopicCoverage, ...]
    goals: tuple[GoalCoverage, ...]

    @property
    def complete(self) -> bool:
        """Whether every topic is taught or planned, and every goal tested."""
        topics = any(topic.missing for topic in self.topics)
        return not topics and not any(goal.missing for goal in self.goals)


def cover(course: Course) -> Coverage:
    """What each topic of a course is taught by, and each goal tested by."""
    steps = {step.id for step in course.steps}
    topics = tuple(_topic(course, topic, steps) for topic in course.topics)
    goals = tuple(goal for step in course.steps for goal in goals_of(course, step))
    return Coverage(topics, goals)


def goals_of(course: Course, step: Step) -> tuple[GoalCoverage, ...]:
    """What tests each goal of one step."""
    checks = course.lab(step.lab).checks if step.lab is not None else ()
    return tuple(
        GoalCoverage(
            step.id,
            number,
            text,
            tuple(check.id for check in checks if number in check.goals),
            tuple(at for at, asked in enumerate(step.quiz, start=1) if number in asked.goals),
        )
        for number, text in enumerate(step.goals, start=1)
    )


def _topic(course: Course, topic: Topic, steps: set[str]) -> TopicCoverage:
    taught = tuple(step.id for step in course.steps if topic.id in step.topics)
    stale = topic.planned in steps
    # A step that is there and does not name the topic will not teach it any more.
    planned = None if stale or taught else topic.planned
    return TopicCoverage(topic, taught, planned, stale)

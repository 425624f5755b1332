"""Every topic of the syllabus is taught or planned, and every goal of a step is tested."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring import coverage
from llmpath.authoring.check.bench import Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import StepSubject
from llmpath.course.course import Course
from llmpath.course.documents import Document


def prove(subject: StepSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each goal of a step that nothing tests, and if it teaches no topic."""
    document = subject.document
    for goal in coverage.goals_of(subject.course, subject.step):
        if goal.missing:
            message = f"No check and no question tests the goal “{goal.text}”."
            mend = f"Write `goals: [{goal.number}]` where one does, or ask what it says."
            yield Finding.of(document.problem(("goals", goal.number - 1), message, mend))
    if subject.course.topics and not subject.step.topics:
        message = "The step names no topic of the syllabus."
        mend = "List in `topics` what it teaches, by the ids of topics.yaml."
        yield Finding.of(document.problem((), message, mend))


def prove_topics(course: Course, document: Document) -> Iterator[Finding]:
    """A finding for each topic that no step teaches or will teach.

    Args:
        course: the course.
        document: its `topics.yaml`.
    """
    for index, topic in enumerate(coverage.cover(course).topics):
        if topic.missing:
            message = f"No step teaches `{topic.topic.id}`, and none is planned."
            mend = "Name it in a step's `topics`, or write `planned:` with the step to come."
            yield Finding.of(document.problem(("topics", index, "id"), message, mend))
        elif topic.topic.planned is not None and topic.taught:
            message = f"`{topic.topic.id}` is taught by {', '.join(topic.taught)} already."
            yield Finding.of(
                document.problem(("topics", index, "planned"), message, "Delete `planned`.")
            )

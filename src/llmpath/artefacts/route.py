"""The route of a tour: the labs that make something, and what is learnt on the way to each."""

from __future__ import annotations

from dataclasses import dataclass

from llmpath.course.course import Course
from llmpath.course.models import Lab, Step


@dataclass(frozen=True)
class Stop:
    """A lab whose experiment makes artefacts.

    Attributes:
        step: the step that it belongs to.
        before: the steps with a lab since the last stop, which make nothing that is kept.
    """

    lab: Lab
    step: Step
    before: tuple[Step, ...]


def route(course: Course) -> tuple[tuple[Stop, ...], tuple[Step, ...]]:
    """The stops, in the order of the path, and the steps with a lab after the last of them."""
    stops: list[Stop] = []
    between: list[Step] = []
    for step in course.steps:
        if step.lab is None:
            continue
        lab = course.lab(step.lab)
        if lab.makes:
            stops.append(Stop(lab, step, tuple(between)))
            between = []
        else:
            between.append(step)
    return tuple(stops), tuple(between)

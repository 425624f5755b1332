"""A folder as a `Course`: read, checked, with every problem of every file named at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from llmpath.course import cache
from llmpath.course.course import Course, Stage
from llmpath.course.problems import CourseError

if TYPE_CHECKING:
    from llmpath.course.sources import Sources


def load(root: Path) -> Course:
    """The course in a folder that holds `curriculum/` and `labs/`.

    A course that was loaded before and has not changed comes from a cache.

    Raises:
        CourseError: something in the course has to be mended. It carries all problems.
    """
    root = Path(os.path.abspath(root))
    mark = cache.fingerprint(root)
    course = cache.recall(root, mark)
    if course is None:
        course = read(root)
        cache.keep(course, mark)
    return course


def read(root: Path) -> Course:
    """As `load`, from the files themselves."""
    # Imported here because a course from the cache needs neither YAML nor the rules.
    from llmpath.course import rules, sources

    found = sources.gather(root)
    problems = [*found.problems, *rules.problems(found)]
    if problems:
        raise CourseError(problems)
    return _course(root, found)


def _course(root: Path, sources: Sources) -> Course:
    """The course that sources without problems make up."""
    path = sources.path.value
    assert path is not None
    stages = tuple(
        Stage(
            stage.id,
            stage.title,
            stage.about,
            tuple(
                step
                for name in stage.steps
                if (step := sources.steps[stage.id, name].value) is not None
            ),
        )
        for stage in path.stages
    )
    labs = {
        lab.id: lab
        for stage in stages
        for step in stage.steps
        if step.lab is not None and (lab := sources.labs[step.lab].source.value) is not None
    }
    topics = sources.topics.value.topics if sources.topics and sources.topics.value else ()
    return Course(root, path.title, path.version, stages, labs, topics, path.standards, path.tour)

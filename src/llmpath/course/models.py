"""What a course is made of, as frozen values.

These are the contracts that instructors write against (see docs/authoring.md);
the loader fills them from YAML and adds where each thing was found. They do no
input or output and know nothing of learners.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=60,
        description="lower-case words joined by hyphens, such as multi-head",
    ),
]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\r\n]*$"),
    Field(description="text on one line"),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Model(BaseModel):
    """A frozen value that refuses unknown keys and silent conversions."""

    # Most models are only ever built as parts of others, so none is built before its first use.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Question(Model):
    """One multiple-choice question of a quiz."""

    ask: Text
    choices: Annotated[tuple[Line, ...], Field(strict=False, min_length=2, max_length=9)]
    answer: Annotated[int, Field(ge=1, description="the right choice, counted from 1")]
    because: Text


class Limits(Model):
    """What one grading of a lab may use.

    Attributes:
        seconds: wall-clock time of the whole grading.
        check_seconds: wall-clock time of one check, unless the check says otherwise.
        memory_mb: resident memory, in MiB, of the learner's process and its children.
        output_kb: how much of what the learner's code prints is kept, in KiB.
    """

    seconds: Seconds = 60.0
    check_seconds: Seconds = 10.0
    memory_mb: Annotated[int, Field(ge=64, le=1_048_576)] = 2048
    output_kb: Annotated[int, Field(ge=1, le=65_536)] = 64


class Check(Model):
    """One graded property of the learner's code: `test_<id with underscores>` in checks.py."""

    id: Id
    title: Line
    points: Annotated[int, Field(ge=1, le=100)] = 1
    hint: Text | None = None
    needs: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    seconds: Seconds | None = None

    @property
    def function(self) -> str:
        """The name of the pytest function that grades this check."""
        return "test_" + self.id.replace("-", "_")


class Misconception(Model):
    """A known wrong answer: an edit of the solution, and exactly the checks that catch it.

    Attributes:
        replace: text that occurs exactly once in `lab.py`.
        with_: what stands there instead (`with` in YAML).
        fails: the ids of all checks that fail (not: are skipped) for this answer.
    """

    id: Id
    replace: Annotated[str, Field(min_length=1)]
    with_: Annotated[str, Field(alias="with")]
    fails: Annotated[tuple[Id, ...], Field(strict=False, min_length=1)]
    explain: Text


class Lab(Model):
    """A lab as `lab.yaml` describes it.

    Attributes:
        file: the name of the learner's file, under the stage's folder of the workspace.
        uses: earlier labs whose code this one imports.
        needs: artefacts that its experiment reads.
        makes: artefacts that its experiment writes.
        after: what to notice once it works; shown when the lab passes.
    """

    id: Id
    title: Line
    file: Annotated[
        str,
        Field(
            pattern=r"^[a-z][a-z0-9_]*\.py$",
            max_length=60,
            description="the name of a Python file in lower case, such as attention.py",
        ),
    ]
    uses: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    needs: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    makes: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    limits: Limits = Limits()
    checks: Annotated[tuple[Check, ...], Field(strict=False, min_length=1)]
    misconceptions: Annotated[tuple[Misconception, ...], Field(strict=False)] = ()
    hints: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    after: Text | None = None

    @property
    def max_points(self) -> int:
        """The points of all checks together."""
        return sum(check.points for check in self.checks)


class Step(Model):
    """A step as its YAML file describes it: a lesson with a lab, a quiz, or both."""

    id: Id
    title: Line
    minutes: Annotated[int, Field(ge=1, le=600)]
    requires: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    goals: Annotated[tuple[Line, ...], Field(strict=False, min_length=1)]
    topics: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    lesson: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]+\.md$",
            max_length=80,
            description="the name of a Markdown file beside the step, such as attention.md",
        ),
    ]
    lab: Id | None = None
    quiz: Annotated[tuple[Question, ...], Field(strict=False)] = ()


class StageEntry(Model):
    """One stage of `path.yaml`: its name and the ordered ids of its steps."""

    id: Id
    title: Line
    about: Line
    steps: Annotated[tuple[Id, ...], Field(strict=False)] = ()


class PathFile(Model):
    """`path.yaml`: the course's name, its version and its stages, in order."""

    title: Line
    version: Annotated[
        str,
        Field(
            pattern=r"^[0-9]+(\.[0-9]+)*$",
            description='numbers with dots between them, in quotes, such as "1.2"',
        ),
    ]
    stages: Annotated[tuple[StageEntry, ...], Field(strict=False, min_length=1)]


class Topic(Model):
    """One topic of the syllabus: what some step of the path must teach.

    Attributes:
        planned: the id of a step that is still to come and will teach it. It says nothing
            any more once a step names the topic.
    """

    id: Id
    title: Line
    stage: Id
    planned: Id | None = None


class TopicsFile(Model):
    """`topics.yaml`: everything that the path must teach, by stage."""

    topics: Annotated[tuple[Topic, ...], Field(strict=False, min_length=1)]

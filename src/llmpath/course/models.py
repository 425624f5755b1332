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
Name = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_]*$",
        max_length=60,
        description="the name of a class or function in the lab's file",
    ),
]
Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\r\n]*$"),
    Field(description="text on one line"),
]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
# Goals have no ids; a number is enough, because those who refer to one stand beside it.
Goals = Annotated[
    tuple[Annotated[int, Field(ge=1, description="the number of a goal, counted from 1")], ...],
    Field(strict=False),
]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class Model(BaseModel):
    """A frozen value that refuses unknown keys and silent conversions."""

    # Most models are only ever built as parts of others, so none is built before its first use.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class Question(Model):
    """One multiple-choice question of a quiz.

    Attributes:
        ask: the question. Markdown and formulas are rendered.
        choices: what to choose from, one line each.
        answer: the number of the right choice, counted from 1.
        because: why that choice is right, shown after each answer. `llmpath review` asks with the
            choices in another order, so it should not call one "the first".
        goals: the numbers of the step's goals that the question tests, counted from 1.
    """

    ask: Text
    choices: Annotated[tuple[Line, ...], Field(strict=False, min_length=2, max_length=9)]
    answer: Annotated[int, Field(ge=1, description="the right choice, counted from 1")]
    because: Text
    goals: Goals = ()


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


class Provides(Model):
    """What `llmpath chat` takes from a lab's file; of two labs that provide the same, the later.

    Attributes:
        model: a class whose `load(folder)` is a language model: called with token ids and a
            cache, it returns logits. Its `config.layers` says how many blocks it has.
        memory: a class; a list with one of it for each block is a model's cache. With
            `crop(length)` and `length`, a turn of a chat reads only what is new.
        sampling: a function that draws a token from logits.
        streaming: a generator that makes text of tokens as they are drawn.
    """

    model: Name | None = None
    memory: Name | None = None
    sampling: Name | None = None
    streaming: Name | None = None


class Check(Model):
    """One graded property of the learner's code: `test_<id with underscores>` in checks.py.

    Attributes:
        id: what reports and misconceptions call it.
        title: what holds for code that passes, as a learner reads it in the check list.
        points: what passing it is worth.
        hint: a nudge that is shown when it fails by its answer.
        needs: checks above it without which it is skipped, not failed.
        goals: the numbers of the step's goals that the check tests, counted from 1.
        seconds: wall-clock time for this check, where the lab's `check_seconds` does not fit.
    """

    id: Id
    title: Line
    points: Annotated[int, Field(ge=1, le=100)] = 1
    hint: Text | None = None
    needs: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    goals: Goals = ()
    seconds: Seconds | None = None

    @property
    def function(self) -> str:
        """The name of the pytest function that grades this check."""
        return "test_" + self.id.replace("-", "_")


class Misconception(Model):
    """A known wrong answer: an edit of the solution, and exactly the checks that catch it.

    Attributes:
        id: the mistake in a few words.
        replace: text that occurs exactly once in `lab.py`.
        with_: what stands there instead (`with` in YAML).
        fails: the ids of all checks that fail (not: are skipped) for this answer.
        explain: what goes wrong, told to a learner whose code fails exactly these checks.
    """

    id: Id
    replace: Annotated[str, Field(min_length=1)]
    with_: Annotated[str, Field(alias="with")]
    fails: Annotated[tuple[Id, ...], Field(strict=False, min_length=1)]
    explain: Text


class Equivalent(Model):
    """An edit of the solution that changes nothing which a check could see.

    `llmpath author check` changes the solution in small ways, and every change should fail a
    check. A change that leaves a right answer is listed here, with the reason.

    Attributes:
        replace: text that occurs exactly once in `lab.py`.
        with_: what stands there instead (`with` in YAML).
        because: why the changed code is as right as it was.
    """

    replace: Annotated[str, Field(min_length=1)]
    with_: Annotated[str, Field(alias="with")]
    because: Text


class Lab(Model):
    """A lab as `lab.yaml` describes it.

    Attributes:
        id: the lab's name, the same as that of its folder; it never changes once released.
        title: the lab's name for people.
        file: the name of the learner's file, under the stage's folder of the workspace.
        uses: earlier labs whose code this one imports.
        needs: artefacts that its experiment reads.
        makes: artefacts that its experiment writes.
        provides: what `llmpath chat` takes from its file.
        models: real models that its experiment can use, by their names in `llmpath models list`.
        summary: whether its experiment sums up what the learner has made, so that a report card
            begins with it.
        limits: what one grading may use.
        checks: what is graded, in the order in which it is reported.
        misconceptions: known wrong answers, each caught by exactly the checks it names.
        equivalents: small changes of the solution that are no mistakes.
        hints: opened one at a time: a nudge, the concept, almost the code.
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
    provides: Provides = Provides()
    models: Annotated[tuple[Id, ...], Field(strict=False)] = ()
    summary: bool = False
    limits: Limits = Limits()
    checks: Annotated[tuple[Check, ...], Field(strict=False, min_length=1)]
    misconceptions: Annotated[tuple[Misconception, ...], Field(strict=False)] = ()
    equivalents: Annotated[tuple[Equivalent, ...], Field(strict=False)] = ()
    hints: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    after: Text | None = None

    @property
    def max_points(self) -> int:
        """The points of all checks together."""
        return sum(check.points for check in self.checks)


class Step(Model):
    """A step as its YAML file describes it: a lesson with a lab, a quiz, or both.

    Attributes:
        id: the step's name, the same as that of its file; it never changes once released.
        title: the step's name for people.
        minutes: how long a learner takes for all of it.
        requires: steps that come before it.
        goals: what a learner can do afterwards, one line each.
        topics: the topics of `topics.yaml` that it teaches.
        lesson: the Markdown file beside it.
        lab: the lab that belongs to it, if there is one.
        quiz: the questions that it asks; a step without a lab needs at least one.
    """

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
    """One stage of `path.yaml`: its name and the ordered ids of its steps.

    Attributes:
        id: the stage's name, the same as that of its folder under `curriculum/`.
        title: the stage's name for people.
        about: what it is about, in a sentence.
        steps: the ids of its steps, in order.
    """

    id: Id
    title: Line
    about: Line
    steps: Annotated[tuple[Id, ...], Field(strict=False)] = ()


Count = Annotated[int, Field(ge=0, le=100_000)]


class Span(Model):
    """The least and the most that something may be.

    Attributes:
        least: how much it has to be.
        most: how much it may be.
    """

    least: Count
    most: Count


class Standards(Model):
    """What `llmpath author check` asks of a course; each may be set for a course of one's own.

    Attributes:
        lab_words: words of prose in the lesson of a step with a lab.
        reading_words: words of prose in the lesson of a step without one.
        questions: how many questions a quiz has.
        misconceptions: known wrong answers that each lab has at least.
        hints: hints that each lab has at least.
        mutants_killed: percent of the solution's small changes that must fail a check.
        experiment_seconds: how long an experiment may take at the smallest scale.
    """

    lab_words: Span = Span(least=600, most=1200)
    reading_words: Span = Span(least=400, most=1800)
    questions: Span = Span(least=3, most=6)
    misconceptions: Count = 5
    hints: Count = 3
    mutants_killed: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 95.0
    experiment_seconds: Seconds = 60.0


class PathFile(Model):
    """`path.yaml`: the course's name, its version and its stages, in order.

    Attributes:
        title: the course's name.
        version: raised with each release, so that `llmpath upgrade` and reports can tell.
        stages: the stages, in order.
        standards: what is asked of every step and lab; what the course does not set is usual.
        tour: what `llmpath tour` says to each language model that the course makes.
    """

    title: Line
    version: Annotated[
        str,
        Field(
            pattern=r"^[0-9]+(\.[0-9]+)*$",
            description='numbers with dots between them, in quotes, such as "1.2"',
        ),
    ]
    stages: Annotated[tuple[StageEntry, ...], Field(strict=False, min_length=1)]
    standards: Standards = Standards()
    tour: Annotated[tuple[Line, ...], Field(strict=False, max_length=6)] = ()


class Topic(Model):
    """One topic of the syllabus: what some step of the path must teach.

    Attributes:
        id: what steps call it in their `topics`.
        title: the topic in a few words.
        stage: the id of the stage to which it belongs.
        planned: the id of a step that is still to come and will teach it. It says nothing
            any more once a step names the topic.
    """

    id: Id
    title: Line
    stage: Id
    planned: Id | None = None


class TopicsFile(Model):
    """`topics.yaml`: everything that the path must teach, by stage.

    Attributes:
        topics: the topics, in the order of the path.
    """

    topics: Annotated[tuple[Topic, ...], Field(strict=False, min_length=1)]

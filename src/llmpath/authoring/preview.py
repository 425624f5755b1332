"""What a learner will see of a step: its texts, and the reports on the starter and on mistakes.

The texts are there at once; each report takes a grading. Reports are kept for as long as
nothing that they depend on is saved, so that a change of the lesson costs no gradings.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.loader import load
from llmpath.course.models import Lab, Step
from llmpath.course.solution import edited, starter
from llmpath.course.sources import PATH
from llmpath.feedback import Feedback, feedback
from llmpath.grading.grader import Grader
from llmpath.grading.report import GradeReport
from llmpath.grading.request import GradeRequest
from llmpath.planner import StepState, plan
from llmpath.workspace.progress import Progress
from llmpath.workspace.thread import sources

SEED = 0


@dataclass(frozen=True)
class Texts:
    """The step as a learner who has done nothing yet finds it.

    Attributes:
        state: the step, with everything still missing.
        lesson: the text of its lesson.
        lab: its lab, if it has one.
        starter: the learner's file as it begins; "" without a lab.
        place: where that file is in a workspace.
    """

    course: Course
    state: StepState
    lesson: str
    lab: Lab | None
    starter: str
    place: str


@dataclass(frozen=True)
class Report:
    """What a learner is told about one answer.

    Attributes:
        answer: the id of the misconception; "" for the untouched starter.
    """

    answer: str
    lab: Lab
    report: GradeReport
    feedback: Feedback


def texts(root: Path, step_id: str) -> Texts:
    """The texts of a step of the course in a folder.

    Raises:
        CourseError: the course has to be mended first.
        LlmpathError: it has no such step.
    """
    course = load(root)
    step = _step(course, step_id)
    state = plan(course, Progress()).of(step)
    lesson = course.lesson_path(step).read_text(encoding="utf-8-sig")
    if step.lab is None:
        return Texts(course, state, lesson, None, "", "")
    lab = course.lab(step.lab)
    begun = starter(_solution(course, lab))
    return Texts(course, state, lesson, lab, begun, f"{state.stage.id}/{lab.file}")


def files_of(root: Path, step_id: str) -> tuple[Path, ...]:
    """The files that a preview of a step depends on."""
    course = load(root)
    step = _step(course, step_id)
    lesson = course.lesson_path(step)
    found = [root / PATH, lesson, lesson.with_name(f"{step.id}.yaml")]
    if step.lab is not None:
        folder = course.lab_folder(course.lab(step.lab))
        found += [folder / name for name in ("lab.yaml", "lab.py", "checks.py")]
    return tuple(found)


def _step(course: Course, name: str) -> Step:
    """The step with this id, or to which the lab with this id belongs."""
    by_lab = next((step for step in course.steps if step.lab == name), None)
    return by_lab or course.step(name)


@dataclass
class Reports:
    """Grades the answers of a lab, each once while nothing that it depends on changes."""

    grader: Grader
    _kept: dict[str, GradeReport] = field(default_factory=dict)

    def of(self, shown: Texts) -> Iterator[Report]:
        """The report on the starter, then on each misconception, as each is done."""
        if shown.lab is None:
            return
        course, lab = shown.course, shown.lab
        solution = _solution(course, lab)
        yield self._report("", lab, course, shown.starter)
        for known in lab.misconceptions:
            yield self._report(known.id, lab, course, edited(solution, known))

    def _report(self, answer: str, lab: Lab, course: Course, source: str) -> Report:
        thread = {name: each.path for name, each in sources(course, lab, None).items()}
        checks = (course.lab_folder(lab) / "checks.py", *thread.values())
        marks = [lab.model_dump_json(), source, *(path.read_text("utf-8") for path in checks)]
        mark = hashlib.sha256("\0".join(marks).encode()).hexdigest()
        if mark not in self._kept:
            self._kept[mark] = self._grade(lab, course, source, thread)
        report = self._kept[mark]
        return Report(answer, lab, report, feedback(report, lab))

    def _grade(self, lab: Lab, course: Course, source: str, thread: dict[str, Path]) -> GradeReport:
        with tempfile.TemporaryDirectory(prefix="llmpath-preview-") as folder:
            file = Path(folder) / lab.file
            file.write_text(source, encoding="utf-8", newline="")
            request = GradeRequest(
                lab=lab,
                folder=course.lab_folder(lab),
                file=file,
                thread=thread,
                seed=SEED,
                course=course.version,
            )
            return self.grader.grade(request).report


def _solution(course: Course, lab: Lab) -> str:
    return (course.lab_folder(lab) / "lab.py").read_text(encoding="utf-8-sig")


def preview(
    root: Path, step_id: str, reports: Reports, told: Callable[[Texts | Report], None]
) -> None:
    """Tell of everything that a learner will see of a step, as soon as it is known."""
    shown = texts(root, step_id)
    told(shown)
    for report in reports.of(shown):
        told(report)

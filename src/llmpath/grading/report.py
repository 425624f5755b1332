"""What a grading found, as frozen data. Knows nothing of how it is shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from llmpath.controls import without_controls

CheckStatus = Literal["passed", "failed", "error", "skipped", "timeout"]
ReportStatus = Literal["passed", "failed", "syntax-error", "import-error", "error"]


def _printable(value: object) -> object:
    """Text that can be written anywhere, whatever learner code has put into it.

    It has no lone surrogates, which UTF-8 cannot write, and nothing that controls the terminal
    of whoever reads the report.
    """
    if not isinstance(value, str):
        return value
    return without_controls(value.encode("utf-8", "replace").decode())


Printable = Annotated[str, BeforeValidator(_printable)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Frame(_Frozen):
    """One line of a learner's traceback: file name, line number, function and source text."""

    file: Printable
    line: int
    function: Printable
    text: Printable = ""


class Detail(_Frozen):
    """Why a check did not pass, in parts that a user interface can lay out.

    Attributes:
        kind: `mismatch` (a value differs), `assertion` (a check's own sentence), `raised`
            (the learner's code raised), `not-written` (the starter's NotImplementedError),
            `missing` (a name is gone), `died` (the learner's process ended), `limit` (time,
            memory), `course` (the check itself is broken), `skipped` (a needed check failed).
        frames: the learner's own frames, outermost first.
    """

    kind: Literal[
        "mismatch",
        "assertion",
        "raised",
        "not-written",
        "missing",
        "died",
        "limit",
        "course",
        "skipped",
        "syntax",
    ]
    summary: Printable
    expected: Printable = ""
    got: Printable = ""
    where: Printable = ""
    because: Printable = ""
    exception: Printable = ""
    frames: tuple[Frame, ...] = ()


class CheckResult(_Frozen):
    """The verdict on one check.

    Attributes:
        message: why it did not pass, in a sentence.
        seconds: how long it took.
        memory_mb: the resident memory of the learner's process at its most, up to the end of
            this check, in MiB; 0 where the system does not tell.
    """

    id: str
    status: CheckStatus
    points: int
    max_points: int
    message: Printable = ""
    seconds: float = 0.0
    memory_mb: int = 0
    detail: Detail | None = None


class Isolation(_Frozen):
    """What kept the learner's code apart from the grader.

    Attributes:
        mode: what was asked for.
        measures: what was in force, strongest first.
        standing: `verified` only if confinement was required and in force.
    """

    mode: Literal["auto", "require", "off"] = "auto"
    measures: tuple[str, ...] = ()
    standing: Literal["self-checked", "verified"] = "self-checked"


class GradeReport(_Frozen):
    """One grading of one file.

    Attributes:
        status: `passed` needs a passing verdict for every check that the lab declares.
        problem: what kept the file from being graded at all, if something did.
        misconception: the id of the one known wrong answer that fails as this file did.
        output: what the learner's code printed, shortened.
        seed: grading again with this seed draws the same inputs.
        course: the version of the course.
    """

    lab: str
    status: ReportStatus
    points: int
    max_points: int
    checks: tuple[CheckResult, ...]
    problem: Detail | None = None
    misconception: str | None = None
    isolation: Isolation = Isolation()
    output: Printable = ""
    seed: int
    seconds: float = 0.0
    course: str

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return self.status == "passed"

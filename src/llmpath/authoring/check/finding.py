"""What the proofs of a course find, as frozen data. Knows nothing of how it is shown."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from llmpath.course.problems import Problem

# In the order in which they are run and told.
ProofName = Literal[
    "files",
    "lesson",
    "quiz",
    "coverage",
    "description",
    "starter",
    "answers",
    "solution",
    "limits",
    "misconceptions",
    "accepted",
    "hostile",
    "secrecy",
    "experiment",
    "mutants",
    "upgrade",
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Frozen):
    """One thing to mend in a course.

    Attributes:
        proof: what was being proven; the runner fills this and `subject` in.
        subject: the id of the step or lab; "" for the course as a whole.
        path: the file, relative to the course's root, with forward slashes.
        line: counted from 1; 0 where the finding is about the file as a whole.
        column: counted from 1; 0 where it is about the line as a whole.
        message: a sentence that says what is wrong.
        mend: a sentence that says what to do about it. Empty if the message says it.
        excerpt: lines that show it, such as the difference that a mutant makes.
    """

    proof: ProofName = "files"
    subject: str = ""
    path: str
    line: int = 0
    column: int = 0
    message: str
    mend: str = ""
    excerpt: str = ""

    @classmethod
    def of(cls, problem: Problem, excerpt: str = "") -> Self:
        """The finding that a problem of a course file is."""
        return cls(
            path=problem.path,
            line=problem.line,
            column=problem.column,
            message=problem.message,
            mend=problem.mend,
            excerpt=excerpt,
        )

    @property
    def place(self) -> str:
        """The place as editors and compilers write it: `path:line:column`."""
        return self.problem.place

    @property
    def problem(self) -> Problem:
        """The finding without what it belongs to."""
        return Problem(self.path, self.line, self.column, self.message, self.mend)


class Remark(Finding):
    """Something worth knowing that need not be mended, such as a mutant among many that lives."""


class Measure(_Frozen):
    """Something that a proof measured, whether or not it is as it should be.

    Attributes:
        name: what it is, such as `killed` or `seconds of weights-match-torch`.
        limit: the most (for `killed`, the least) that it may be; None where there is none.
    """

    name: str
    value: float
    unit: str = ""
    limit: float | None = None


class Proved(_Frozen):
    """One proof of one step or lab, or of the course.

    Attributes:
        found: how many things it found to mend.
        remarks: what it found besides.
        seconds: how long it took.
        cached: whether it was proven before, and nothing that it rests on has changed.
    """

    proof: ProofName
    subject: str
    found: int = 0
    remarks: tuple[Remark, ...] = ()
    measures: tuple[Measure, ...] = ()
    seconds: float = 0.0
    cached: bool = False


class Verdict(_Frozen):
    """What all proofs together came to.

    Attributes:
        course: the course's folder.
        sound: whether there is nothing to mend.
        findings: everything to mend, in the order of proofs and places.
        proofs: every proof that was run.
    """

    course: str
    sound: bool
    findings: tuple[Finding, ...]
    proofs: tuple[Proved, ...] = ()

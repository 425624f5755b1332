"""What the proofs of a course find, as frozen data. Knows nothing of how it is shown."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

# In the order in which they are told.
Proof = Literal["files"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Finding(_Frozen):
    """One thing to mend in a course.

    Attributes:
        proof: what was being proven.
        subject: the id of the step or lab; "" for the course as a whole.
        path: the file, relative to the course's root, with forward slashes.
        line: counted from 1; 0 where the finding is about the file as a whole.
        column: counted from 1; 0 where it is about the line as a whole.
        message: a sentence that says what is wrong.
        mend: a sentence that says what to do about it. Empty if the message says it.
        excerpt: lines that show it, such as the difference that a mutant makes.
    """

    proof: Proof
    subject: str = ""
    path: str
    line: int = 0
    column: int = 0
    message: str
    mend: str = ""
    excerpt: str = ""

    @property
    def place(self) -> str:
        """The place as editors and compilers write it: `path:line:column`."""
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.path, *numbers])


class Verdict(_Frozen):
    """What all proofs together came to.

    Attributes:
        course: the course's folder.
        findings: everything to mend, in the order of proofs and places.
    """

    course: str
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is to be mended."""
        return not self.findings

"""What is wrong with a course: where, what, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llmpath.errors import LlmpathError


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend in a course file.

    Attributes:
        path: the file, relative to the course's root, with forward slashes.
        line: counted from 1; 0 where the problem is the file as a whole.
        column: counted from 1; 0 where the problem is the line as a whole.
        message: a sentence that says what is wrong.
        mend: a sentence that says what to write instead. Empty if the message says it.
    """

    path: str
    line: int
    column: int
    message: str
    mend: str = ""

    @property
    def place(self) -> str:
        """The place as editors and compilers write it: `path:line:column`."""
        numbers = [str(number) for number in (self.line, self.column) if number]
        return ":".join([self.path, *numbers])

    def __str__(self) -> str:
        """The problem on one line: the place, what is wrong, and the mend."""
        return f"{self.place}: {self.message} {self.mend}".rstrip()


class CourseError(LlmpathError):
    """A course, or a file of one, that cannot be used as it is.

    Attributes:
        problems: every problem that was found, in the order of files and lines.
    """

    def __init__(self, problems: Iterable[Problem], subject: str = "This course") -> None:
        found = tuple(sorted(set(problems)))
        if not found:
            raise ValueError("a CourseError needs at least one problem")
        count = "a problem" if len(found) == 1 else f"{len(found)} problems"
        listing = "\n".join(str(problem) for problem in found)
        super().__init__(f"{subject} has {count}:\n{listing}", _advice(found))
        self.problems = found


def _advice(problems: tuple[Problem, ...]) -> str:
    files = {problem.path for problem in problems}
    if len(problems) == 1:
        return f"Mend {problems[0].place}, then run the command again."
    where = next(iter(files)) if len(files) == 1 else f"these {len(files)} files"
    return f"Mend the {len(problems)} places in {where}, then run the command again."

"""The one exception that people see.

Whatever is wrong with a request, a file or a course is raised as an
`LlmpathError` where it is noticed, and shown once, by the error boundary in
`llmpath.cli`. It does not format anything: that is the business of `llmpath.ui`.
"""

from __future__ import annotations


class LlmpathError(Exception):
    """Something a person can mend.

    Args:
        message: one or more sentences: what is wrong, and where.
        hint: what to do about it, as an instruction. Empty if there is nothing to add.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

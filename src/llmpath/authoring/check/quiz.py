"""The quiz has as many questions as it should, and its answers cannot be guessed."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring.check.bench import Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.markdown import flaws
from llmpath.authoring.check.subject import StepSubject
from llmpath.course.documents import KeyPath

# With fewer questions, equal answers are no pattern.
PATTERN = 4


def prove(subject: StepSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each thing that is wrong with a step's quiz."""
    document, quiz = subject.document, subject.step.quiz
    wanted = subject.course.standards.questions
    if not wanted.least <= len(quiz) <= wanted.most:
        message = f"The quiz has {len(quiz)} questions; {wanted.least} to {wanted.most} are asked."
        mend = "Ask more." if len(quiz) < wanted.least else "Keep the best."
        yield Finding.of(document.problem(("quiz",), message, mend, key=True))
    if len(quiz) >= PATTERN and len({question.answer for question in quiz}) == 1:
        message = f"The right choice is number {quiz[0].answer} in every question."
        yield Finding.of(document.problem(("quiz",), message, "Move some of them.", key=True))
    asked: dict[str, int] = {}
    for index, question in enumerate(quiz):
        first = asked.setdefault(question.ask.casefold(), index)
        if first != index:
            message = f"This is question {first + 1} again."
            yield Finding.of(document.problem(("quiz", index, "ask"), message, "Ask another."))
        texts: list[tuple[KeyPath, str]] = [
            (("ask",), question.ask),
            (("because",), question.because),
        ]
        texts += [(("choices", at), choice) for at, choice in enumerate(question.choices)]
        for path, text in texts:
            for flaw in flaws(text):
                place = ("quiz", index, *path)
                yield Finding.of(document.problem(place, flaw.message, flaw.mend))

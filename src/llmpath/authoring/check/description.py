"""What a step and a lab say of themselves: titles, hints, and the texts that reports show."""

from __future__ import annotations

from collections.abc import Iterator

from llmpath.authoring.check.bench import Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.markdown import flaws
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.documents import KeyPath
from llmpath.course.problems import Problem
from llmpath.models.catalogue import MODELS

LONGEST_TITLE = 90


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each thing that a learner would stumble over in a lab's texts."""
    for problem in (*_titles(subject), *_hints(subject), *_texts(subject), *_models(subject)):
        yield Finding.of(problem)


def _titles(subject: LabSubject) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    titles: list[tuple[KeyPath, str]] = [(("title",), subject.lab.title)]
    titles += [(("checks", at, "title"), each.title) for at, each in enumerate(subject.lab.checks)]
    for path, title in titles:
        for message, mend in title_flaws(title):
            yield subject.at(path, message, mend)
        line = subject.document.place(path).line
        if title.casefold() in seen:
            message = f"This title stands on line {seen[title.casefold()]} too."
            yield subject.at(path, message, "Say what is different.")
        elif path[0] == "checks":
            seen[title.casefold()] = line


def title_flaws(title: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the title of a step, a lab or a check, and the mend."""
    if title.endswith((".", ":", ";", ",")):
        yield f"The title ends with `{title[-1]}`.", "A title has no full stop."
    if len(title) > LONGEST_TITLE:
        message = f"The title has {len(title)} characters; the most is {LONGEST_TITLE}."
        yield message, "Say the rest below it."


def _hints(subject: LabSubject) -> Iterator[Problem]:
    lab, least = subject.lab, subject.course.standards.hints
    if len(lab.hints) < least:
        message = f"The lab has {len(lab.hints)} hints; it needs {least}."
        mend = "Write a nudge, the concept, and almost the code."
        yield subject.at(("hints",), message, mend, key=True)
    for index, hint in enumerate(lab.hints):
        if hint in lab.hints[:index]:
            yield subject.at(("hints", index), "This hint was given before.", "Go one step on.")
    for index, check in enumerate(lab.checks):
        if check.hint is None:
            message = f"The check `{check.id}` has no hint."
            mend = "Say where to look when it fails."
            yield subject.at(("checks", index, "id"), message, mend)
    if lab.after is None:
        message = "Nothing is said once the lab passes."
        yield subject.at((), message, "Say in `after` what to notice.")


def _texts(subject: LabSubject) -> Iterator[Problem]:
    """Formulas and code in the texts that learners are shown."""
    lab = subject.lab
    texts: list[tuple[KeyPath, str | None]] = [(("after",), lab.after)]
    texts += [(("hints", index), hint) for index, hint in enumerate(lab.hints)]
    texts += [(("checks", index, "hint"), check.hint) for index, check in enumerate(lab.checks)]
    texts += [
        (("misconceptions", index, "explain"), known.explain)
        for index, known in enumerate(lab.misconceptions)
    ]
    for path, text in texts:
        for flaw in flaws(text or ""):
            yield subject.at(path, flaw.message, flaw.mend)


def _models(subject: LabSubject) -> Iterator[Problem]:
    known = [model.id for model in MODELS]
    for index, name in enumerate(subject.lab.models):
        if name not in known:
            message = f"There is no real model `{name}`."
            yield subject.at(("models", index), message, f"There are {', '.join(known)}.")

"""The lesson is as long as it should be, and everything in it can be read and followed."""

from __future__ import annotations

import importlib.resources
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it.token import Token
from mdit_py_plugins.anchors.index import slugify

from llmpath.authoring.check.bench import Bench
from llmpath.authoring.check.description import title_flaws
from llmpath.authoring.check.finding import Finding, Measure, Remark
from llmpath.authoring.check.markdown import Flaw, flaws, inline, tokens
from llmpath.authoring.check.subject import StepSubject
from llmpath.course.problems import Problem

WORDS_A_MINUTE = 250
# Headings begin at the second level, because the step's title is shown above the lesson.
FIRST_LEVEL = 2
# A lesson of this many words wants more than one heading.
LONG = 300
_WORD = re.compile(r"\w[\w'’.-]*")
_COMMAND = re.compile(r"llmpath (?:show|grade|hint|quiz|next|lab \w+) ([a-z][a-z0-9-]*)")
_SHELLS = ("console", "bash", "sh", "shell")


def prove(subject: StepSubject, bench: Bench) -> Iterator[Finding | Measure]:
    """A finding for each thing that is wrong with a step's lesson."""
    words = count_words(subject.lesson)
    yield from _length(subject, words)
    for flaw in (
        *_headings(subject.lesson, words),
        *flaws(subject.lesson),
        *_targets(subject),
        *_commands(subject),
    ):
        yield Finding.of(subject.in_lesson(flaw.line, flaw.message, flaw.mend))
    yield from map(Finding.of, _title(subject))
    if example_begins(subject.lesson):
        message = "This is still the worked example that the step began with."
        yield Remark.of(subject.in_lesson(1, message, "Put your own lesson in its place."))


def example_begins(text: str) -> bool:
    """Whether a lesson begins as the one does that `author new` writes."""
    template = importlib.resources.files("llmpath.authoring") / "templates" / "step" / "lesson.md"
    first = template.read_text(encoding="utf-8").partition(":")[0]
    return text.lstrip().startswith(first)


def _title(subject: StepSubject) -> Iterator[Problem]:
    """What is wrong with the step's title, which stands above the lesson and in every list."""
    document, title = subject.document, subject.step.title
    for message, mend in title_flaws(title):
        yield document.problem(("title",), message, mend)
    for step in subject.course.steps:
        if step.id == subject.id:
            break
        if step.title.casefold() == title.casefold():
            message = f"The step `{step.id}` has this title too."
            yield document.problem(("title",), message, "Say what is different.")


def count_words(text: str) -> int:
    """The words of prose, without blocks of code and without formulas."""
    kept = ("text", "code_inline")
    return sum(len(_WORD.findall(token.content)) for _, token in inline(text) if token.type in kept)


def _length(subject: StepSubject, words: int) -> Iterator[Finding | Measure]:
    standards, step = subject.course.standards, subject.step
    wanted = standards.lab_words if step.lab is not None else standards.reading_words
    yield Measure(name="words", value=words, unit="words", limit=wanted.most)
    if not wanted.least <= words <= wanted.most:
        message = f"The lesson has {words} words; {wanted.least} to {wanted.most} are asked."
        mend = "Say more." if words < wanted.least else "Leave out what the lab does not need."
        yield Finding.of(subject.in_lesson(0, message, mend))
    if step.minutes < words / WORDS_A_MINUTE:
        message = f"Reading {words} words takes longer than the {step.minutes} minutes given."
        yield Finding.of(subject.document.problem(("minutes",), message, "Allow more."))


def _headings(text: str, words: int) -> Iterator[Flaw]:
    found = list(headings(text))
    level = FIRST_LEVEL - 1
    seen: dict[str, int] = {}
    for line, depth, title in found:
        if depth < FIRST_LEVEL:
            message = "The step's title is shown above the lesson; this heading would be a second."
            yield Flaw(line, message, f"Begin it with {'#' * FIRST_LEVEL}.")
        elif depth > level + 1:
            message = f"This heading is {depth - level} levels below the one above it."
            yield Flaw(line, message, f"Begin it with {'#' * (level + 1)}.")
        level = max(depth, FIRST_LEVEL)
        if title.casefold() in seen:
            message = f"This heading stands on line {seen[title.casefold()]} too."
            yield Flaw(line, message, "Rename one of the two.")
        seen.setdefault(title.casefold(), line)
    if words >= LONG and len(found) < 2:
        yield Flaw(0, "The lesson has hardly a heading.", "Give each of its parts one.")


def headings(text: str) -> Iterator[tuple[int, int, str]]:
    """The line, level and words of each heading."""
    blocks = tokens(text)
    for block, content in itertools.pairwise(blocks):
        if block.type == "heading_open" and block.map is not None:
            words = "".join(child.content for child in content.children or ())
            yield block.map[0] + 1, int(block.tag[1:]), words


def _targets(subject: StepSubject) -> Iterator[Flaw]:
    """Images and links whose target is not there."""
    folder = subject.course.lesson_path(subject.step).parent
    for line, token in inline(subject.lesson):
        if token.type == "image":
            yield from _image(folder, line, token)
        elif token.type == "link_open":
            yield from _link(subject, folder, line, str(token.attrs.get("href", "")))
        elif token.type == "text" and (undefined := re.search(r"\]\[[^\]]*\]", token.content)):
            message = f"`{undefined[0]}` refers to a link that is defined nowhere."
            yield Flaw(line, message, "Write the address in brackets behind it.")


def _image(folder: Path, line: int, token: Token) -> Iterator[Flaw]:
    source = str(token.attrs.get("src", ""))
    if re.match(r"[a-z]+:", source):
        message = "This picture is not a part of the course, and learners may have no network."
        yield Flaw(line, message, "Keep it beside the lesson.")
    elif not (folder / source).is_file():
        yield Flaw(line, f"There is no picture {source} beside the lesson.", "Add it.")
    if not token.content.strip():
        yield Flaw(line, "This picture says nothing where it cannot be shown.", "Describe it.")


def _link(subject: StepSubject, folder: Path, line: int, href: str) -> Iterator[Flaw]:
    if re.match(r"[a-z]+:", href):
        return
    name, _, anchor = href.partition("#")
    text = subject.lesson
    if name:
        lesson = (folder / name).resolve()
        course = subject.course
        if lesson not in {course.lesson_path(step).resolve() for step in course.steps}:
            message = f"`{href}` is no lesson of the course."
            yield Flaw(line, message, "Link to a step by its lesson, such as ../stage/step.md.")
            return
        text = lesson.read_text(encoding="utf-8-sig")
    if anchor and anchor not in {slugify(title) for _, _, title in headings(text)}:
        message = f"No heading of {name or 'this lesson'} is called `#{anchor}`."
        yield Flaw(line, message, "Write it in lower case, with hyphens between the words.")


def _commands(subject: StepSubject) -> Iterator[Flaw]:
    """Commands that name a step or lab which is not there."""
    known = {step.id for step in subject.course.steps} | set(subject.course.labs)
    for line, code in _typed(subject.lesson):
        for name in _COMMAND.findall(code):
            if name not in known:
                yield Flaw(line, f"There is no step or lab called `{name}`.", "Correct the name.")


def _typed(text: str) -> Iterator[tuple[int, str]]:
    """What a lesson has the learner type, with its line."""
    for line, token in inline(text):
        if token.type == "code_inline":
            yield line, token.content
    for block in tokens(text):
        if block.type == "fence" and block.info.strip() in _SHELLS and block.map is not None:
            yield from enumerate(block.content.splitlines(), start=block.map[0] + 2)

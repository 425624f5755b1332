"""An upgrade rehearsed: a workspace of an older version of a course, brought to this one.

Someone who has solved every lab of the older version, answered questions, taken hints and
skipped steps must find every line of theirs and all of their progress in the newer one, and one
undo must bring back what was there. The older version is the last one with another number in
the history that git keeps of the course. Without one, it is this course with older
signatures and without its last step. No code of the course is run.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from llmpath.course import repository
from llmpath.course.course import Course
from llmpath.course.documents import decode, parse
from llmpath.course.loader import read
from llmpath.course.models import Lab
from llmpath.course.problems import CourseError, Problem
from llmpath.course.solution import regions, solved
from llmpath.course.sources import PATH
from llmpath.errors import LlmpathError
from llmpath.workspace import Upgrade, Workspace, create, events, undo, upgrade

MINE = "# a line of the learner's own"
_LOOKED_AT = 200  # commits
_SIGNATURE = re.compile(r"^(\s*(?:async )?def )(\w+)(?=\()", re.MULTILINE)


def problems(course: Course, scratch: Path) -> Iterator[Problem]:
    """What learners of an older version would lose by an upgrade to this course.

    Args:
        course: the course as it is now.
        scratch: an empty folder for the older course and the workspace.
    """
    older = _released(course, scratch / "older") or _made_older(course, scratch / "older")
    yield from rehearse(older, course, scratch / "workspace")


def rehearse(older: Course, newer: Course, folder: Path) -> Iterator[Problem]:
    """What a learner who has done all of one version would lose by an upgrade to another.

    Args:
        older: the version that the learner has.
        newer: the version to which they are brought.
        folder: where their workspace is made.
    """
    yield from _vanished(older, newer)
    workspace = create(folder, older).workspace
    written = {lab.id: _solve(workspace, older, lab) for lab in older.labs.values()}
    _live(workspace, older)
    before, log, progress = _files(workspace, older), workspace.log.events(), workspace.progress()
    done = upgrade(workspace, newer)
    yield from lost_lines(done, written)
    if workspace.log.events()[: len(log)] != log or workspace.progress().steps != progress.steps:
        yield _problem("An upgrade changes what the log of progress tells.")
    if done.changes:
        undo(workspace, newer)
    if _files(workspace, older) != before:
        yield _problem("Undoing an upgrade does not bring every file back.")


def _vanished(older: Course, newer: Course) -> Iterator[Problem]:
    """Steps and labs that learners have and the newer version does not."""
    for kind, before, after in (
        ("step", [step.id for step in older.steps], [step.id for step in newer.steps]),
        ("lab", list(older.labs), list(newer.labs)),
    ):
        for name in before:
            if name not in after:
                message = (
                    f"The {kind} `{name}` of version {older.version} is gone: who has done it "
                    "loses that progress."
                )
                yield _problem(message, "Ids never change once released. Bring it back.")


def _solve(workspace: Workspace, course: Course, lab: Lab) -> tuple[str, ...]:
    """Write a file as a learner would: the solution, and a line of their own; the lines written."""
    source = _text(course.lab_folder(lab) / "lab.py")
    answer = f"{solved(source).rstrip()}\n\n\n{MINE}\n"
    workspace.file(course, lab).write_text(answer, encoding="utf-8", newline="")
    lines = [line for region in regions(source) for line in region.body.splitlines()]
    return (MINE, *(line for line in lines if line.strip()))


def _live(workspace: Workspace, course: Course) -> None:
    """Pass the labs, answer the questions, take hints, and skip a step."""
    for step in course.steps:
        if step.quiz:
            right = {number: True for number, _ in enumerate(step.quiz, start=1)}
            workspace.record(events.answered(step.id, right))
        if step.lab is None:
            continue
        lab = course.lab(step.lab)
        workspace.record(events.hinted(step.id, lab.id, 1))
        workspace.record_grade(
            course,
            lab,
            status="passed",
            points=lab.max_points,
            max_points=lab.max_points,
            failed=(),
            content=workspace.file(course, lab).read_bytes(),
        )
    workspace.record(*(events.skipped(step.id) for step in course.steps[-1:]))


def _files(workspace: Workspace, course: Course) -> dict[str, bytes]:
    """What stands in the file of each lab."""
    paths = {lab.id: workspace.file(course, lab) for lab in course.labs.values()}
    return {lab: path.read_bytes() for lab, path in paths.items() if path.is_file()}


def lost_lines(done: Upgrade, written: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    """A problem for each file from which an upgrade took a line that a learner wrote.

    Args:
        done: what the upgrade did.
        written: for each lab the lines that the learner wrote.
    """
    for file in done.files:
        if file.lab not in written:
            continue
        now = file.path.read_bytes().decode().splitlines()
        lost = [line for line in written[file.lab] if line not in now]
        if lost:
            message = f"An upgrade takes `{lost[0].strip()}` out of a learner's file."
            yield Problem(f"labs/{file.lab}/lab.py", 0, 0, message)


def _released(course: Course, folder: Path) -> Course | None:
    """The last version with another number that git knows of; None if there is none."""
    with contextlib.suppress(LlmpathError):
        listed = repository.run(
            "log", f"--max-count={_LOOKED_AT}", "--format=%H", "--", PATH, folder=course.root
        )
        for revision in listed.decode().split():
            content = repository.run("show", f"{revision}:./{PATH}", folder=course.root)
            data = parse(content, PATH).data
            version = data.get("version") if isinstance(data, dict) else None
            if isinstance(version, str) and version != course.version:
                return _checked_out(course, revision, folder)
    return None


def _checked_out(course: Course, revision: str, folder: Path) -> Course | None:
    archive = repository.run("archive", revision, "curriculum", "labs", folder=course.root)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    try:
        return read(folder)
    except CourseError:  # written for another llmpath: nobody has a workspace of it any more
        shutil.rmtree(folder)
        return None


def _made_older(course: Course, folder: Path) -> Course:
    """The course as if an older version had other signatures, and no last step."""
    for name in ("curriculum", "labs"):
        shutil.copytree(course.root / name, folder / name)
    older = read(folder)
    for lab in older.labs.values():
        path = older.lab_folder(lab) / "lab.py"
        path.write_text(_other_signatures(_text(path)), encoding="utf-8", newline="")
    steps = older.steps[:-1] if len(older.steps) > 1 else older.steps
    return _only(older, {step.id for step in steps})


def _other_signatures(source: str) -> str:
    """A solved file in which the functions that the learner writes have other names."""
    names = {region.name.rpartition(".")[2] for region in regions(source)}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + (f"{found[2]}_before" if found[2] in names else found[2])

    return _SIGNATURE.sub(renamed, source)


def _only(course: Course, steps: set[str]) -> Course:
    """The course with these steps alone, as its version 0."""
    stages = tuple(
        replace(stage, steps=tuple(step for step in stage.steps if step.id in steps))
        for stage in course.stages
    )
    kept = {step.lab for stage in stages for step in stage.steps}
    labs = {name: lab for name, lab in course.labs.items() if name in kept}
    return replace(course, version="0", stages=stages, labs=labs)


def _text(path: Path) -> str:
    text = decode(path.read_bytes(), path.name)
    if isinstance(text, Problem):
        raise CourseError([text])
    return text


def _problem(message: str, mend: str = "") -> Problem:
    return Problem(PATH, 0, 0, message, mend)

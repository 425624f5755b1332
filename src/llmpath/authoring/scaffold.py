"""A step, or a whole course, begun from templates: a worked example that passes every proof.

What is made is planned as contents of files, then written. Nothing that stands there is ever
overwritten but `topics.yaml` and `path.yaml`, to each of which one entry is added, last, with
every other byte of them left as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from llmpath.authoring import schema
from llmpath.course.course import unknown
from llmpath.course.documents import KeyPath, decode, read
from llmpath.course.insertion import append
from llmpath.course.locate import is_course
from llmpath.course.models import Id, PathFile, TopicsFile
from llmpath.course.problems import CourseError
from llmpath.course.sources import PATH, TOPICS
from llmpath.course.validation import fit
from llmpath.errors import LlmpathError
from llmpath.workspace import files

# A title that YAML reads as this very text without quotes.
_PLAIN = re.compile(r"[A-Z][A-Za-z0-9 '’(),.-]*[A-Za-z0-9)]")
_FIRST_STEP = "smoothing"
_COURSE = (PATH, TOPICS, "README.md", "labs/README.md")
_LAB = ("lab.yaml", "lab.py", "checks.py", "experiment.py", "accepted/running_sum.py")


class _Template(Template):
    """Placeholders such as §{id}; a dollar sign begins a formula in lessons."""

    delimiter = "§"


@dataclass(frozen=True)
class NewStep:
    """A step that is to be begun.

    Attributes:
        id: its name, which is also that of its files and, if it has one, of its lab.
        stage: the id of a stage of the path.
        title: its name for people.
        minutes: how long a learner takes for all of it.
        lab: whether it has one.
    """

    id: str
    stage: str
    title: str
    minutes: int
    lab: bool


@dataclass(frozen=True)
class Begun:
    """What was made: the course's folder, and the files in it that are new."""

    root: Path
    made: tuple[Path, ...]


def title_of(step_id: str) -> str:
    """An id as a title, until its author finds a better one."""
    words = step_id.replace("-", " ")
    return words[:1].upper() + words[1:]


def begin_course(root: Path, title: str) -> Begun:
    """Make a course with one stage and one step, complete in itself.

    Raises:
        LlmpathError: something stands in the folder already, or cannot be written.
    """
    root = root.expanduser().absolute()
    if is_course(root):
        raise LlmpathError(
            f"{root} is a course already.", f"llmpath author new STEP --course {root} adds a step."
        )
    words = {"title": _scalar(title), "heading": title, "step": _FIRST_STEP}
    contents = {name: _filled(f"course/{name}", words) for name in _COURSE}
    step = NewStep(_FIRST_STEP, "basics", "Smoothing a noisy curve", 30, lab=True)
    contents |= _step_files(step, requires=(), topics=("smoothing",)) | _schemas()
    return Begun(root, _write(root, contents))


def begin_step(root: Path, step: NewStep) -> Begun:
    """Add a step to the course in a folder: its files, and its id on the path.

    Raises:
        LlmpathError: the id is none or is taken, the stage is unknown, or a file of that name
            stands there already.
        CourseError: `path.yaml` has to be mended first.
    """
    path = stages(root)
    stage_ids = [stage.id for stage in path.stages]
    if step.stage not in stage_ids:
        raise unknown("stage", step.stage, stage_ids, f"{PATH} lists them:")
    require_free(step.id, [each for stage in path.stages for each in stage.steps])
    number = stage_ids.index(step.stage)
    before = [each for stage in path.stages[: number + 1] for each in stage.steps]
    topics, changed = _syllabus(root, step)
    changed[PATH] = _added(root, PATH, ("stages", number, "steps"), step.id)
    contents = _step_files(step, requires=tuple(before[-1:]), topics=topics)
    missing = {n: c for n, c in _schemas().items() if not (root / n).exists()}
    made = _write(root, contents | missing)
    for name, content in changed.items():
        files.write(root / name, content)
    return Begun(root, made)


def stages(root: Path) -> PathFile:
    """The path of the course in a folder; a `CourseError` if it cannot be read as one."""
    path, problems = fit(read(root / PATH, PATH), PathFile)
    if path is None:
        raise CourseError(problems)
    return path


def _syllabus(root: Path, step: NewStep) -> tuple[tuple[str, ...], dict[str, bytes]]:
    """The topics of a step, and `topics.yaml` as it has to become for them.

    Those are what the syllabus has planned for the step, or else a topic of its own name.
    """
    if not (root / TOPICS).exists():
        return (), {}
    syllabus, problems = fit(read(root / TOPICS, TOPICS), TopicsFile)
    if syllabus is None:
        raise CourseError(problems)
    planned = tuple(topic.id for topic in syllabus.topics if topic.planned == step.id)
    if planned or step.id in [topic.id for topic in syllabus.topics]:
        return planned or (step.id,), {}
    entry = f"{{id: {step.id}, title: {json.dumps(step.title, ensure_ascii=False)}, "
    entry += f"stage: {step.stage}}}"
    return (step.id,), {TOPICS: _added(root, TOPICS, ("topics",), entry)}


def require_free(name: str, taken: Sequence[str]) -> None:
    """An `LlmpathError` if a new step cannot have this id."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(Id).validate_python(name)
    except ValidationError:
        raise LlmpathError(
            f"{name!r} is no id.", "Write lower-case words joined by hyphens, such as multi-head."
        ) from None
    if name in taken:
        raise LlmpathError(f"The course has a step {name!r} already.", "Choose another id.")


def _step_files(
    step: NewStep, *, requires: tuple[str, ...], topics: tuple[str, ...]
) -> dict[str, bytes]:
    """The files of a step by their names in the course."""
    words = {
        "id": step.id,
        "title": _scalar(step.title),
        "minutes": str(step.minutes),
        "requires": f"[{', '.join(requires)}]",
        "topics": f"[{', '.join(topics)}]",
        "file": f"{step.id.replace('-', '_')}.py",
        "lab_line": f"lab: {step.id}\n" if step.lab else "",
        "noise_goals": "3" if step.lab else "2",
        "second_goal": (
            "Write one for any width, and for a curve that is shorter than that"
            if step.lab
            else "Tell how much noise is left at a given width"
        ),
    }
    folder = f"curriculum/{step.stage}/{step.id}"
    made = {
        f"{folder}.yaml": _filled("step/step.yaml", words),
        f"{folder}.md": _filled("step/lesson.md", words),
    }
    if step.lab:
        made |= {f"labs/{step.id}/{name}": _filled(f"lab/{name}", words) for name in _LAB}
    return made


def _schemas() -> dict[str, bytes]:
    return {
        f"{schema.FOLDER}/{schema.file_name(name)}": schema.written(name) for name in schema.FILES
    }


def _filled(name: str, words: Mapping[str, str]) -> bytes:
    """A template with its placeholders filled in."""
    template = resources.files("llmpath.authoring") / "templates" / name
    return _Template(template.read_text(encoding="utf-8")).substitute(words).encode()


def _scalar(text: str) -> str:
    """A text as YAML reads it back: as it is, or in quotes."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _added(root: Path, name: str, path: KeyPath, entry: str) -> bytes:
    """A file of the course with an entry at the end of one of its lists."""
    content = (root / name).read_bytes()
    text = decode(content, name)
    assert isinstance(text, str)  # it has been read before
    mark = content[: len(content) - len(text.encode())]  # some editors begin a file with one
    return mark + append(text, path, entry, name).encode()


def _write(root: Path, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write new files, all of them or none where one stands there already."""
    taken = [name for name in contents if (root / name).exists() or (root / name).is_symlink()]
    if taken:
        raise LlmpathError(
            f"{root / taken[0]} is there already; nothing was made.",
            "Choose another id, or move the file away.",
        )
    for name, content in contents.items():
        files.write_new(root / name, content)
    return tuple(root / name for name in contents)

"""Which model talks, and whose code runs it.

A lab says in its `provides` that its file has a model, its memory, the drawing of tokens or the
making of text from them. Where a course has none of the first three, or its model cannot read a
folder, transformers takes their place; for the last, `streaming` has a plain way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.workspace.folder import Workspace
from llmpath.workspace.thread import names, source


@dataclass(frozen=True)
class Part:
    """One thing that a lab's file provides.

    Attributes:
        lab: the lab.
        attribute: what the thing is called in its file.
        own: whether that file is the learner's own.
    """

    lab: str
    attribute: str
    own: bool


@dataclass(frozen=True)
class Code:
    """The code that a model is run with.

    Attributes:
        parts: what is provided, by role: `model`, `memory`, `sampling`, `streaming`.
        files: the file that stands for each lab that is needed.
        own: the files that are the learner's.
        names: what to call these in front of the learner, by path.
    """

    parts: Mapping[str, Part] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    own: tuple[Path, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A model to talk to.

    Attributes:
        name: what it is called.
        folder: its Hugging Face folder.
        code: what it is run with.
        device: where it is to be, as `--device` takes it.
    """

    name: str
    folder: Path
    code: Code
    device: str = "auto"

    def request(self) -> dict[str, Any]:
        """Plain data for the child."""
        return {
            "folder": str(self.folder.absolute()),
            "device": self.device,
            "parts": {role: vars(part) for role, part in self.code.parts.items()},
            "thread": {lab: str(path.absolute()) for lab, path in self.code.files.items()},
            "own": [str(path.absolute()) for path in self.code.own],
            "names": dict(self.code.names),
        }


def code(course: Course, workspace: Workspace | None) -> Code:
    """What the labs of a course provide: the learner's own where it passes, else the reference.

    Where two labs provide the same, the later one counts, since it is there to be the better one.
    But whatever is the learner's own comes before the reference: a lab further on takes over once
    it passes.
    """
    parts: dict[str, Part] = {}
    needed: dict[str, Lab] = {}
    for lab in course.labs.values():
        own = source(course, lab, workspace).own
        for role, attribute in lab.provides.model_dump(exclude_none=True).items():
            if own or role not in parts or not parts[role].own:
                parts[role] = Part(lab.id, attribute, own)
    for part in parts.values():
        lab = course.lab(part.lab)
        needed |= {each.id: each for each in (*course.used_by(lab), lab)}
    found = {name: source(course, lab, workspace) for name, lab in needed.items()}
    files = {name: each.path for name, each in found.items()}
    learners = tuple(each.path for each in found.values() if each.own)
    return Code(parts, files, learners, names(found.values()))

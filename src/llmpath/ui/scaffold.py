"""What `llmpath author new` made, and what to do with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from llmpath.authoring.scaffold import Begun, NewStep
from llmpath.ui.place import seen_from
from llmpath.ui.theme import symbols

PURPOSES = {
    "path.yaml": "the stages, and the order of steps",
    "topics.yaml": "the syllabus",
    "README.md": "",
    "lab.yaml": "checks, known mistakes, hints",
    "lab.py": "the solution; the learner's file is made from it",
    "checks.py": "what is graded",
    "experiment.py": "what lab run shows",
    "accepted": "other right answers",
}


def course(begun: Begun, console: Console) -> Group:
    """A new course."""
    head = Text.assemble(
        (f"{symbols(console).passed} ", "good"), "Your course is ready: ", (str(begun.root), "path")
    )
    folder = seen_from(begun.root)
    commands = [f"cd {folder}"] if folder != "." else []
    commands += ["llmpath author check", "llmpath author new my-step --stage basics --lab"]
    return Group(head, _files(begun.root, begun.made), *_commands(commands))


def step(begun: Begun, made: NewStep, console: Console) -> Group:
    """A new step."""
    head = Text.assemble(
        (f"{symbols(console).passed} ", "good"),
        (made.id, "title"),
        f" is the last step of {made.stage} now: a worked example. Put your own in its place:",
    )
    commands = [f"llmpath author preview {made.id}", f"llmpath author check {made.id}"]
    return Group(head, _files(begun.root, begun.made), *_commands(commands))


def _files(root: Path, made: Iterable[Path]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for path in made:
        if path.suffix == ".json":
            continue
        purpose = PURPOSES.get(path.name, PURPOSES.get(path.parent.name, ""))
        if path.suffix == ".md" and not purpose and path.name != "README.md":
            purpose = "the lesson"
        elif path.suffix == ".yaml" and not purpose:
            purpose = "goals, topics, quiz"
        name = Text(f"  {path.relative_to(root).as_posix()}", style="path")
        table.add_row(name, Text(purpose, style="muted"))
    return table


def _commands(commands: Iterable[str]) -> Iterable[Text]:
    yield Text("Next:")
    for command in commands:
        yield Text(f"  {command}", style="command")

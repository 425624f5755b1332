"""What an upgrade does with each file, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.ui.theme import symbols
from llmpath.workspace import FileUpgrade, Outcome, Upgrade

WORDS = {
    Outcome.SAME: "as it was",
    Outcome.NEW: "new",
    Outcome.REPLACED: "the new starter; you had written nothing yet",
    Outcome.MERGED: "your code, with what has changed around it",
    Outcome.CONFLICT: "you and the course changed the same lines",
    Outcome.UNKNOWN: "left alone: the starter that it began with is not known",
    Outcome.GONE: "left alone: the course no longer has this lab",
}
STYLES = {
    Outcome.NEW: "good",
    Outcome.REPLACED: "good",
    Outcome.MERGED: "good",
    Outcome.CONFLICT: "bad",
    Outcome.UNKNOWN: "warn",
    Outcome.GONE: "muted",
}


def told(done: Upgrade, root: Path, console: Console, *, rehearsed: bool) -> Group:
    """Every file that is not as it was, what to do about conflicts, and how to go back."""
    shown = [file for file in done.files if file.outcome is not Outcome.SAME]
    parts: list[RenderableType] = [_heading(done, console, rehearsed=rehearsed)]
    if shown:
        parts.append(Padding(_table(shown, root, console), (0, 2)))
    for file in shown:
        if file.outcome is Outcome.CONFLICT and not rehearsed:
            parts.append(_conflict(file, root))
        elif file.outcome is Outcome.UNKNOWN:
            parts.append(Text(f"llmpath lab reset {file.lab} brings its newer starter."))
    if rehearsed:
        parts.append(Text("Nothing was changed: this was a rehearsal."))
    elif done.changes:
        parts.append(Text.assemble(("llmpath progress undo", "command"), " takes all of it back."))
    return Group(*parts)


def _heading(done: Upgrade, console: Console, *, rehearsed: bool) -> Text:
    sign = (f"{symbols(console).passed} ", "good")
    if not done.changes:
        version = f"Your files are those of version {done.new_version} of the course."
        return Text.assemble(sign, version)
    step = f"from version {done.old_version} of the course to {done.new_version}"
    if done.old_version == done.new_version:
        step = f"to the course as it is now (version {done.new_version})"
    verb = "would be brought" if rehearsed else "were brought"
    return Text.assemble(sign, f"Your files {verb} {step}:")


def _table(shown: list[FileUpgrade], root: Path, console: Console) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="path")
    table.add_column()
    marks = symbols(console)
    for file in shown:
        style = STYLES[file.outcome]
        sign = {"bad": marks.failed, "good": marks.passed, "warn": marks.warning}.get(style, " ")
        words = WORDS[file.outcome]
        if file.moved_from is not None:
            words += f"; it was {_near(file.moved_from, root)}, which is left alone"
        table.add_row(Text(sign, style=style), _near(file.path, root), Text(words, style=style))
    return table


def _conflict(file: FileUpgrade, root: Path) -> Text:
    lines = ", ".join(str(number) for number in file.conflicts)
    at = f"line {lines}" if len(file.conflicts) == 1 else f"lines {lines}"
    return Text.assemble(
        (f"{_near(file.path, root)}, {at}", "path"),
        ": between the markers stand your lines, then the course's. Keep what is right and delete "
        "the three marker lines. ",
        (f"llmpath lab open {file.lab}", "command"),
    )


def _near(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def as_data(done: Upgrade, root: Path) -> dict[str, Any]:
    """The same as plain data, for scripts."""
    return {
        "from": done.old_version,
        "to": done.new_version,
        "changes": done.changes,
        "files": [
            {
                "lab": file.lab,
                "file": _near(file.path, root),
                "outcome": str(file.outcome),
                "conflicts": list(file.conflicts),
                "moved_from": None if file.moved_from is None else _near(file.moved_from, root),
            }
            for file in done.files
        ],
    }

"""What is made before a run can begin: one line and a bar for each artefact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from llmpath.artefacts.supply import Artefact, Happening, Making, Supply, Waiting
from llmpath.course.models import Lab
from llmpath.running import events as ev
from llmpath.ui.theme import UNICODE, symbols
from llmpath.ui.words import one_line


def follow(
    supply: Supply, console: Console | None, *, sentences: bool = True
) -> dict[str, Artefact]:
    """Take a supply to its end, showing on the console, if there is one, what is made.

    Args:
        supply: what is made, as it goes on.
        console: where it is shown.
        sentences: whether each run's result is said too.

    Returns:
        The artefacts, by name.
    """
    console = console or Console(quiet=True)
    with progress_bar(console) as bar:
        while True:
            try:
                happening = next(supply)
            except StopIteration as end:
                found: dict[str, Artefact] = end.value
                return found
            if sentences or not isinstance(happening, ev.Result):
                _show(happening, bar, console)


def progress_bar(console: Console) -> Progress:
    """A line with a bar that goes away when it is done; nothing where there is no terminal."""
    columns = (
        SpinnerColumn("dots" if symbols(console) is UNICODE else "line"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TimeRemainingColumn(compact=True),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(happening: Happening, bar: Progress, console: Console) -> None:
    match happening:
        case Making():
            _begin(making(happening), bar, console)
        case Waiting():
            text = f"Another llmpath is making what {happening.lab.id} makes; waiting for it"
            if not bar.tasks or bar.tasks[-1].description != text:
                _begin(text, bar, console)
        case ev.Progress() if bar.tasks:
            task = bar.tasks[-1].id
            bar.update(task, completed=happening.done, total=happening.total)
        case ev.Result():
            console.print(Text(one_line(happening.sentence), style="muted"))
        case _:
            pass


def _begin(text: str, bar: Progress, console: Console) -> None:
    for task in bar.tasks:
        bar.remove_task(task.id)
    bar.add_task(text, total=None)
    if not console.is_terminal:
        console.print(text)


def making(happening: Making) -> str:
    """What is being made and by whose code, on one line."""
    whose = "your own" if happening.own else "the reference's"
    return f"First, {whose} {' and '.join(happening.names)} (lab {happening.lab.id})"


def kept(folders: Sequence[Path], root: Path) -> Text:
    """Where the learner's own artefacts are now."""
    text = Text("Yours from now on: ")
    for number, folder in enumerate(folders):
        text.append(", " if number else "")
        text.append(f"{folder.relative_to(root).as_posix()}/", style="path")
    return text


def not_kept(lab: Lab) -> Text:
    """That later labs go on using the reference until the lab passes."""
    return Text.assemble(
        f"Later labs use the reference's {' and '.join(lab.makes)} until yours passes: ",
        (f"llmpath grade {lab.id}", "command"),
    )

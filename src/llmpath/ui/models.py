"""Real models in the terminal: which there are, and how far a download is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from llmpath.models.catalogue import Model
from llmpath.models.store import Manifest, State
from llmpath.ui.theme import symbols

STATES: dict[State, tuple[str, str]] = {
    "there": ("on this machine", "good"),
    "absent": ("not here", "muted"),
    "damaged": ("damaged: pull it again", "bad"),
}
Row = tuple[Model, State, Manifest | None]
_BYTES = 1e6  # totals from here on are bytes; below, steps


def listing(rows: Sequence[Row], root: str) -> RenderableType:
    """Each model: whether it is here, how large it is, and its licence."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="command")
    grid.add_column()
    for model, state, manifest in rows:
        label, style = STATES[state]
        size = megabytes(manifest.size if manifest else model.size)
        facts = f"{model.parameters / 1e6:.0f} million parameters, {size}, {model.licence}"
        grid.add_row(model.id, Text.assemble((label, style), f": {model.title}, {facts}."))
        grid.add_row("", Text(model.about, style="muted"))
    lines: list[RenderableType] = [grid, Text()]
    if any(state != "there" for _, state, _ in rows):
        lines.append(Text.assemble(("llmpath models pull NAME", "command"), " brings one here."))
    lines.append(Text.assemble("They are kept in ", (root, "path"), "."))
    return Group(*lines)


def as_data(row: Row, folder: str) -> dict[str, Any]:
    """A model as plain data, for scripts."""
    model, state, manifest = row
    return {
        "id": model.id,
        "title": model.title,
        "about": model.about,
        "task": model.task,
        "parameters": model.parameters,
        "licence": model.licence,
        "authors": model.authors,
        "state": state,
        "folder": folder if state == "there" else None,
        "manifest": manifest.model_dump() if manifest else None,
    }


def pulled(manifest: Manifest, folder: str, console: Console) -> RenderableType:
    """What is here now, where it came from, and under which licence."""
    return Group(
        Text.assemble(
            (f"{symbols(console).passed} ", "good"),
            f"{manifest.title} is here: {megabytes(manifest.size)}, by {manifest.authors}, "
            f"licence {manifest.licence}.",
        ),
        Text(f"  It came from {manifest.source}."),
        Text.assemble("  ", (folder, "path")),
    )


def removed(model: Model, freed: int) -> Text:
    """What `models remove` did."""
    if not freed:
        return Text(f"The model {model.id} was not here; nothing was removed.")
    return Text(f"The model {model.id} was removed; {megabytes(freed)} are free again.")


def megabytes(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:,.0f} MB"


@contextlib.contextmanager
def progress(console: Console) -> Iterator[Callable[[str, float, float], None]]:
    """Show how far something is: a bar in a terminal, a line for each new thing elsewhere.

    Gives a function that takes what is being done, and how much of how much is done: bytes if
    the total is a million or more, else steps; a total of 0 is not known.
    """
    if console.is_terminal and not console.is_dumb_terminal:
        with _bar(console) as tell:
            yield tell
        return
    said = ""

    def tell_in_lines(doing: str, done: float, total: float) -> None:
        nonlocal said
        if doing != said:
            said = doing
            size = f" ({megabytes(total)})" if total >= _BYTES else ""
            console.print(f"{doing}{size}", soft_wrap=True)

    yield tell_in_lines


@contextlib.contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, float, float], None]]:
    columns = (
        SpinnerColumn("dots" if symbols(console).ellipsis == "…" else "line"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        said = ""

        def tell(doing: str, done: float, total: float) -> None:
            nonlocal said
            if doing != said:
                said = doing
                bar.reset(task, description=doing, total=total or None)
            bar.columns = columns if total >= _BYTES else (*columns[:3], *columns[4:])
            bar.update(task, completed=done, total=total or None)

        yield tell

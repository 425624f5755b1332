"""`llmpath report`: the report card of the learner's work and models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import AsJson
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State
    from llmpath.portfolio.card import ReportCard

PAGE = (".html", ".htm")
MARKDOWN = (".md", ".markdown")


def report(
    context: typer.Context,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Also write it as a page, pictures inside."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Also write it as Markdown.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the report card of your work: each lab, what its experiment found, what was made.

    Example: [bold]llmpath report --html report.html[/]
    """
    from datetime import datetime

    from llmpath.portfolio.card import gather

    state: State = context.obj
    html, markdown = _named(html, "--html", PAGE), _named(markdown, "--markdown", MARKDOWN)
    card = gather(state.course, state.here, datetime.now().astimezone())
    if as_json:
        from llmpath.ui.card.data import as_data

        typer.echo(json.dumps(as_data(card), indent=2, ensure_ascii=False))
    else:
        from llmpath.ui.card.terminal import render

        state.console.print(render(card, state.console))
    for path in _written(card, html, markdown):
        if not as_json:
            state.console.print(f"The report is in {path}.", soft_wrap=True)


def _named(path: Path | None, option: str, endings: tuple[str, ...]) -> Path | None:
    """A file to write, refused at once if something else may stand under such a name."""
    if path is None:
        return None
    path = path.expanduser()
    if path.suffix.lower() not in endings or path.is_dir():
        raise LlmpathError(
            f"{option} {path} is not the name of such a file.",
            f"Let it end in {endings[0]}, such as report{endings[0]}.",
        )
    return path


def _written(card: ReportCard, html: Path | None, markdown: Path | None) -> list[Path]:
    """Write the files that were asked for."""
    from llmpath.ui.card.markdown import document
    from llmpath.ui.card.page import page
    from llmpath.workspace import files

    written = []
    for path, text in (
        (html, html and page(card)),
        (markdown, markdown and document(card, markdown.absolute().parent)),
    ):
        if path is not None and text is not None:
            files.write(path, str(text).encode("utf-8", errors="replace"))
            written.append(path)
    return written

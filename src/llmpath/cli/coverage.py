"""`llmpath author coverage`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from llmpath.cli.options import AsJson

if TYPE_CHECKING:
    from llmpath.cli.state import State


def coverage(
    context: typer.Context,
    as_json: AsJson = False,
) -> None:
    """Show which steps teach each topic of the syllabus, and what tests each goal.

    Exit code: 0 if every topic is taught or planned and every goal tested, else 1.

    Example: [bold]llmpath author coverage[/]
    """
    from llmpath.authoring.coverage import cover
    from llmpath.ui import coverage as view

    state: State = context.obj
    found = cover(state.authored)
    if as_json:
        typer.echo(json.dumps(view.as_data(found), indent=2, ensure_ascii=False))
    else:
        state.console.print(view.listing(state.authored, found, state.console))
    raise typer.Exit(0 if found.complete else 1)

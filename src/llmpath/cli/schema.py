"""`llmpath author schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State


def schema(
    context: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write one file for each kind into this folder."),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the same as a page for people.")
    ] = False,
) -> None:
    """Describe the YAML files of a course as JSON Schema, so that editors complete and check them.

    Without --out all of them are printed as one JSON object.

    Example: [bold]llmpath author schema --out schema[/]
    """
    import json

    from llmpath.authoring import schema as schemas
    from llmpath.workspace import files

    state: State = context.obj
    if out is not None and markdown:
        raise LlmpathError("--out and --markdown exclude each other.", "Say one of the two.")
    if markdown:
        typer.echo(schemas.reference(), nl=False)
    elif out is None:
        every = {schemas.file_name(name): schemas.schema(name) for name in schemas.FILES}
        typer.echo(json.dumps(every, indent=2, ensure_ascii=False))
    else:
        for name in schemas.FILES:
            path = out.expanduser() / schemas.file_name(name)
            files.write(path, schemas.written(name))
            state.console.print(f"{path}", soft_wrap=True)

"""Options that several commands take, each with the same words in all of them."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON, for scripts.")]
ArtefactName = Annotated[
    str | None,
    typer.Option(
        "--artefact",
        metavar="NAME",
        help="A model of the thread, such as base; the furthest along that is there if left out.",
    ),
]
RealModel = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="A real model, as llmpath models list shows it."),
]
Data = Annotated[
    str, typer.Option("--data", help="The text that it learnt from, as in lab run --data.")
]
DeviceName = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where the model is.")
]

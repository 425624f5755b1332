"""`llmpath export`: a model of the thread as a folder that is ready for the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmpath.cli.options import Data
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.artefacts.supply import Artefact, Supplier
    from llmpath.cli.state import State


def export(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[ARTEFACT] FOLDER",
            help="A model of the thread, the furthest along if left out; and where to write it.",
        ),
    ],
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            "--license",
            metavar="NAME",
            help="Its terms: mit, cc-by-4.0, … as the hub names them, or a file with their text.",
        ),
    ] = None,
    data: Data = "microworld",
    gguf: Annotated[
        bool, typer.Option("--gguf", help="Write model.gguf as well, which llama.cpp runs.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of the same names that stand there.")
    ] = False,
) -> None:
    """Write a model of yours into a folder, with a model card, ready for the Hugging Face hub.

    transformers opens the folder by itself: nobody needs llmpath to use the model.

    Example: [bold]llmpath export base my-first-model --licence mit[/]
    """
    from llmpath.portfolio import export as writer
    from llmpath.portfolio import gguf as llama_cpp
    from llmpath.portfolio.licences import FILE
    from llmpath.portfolio.licences import licence as known
    from llmpath.portfolio.model_card import model_card, subject
    from llmpath.ui.export import told

    state: State = context.obj
    name, folder = _two(names)
    terms = known(licence) if licence is not None else None
    supplier = _supplier(state, data)
    about = subject(supplier, _artefact(supplier, name), folder.name)
    texts = {writer.CARD: model_card(about, terms).encode()}
    if terms is not None and terms.text:
        texts[FILE] = terms.text
    if gguf:
        texts[llama_cpp.NAME] = llama_cpp.converted(about.artefact.path)
    written = writer.export(about.artefact.path, folder, texts, force=force)
    state.console.print(told(about, folder, written, terms), soft_wrap=True)


def _two(names: list[str]) -> tuple[str | None, Path]:
    """The artefact that was named, if one was, and the folder."""
    if len(names) > 2:
        raise LlmpathError(
            f"{names[2]} is one name too many.", "Say llmpath export [ARTEFACT] FOLDER."
        )
    return (names[0] if len(names) == 2 else None), Path(names[-1]).expanduser().absolute()


def _supplier(state: State, data: str) -> Supplier:
    from llmpath.artefacts.recipe import Variant
    from llmpath.artefacts.supply import Supplier
    from llmpath.cli.names import from_here

    return Supplier(state.course, state.here, Variant(data=from_here(data)))


def _artefact(supplier: Supplier, name: str | None) -> Artefact:
    """The artefact with this name, or the furthest along; it has to be there."""
    from llmpath.artefacts.speakers import furthest

    name = name or furthest(supplier)
    lab = supplier.course.maker_of(name)
    found = supplier.find(name)
    if found is None:
        raise LlmpathError(
            f"There is no {name} yet that could be exported.",
            f"llmpath lab run {lab.id} makes it; with --reference, the reference's.",
        )
    return found

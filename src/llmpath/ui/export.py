"""What is said once a model is written for others."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.text import Text

from llmpath.portfolio.licences import Licence
from llmpath.portfolio.model_card import Subject
from llmpath.ui.path import whose


def told(about: Subject, folder: Path, written: tuple[str, ...], terms: Licence | None) -> Group:
    """Which model is where, whose it is, and what is still to be done."""
    size = f"{about.weights.parameters:,} parameters"
    lines = [
        Text.assemble(
            (about.artefact.name, "title"),
            f" ({whose(about.artefact)}, {size}) is in ",
            (f"{folder}", "path"),
            ":",
        ),
        Text(f"  {', '.join(written)}", style="muted"),
        Text("Read its README.md before you share it: it speaks in your name."),
    ]
    if terms is None:
        lines.append(
            Text.assemble(
                "It names no licence, so others may not use the model; ",
                ("--licence", "command"),
                " names one.",
            )
        )
    return Group(*lines)

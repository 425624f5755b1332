"""The model card that the last lab writes, as huggingface_hub reads it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from huggingface_hub import ModelCard

from llmpath.course.loader import load
from llmpath.labkit import thread

COURSE = load(Path(__file__).parent.parent)


@pytest.fixture(scope="module")
def capstone() -> ModuleType:
    """The module of the lab's solution."""
    labs = COURSE.labs.values()
    thread.configure({lab.id: str(COURSE.lab_folder(lab) / "lab.py") for lab in labs})
    return thread.earlier("capstone")


@pytest.mark.parametrize("language", ["en", "no"])
@pytest.mark.parametrize("tag", ["education", "a: b", "# c", "1.5", "日本"])
def test_the_hub_reads_what_was_meant(capstone: ModuleType, language: str, tag: str) -> None:
    """Language, licence, library, task and tags come back as given, whatever the words."""
    card = ModelCard(
        capstone.model_card(
            capstone.About(
                name="little-world",
                licence="mit",
                language=language,
                tags=("llmpath", tag),
                description="A small model.",
                use="To learn from.",
                data="Stories.",
                figures={"facts": 0.98, "bias": None},
                limits=("It knows 64 people.",),
            )
        )
    )
    read = card.data.to_dict()
    assert read == {
        "language": language,
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["llmpath", tag],
    }
    assert card.text.lstrip().startswith("# little-world")
    assert "| bias | not measured |" in card.text

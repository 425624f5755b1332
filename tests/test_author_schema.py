"""`llmpath author schema`: editors are told what the loader asks for, and the reference says it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import Learner

from llmpath.authoring import schema

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "tests" / "course"


def kind(file: Path) -> str:
    """Which of the schemas describes a file."""
    if file.stem in ("path", "topics"):
        return file.stem
    return "lab" if file.name == "lab.yaml" else "step"


def files() -> Iterator[Path]:
    for course in (ROOT, SMALL):
        yield from sorted((course / "curriculum").rglob("*.yaml"))
        yield from sorted((course / "labs").rglob("*.yaml"))


def problems(file: Path, text: str) -> list[str]:
    """What an editor would underline in a file."""
    validator = jsonschema.Draft202012Validator(schema.schema(kind(file)))
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("name", list(schema.FILES))
def test_each_schema_is_one(name: str) -> None:
    """What is called a JSON Schema keeps the rules of JSON Schema."""
    jsonschema.Draft202012Validator.check_schema(schema.schema(name))


@pytest.mark.parametrize("file", list(files()), ids=lambda file: str(file.relative_to(ROOT)))
def test_what_loads_has_nothing_underlined(file: Path) -> None:
    """Every file of the bundled and of the small course fits its schema."""
    assert problems(file, file.read_text("utf-8")) == []


SPOILED = {
    "an unknown key": ("lab.yaml", "id: adding", "id: adding\nfun: 1", "fun"),
    "a misspelt key of a check": ("lab.yaml", "    points: 3", "    pionts: 3", "pionts"),
    "no points": ("lab.yaml", "points: 3", "points: 0", "0 is less than"),
    "text for a number": ("lab.yaml", "points: 3", 'points: "3"', "'3' is not of type"),
    "an id with capitals": ("lab.yaml", "id: adding", "id: Adding", "does not match"),
    "a file that is no Python": ("lab.yaml", "adding.py", "adding.txt", "does not match"),
}


@pytest.mark.parametrize("name", list(SPOILED))
def test_what_does_not_load_is_underlined(name: str) -> None:
    """An editor marks a wrong key or value before llmpath is ever asked."""
    file_name, old, new, said = SPOILED[name]
    file = SMALL / "labs" / "adding" / file_name
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    assert [message for message in problems(file, text.replace(old, new)) if said in message]


def described(part: object) -> Iterator[tuple[str, object]]:
    """Every key of a schema, with its description."""
    if isinstance(part, dict):
        for key, value in part.get("properties", {}).items():
            yield key, value.get("description")
        for value in part.values():
            yield from described(value)


@pytest.mark.parametrize("name", list(schema.FILES))
def test_every_key_is_described(name: str) -> None:
    """Whoever points at a key in an editor reads what it is for."""
    keys = dict(described(schema.schema(name)))
    assert keys
    assert [key for key, words in keys.items() if not words or len(str(words)) < 10] == []


def test_the_schemas_are_written_and_printed(learner: Learner) -> None:
    """--out writes a file for each kind; without it the same is printed as JSON."""
    assert learner.types("author", "schema", "--out", "deep/schema").returncode == 0
    written = {
        file.name: json.loads(file.read_text("utf-8"))
        for file in (learner.root / "deep" / "schema").iterdir()
    }
    assert sorted(written) == [
        "lab.schema.json",
        "path.schema.json",
        "step.schema.json",
        "topics.schema.json",
    ]
    assert json.loads(learner.types("author", "schema").stdout) == written


def test_the_reference_is_current() -> None:
    """docs/yaml-reference.md is what `llmpath author schema --markdown` prints now."""
    said = (ROOT / "docs" / "yaml-reference.md").read_text("utf-8")
    assert said == schema.reference(), "llmpath author schema --markdown > docs/yaml-reference.md"

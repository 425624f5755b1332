"""The files of a course described for editors (JSON Schema) and for people (a reference).

Both are made from the models in `llmpath.course.models`, whose docstrings say what each
key is for, so that there is one description of each. The schema says what the loader
checks in one file; what must hold between files is the business of `llmpath.course.rules`.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import docstring_parser
from pydantic import BaseModel

from llmpath.course.models import Lab, PathFile, Step, TopicsFile

# The folder of a course in which its schemas stand, beside `curriculum/` and `labs/`.
FOLDER = "schema"
FILES: Mapping[str, type[BaseModel]] = {
    "path": PathFile,
    "topics": TopicsFile,
    "step": Step,
    "lab": Lab,
}
PLACES = {
    "path": "curriculum/path.yaml",
    "topics": "curriculum/topics.yaml",
    "step": "curriculum/<stage>/<step>.yaml",
    "lab": "labs/<lab>/lab.yaml",
}
# Stands at the top of docs/yaml-reference.md, so that whoever opens it knows how it is made.
_HEAD = """\
<!-- Made by `llmpath author schema --markdown`; edit src/llmpath/course/models.py instead. -->

# The YAML files of a course

Unknown keys are refused, and every error names file, line, column and a mend. `llmpath author
schema --out DIR` writes the same as JSON Schema, for editors. What each file looks like when it
is written, [authoring.md](authoring.md) shows.
"""

Schema = dict[str, Any]


def file_name(name: str) -> str:
    """What the schema of a kind of file is called."""
    return f"{name}.schema.json"


def schema(name: str) -> Schema:
    """The JSON Schema (draft 2020-12) of a kind of file: `path`, `topics`, `step` or `lab`."""
    model = FILES[name]
    made = model.model_json_schema(by_alias=True)
    for part in _models(model):
        _describe(made if part is model else made["$defs"][part.__name__], part)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": PLACES[name]}
    return {**head, **{key: value for key, value in made.items() if key != "title"}}


def written(name: str) -> bytes:
    """The schema of a kind of file, as a file of its own."""
    return (json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n").encode()


def reference() -> str:
    """All keys of all files as one Markdown page."""
    parts = [_HEAD]
    for name, place in PLACES.items():
        described = schema(name)
        for model in _models(FILES[name]):
            whole = model is FILES[name]
            part = described if whole else described["$defs"][model.__name__]
            heading = f"## `{place}`" if whole else f"### {model.__name__}"
            parts.append(f"{heading}\n\n{part['description']}\n\n{_table(part, model)}")
    return "\n".join(parts)


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and those that it is made of, each once, outer before inner."""
    found = {model: None}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            found |= dict.fromkeys(_models(part))
    yield from found


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def _describe(part: Schema, model: type[BaseModel]) -> None:
    """Put the words of a model's docstring where JSON Schema wants them."""
    part["description"] = docstring_parser.parse(inspect.getdoc(model) or "").short_description
    part.pop("title", None)
    for key, purpose in _purposes(model).items():
        described = part["properties"][key]
        described.pop("title", None)
        form = described.get("description")
        described["description"] = f"{purpose} {_sentence(form)}" if form else purpose


def _purposes(model: type[BaseModel]) -> dict[str, str]:
    """What each key is for: its words in the model's docstring, as a sentence."""
    docstring = docstring_parser.parse(inspect.getdoc(model) or "")
    words = {meta.args[1]: meta.description or "" for meta in docstring.meta if meta.args[1:]}
    return {
        field.alias or name: _sentence(" ".join(words[name].split()))
        for name, field in model.model_fields.items()
    }


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."


def _table(part: Schema, model: type[BaseModel]) -> str:
    rows = ["| key | holds | |", "|---|---|---|"]
    plain = model.model_json_schema(by_alias=True)["properties"]
    for key, purpose in _purposes(model).items():
        note = "required" if key in part.get("required", ()) else _default(plain[key])
        holds = f"{_form(plain[key])} ({note})" if note else _form(plain[key])
        rows.append(f"| `{key}` | {holds} | {purpose} |")
    return "\n".join(rows) + "\n"


def _default(described: Schema) -> str:
    value = described.get("default")
    if isinstance(value, dict):
        value = {key: part for key, part in value.items() if part is not None}
        if not value:
            return ""
        if any(isinstance(part, dict) for part in value.values()):
            return "each of its keys has a default"
        return ", ".join(f"{key} {part:g}" for key, part in value.items()) + " unless given"
    if isinstance(value, bool):
        return f"{str(value).lower()} unless given"
    return f"{value:g} unless given" if isinstance(value, int | float) else ""


def _form(described: Schema) -> str:
    """What may stand there, in a few words."""
    if "anyOf" in described:
        return _form(next(each for each in described["anyOf"] if each.get("type") != "null"))
    if "$ref" in described:
        name = described["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if described["type"] == "array":
        bounds = _bounds(described, "minItems", "maxItems")
        return f"list: {_form(described['items'])}" + (f"; {bounds} of them" if bounds else "")
    if described["type"] == "string":
        return str(described.get("description", "text"))
    if described["type"] == "boolean":
        return "true or false"
    kind = "whole number" if described["type"] == "integer" else "number"
    return " ".join(filter(None, [kind, _bounds(described, "minimum", "maximum")]))


def _bounds(described: Schema, least: str, most: str) -> str:
    """The bounds of a number or a length, in words."""
    low, high = described.get(least), described.get(most)
    if low is not None and high is not None:
        return f"from {low} to {high}"
    if described.get("exclusiveMinimum") is not None and high is not None:
        return f"above {described['exclusiveMinimum']}, at most {high}"
    return "" if low is None else f"at least {low}"

"""Walks through models and plain data along paths of keys and indices."""

from __future__ import annotations

import difflib
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from llmpath.course.documents import KeyPath


def descend(kind: Any, path: KeyPath) -> tuple[Any, str]:
    """The type that belongs at a path below a type, and its description (or "")."""
    description = ""
    for part in (*path, None):
        kind, said = bare(kind)
        description = said or description
        if part is None:
            return kind, description
        description = ""
        if isinstance(part, int):
            kind = (get_args(kind) or (None,))[0]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            field = _field(kind, part)
            kind = field.annotation if field else None
            description = (field.description if field else None) or ""
    return kind, description


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if (field.alias or name) == key:
            return field
    return None


def bare(kind: Any) -> tuple[Any, str]:
    """A type without `| None` and annotations, and the description found in those."""
    description = ""
    while get_origin(kind) in (Annotated, Union, UnionType):
        if get_origin(kind) is Annotated:
            notes = [note for note in kind.__metadata__ if isinstance(note, FieldInfo)]
            description = next((note.description for note in notes if note.description), "")
            kind = kind.__origin__
        else:
            kind = next(part for part in get_args(kind) if part is not type(None))
    return kind, description


def keys_at(model: Any, path: KeyPath) -> list[str]:
    """The keys that a mapping at a path below a type may have, as they are written in YAML."""
    kind, _ = descend(model, path)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def nearest(word: str, words: list[str]) -> str | None:
    """The word that is most like another one, if one is."""
    return next(iter(difflib.get_close_matches(word, words, n=1)), None)


def value_at(data: Any, path: KeyPath) -> Any:
    """What stands at a path of plain data."""
    for part in path:
        data = data[part]
    return data

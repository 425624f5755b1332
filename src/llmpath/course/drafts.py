"""A file with mistakes as what its author most likely meant, so that all mistakes show at once.

A draft is held against the other files of the course, and then thrown away with it. It must not
be wrong where it is looked at: a name that nobody wrote would be told of again, as one that is
not there. So where a name is missing, or is none, there is no draft.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from llmpath.course.documents import Document, KeyPath
from llmpath.course.fields import descend, keys_at, nearest, value_at

M = TypeVar("M", bound=BaseModel)

# A mistake can lie behind another: a wrong value behind a misspelt key.
ROUNDS = 4
PROSE = ("", "text on one line")


class _UnclearError(Exception):
    """Nobody can tell what was meant."""


def draft(document: Document, model: type[M]) -> M | None:
    """What the author of a document most likely meant; None where nobody can tell."""
    if document.problems:
        return None
    data = copy.deepcopy(document.data)
    for _ in range(ROUNDS):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        try:
            for each in sorted(errors, key=lambda each: each["type"] != "extra_forbidden"):
                _mend(data, tuple(each["loc"]), each["type"], document, model)
        except (_UnclearError, LookupError, TypeError):
            return None
    return None


def _mend(data: Any, path: KeyPath, kind: str, document: Document, model: type[BaseModel]) -> None:
    """Put into the data what was meant at one place."""
    if not path:
        raise _UnclearError
    owner, key = value_at(data, path[:-1]), path[-1]
    if kind == "extra_forbidden":
        value, meant = owner.pop(key), nearest(str(key), keys_at(model, path[:-1]))
        if meant is None:
            raise _UnclearError
        owner.setdefault(meant, value)
    elif kind in ("too_short", "too_long"):
        return  # entries with mistakes of their own were not counted
    elif kind != "missing":
        owner[key] = _meant(owner[key], path, document, model)
    elif key not in owner:
        owner[key] = _stand_in(path, model)


def _meant(value: Any, path: KeyPath, document: Document, model: type[BaseModel]) -> Any:
    wanted, _ = descend(model, path)
    if wanted is str and isinstance(value, bool | int | float):
        return document.written.get(path, str(value))
    if getattr(wanted, "__origin__", None) is tuple and isinstance(value, str):
        return [value]
    if getattr(wanted, "__origin__", None) is tuple and value is None:
        return []
    return _stand_in(path, model)


def _stand_in(path: KeyPath, model: type[BaseModel]) -> Any:
    """A value that no rule looks at: prose, or a number."""
    wanted, description = descend(model, path)
    if wanted is str and description in PROSE and path[-1] not in ("replace", "with"):
        return f"? {path}"  # no two alike
    if wanted in (int, float):
        return 1
    if wanted is bool:
        return False
    raise _UnclearError

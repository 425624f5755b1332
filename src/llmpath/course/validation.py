"""A document as one of the models, or what is wrong with it in sentences of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from llmpath.course.documents import Document, KeyPath
from llmpath.course.fields import descend, keys_at, nearest, value_at
from llmpath.course.problems import Problem
from llmpath.course.scalars import shown

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "model_type": "a mapping of keys",
}
_EXAMPLES = {
    "string_type": "Write a word or a sentence.",
    "int_type": "Write digits, without quotes.",
    "float_type": "Write a decimal number, without quotes.",
    "tuple_type": "Write the entries in brackets, with commas, or one to a line after `- `.",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def fit(document: Document, model: type[M]) -> tuple[M | None, tuple[Problem, ...]]:
    """The document as a model (None where it does not fit), and its problems.

    The problems include those that the document has as YAML. A document with
    problems has no value, so that nothing is built on what its author did not mean.
    """
    if not document.readable:
        return None, document.problems
    try:
        value = model.model_validate(document.data)
    except ValidationError as error:
        known = {(problem.line, problem.column) for problem in document.problems}
        sentences = _Sentences(document, model)
        errors = error.errors(include_url=False, include_input=False)
        found = [problem for detail in errors for problem in sentences.problems(detail, errors)]
        fresh = [problem for problem in found if (problem.line, problem.column) not in known]
        return None, (*document.problems, *fresh)
    return (None if document.problems else value), document.problems


class _Sentences:
    """Says what does not fit between one document and one model."""

    def __init__(self, document: Document, model: type[BaseModel]) -> None:
        self.document = document
        self.model = model

    def problems(self, detail: ErrorDetails, all_details: list[ErrorDetails]) -> Iterator[Problem]:
        """The problems that one detail of a validation error stands for."""
        kind, path = detail["type"], tuple(detail["loc"])
        context = detail.get("ctx") or {}
        if kind == "missing":
            yield from self._missing(path, all_details)
        elif kind == "extra_forbidden":
            yield self._unknown_key(path)
        elif kind in _KINDS:
            yield self._wrong_kind(kind, path)
        elif kind in ("too_short", "too_long"):
            yield from self._count(path, context)
        else:
            yield self._wrong_value(kind, path, context)

    def _missing(self, path: KeyPath, details: list[ErrorDetails]) -> Iterator[Problem]:
        siblings = (
            str(detail["loc"][-1])
            for detail in details
            if detail["type"] == "extra_forbidden" and tuple(detail["loc"][:-1]) == path[:-1]
        )
        # A misspelt key is reported once, where it stands.
        if any(nearest(name, self._keys(path[:-1])) == path[-1] for name in siblings):
            return
        owner = _name(path[:-1])
        message = f"The key `{path[-1]}` is missing{f' in {owner}' if owner else ''}."
        what = self._expectation(path)
        yield self.document.problem(path[:-1], message, f"Add `{path[-1]}:` with {what}.")

    def _unknown_key(self, path: KeyPath) -> Problem:
        key = str(path[-1])
        keys = self._keys(path[:-1])
        near = nearest(key, keys)
        mend = f"Did you mean `{near}`?" if near else f"The keys here are {', '.join(keys)}."
        message = f"There is no key `{shown(key)}`."
        return self.document.problem(path, message, mend, key=True)

    def _wrong_kind(self, kind: str, path: KeyPath) -> Problem:
        value = value_at(self.document.data, path)
        written = self.document.written.get(path, "")
        name = _name(path) or "The file"
        mend = _EXAMPLES.get(kind) or f"Its keys are {', '.join(self._keys(path))}."
        if value is None:
            message = f"{name} is empty, but should be {_KINDS[kind]}."
            if kind == "tuple_type":
                mend = "Write a list, or [] for none."
            return self.document.problem(path, _capital(message), mend, key=True)
        if kind == "string_type" and isinstance(value, bool | int | float):
            message = f"{name} should be text, but `{written}` without quotes is {_literal(value)}."
            return self.document.problem(path, _capital(message), f'Put it in quotes: "{written}".')
        message = f"{name} should be {_KINDS[kind]}, but is {_kind(value)}."
        return self.document.problem(path, _capital(message), mend)

    def _count(self, path: KeyPath, context: Mapping[str, Any]) -> Iterator[Problem]:
        value = value_at(self.document.data, path)
        count = len(value) if isinstance(value, list) else 0
        least, most = context.get("min_length"), context.get("max_length")
        # Entries with problems of their own are not counted by the validator; they are here.
        if least is not None and count < least:
            wanted = f"at least {_entries(least)}"
        elif most is not None and count > most:
            wanted = f"at most {_entries(most)}"
        else:
            return
        message = f"{_name(path)} has {_entries(count)}, but needs {wanted}."
        yield self.document.problem(path, _capital(message), key=not count)

    def _wrong_value(self, kind: str, path: KeyPath, context: Mapping[str, Any]) -> Problem:
        value = value_at(self.document.data, path)
        name = _name(path)
        if kind in _BOUNDS:
            key, words = _BOUNDS[kind]
            message = f"{name} is {value}, but should be {words} {context[key]:g}."
        elif kind == "string_too_short":
            message = f"{name} is empty, but should be {self._expectation(path)}."
        elif kind == "string_too_long":
            longest = context["max_length"]
            message = f"{name} has {len(str(value))} characters; the most is {longest}."
        else:
            message = f"{name} is `{shown(str(value))}`, but should be {self._expectation(path)}."
        return self.document.problem(path, _capital(message))

    def _keys(self, path: KeyPath) -> list[str]:
        return keys_at(self.model, path)

    def _expectation(self, path: KeyPath) -> str:
        kind, description = descend(self.model, path)
        if description:
            return description
        if get_origin(kind) is tuple:
            return "a list"
        return {str: "some text", int: "a whole number", float: "a number"}.get(kind, "its keys")


def _name(path: KeyPath) -> str:
    """How a sentence names what stands at a path; "" for the whole file."""
    if not path:
        return ""
    if isinstance(path[-1], int):
        return f"entry {path[-1] + 1} of {_name(path[:-1])}"
    return f"`{path[-1]}`"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number" if isinstance(value, int) else "a number with a decimal point"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def _literal(value: bool | int | float) -> str:
    return "true or false" if isinstance(value, bool) else "a number"


def _entries(count: int) -> str:
    return f"{count} entry" if count == 1 else f"{count} entries"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]

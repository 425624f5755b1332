"""Which column of a table holds the text, where nobody said so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = ("text", "content", "story", "document", "body")  # what people call a column of text


class TextColumnError(ValueError):
    """No column, or more than one, could be meant; `mend` says what to do."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def text_column(row: Mapping[str, Any]) -> str:
    """The column of a row that holds the text: by one of the usual names, or the only one.

    Raises:
        TextColumnError: if none of the usual names is there, and not just one column holds text.
    """
    for name in COLUMNS:
        if isinstance(row.get(name), str):
            return name
    texts = [name for name, value in row.items() if isinstance(value, str)]
    if len(texts) == 1:
        return texts[0]
    if not texts:
        raise TextColumnError(
            f"there is no column of text, only: {listed(row)}",
            "Put the text of each document into a column called text.",
        )
    raise TextColumnError(
        f"there are several columns of text, and none is called text: {listed(texts)}",
        f"Say which: add #{texts[0]} to the name, for instance.",
    )


def listed(names: Iterable[str]) -> str:
    """Some names, quoted, for a message."""
    shown = [repr(name) for name in names]
    return ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "") or "none"

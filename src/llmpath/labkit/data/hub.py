"""Data sets on the Hugging Face hub, read as a stream: nothing is downloaded beforehand.

A data set that says what is for training and what for validation is taken at its word; of
another, the content of each document decides. What is wrong with the network, the name or the
columns is said in a sentence, before anything is read if it can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.labkit.data.columns import TextColumnError, text_column
from llmpath.labkit.data.corpus import Corpus, Texts, held_out

NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[\w.+-]+)?(#.+)?")
VALIDATION = ("validation", "valid", "val", "dev", "test")
PATIENCE = 15.0  # seconds until the hub has to answer
OFFLINE = (
    "Without a network there are microworld, python, python-docs, and your own files: "
    "give the path of one."
)


@dataclass(frozen=True)
class Known:
    """What has to be said of a data set to read it right.

    Attributes:
        column: which column holds the text.
        configuration: which of its configurations to read; None for the only one.
        revision: which branch; None for the main one. Data sets that were programs are read
            from the branch to which the hub itself converted them.
        licence: what its licence is called, where the hub does not say.
    """

    column: str = "text"
    configuration: str | None = None
    revision: str | None = None
    licence: str = ""


KNOWN = {
    "roneneldan/TinyStories": Known(),
    "karpathy/tiny_shakespeare": Known(
        revision="refs/convert/parquet", licence="public domain (William Shakespeare)"
    ),
    "HuggingFaceFW/fineweb-edu": Known(configuration="sample-10BT"),
}


def corpus(name: str) -> Corpus:
    """The texts of a data set on the hub.

    Args:
        name: `owner/name`, with `@configuration` and `#column` where they have to be said.

    Raises:
        LlmpathError: if the hub cannot be reached, or has no such data set or column.
    """
    address, _, column = name.partition("#")
    repository, _, configuration = address.partition("@")
    known = KNOWN.get(repository, Known(column=""))
    licence = known.licence or _licence(repository)
    splits = _splits(repository, configuration or known.configuration, known.revision)
    training = splits.get("train") or next(iter(splits.values()))
    place = f"The data set {repository}"
    column = column or known.column or _column(place, training)
    side = next((splits[key] for key in VALIDATION if key in splits), None)
    texts = Texts(lambda: _documents(place, training, column))
    if side is None or side is training:
        train, validation = held_out(texts.__iter__, place)
    else:
        train, validation = texts, Texts(lambda: _documents(place, side, column))
    return Corpus(name, f"{repository}, from the hub", licence, train, validation)


def _licence(repository: str) -> str:
    """The licence that the data set's card names; asked first, as it shows whether it is there."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        card = HfApi().dataset_info(repository, timeout=PATIENCE).card_data
    except GatedRepoError as error:
        raise LlmpathError(
            f"The data set {repository} asks for consent to its terms before it is read.",
            "Give it on the data set's page, then type hf auth login.",
        ) from error
    except RepositoryNotFoundError as error:
        raise LlmpathError(
            f"There is no file or folder {repository}, and no data set of that name on the hub.",
            "Mind capitals: names are written as on the data set's page.",
        ) from error
    except HfHubHTTPError as error:
        raise LlmpathError(
            f"The hub does not give the data set {repository}: {_first_line(error)}", OFFLINE
        ) from error
    except Exception as error:  # each HTTP library has exceptions of its own
        raise _unreachable(repository) from error
    said = getattr(card, "license", None) or "unknown"
    return ", ".join(said) if isinstance(said, list) else str(said)


def _splits(repository: str, configuration: str | None, revision: str | None) -> dict[str, Any]:
    import datasets

    try:
        found = datasets.load_dataset(repository, configuration, revision=revision, streaming=True)
    except ConnectionError as error:
        raise _unreachable(repository) from error
    except Exception as error:  # datasets raises what the format at hand raises
        raise LlmpathError(
            f"The data set {repository} cannot be read: {_first_line(error)}",
            "Several configurations? Say which: owner/name@configuration. Otherwise llmpath reads "
            "data sets of Parquet, JSON, CSV and text.",
        ) from error
    return dict(found)


def _column(place: str, rows: Any) -> str:
    first = next(iter(_rows(place, rows)), None)
    if first is None:
        raise LlmpathError(f"{place} holds no rows.", "Give another data set.")
    try:
        return text_column(first)
    except TextColumnError as error:
        raise LlmpathError(f"{place}: {error}.", error.mend) from error


def _documents(place: str, rows: Any, column: str) -> Iterator[str]:
    for row in _rows(place, rows):
        text = row.get(column)
        if text is None and column not in row:
            raise LlmpathError(
                f"{place} has no column {column!r}. There are: {', '.join(row)}.",
                "Say which holds the text: owner/name#column.",
            )
        if not isinstance(text, (str, type(None))):
            raise LlmpathError(
                f"{place}: the column {column!r} holds no text, but {type(text).__name__}.",
                "Say which holds the text: owner/name#column.",
            )
        if text and text.strip():
            yield text


def _rows(place: str, rows: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from rows
    except Exception as error:  # of the network or of the format, whichever library noticed
        raise LlmpathError(
            f"{place} could not be read to its end: {_first_line(error)}",
            "Try again when the network is there; a limit keeps the reading short.",
        ) from error


def _unreachable(repository: str) -> LlmpathError:
    return LlmpathError(
        f"There is no file or folder {repository} here, and the hub, which may have a data set of "
        "that name, cannot be reached.",
        OFFLINE,
    )


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."

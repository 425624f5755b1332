"""What models learn from: one interface to generated text, to files and to the hub.

    from llmpath.labkit import data

    corpus = data.load("microworld")
    for text in corpus.train: ...

`load` takes `microworld`, `python`, `python-docs`, a file, a folder, or the name of a data set on
the Hugging Face hub. Nothing is kept in memory: documents are read one after the other, as often
as they are asked for.
"""

from __future__ import annotations

from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.labkit.data import files, generated, hub, standard_library
from llmpath.labkit.data.corpus import Corpus, Texts

__all__ = ["NAMES", "Corpus", "Texts", "load"]

NAMES = (*generated.NAMES, *standard_library.NAMES)


def load(name: str, *, seed: int = 0, limit: int | None = None) -> Corpus:
    """Open a corpus.

    Args:
        name: `microworld`; `python` (the standard library's help topics and sources) or
            `python-docs` (its help topics and docstrings); the path of a file of text, JSONL or
            Parquet, or of a folder of those; or a data set on the hub, `owner/name`, with
            `@configuration` where it has several. `#column` at the end of a path or of a hub name
            says which column holds the text.
        seed: of what is generated; files are the same whatever it is.
        limit: at most so many documents in each of `train` and `validation`.

    Raises:
        LlmpathError: if there is no such corpus, or it cannot be read. What is wrong further on in
            a file is raised when the reading comes to it.
    """
    if limit is not None and limit < 1:
        raise LlmpathError(f"limit is {limit}, and a corpus needs a document.", "Give 1 or more.")
    return _open(name, seed).limited(limit)


def _open(name: str, seed: int) -> Corpus:
    if name in generated.NAMES:
        return generated.corpus(name, seed)
    if name in standard_library.NAMES:
        return standard_library.corpus(name)
    path, column = files.address(name)
    if path and Path(path).exists():
        return files.corpus(path, column)
    if hub.NAME.fullmatch(name):
        return hub.corpus(name)
    raise LlmpathError(
        f"There is no file or folder {path}.",
        "Give a path that exists, a data set of the hub as owner/name, or one of "
        f"{', '.join(NAMES)}.",
    )

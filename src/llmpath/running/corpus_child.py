"""The process in which `llmpath data show` looks at a corpus; it may need heavy libraries.

Sends one event, `corpus`, with samples, sizes and what is known. A large corpus is counted only
so far, and the sizes say so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from llmpath.errors import LlmpathError
from llmpath.labkit import data
from llmpath.labkit.data.generated import Stories
from llmpath.labkit.microworld import COLLECTIONS, Collection, World
from llmpath.running.task_child import Send, serve

DOCUMENTS = 10_000  # that are counted at most, of each side
CHARACTERS = 20_000_000
WORLD = "microworld"


def work(request: dict[str, Any], send: Send) -> None:
    """Look at the corpus `name`, or at one collection of the world, `microworld/secrets`."""
    name, samples, seed = request["name"], request["samples"], request["seed"]
    world, _, collection = name.partition("/")
    if world == WORLD and collection:
        send("collection", _collection(collection, samples, World(seed)))
    else:
        send("corpus", _corpus(name, samples, seed))


def _corpus(name: str, samples: int, seed: int) -> dict[str, Any]:
    corpus = data.load(name, seed=seed)
    return {
        "name": corpus.name,
        "title": corpus.title,
        "licence": corpus.licence,
        "remarks": corpus.remarks,
        "sizes": {"train": _size(corpus.train), "validation": _size(corpus.validation)},
        "samples": list(_samples(corpus.train, samples)),
        "truths": _truths(corpus),
        "collections": [] if corpus.world is None else _collections(),
    }


def _size(texts: data.Texts) -> dict[str, Any]:
    documents = characters = 0
    for text in texts:
        if documents == DOCUMENTS or characters > CHARACTERS:
            return {"documents": documents, "characters": characters, "whole": False}
        documents, characters = documents + 1, characters + len(text)
    return {"documents": documents, "characters": characters, "whole": True}


def _samples(texts: data.Texts, count: int) -> Iterator[dict[str, Any]]:
    if isinstance(texts, Stories):
        for document in islice(texts.documents(), count):
            spans = [span._asdict() for span in document.spans]
            yield {"text": document.text, "bits": document.bits, "spans": spans}
    else:
        for text in islice(texts, count):
            yield {"text": text, "bits": None, "spans": []}


def _truths(corpus: data.Corpus) -> dict[str, Any]:
    floor = corpus.floor()
    if corpus.world is None or floor is None:
        return {}
    rate = floor.bits_per_char
    return {
        "entropy floor, bits per character": float(rate),
        "entropy floor, bits per document": floor.bits_per_document,
        **{f"share of characters that are {kind}": share for kind, share in rate.share.items()},
        "people": len(corpus.world.people),
        "different words": len(corpus.world.vocabulary),
        **{f"P(she | {job})": she for job, she in corpus.world.bias.items()},
    }


def _collections() -> list[dict[str, str]]:
    others = (each for each in COLLECTIONS.values() if each.name != "documents")
    return [{"name": each.name, "about": each.summary} for each in others]


def _collection(name: str, samples: int, world: World) -> dict[str, Any]:
    found = _found(name)
    return {
        "name": f"{WORLD}/{name}",
        "about": found.summary,
        "columns": found.columns,
        "rows": found.rows(world, samples)[:samples],
        "truths": dict(found.truth(world)),
    }


def _found(name: str) -> Collection:
    if name not in COLLECTIONS:
        raise LlmpathError(
            f"The microworld has no collection {name!r}.",
            f"It has {', '.join(COLLECTIONS)}.",
        )
    return COLLECTIONS[name]


if __name__ == "__main__":
    sys.exit(serve(work))

"""Everything that can be made from a world, by name: as records, as `Dataset`s, with cards."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.change import Change, Period, changed, drift, stability_index
from llmpath.labkit.microworld.conversations import Conversation, conversations
from llmpath.labkit.microworld.documents import Document, Span
from llmpath.labkit.microworld.glyphs import Glyph, glyphs
from llmpath.labkit.microworld.labels import (
    Inference,
    Opinion,
    Tagged,
    entities,
    inferences,
    opinions,
)
from llmpath.labkit.microworld.language import Language, Parallel, parallel
from llmpath.labkit.microworld.planted import (
    BiasPrompt,
    Copy,
    Decision,
    Secret,
    bias_prompts,
    copies,
    decisions,
    secrets,
)
from llmpath.labkit.microworld.preferences import UTILITIES, Preference, preferences
from llmpath.labkit.microworld.questions import (
    Cloze,
    Question,
    Reading,
    clozes,
    questions,
    readings,
    recalls,
)
from llmpath.labkit.microworld.world import World

if TYPE_CHECKING:
    from datasets import Dataset

Record = Any  # one of the frozen dataclasses of this package
Truth = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Collection:
    """One kind of data that a world has.

    Attributes:
        name: what it is called.
        record: the type of its records.
        source: the function that they come from, whose docstring says what is known.
        make: (world, count, seed) -> records; where there are only so many, all of them if
            count is 0, and never more than count otherwise.
        truth: world -> what is known about it, in numbers.
    """

    name: str
    record: type
    source: Callable[..., Any]
    make: Callable[[World, int, int], Sequence[Record]]
    truth: Callable[[World], Truth]

    @property
    def summary(self) -> str:
        """What it is, in a sentence."""
        return _first_paragraph(self.source)

    @property
    def columns(self) -> dict[str, str]:
        """What each column holds, from the docstring of its records."""
        return _attributes(self.record)

    def rows(self, world: World, count: int = 0, seed: int = 1) -> list[dict[str, Any]]:
        """Records as dictionaries of plain values: numbers, texts, and lists of them."""
        records = self.make(world, count, seed)
        return [{name: _plain(getattr(r, name)) for name in self.columns} for r in records]

    def dataset(self, world: World, count: int = 0, seed: int = 1) -> Dataset:
        """Records as a `datasets.Dataset`, described by its `info`."""
        from datasets import Dataset

        made = Dataset.from_list(self.rows(world, count, seed))
        made.info.description = self.summary
        made.info.license = "mit"
        return made

    def card(self, world: World, count: int = 0, seed: int = 1) -> str:
        """A dataset card in Markdown, in the hub's format, with a row as an example."""
        from huggingface_hub import DatasetCardData

        rows = self.rows(world, count, seed)
        front = DatasetCardData(
            language="en",
            license="mit",
            pretty_name=f"Microworld: {self.name}",
            annotations_creators=["machine-generated"],
            source_datasets=["original"],
            size_categories=[_size(len(rows))],
            tags=["synthetic"],
        )
        lines = [
            "---",
            front.to_yaml(),
            "---",
            f"# Microworld: {self.name}",
            "",
            self.summary,
            "",
            f"{len(rows)} rows, made by a program from seed {seed} of the world with seed "
            f"{world.seed}; the people in it do not exist.",
            "",
            "## Columns",
            "",
            *(f"- `{name}`: {text}" for name, text in self.columns.items()),
            "",
            "## What is known",
            "",
            *(f"- {name}: {_figure(value)}" for name, value in self.truth(world).items()),
            "",
            "## A row",
            "",
            *(f"- `{name}`: {_shown(value)}" for name, value in rows[0].items()),
            "",
        ]
        return "\n".join(lines)

    def save(self, folder: Path, world: World, count: int = 0, seed: int = 1) -> None:
        """Write `data.parquet` and the card `README.md`, as the hub wants them."""
        folder.mkdir(parents=True, exist_ok=True)
        self.dataset(world, count, seed).to_parquet(folder / "data.parquet")
        (folder / "README.md").write_text(self.card(world, count, seed), encoding="utf-8")


def _first_paragraph(thing: Any) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _attributes(record: type) -> dict[str, str]:
    """The "Attributes:" of a docstring."""
    _, _, listed = (inspect.getdoc(record) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _plain(value: Any) -> Any:
    if isinstance(value, Span):
        return value._asdict()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _size(rows: int) -> str:
    """The hub's name for so many rows."""
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
    return next((name for bound, name in bounds if rows < bound), "100K<n<1M")


def _figure(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(value: Any) -> str:
    shown = str(value)
    return shown if len(shown) <= 300 else f"{shown[:300]} …"


def _default(source: Callable[..., Any], argument: str) -> float:
    """What a function takes for an argument that is not given, and so a truth of what it makes."""
    value: float = inspect.signature(source).parameters[argument].default
    return value


def _first(records: Sequence[Record], count: int) -> Sequence[Record]:
    return records[:count] if count else records


def _document_truth(world: World) -> Truth:
    floor = world.floor()
    return {
        "bits per document": floor.bits_per_document,
        "bits per character": float(floor.bits_per_char),
        "standard error of that": floor.bits_per_char.standard_error,
        "people": len(world.people),
        "words in the vocabulary": len(world.vocabulary),
    }


def _drift_truth(world: World) -> Truth:
    periods = drift(world, periods=2, count=1, at=1)
    before, after = ([*period.shares.values()] for period in periods)
    index = stability_index(before, after)
    return {
        "the first period that drifted, from 0": _default(drift, "at"),
        "stability index of the drift": index,
    }


def _decisions_truth(_: World) -> Truth:
    gap, noise = _default(decisions, "gap"), _default(decisions, "noise")
    return {
        "P(accepted | he) − P(accepted | she)": gap / 2,
        "the same of the qualified": gap * (1 - noise),
    }


_COPIED: dict[str, float] = {how: _default(copies, how) for how in ("exact", "near", "dirty")}


_CALLS = 500  # how many records are made where a count is needed and none is given


def _many(
    make: Callable[[World, int, int], Sequence[Record]],
) -> Callable[[World, int, int], Sequence[Record]]:
    return lambda world, count, seed: make(world, count or _CALLS, seed)


COLLECTIONS: Mapping[str, Collection] = {
    made.name: made
    for made in (
        Collection("documents", Document, World.documents, _many(World.documents), _document_truth),
        Collection(
            "questions",
            Question,
            questions,
            lambda world, count, seed: _first(questions(world, seed), count),
            lambda world: {
                f"questions in `{held}`": sum(q.held == held for q in questions(world))
                for held in ("train", "people", "templates", "combinations")
            },
        ),
        Collection(
            "clozes",
            Cloze,
            clozes,
            lambda world, count, seed: _first(
                Chance("clozes", seed).shuffled(clozes(world)), count
            ),
            lambda world: {"share that a guess gets right": 1 / world.values},
        ),
        Collection(
            "recalls",
            Cloze,
            recalls,
            _many(recalls),
            lambda world: {"share that a guess gets right": 1 / world.values},
        ),
        Collection(
            "readings", Reading, readings, _many(readings), lambda _: {"answered by the text": 1.0}
        ),
        Collection(
            "conversations",
            Conversation,
            conversations,
            _many(conversations),
            lambda _: {"turns": "1 to 3, each as likely"},
        ),
        Collection(
            "preferences",
            Preference,
            preferences,
            _many(preferences),
            lambda _: {
                **{f"utility of `{name}`, in logits": value for name, value in UTILITIES.items()},
                "share of outcomes turned round": _default(preferences, "noise"),
            },
        ),
        Collection(
            "secrets",
            Secret,
            secrets,
            lambda world, count, seed: _first(secrets(world, seed), count),
            lambda world: {"numbers that there could be": round(2 ** secrets(world)[0].bits)},
        ),
        Collection(
            "bias-prompts",
            BiasPrompt,
            bias_prompts,
            lambda world, count, seed: _first(bias_prompts(world, seed=seed), count),
            lambda world: {f"P(she | {job})": she for job, she in world.bias.items()},
        ),
        Collection("decisions", Decision, decisions, _many(decisions), _decisions_truth),
        Collection(
            "copies",
            Copy,
            copies,
            lambda world, count, seed: copies(
                world, round((count or _CALLS) / (1 + sum(_COPIED.values()))), seed
            ),
            lambda _: {f"{how} copies, for each original": share for how, share in _COPIED.items()},
        ),
        Collection(
            "changes",
            Change,
            changed,
            lambda world, count, seed: changed(world, count or 32, seed)[1],
            lambda world: {"facts in the world": 5 * len(world.people)},
        ),
        Collection(
            "drift",
            Period,
            drift,
            lambda world, count, seed: _first(drift(world, seed=seed), count),
            _drift_truth,
        ),
        Collection(
            "parallel",
            Parallel,
            parallel,
            _many(lambda world, count, seed: parallel(world, Language(world), count, seed)),
            lambda world: {"renamed words": len(Language(world).dictionary)},
        ),
        Collection(
            "glyphs",
            Glyph,
            glyphs,
            _many(glyphs),
            lambda world: {
                "pairs of thing and colour": world.values**2,
                "share held out": _default(glyphs, "share"),
            },
        ),
        Collection("entities", Tagged, entities, _many(entities), lambda _: {"wrong tags": 0}),
        Collection(
            "opinions",
            Opinion,
            opinions,
            _many(opinions),
            lambda _: {"wrong labels": 0, "share that a bag of words gets right": 0.5},
        ),
        Collection(
            "inferences",
            Inference,
            inferences,
            _many(inferences),
            lambda _: {"share of each label": "one third"},
        ),
    )
}

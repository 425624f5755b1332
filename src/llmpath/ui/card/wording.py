"""What every form of the report card says in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rich.filesize import decimal

from llmpath.artefacts.recipe import DEFAULT_DATA
from llmpath.portfolio.card import ArtefactCard, LabCard, ReportCard
from llmpath.portfolio.provenance import Origin, data_name
from llmpath.portfolio.summary import split
from llmpath.portfolio.training import METHOD
from llmpath.running.records import RunRecord
from llmpath.ui.path import whose
from llmpath.ui.words import number

TITLE = "Report card"
SELF_CHECKED = (
    "Self-checked: all of this was graded and run on the learner's own machine, "
    "and nobody else has verified it."
)
EMPTY = "Nothing has been graded, run or made here yet."
NOT_GRADED = "–"
ONWARD = "llmpath next"  # and what to type then
TRAINING = "What training took"
TRAINING_NOTE = METHOD + " Where a run reported no tokens there is no row."
TRAINING_COLUMNS = ("Artefact", "Tokens", "N", "FLOPs", "FLOPs, all parameters")


def summary(card: ReportCard) -> tuple[tuple[str, str], ...]:
    """The whole of it in a few facts."""
    return (
        ("Course", f"{card.title}, version {card.version}"),
        ("Steps done", f"{card.done} of {card.steps}"),
        ("Labs on own code", f"{card.own} of {len(card.labs)}"),
        ("Checks passed", f"{card.checks_passed} of {card.checks}"),
        ("Points", f"{card.points} of {card.max_points}"),
        ("Gathered", moment(card.when)),
        ("Standing", "self-checked"),
    )


def code(lab: LabCard) -> str:
    """Whose code stands for a lab."""
    return "own code" if lab.own else "the reference"


def points(lab: LabCard) -> str:
    """The points of a lab; a dash if it was not graded."""
    return f"{lab.points} of {lab.max_points}" if lab.graded else NOT_GRADED


def checks(lab: LabCard) -> str:
    """The checks that a lab passes; a dash if it was not graded."""
    return f"{lab.checks_passed} of {lab.checks}" if lab.graded else NOT_GRADED


def run(record: RunRecord) -> str:
    """Which run it was, and how it was made."""
    parts = [
        f"Run {record.number} of {record.lab}" if record.number else f"The run of {record.lab}",
        *(["on the reference's code"] if record.reference else []),
        moment(record.started),
        *([f"scale {record.scale}"] if record.scale else []),
        *([f"data {data_name(record.data)}"] if record.data else []),
        *([f"seed {record.seed}"] if record.seed is not None else []),
        *([f"{record.seconds:.0f} s"] if record.seconds is not None else []),
    ]
    return ", ".join(parts)


def no_run(lab: LabCard) -> str:
    """What to say where no finished run of the code in use is there."""
    if not lab.runs:
        return "Its experiment was not run yet."
    return "Its experiment was not run to its end with the code in use."


@dataclass(frozen=True)
class Found:
    """What the run of a lab found, in words.

    Attributes:
        models: the artefacts that it measured side by side.
        compared: of a run that sums up, a row for each measure, with a cell for each of `models`.
        figures: the others, by name.
    """

    models: tuple[str, ...]
    compared: tuple[tuple[str, ...], ...]
    figures: tuple[tuple[str, str], ...]


def found(lab: LabCard) -> Found:
    """The figures of a lab's run."""
    figures = (lab.run.figures if lab.run else None) or {}
    measures, others = split(figures, lab.lab.needs if lab.lab.summary else ())
    models = tuple(
        each for each in lab.lab.needs if any(each in values for values in measures.values())
    )
    compared = tuple(
        (
            _plain(name),
            *(number(values[each]) if each in values else "" for each in models),
        )
        for name, values in measures.items()
    )
    named = tuple((_plain(name), number(value)) for name, value in others.items())
    return Found(models, compared, named)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def made(card: ArtefactCard) -> tuple[str, str, str, str, str]:
    """Name, whose, parameters, size, and from which run and when."""
    parameters = "" if card.weights is None else f"{card.weights.parameters:,}"
    place = _place(card.origin)
    return _name(card), whose(card.artefact), parameters, decimal(card.size), place


def trained(card: ReportCard) -> tuple[tuple[str, str, str, str, str], ...]:
    """For each artefact whose training was reported, what `TRAINING_COLUMNS` name."""
    return tuple(
        (
            _name(each),
            f"{took.tokens:,}",
            f"{took.parameters - took.embedding:,}",
            f"{took.flops:.2e}",
            f"{took.flops_of_all:.2e}",
        )
        for each in card.artefacts
        if (took := each.training) is not None
    )


def _name(card: ArtefactCard) -> str:
    data = card.origin.data
    of = f", of {data_name(data)}" if data not in ("", DEFAULT_DATA) else ""
    return f"{card.artefact.name}{of}"


def moment(when: datetime) -> str:
    """A time for people, to the minute."""
    return when.strftime("%Y-%m-%d %H:%M")


def _place(origin: Origin) -> str:
    when = "" if origin.made is None else f", {moment(origin.made)}"
    if origin.run is not None and origin.run.number:
        return f"run {origin.run.number} of {origin.lab.id}{when}"
    return f"a run of {origin.lab.id}{when}"

"""The run that sums up what a learner has made, and which of its figures are those of one model."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from llmpath.artefacts.supply import Artefact
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.portfolio.provenance import last_run
from llmpath.running.events import Cell
from llmpath.running.records import RunRecord
from llmpath.running.resume import listing, name_of
from llmpath.workspace.folder import Workspace


@dataclass(frozen=True)
class Summary:
    """What the course's summing up says of a model.

    Attributes:
        lab: the lab that sums up.
        run: the last finished run of its code in use; None if there is none.
        fits: whether what that run measured is this very model, and not one made before or after.
    """

    lab: Lab
    run: RunRecord | None
    fits: bool


def summary(course: Course, workspace: Workspace | None, artefact: Artefact) -> Summary | None:
    """The summing up of a model; None where no lab of the course does that. Of several the last."""
    labs = [lab for lab in course.labs.values() if lab.summary and artefact.name in lab.needs]
    if not labs or workspace is None:
        return None
    run = last_run(course, workspace, labs[-1])
    measured = (run.sources or {}).get(name_of(artefact.name)) if run is not None else None
    fits = measured is not None and measured == listing(artefact.path)
    return Summary(labs[-1], run, fits)


def split(
    figures: Mapping[str, Cell], artefacts: Collection[str]
) -> tuple[dict[str, dict[str, Cell]], dict[str, Cell]]:
    """The figures of a summing up, sorted by the models that they are of.

    A figure whose name ends in `_` and the name of an artefact is that artefact's.

    Args:
        figures: what the run found.
        artefacts: the names of those that the lab needs.

    Returns:
        Of each measure what it is of each artefact, and the figures that are of none.
    """
    known = sorted(artefacts, key=len, reverse=True)
    measures: dict[str, dict[str, Cell]] = {}
    others: dict[str, Cell] = {}
    for key, value in figures.items():
        whose = next((each for each in known if key.endswith(f"_{each}")), None)
        if whose is None:
            others[key] = value
        else:
            measures.setdefault(key.removesuffix(f"_{whose}"), {})[whose] = value
    return measures, others


def figures_of(
    name: str, figures: Mapping[str, Cell], artefacts: Collection[str]
) -> dict[str, int | float]:
    """The numbers among the figures that are of one model; all of them where none names a model."""
    measures, others = split(figures, artefacts)
    mine = {key: values.get(name) for key, values in measures.items()} if measures else others
    return {
        key: value
        for key, value in mine.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }

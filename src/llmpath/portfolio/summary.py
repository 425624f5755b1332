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


def figures_of(
    name: str, figures: Mapping[str, Cell], artefacts: Collection[str]
) -> dict[str, int | float]:
    """The numbers among the figures of a summing up that are those of one model.

    A figure whose name ends in `_` and the name of an artefact is that artefact's. Where none ends
    so, all are taken to be the model's.

    Args:
        name: of the artefact that the model is.
        figures: what the run found.
        artefacts: the names of all artefacts of the course.

    Returns:
        The numbers by what is left of their names.
    """
    known = sorted(artefacts, key=len, reverse=True)
    whose = {key: next((each for each in known if key.endswith(f"_{each}")), None)
             for key in figures}  # fmt: skip
    wanted = name if any(whose.values()) else None
    return {
        key.removesuffix(f"_{wanted}"): value
        for key, value in figures.items()
        if whose[key] == wanted and isinstance(value, (int, float)) and math.isfinite(value)
    }

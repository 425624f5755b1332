"""The report card as plain data, for scripts."""

from __future__ import annotations

from typing import Any

from llmpath.portfolio.card import ArtefactCard, LabCard, ReportCard
from llmpath.portfolio.provenance import Picture
from llmpath.portfolio.training import METHOD, Training
from llmpath.running.records import RunRecord
from llmpath.ui.path import whose


def as_data(card: ReportCard) -> dict[str, Any]:
    """The whole report card; times as ISO 8601, sizes in bytes."""
    return {
        "course": card.title,
        "version": card.version,
        "workspace": str(card.root),
        "gathered": card.when.isoformat(),
        "standing": "self-checked",
        "empty": card.empty,
        "done": card.done,
        "steps": card.steps,
        "points": card.points,
        "max_points": card.max_points,
        "checks_passed": card.checks_passed,
        "checks": card.checks,
        "summary": card.summary and card.summary.lab.id,
        "labs": [_lab(each) for each in card.labs],
        "artefacts": [_artefact(each) for each in card.artefacts],
    }


def _lab(card: LabCard) -> dict[str, Any]:
    return {
        "id": card.lab.id,
        "title": card.lab.title,
        "code": "own" if card.own else "reference",
        "passed": card.passed,
        "attempts": card.attempts,
        "points": card.points,
        "max_points": card.max_points,
        "checks_passed": card.checks_passed,
        "checks": card.checks,
        "runs": card.runs,
        "run": None if card.run is None else _run(card.run, card.pictures),
    }


def _run(run: RunRecord, pictures: tuple[Picture, ...]) -> dict[str, Any]:
    return {
        "number": run.number or None,
        "folder": str(run.folder),
        "started": run.started.isoformat(),
        "reference": run.reference,
        "scale": run.scale,
        "data": run.data,
        "seed": run.seed,
        "seconds": run.seconds,
        "sentence": run.sentence,
        "figures": run.figures or {},
        "pictures": {each.name: str(each.path) for each in pictures},
    }


def _artefact(card: ArtefactCard) -> dict[str, Any]:
    origin = card.origin
    return {
        "name": card.artefact.name,
        "whose": whose(card.artefact),
        "path": str(card.artefact.path),
        "parameters": card.weights and card.weights.parameters,
        "types": list(card.weights.types) if card.weights else [],
        "bytes": card.size,
        "lab": origin.lab.id,
        "run": str(origin.run.folder) if origin.run else None,
        "data": origin.data or None,
        "made": origin.made.isoformat() if origin.made else None,
        "training": None if card.training is None else _training(card.training),
    }


def _training(took: Training) -> dict[str, Any]:
    return {
        "tokens": took.tokens,
        "parameters_without_embeddings": took.parameters - took.embedding,
        "flops": took.flops,
        "flops_of_all_parameters": took.flops_of_all,
        "method": METHOD,
    }

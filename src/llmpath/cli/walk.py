"""`llmpath lab run --all`: every experiment of the path in its order, and what each cost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from llmpath.artefacts.recipe import Variant
    from llmpath.cli.state import State
    from llmpath.running.records import RunRecord


def walk(state: State, variant: Variant, *, reference: bool, device: str, as_json: bool) -> int:
    """Run every lab: the learner's code where it passes (unless `reference`), else the reference.

    Returns:
        The exit code: 0 if every experiment finished, 1 if one did not.
    """
    from llmpath.ui import walk as view

    records: list[RunRecord] = []
    for lab in state.course.labs.values():
        passes = state.here.passed_file(lab) is not None
        record = _one(state, lab.id, variant, reference or not passes, device, as_json)
        records.append(record)
        if record.outcome == "interrupted":
            break
    if as_json:
        rows = [view.as_data(record) for record in records]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        state.console.print(view.costs(records))
    return 0 if all(record.outcome == "finished" for record in records) else 1


def _one(
    state: State, lab_id: str, variant: Variant, reference: bool, device: str, quiet: bool
) -> RunRecord:
    """Run one lab, showing its progress on one line and its sentence below."""
    from llmpath.cli.artefacts import keep, prepare
    from llmpath.running.records import read_run
    from llmpath.running.runner import run
    from llmpath.ui.walk import follow

    lab = state.course.lab(lab_id)
    request = prepare(state, lab, variant, reference=reference, device=device, quiet=quiet)
    follow(run(request), lab, None if quiet else state.console)
    keep(state, lab, request, quiet=True)
    record = read_run(request.run_folder)
    assert record is not None  # its folder was named by `new_folder`
    return record

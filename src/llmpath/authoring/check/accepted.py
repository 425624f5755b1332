"""Right answers that are written differently get every point."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.documents import decode
from llmpath.course.problems import Problem
from llmpath.course.tree import parse as tree_of

SEEDS = (0, 1, 2)
FOLDER = "accepted"


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each file under `accepted/` that does not pass, and if there is none."""
    files = sorted((subject.folder / FOLDER).glob("*.py"))
    if not files:
        message = "The lab has no right answer but its own."
        mend = f"Write the lab in another way, and keep it as {FOLDER}/<name>.py."
        yield Finding.of(subject.in_file(FOLDER, 0, 0, message, mend))
    for file in files:
        name = f"{FOLDER}/{file.name}"
        source = decode(file.read_bytes(), f"labs/{subject.id}/{name}")
        if isinstance(source, Problem):
            yield Finding.of(source)
            continue
        if _same_code(source, subject.solution):
            message = "This is the solution again."
            yield Finding.of(subject.in_file(name, 0, 0, message, "Write it in another way."))
        yield from _failures(subject, bench, name, source)


def _failures(subject: LabSubject, bench: Bench, name: str, source: str) -> Iterator[Finding]:
    seeds = SEEDS[:1] if bench.quick else SEEDS
    reports = bench.grade(subject.lab, [Answer(name, source, seed) for seed in seeds])
    for seed, report in zip(seeds, reports, strict=True):
        failed = [check for check in report.checks if check.status not in ("passed", "skipped")]
        if not failed:
            continue
        checks = ", ".join(check.id for check in failed)
        line = next((f.line for c in failed if c.detail for f in c.detail.frames[-1:]), 0)
        message = f"This right answer fails {checks} (seed {seed})."
        mend = "Let the checks look at what the answer is, and not at how it was found."
        excerpt = "\n".join(f"{check.id}: {check.message}" for check in failed)
        yield Finding.of(subject.in_file(name, line, 0, message, mend), excerpt)
        return


def _same_code(one: str, other: str) -> bool:
    try:
        return ast.dump(tree_of(one)) == ast.dump(tree_of(other))
    except (SyntaxError, ValueError):
        return False

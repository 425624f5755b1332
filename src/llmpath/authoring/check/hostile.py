"""Files that try to cheat score nothing, whatever the lab: those of `hostile_pack/`.

Each file of the pack is a learner's file. Its docstring says what it gives instead of an answer
and, on a line `Needs: …`, what the worker has to be kept from if the attack fails only then. A
function `answer` in it stands for every function and class of the lab.
"""

from __future__ import annotations

import ast
import importlib.resources
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from llmpath.authoring.check import worthless
from llmpath.authoring.check.bench import Answer, Bench
from llmpath.authoring.check.finding import Finding
from llmpath.authoring.check.subject import LabSubject
from llmpath.course.tree import parse as tree_of
from llmpath.grading.report import GradeReport

PACK = "hostile_pack"


@dataclass(frozen=True)
class Attack:
    """One file of the pack.

    Attributes:
        about: what it gives instead of an answer.
        needs: the measure of isolation without which it may succeed; "" for none.
    """

    about: str
    needs: str
    source: str

    def on(self, subject: LabSubject) -> Answer:
        """The file that attacks one lab."""
        source = self.source.replace("@checks@", " ".join(check.id for check in subject.lab.checks))
        # The path stands in a literal of Python, which its backslashes would spoil.
        source = source.replace("@solution@", (subject.folder.resolve() / "lab.py").as_posix())
        names = [
            node.name
            for node in tree_of(subject.solution).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        stands_for_all = "".join(f"{name} = answer\n" for name in names)
        about = self.about.rstrip(".")
        if about[1:].split(" ")[0].islower() or about[1:2] == " ":  # not NaN
            about = about[:1].lower() + about[1:]
        return Answer(about, source + (stands_for_all if "def answer(" in source else ""))


def pack() -> Iterator[Attack]:
    """The attacks that llmpath comes with."""
    folder = importlib.resources.files("llmpath.authoring.check") / PACK
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".py"):
            source = file.read_text(encoding="utf-8")
            about, _, more = (ast.get_docstring(tree_of(source)) or file.name).partition("\n")
            yield Attack(about, more.strip().removeprefix("Needs: "), source)


def prove(subject: LabSubject, bench: Bench) -> Iterator[Finding]:
    """A finding for each check that one of the attacks passes."""
    attacks = list(pack())
    answers = [attack.on(subject) for attack in attacks]
    reports = bench.grade(subject.lab, answers)
    held = [not each.needs or each.needs in reports[0].isolation.measures for each in attacks]
    yield from worthless.findings(
        subject,
        list(itertools.compress(answers, held)),
        [_passes(report) for report in itertools.compress(reports, held)],
    )


def _passes(report: GradeReport) -> GradeReport:
    """The report with what passed alone: a check may break on what no learner would return."""
    passed = tuple(check for check in report.checks if check.status == "passed")
    return report.model_copy(update={"checks": passed})

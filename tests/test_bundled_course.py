"""Every lab of the bundled course grades as it should, proven by answers known right and wrong."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmpath.course.course import Course
from llmpath.course.loader import load
from llmpath.course.models import Lab, Misconception
from llmpath.course.solution import edited, starter
from llmpath.grading.grader import Grader, GradeRequest
from llmpath.grading.report import GradeReport

ROOT = Path(__file__).parent.parent
COURSE: Course = load(ROOT)
LABS = tuple(COURSE.labs.values())
MISCONCEPTIONS = [(lab, known) for lab in LABS for known in lab.misconceptions]
ACCEPTED = [
    (lab, path)
    for lab in LABS
    for path in sorted((COURSE.lab_folder(lab) / "accepted").glob("*.py"))
]


class Graders:
    """One open grader for each lab, so that torch is loaded once for each."""

    def __init__(self) -> None:
        self._open: dict[str, Grader] = {}

    def grade(
        self,
        lab: Lab,
        source: str,
        folder: Path,
        seed: int = 0,
        only: tuple[str, ...] | None = None,
    ) -> GradeReport:
        """The report on one content of a learner's file."""
        file = folder / lab.file
        file.write_text(source, encoding="utf-8", newline="")
        grader = self._open.get(lab.id)
        if grader is None:
            grader = self._open[lab.id] = Grader(COURSE.lab_folder(lab))
        thread = {name: COURSE.lab_folder(COURSE.lab(name)) / "lab.py" for name in lab.uses}
        request = GradeRequest(
            lab, COURSE.lab_folder(lab), file, thread, seed, COURSE.version, only
        )
        return grader.grade(request).report

    def close(self) -> None:
        """End every grader."""
        for grader in self._open.values():
            grader.__exit__(None, None, None)


@pytest.fixture(scope="module")
def graders() -> Iterator[Graders]:
    graders = Graders()
    yield graders
    graders.close()


def solution(lab: Lab) -> str:
    return (COURSE.lab_folder(lab) / "lab.py").read_text(encoding="utf-8")


def outcome(report: GradeReport) -> str:
    return "\n".join(f"{check.id}: {check.status}: {check.message}" for check in report.checks)


by_lab = pytest.mark.parametrize("lab", LABS, ids=[lab.id for lab in LABS])


@by_lab
def test_the_solution_passes_whatever_the_seed(lab: Lab, graders: Graders, tmp_path: Path) -> None:
    """The reference gets every point on five seeds."""
    for seed in (0, 1, 2, 3, 2**31 - 1):
        report = graders.grade(lab, solution(lab), tmp_path, seed)
        assert report.passed, outcome(report)


@by_lab
def test_checks_do_not_lean_on_each_other(lab: Lab, graders: Graders, tmp_path: Path) -> None:
    """Each check passes alone, and all of them in the opposite order."""
    ids = tuple(check.id for check in lab.checks)
    alone = [check.id for check in lab.checks if not check.needs]
    orders = [(check,) for check in alone] + [tuple(reversed(ids))]
    for only in orders:
        report = graders.grade(lab, solution(lab), tmp_path, only=only)
        by_need = {check.id for check in lab.checks if check.needs}
        for check in report.checks:
            assert check.status == "passed" or check.id in by_need, outcome(report)


@by_lab
def test_the_starter_fails_every_check(lab: Lab, graders: Graders, tmp_path: Path) -> None:
    """The untouched starter scores nothing and is told, kindly, what to write."""
    report = graders.grade(lab, starter(solution(lab)), tmp_path)
    assert report.points == 0
    for check in report.checks:
        assert check.status in ("failed", "skipped"), outcome(report)
        assert check.message, check.id
    assert any("is not written yet" in check.message for check in report.checks)


def trivial(lab: Lab, body: str) -> str:
    """The solution with every function's body replaced; `first` stands for its first argument."""
    tree = ast.parse(solution(lab))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args]
            first = names[0] if names else "None"
            if names[:1] == ["self"]:
                first = names[1] if len(names) > 1 else "None"
            node.body = ast.parse(body.replace("first", first)).body
    return ast.unparse(tree)


BODIES = ["return None", "return first", "return 0", "return []", "return ''"]
BODIES += ["raise RuntimeError('x')"]


@by_lab
@pytest.mark.parametrize("body", BODIES)
def test_trivial_answers_fail_every_check(
    lab: Lab, body: str, graders: Graders, tmp_path: Path
) -> None:
    """None, the first argument, constants and exceptions pass no check and break none."""
    report = graders.grade(lab, trivial(lab, body), tmp_path)
    for check in report.checks:
        assert check.status in ("failed", "skipped"), outcome(report)
    assert report.points == 0


@by_lab
@pytest.mark.parametrize("source", ["", "def broken(:\n", "raise ValueError('top')\n"])
def test_unusable_files_fail_every_check(
    lab: Lab, source: str, graders: Graders, tmp_path: Path
) -> None:
    """An empty file, a syntax error and a raise at the top score nothing, without our traceback."""
    report = graders.grade(lab, source, tmp_path)
    assert report.points == 0
    assert all(check.status in ("failed", "skipped") for check in report.checks), outcome(report)
    assert "site-packages" not in outcome(report)


@pytest.mark.parametrize(
    ("lab", "known"), MISCONCEPTIONS, ids=[f"{lab.id}:{known.id}" for lab, known in MISCONCEPTIONS]
)
def test_each_misconception_fails_exactly_its_checks(
    lab: Lab, known: Misconception, graders: Graders, tmp_path: Path
) -> None:
    """A known wrong answer fails the checks that it names, on every seed, and no other."""
    source = edited(solution(lab), known)
    for seed in (0, 1, 2):
        report = graders.grade(lab, source, tmp_path, seed)
        failed = {c.id for c in report.checks if c.status not in ("passed", "skipped")}
        assert failed == set(known.fails), outcome(report)


@by_lab
def test_every_check_is_needed(lab: Lab) -> None:
    """Each check is failed by a known wrong answer, and there are at least five of those."""
    caught = {check for known in lab.misconceptions for check in known.fails}
    assert caught == {check.id for check in lab.checks}
    assert len(lab.misconceptions) >= 5


@pytest.mark.parametrize(
    ("lab", "path"), ACCEPTED, ids=[f"{lab.id}:{path.stem}" for lab, path in ACCEPTED]
)
def test_other_right_answers_pass(lab: Lab, path: Path, graders: Graders, tmp_path: Path) -> None:
    """A correct answer written differently gets every point."""
    for seed in (0, 1, 2):
        report = graders.grade(lab, path.read_text(encoding="utf-8"), tmp_path, seed)
        assert report.passed, outcome(report)


@by_lab
def test_nothing_gives_the_solution_away(lab: Lab) -> None:
    """No line of a solution stands in the starter, the lesson or the hints."""
    source = solution(lab)
    begun = starter(source)
    assert "SOLUTION" not in begun
    step = COURSE.step_of(lab)
    told = COURSE.lesson_path(step).read_text(encoding="utf-8") + "\n".join(lab.hints)
    told += "\n".join(check.hint or "" for check in lab.checks)
    inside = False
    for line in source.splitlines():
        text = line.strip()
        if "### BEGIN SOLUTION" in text or "### END SOLUTION" in text:
            inside = "BEGIN" in text
        elif inside and len(text) > 24 and not text.startswith("#"):
            assert text not in begun
            assert text not in told

"""Grading drives real judges and workers on a small lab, torch-free where it can be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.grading.children import StartMethod
from llmpath.grading.grader import Grader
from llmpath.grading.report import CheckResult, GradeReport
from llmpath.grading.request import GradeRequest
from llmpath.grading.trial import Cancelled

SOLUTION = """
def add(a, b):
    return a + b

def shout(words):
    return [word.upper() for word in words]
"""

CHECKS = """
    import os
    import pytest
    from llmpath.labkit.checks import close, same

    def test_adds(lab, seed):
        same(lab.add(seed, 2), seed + 2, because="add should add")

    def test_adds_fractions(lab):
        close(lab.add(0.1, 0.2), 0.3, atol=1e-12, because="add should keep fractions")

    def test_shouts(lab):
        words = ["a", "b"]
        same(lab.shout(words), ["A", "B"], because="shout should use capitals")
        same(words, ["a", "b"], because="shout changed its input")
"""

LAB = {
    "id": "little",
    "title": "A little lab",
    "file": "little.py",
    "limits": {"seconds": 20, "check_seconds": 2, "memory_mb": 300, "output_kb": 4},
    "checks": [
        {"id": "adds", "title": "Adds", "points": 3, "hint": "Use +."},
        {"id": "adds-fractions", "title": "Adds fractions", "points": 2, "needs": ["adds"]},
        {"id": "shouts", "title": "Shouts", "points": 4},
    ],
    "misconceptions": [
        {
            "id": "whispers",
            "replace": "word.upper()",
            "with": "word.lower()",
            "fails": ["shouts"],
            "explain": "The words are made small.",
        }
    ],
}


class Bench:
    """A lab folder and a grader that stays open between gradings."""

    def __init__(self, folder: Path, checks: str = CHECKS, method: StartMethod | None = None):
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "checks.py").write_text(textwrap.dedent(checks))
        (folder / "lab.py").write_text(SOLUTION)
        self.lab = Lab.model_validate(LAB)
        self.grader = Grader(folder, method)

    def grade(self, source: str | bytes, seed: int | None = 7) -> GradeReport:
        """The report on one version of the learner's file."""
        file = self.folder.parent / "little.py"
        file.write_bytes(source if isinstance(source, bytes) else source.encode())
        request = GradeRequest(lab=self.lab, folder=self.folder, file=file, seed=seed)
        return self.grader.grade(request).report


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("bench") / "lab")
    with bench.grader:
        yield bench


def statuses(report: GradeReport) -> dict[str, str]:
    return {check.id: check.status for check in report.checks}


def test_the_solution_gets_all_points(bench: Bench) -> None:
    """A right answer passes every check and the report says so."""
    report = bench.grade(SOLUTION)
    assert report.status == "passed"
    assert (report.points, report.max_points) == (9, 9)
    assert set(statuses(report).values()) == {"passed"}


def test_a_check_may_pass_an_object_with_methods(tmp_path: Path) -> None:
    """Learner code calls the methods of a namespace, and the check sees what they were given."""
    given = """
    from types import SimpleNamespace

    def test_adds(lab):
        seen = []
        total = lab.add(SimpleNamespace(times=lambda n: seen.append(n) or n * 3, unit=2), 4)
        assert (total, seen) == (14, [4]), f"{total}, {seen}"

    def test_adds_fractions(lab): ...

    def test_shouts(lab): ...
    """
    bench = Bench(tmp_path / "lab", checks=given)
    with bench.grader:
        report = bench.grade(SOLUTION.replace("a + b", "a.times(b) + a.unit"))
        assert report.checks[0].status == "passed", report.checks[0].message
        report = bench.grade(SOLUTION.replace("a + b", "a.times(5) + a.unit"))
        assert "[5]" in report.checks[0].message


def test_partial_credit_and_skipped_needs(bench: Bench) -> None:
    """A failed check costs its own points, and what needs it is skipped, not failed."""
    report = bench.grade(SOLUTION.replace("a + b", "a - b"))
    assert statuses(report) == {"adds": "failed", "adds-fractions": "skipped", "shouts": "passed"}
    assert report.points == 4
    assert report.status == "failed"


def test_a_failure_says_what_was_expected_and_what_came(bench: Bench) -> None:
    """The message has both values, the place and the author's reason."""
    report = bench.grade(SOLUTION.replace("word.upper()", "word"))
    (failed,) = [check for check in report.checks if check.status == "failed"]
    assert failed.detail is not None
    assert (failed.detail.expected, failed.detail.got) == ("'A'", "'a'")
    assert failed.detail.where.startswith("[0]")
    assert "capitals" in failed.message


def test_a_known_mistake_is_named(bench: Bench) -> None:
    """When exactly a misconception's checks fail, the report names it."""
    assert bench.grade(SOLUTION.replace("upper", "lower")).misconception == "whispers"
    assert bench.grade(SOLUTION.replace("a + b", "0")).misconception is None
    assert bench.grade(SOLUTION).misconception is None


def test_a_missing_return_is_no_misconception(bench: Bench) -> None:
    """None is told as what it most likely is, a missing return, and as no other mistake."""
    report = bench.grade(SOLUTION.replace("return [word", "_ = [word"))
    assert statuses(report)["shouts"] == "failed"
    assert "is a return missing?" in report.checks[2].message
    assert report.misconception is None


def test_in_place_changes_are_seen_across_processes(bench: Bench) -> None:
    """A list that learner code changes in place is changed in the check, too."""
    changed = SOLUTION + "\n_shout = shout\ndef shout(words):\n    out = _shout(words)\n"
    report = bench.grade(changed + "    words.append('c')\n    return out\n")
    assert statuses(report)["shouts"] == "failed"
    assert "changed its input" in report.checks[2].message


def test_learner_exceptions_show_their_own_lines_only(bench: Bench) -> None:
    """An exception is reported with the learner's file and line, and no frame of ours."""
    report = bench.grade(SOLUTION.replace("return a + b", "return a + missing"))
    detail = report.checks[0].detail
    assert detail is not None
    assert (detail.kind, detail.exception) == ("raised", "NameError")
    assert [(frame.file, frame.line) for frame in detail.frames] == [("little.py", 3)]
    assert "missing" in detail.frames[0].text


def test_the_starter_says_what_is_missing(bench: Bench) -> None:
    """NotImplementedError becomes a sentence that names the function and the line."""
    report = bench.grade("def add(a, b):\n    raise NotImplementedError\n")
    assert report.points == 0
    assert report.checks[0].message == "add is not written yet (little.py, line 2)"
    assert report.checks[2].message == "there is no `shout` in little.py"


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        ("", "failed", "there is no `add` in little.py"),
        ("def add(:\n", "syntax-error", "SyntaxError: invalid syntax (little.py, line 1)"),
        (b"\xff\xfe\x00", "syntax-error", "SyntaxError"),
        ("import os; os._exit(0)", "import-error", "ended the Python process (exit code 0)"),
        ("raise SystemExit(0)", "import-error", "SystemExit"),
        ("import nonexistent_thing", "import-error", "ModuleNotFoundError"),
        ("while True: pass", "import-error", "still running after 2 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "import-error", "SIGSEGV"),
        ("raise KeyboardInterrupt", "import-error", "KeyboardInterrupt"),
    ],
    ids=["empty", "syntax", "bytes", "_exit", "exit", "import", "loop", "segv", "interrupt"],
)
def test_a_file_that_cannot_be_used_scores_nothing(
    bench: Bench, source: str | bytes, status: str, words: str
) -> None:
    """No way of not being importable passes, hangs or yields a traceback of ours."""
    report = bench.grade(source)
    assert report.status == status
    assert report.points == 0
    assert len(report.checks) == 3
    assert all(check.status != "passed" for check in report.checks)
    assert words in report.checks[0].message


def test_one_endless_loop_does_not_cost_the_other_checks(bench: Bench) -> None:
    """A check that runs into its limit is `timeout` with the line; the rest is still graded."""
    report = bench.grade(SOLUTION.replace("return a + b", "while a:\n        pass"))
    assert statuses(report) == {"adds": "timeout", "adds-fractions": "skipped", "shouts": "passed"}
    detail = report.checks[0].detail
    assert detail is not None
    assert "2 s" in detail.summary
    assert detail.frames[-1].line in (3, 4)


def test_a_process_that_ends_does_not_cost_the_other_checks(bench: Bench) -> None:
    """os._exit in one function fails the checks that call it, and no other."""
    report = bench.grade(SOLUTION.replace("return a + b", "import os; os._exit(0)"))
    assert statuses(report) == {"adds": "failed", "adds-fractions": "skipped", "shouts": "passed"}


def test_a_flood_of_output_is_cut_and_harmless(bench: Bench) -> None:
    """100 MB of prints change no verdict, and the report keeps a little of both ends."""
    report = bench.grade("print('first')\nprint('x' * 100_000_000)\nprint('last')\n" + SOLUTION)
    assert report.status == "passed"
    assert len(report.output) < 6000
    assert report.output.startswith("first")
    assert report.output.rstrip().endswith("last")
    assert "bytes left out" in report.output


def test_too_much_memory_is_a_failure_with_a_reason(bench: Bench) -> None:
    """A worker that grows beyond the limit is ended, and the check says why."""
    hungry = "import time\n    hoard = bytearray(500_000_000)\n    time.sleep(5)\n    return a + b"
    report = bench.grade(SOLUTION.replace("return a + b", hungry))
    assert statuses(report)["adds"] == "failed"
    assert "300 MB" in report.checks[0].message


SWELLS = """
import os, struct, sys

def add(a, b):
    frame = sys._getframe()
    while not hasattr(frame.f_locals.get("self"), "_stream"):
        frame = frame.f_back
    text = b'{"seq": 0, "value": [' + b"[]," * 20_000_000 + b"[]]}"
    left = memoryview(struct.pack("!4sIQ", b"lmp1", len(text), 0) + text)
    while left:
        left = left[os.write(frame.f_locals["self"]._stream._writing, left):]
"""


def test_the_judge_cannot_be_made_to_grow(tmp_path: Path) -> None:
    """An answer that takes gigabytes to read costs its check, and no other one."""
    bench = Bench(tmp_path / "lab")
    bench.lab = bench.lab.model_copy(
        update={"limits": bench.lab.limits.model_copy(update={"check_seconds": 20.0})}
    )
    with bench.grader:
        report = bench.grade(SOLUTION + SWELLS)
    assert statuses(report) == {"adds": "failed", "adds-fractions": "skipped", "shouts": "passed"}
    assert "what it returned takes more than the 300 MB" in report.checks[0].message


def test_what_is_no_function_is_told_so(bench: Bench) -> None:
    """A name that the learner has made a number is their mistake, not the course's."""
    report = bench.grade(SOLUTION + "\nadd = 3\n")
    assert statuses(report)["adds"] == "failed"
    assert report.checks[0].message == "expected a function, but 'int' object is not callable"


def test_no_room_for_a_grading_is_a_sentence(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be written for judge and worker, that is said, and nothing else fails."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(LlmpathError, match=r"gone.* cannot be written: No such file"):
        bench.grade(SOLUTION)
    monkeypatch.undo()
    assert bench.grade(SOLUTION).passed


def test_what_is_no_function_is_told_so_by_a_comparison(tmp_path: Path) -> None:
    """The same holds where it is not the check but a comparison of labkit's that calls it."""
    raises = "    from llmpath.labkit.checks import raises\n"
    called = CHECKS.replace("same(lab.add(seed, 2), seed + 2, ", "raises(lab.add, 'adding')  # ")
    bench = Bench(tmp_path / "lab", checks=raises + called)
    with bench.grader:
        report = bench.grade(SOLUTION + "\nadd = 3\n")
    assert statuses(report)["adds"] == "failed"
    assert report.checks[0].message == "expected a function, but 'int' object is not callable"


def test_a_report_controls_no_terminal(bench: Bench) -> None:
    """What learner code prints or raises may name a window, or clear it, and does not."""
    evil = "\\x1b[2J\\x1b]0;owned\\x07"
    source = SOLUTION.replace("return a + b", f"raise ValueError('{evil}it broke')", 1)
    report = bench.grade(source + f"\nprint('{evil}\\x9b31mit spoke')\n")
    assert report.output == "31mit spoke\n"
    assert report.checks[0].message.startswith("ValueError: it broke")


def test_a_grading_can_be_cancelled(bench: Bench) -> None:
    """Another thread ends an endless loop before its limit, and the next grading is as ever."""
    file = bench.folder.parent / "little.py"
    file.write_text("while True: pass\n")
    limits = bench.lab.limits.model_copy(update={"seconds": 600.0, "check_seconds": 600.0})
    lab = bench.lab.model_copy(update={"limits": limits})
    timer = threading.Timer(0.5, bench.grader.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        bench.grader.grade(GradeRequest(lab=lab, folder=bench.folder, file=file))
    timer.join()
    assert bench.grade(SOLUTION).passed


def test_each_verdict_is_told_as_it_comes(bench: Bench) -> None:
    """Verdicts arrive one by one, in the order of the checks, and as the report has them."""
    file = bench.folder.parent / "little.py"
    file.write_text(SOLUTION.replace("a + b", "a - b"))
    told: list[CheckResult] = []
    request = GradeRequest(lab=bench.lab, folder=bench.folder, file=file)
    report = bench.grader.grade(request, told.append).report
    assert tuple(told) == report.checks


@pytest.mark.parametrize("method", ["fork", "fresh"])
def test_what_was_made_ready_is_used_only_if_it_suits(
    tmp_path: Path, method: StartMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A waiting judge grades what is saved later; one that has collected other checks does not."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    bench = Bench(tmp_path / "lab", method=method)
    file = tmp_path / "little.py"
    file.write_text("raise RuntimeError('not this one')\n")
    request = GradeRequest(lab=bench.lab, folder=bench.folder, file=file)
    with bench.grader:
        bench.grader.prepare(request)
        assert bench.grade(SOLUTION).passed
        bench.grader.prepare(request)
        checks = bench.folder / "checks.py"
        checks.write_text(checks.read_text().replace("seed + 2", "seed + 300"))
        assert statuses(bench.grade(SOLUTION))["adds"] == "failed"
        bench.grader.prepare(request)
    assert not list(scratch.iterdir())


def test_lying_objects_do_not_pass(bench: Bench) -> None:
    """An object that equals everything stays in the worker; the judge compares data."""
    liar = "class Liar(int):\n    __eq__ = lambda s, o: True\n    __hash__ = None\n"
    liar += "def add(a, b):\n    return Liar(0)\ndef shout(w):\n    return Liar()\n"
    assert bench.grade(liar).points == 0


def test_the_same_seed_gives_the_same_report(bench: Bench) -> None:
    """Two gradings with one seed agree in everything but the time they took."""
    first, second = (bench.grade(SOLUTION.replace("a + b", "a"), seed=11) for _ in range(2))
    assert [c.message for c in first.checks] == [c.message for c in second.checks]
    assert first.seed == second.seed == 11


def test_inputs_differ_between_gradings(bench: Bench) -> None:
    """Without a seed each grading draws its own, so that no answer can be learnt by heart."""
    messages = {
        bench.grade(SOLUTION.replace("a + b", "0"), seed=None).checks[0].message for _ in range(3)
    }
    assert len(messages) == 3


@pytest.mark.parametrize("method", ["fork", "fresh"])
def test_both_ways_of_starting_agree(tmp_path: Path, method: StartMethod) -> None:
    """Fresh interpreters, used where there is no fork, give the same verdicts."""
    bench = Bench(tmp_path / "lab", method=method)
    with bench.grader:
        assert bench.grade(SOLUTION).status == "passed"
        broken = SOLUTION.replace("return a + b", "import os; os._exit(3)")
        assert statuses(bench.grade(broken))["shouts"] == "passed"


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ("def test_adds(lab):\n    assert True, 'x'\n", "no function test_adds_fractions"),
        ("import os\nos._exit(0)\n", "ended before the last verdict"),
        ("raise ValueError('broken')\n", "ValueError: broken"),
        ("def test_adds(lab:\n", "SyntaxError"),
        (CHECKS.replace("lab.add(seed, 2)", "os._exit(0)"), "ended before the last verdict"),
    ],
    ids=["missing", "exit", "raises", "syntax", "exit in a check"],
)
def test_a_missing_verdict_is_never_a_pass(tmp_path: Path, checks: str, words: str) -> None:
    """If the checks cannot deliver every verdict, the report is an error with no points."""
    bench = Bench(tmp_path / "lab", checks=checks)
    with bench.grader:
        report = bench.grade(SOLUTION)
    assert report.status == "error"
    assert report.points == 0
    assert report.problem is not None
    assert words in report.problem.summary


def test_a_missing_file_is_an_error_with_a_mend(bench: Bench) -> None:
    """A file that is not there is named, and the way to get it back."""
    request = GradeRequest(lab=bench.lab, folder=bench.folder, file=bench.folder / "gone.py")
    with pytest.raises(LlmpathError, match=r"gone\.py cannot be read") as caught:
        bench.grader.grade(request)
    assert "lab reset" in caught.value.hint


def test_nothing_of_the_learners_folder_comes_along(bench: Bench) -> None:
    """conftest.py, a shadowing module and sitecustomize beside the file have no effect."""
    folder = bench.folder.parent
    for name in ("conftest.py", "sitecustomize.py", "random.py", "pytest.py"):
        (folder / name).write_text("raise RuntimeError('this should never run')\n")
    try:
        assert bench.grade("import random\n" + SOLUTION).status == "passed"
    finally:
        for name in ("conftest.py", "sitecustomize.py", "random.py", "pytest.py"):
            (folder / name).unlink()


def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    """After kill -9 of the grading process, server, judge and worker go, too."""
    bench = Bench(tmp_path / "lab")
    bench.grader.__exit__(None, None, None)
    file = tmp_path / "little.py"
    file.write_text("import time; time.sleep(60)\n")
    script = f"""
        from pathlib import Path
        from llmpath.course.models import Lab
        from llmpath.grading.grader import grade
        from llmpath.grading.request import GradeRequest
        lab = Lab.model_validate({LAB!r} | {{"limits": {{"check_seconds": 50.0}}}})
        grade(GradeRequest(lab=lab, folder=Path({str(bench.folder)!r}), file=Path({str(file)!r})))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    family: list[psutil.Process] = []
    while len(family) < 3:
        assert parent.poll() is None
        family = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive

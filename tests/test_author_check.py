"""`llmpath author check`: a sound course is found sound, and each way of breaking one is found."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest
from conftest import LLMPATH, SMALL_COURSE, environment

from llmpath.authoring.check.finding import Finding, Verdict
from llmpath.authoring.check.mutation import mutants, sample
from llmpath.authoring.check.runner import CheckRequest, Done, check, proofs_named
from llmpath.errors import LlmpathError


@dataclass
class Author:
    """Someone who writes a course, which begins as a copy of the small one."""

    course: Path
    environment: dict[str, str]

    def types(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type one command about the course."""
        return subprocess.run(
            [*LLMPATH, "--course", str(self.course), *arguments],
            cwd=self.course.parent,
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )

    def verdict(self, name: str, *proofs: str, **options: Any) -> Verdict:
        """What some proofs of a step or lab come to, proven anew."""
        names = (name,) if name else ()
        options = {"cache": False, **options}
        request = CheckRequest(self.course, names, only=proofs_named(proofs), **options)
        *_, verdict = check(request)
        assert isinstance(verdict, Verdict)
        return verdict

    def finds(self, name: str, *proofs: str, **options: Any) -> tuple[Finding, ...]:
        """What some proofs of a step or lab find."""
        return self.verdict(name, *proofs, **options).findings

    def replaces(self, file: str, old: str, new: str) -> None:
        """Change a text that stands once in a file of the course."""
        path = self.course / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def adds(self, file: str, text: str) -> None:
        """Write at the end of a file of the course."""
        with (self.course / file).open("a", encoding="utf-8") as stream:
            stream.write(text)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    course = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, course, ignore=shutil.ignore_patterns("__pycache__"))
    return Author(course, environment(tmp_path / "cache"))


def places(findings: tuple[Finding, ...]) -> list[str]:
    return [each.place for each in findings]


# The command


def test_a_sound_course_is_found_sound(author: Author) -> None:
    """All proofs of the small course hold; the exit code is 0, and each proof has a plain line."""
    done = author.types("author", "check", "--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("✓ adding: mutants die")]
    assert lines[-1].startswith("✓ Sound: 34 proofs hold.")
    assert "\x1b" not in done.stdout


def test_findings_are_data_too(author: Author) -> None:
    """With --json there is one object: findings with place and mend, proofs with measures."""
    author.replaces("labs/adding/lab.yaml", "fails: [runs-along]", "fails: [sums-up]")
    done = author.types(
        "author", "check", "adding", "--json", "--only", "misconceptions", "--only", "limits"
    )
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    assert verdict["sound"] is False
    first = verdict["findings"][0]
    assert (first["path"], first["line"], first["column"]) == ("labs/adding/lab.yaml", 11, 9)
    wrong = verdict["findings"][1]
    assert (wrong["proof"], wrong["subject"]) == ("misconceptions", "adding")
    assert "keeps-the-zero" in wrong["message"]
    assert wrong["mend"]
    measures = {m["name"]: m for p in verdict["proofs"] for m in p["measures"]}
    assert measures["seconds of sums-up"]["limit"] == 5


@pytest.mark.parametrize(
    "arguments", [("addin",), ("adding", "--only", "mutant"), ("--course", "nowhere")]
)
def test_a_wrong_request_is_refused(author: Author, arguments: tuple[str, ...]) -> None:
    """An unknown step, lab or proof ends with exit code 2 and a suggestion."""
    done = author.types("author", "check", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_what_was_proven_is_not_proven_again(author: Author, monkeypatch: Any) -> None:
    """A proof is taken from the cache until something that it rests on changes."""
    monkeypatch.setenv("XDG_CACHE_HOME", author.environment["XDG_CACHE_HOME"])

    def cached() -> dict[str, bool]:
        verdict = author.verdict("", "starter", "accepted", cache=True)
        assert verdict.sound
        return {f"{p.subject} {p.proof}": p.cached for p in verdict.proofs if p.subject}

    assert set(cached().values()) == {False}
    assert set(cached().values()) == {True}
    author.adds("labs/shouting/checks.py", "\n# A remark.\n")
    assert cached() == {
        "adding starter": True,
        "adding accepted": True,
        "shouting starter": False,
        "shouting accepted": False,
    }
    author.adds("labs/adding/lab.py", "\n# A remark.\n")
    assert set(cached().values()) == {False}, "shouting stands on adding"


def test_what_is_to_be_mended_is_not_cached(author: Author, monkeypatch: Any) -> None:
    """A proof that found something is run again, so that a mended file is looked at."""
    monkeypatch.setenv("XDG_CACHE_HOME", author.environment["XDG_CACHE_HOME"])
    shutil.rmtree(author.course / "labs/adding/accepted")
    for _ in range(2):
        assert len(author.finds("adding", "accepted", cache=True)) == 1


def test_quick_leaves_out_what_takes_long(author: Author) -> None:
    """With --quick there are no mutants and no experiments."""
    *events, _ = check(CheckRequest(author.course, ("adding",), quick=True, cache=False))
    proofs = {event.proved.proof for event in events if isinstance(event, Done)}
    assert {"starter", "solution", "misconceptions"} <= proofs
    assert not {"mutants", "experiment"} & proofs


def test_a_step_brings_its_lab_and_a_lab_its_step(author: Author) -> None:
    """Either name means both; another's are left alone."""
    verdict = author.verdict("shouting", "lesson", "description")
    assert {(each.proof, each.subject) for each in verdict.proofs} == {
        ("files", ""),
        ("lesson", "shouting"),
        ("description", "shouting"),
    }


def test_on_a_terminal_bars_tell_what_goes_on(author: Author) -> None:
    """On a terminal, proofs that go on have bars, and only what is found stays in sight."""
    author.replaces("labs/adding/accepted/folded.py", "numbers, 0)", "numbers, 1)")
    child = pexpect.spawn(
        LLMPATH[0],
        [
            *(*LLMPATH[1:], "--course", str(author.course), "author", "check", "adding"),
            *("--only", "accepted", "--only", "answers"),
        ],
        env={**author.environment, "TERM": "xterm"},
        encoding="utf-8",
        timeout=120,
        dimensions=(30, 100),
    )
    child.expect("adding: worthless answers fail")
    child.expect(r"\d+ of \d+")
    child.expect("adding: other right answers pass, 1 to mend")
    child.expect("One thing is to be mended")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert "✓ adding" not in child.before


def test_ctrl_c_ends_it_with_all_its_processes(author: Author) -> None:
    """Ctrl-C in the midst of gradings ends the command at once, and leaves nothing behind."""
    process = subprocess.Popen(
        [*LLMPATH, "--course", str(author.course), "author", "check", "--no-cache"],
        env=author.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "starter fails" in line.decode():
            break
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told.decode()
    assert "Stopped." in told.decode()
    assert "Traceback" not in told.decode()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


# 1. Files


def test_a_broken_file_is_named_with_its_place_and_mend(author: Author) -> None:
    """All that keeps a course from being loaded is found at once, each with line and column."""
    author.replaces("curriculum/alpha/adding.yaml", "topics: [sums]", "topics: [sumz]")
    author.replaces("labs/adding/lab.yaml", "points: 3", "points: three")
    author.replaces("labs/shouting/lab.yaml", '"text.upper()"', '"text.lower()"')
    found = author.finds("")
    assert places(found) == [
        "curriculum/alpha/adding.yaml:8:10",
        "labs/adding/lab.yaml:8:13",
        "labs/shouting/lab.yaml:18:14",
    ]
    assert "Did you mean `sums`?" in found[0].mend


# 2. Answers that are worth nothing


def test_a_check_that_passes_the_starter_is_found(author: Author) -> None:
    """A check that asks nothing of the learner is found with the line of its function."""
    author.replaces(
        "labs/adding/checks.py",
        "def test_sums_up(lab, seed):\n",
        "def test_sums_up(lab, seed):\n    return\n",
    )
    (found,) = author.finds("adding", "starter")
    assert found.place == "labs/adding/checks.py:11"
    assert "passes the untouched starter" in found.message
    found = author.finds("adding", "answers")
    assert set(places(found)) == {"labs/adding/checks.py:11", "labs/adding/lab.py:6"}
    assert any("No check misses `total`" in each.message for each in found)


def test_a_check_that_breaks_on_a_trivial_answer_is_found(author: Author) -> None:
    """A check that works with what came, before it knows what that is, breaks on None."""
    author.replaces(
        "labs/adding/checks.py",
        'same(lab.total([2, 3, 5]), 10, because="2 + 3 + 5 is 10")',
        'assert lab.total([2, 3, 5]) - 10 == 0, "2 + 3 + 5 is 10"',
    )
    found = author.finds("adding", "answers")
    assert places(found) == ["labs/adding/checks.py:11"]
    assert "breaks, instead of failing, on" in found[0].message
    assert "functions that return None" in found[0].message
    assert "TypeError" in found[0].excerpt


def test_a_check_without_a_sentence_is_found(author: Author) -> None:
    """A check that only shows its expression, or nothing, is told to say why it fails."""
    author.replaces(
        "labs/adding/checks.py",
        'same(lab.total([2, 3, 5]), 10, because="2 + 3 + 5 is 10")',
        "assert lab.total([2, 3, 5]) == 10",
    )
    author.replaces(
        "labs/adding/checks.py",
        'same(lab.running_totals([]), [], because="without numbers there are no totals")',
        "if lab.running_totals([1, 2]) != [1, 3]:\n        raise AssertionError",
    )
    author.replaces(
        "labs/adding/checks.py",
        "    same(lab.running_totals(numbers), wanted, "
        'because="each is the sum of all numbers up to there")\n',
        "",
    )
    author.replaces("labs/adding/lab.yaml", "    needs: [sums-up]\n", "")
    found = author.finds("adding", "answers")
    assert [(each.line, each.message.partition("functions")[0]) for each in found] == [
        (11, "The check `sums-up` answers "),
        (18, "The check `runs-along` fails "),
    ]
    assert "without a word" in found[1].message


def test_a_check_that_passes_a_constant_is_found(author: Author) -> None:
    """A check that only looks at the empty list passes functions that return 0."""
    author.replaces(
        "labs/adding/checks.py",
        '    same(lab.total([2, 3, 5]), 10, because="2 + 3 + 5 is 10")\n',
        "",
    )
    author.replaces("labs/adding/checks.py", "same(lab.total(numbers),", "same(sum(numbers),")
    (found,) = author.finds("adding", "answers")
    assert found.place == "labs/adding/checks.py:11"
    assert "passes functions that return 0" in found.message


CLASS_LAB = '''
"""A counter."""


class Counter:
    """Counts up."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.value = 0

    def add(self, amount: int) -> int:
        """Add an amount; what is counted then."""
        ### BEGIN SOLUTION add it
        self.value += amount
        return self.value
        ### END SOLUTION
'''


def test_methods_of_classes_get_trivial_bodies_too(author: Author) -> None:
    """In a lab that is a class, its methods return None, an argument, or a constant in turn."""
    lab = author.course / "labs/adding"
    (lab / "lab.py").write_text(textwrap.dedent(CLASS_LAB).lstrip(), encoding="utf-8")
    (lab / "checks.py").write_text(
        "from llmpath.labkit.checks import same\n\n\n"
        "def test_sums_up(lab):\n"
        '    same(lab.Counter().add(3), 3, because="3 were added")\n\n\n'
        "def test_runs_along(lab):\n"
        "    counter = lab.Counter()\n"
        "    counter.add(3)\n"
        '    same(counter.add(4), 7, because="3 and 4 are 7")\n',
        encoding="utf-8",
    )
    author.replaces("labs/adding/lab.yaml", '"result = 0"', '"self.value = 0"')
    author.replaces("labs/adding/lab.yaml", '"so_far, totals = 0, []"', '"+= amount"')
    (found,) = author.finds("adding", "answers")
    assert found.place == "labs/adding/checks.py:4"
    assert "passes functions that return their first argument" in found.message


# 3. The solution


def test_a_check_that_leans_on_another_is_found(author: Author) -> None:
    """A check that passes only after another one has run fails alone."""
    author.replaces(
        "labs/adding/checks.py",
        "def test_sums_up(lab, seed):\n",
        "READY = []\n\n\ndef test_sums_up(lab, seed):\n    READY.append(1)\n",
    )
    author.replaces(
        "labs/adding/checks.py",
        "def test_runs_along(lab, seed):\n",
        "def test_runs_along(lab, seed):\n    assert READY, 'nothing is ready'\n",
    )
    (found,) = author.finds("adding", "solution")
    assert found.place == "labs/adding/checks.py:22"
    assert "does not pass the check `runs-along`" in found.message
    assert "nothing is ready" in found.excerpt


def test_a_check_that_fails_on_some_seeds_is_found(author: Author) -> None:
    """A check that a right answer passes only by luck is found, and the seed is told."""
    author.replaces(
        "labs/adding/checks.py",
        "def test_sums_up(lab, seed):\n",
        "def test_sums_up(lab, seed):\n    assert seed % 3, 'no luck'\n",
    )
    found = author.finds("adding", "solution")
    assert found[0].place == "labs/adding/checks.py:11"
    assert "with the seed" in found[0].message


def test_a_report_that_differs_for_one_seed_is_found(author: Author) -> None:
    """A check that draws from elsewhere than its seed says something else each time."""
    author.replaces(
        "labs/adding/checks.py",
        "    same(lab.total([2, 3, 5]), 10, because=",
        "    import os\n"
        "    extra = int.from_bytes(os.urandom(4))\n"
        "    same(lab.total([2, extra]), 2 + extra, because='they add up')\n"
        "    same(lab.total([2, 3, 5]), 10, because=",
    )
    found = author.finds("adding", "misconceptions")
    assert [each.place for each in found] == ["labs/adding/checks.py:11"]
    assert "says something else" in found[0].message


# 4. Misconceptions


def test_a_misconception_that_is_caught_otherwise_is_found(author: Author) -> None:
    """A known wrong answer that fails another check than it names is found at its `fails`."""
    author.replaces("labs/shouting/lab.yaml", '"text.title()"', "'text.upper() + \"\"'")
    (found,) = author.finds("shouting", "misconceptions")
    assert found.place == "labs/shouting/lab.yaml:20:12"
    assert "`first-letters-only` fails nothing, and not capitals" in found.message


def test_a_misconception_that_is_no_python_is_found(author: Author) -> None:
    """An edit that spoils the whole file fails every check, and says nothing of any."""
    author.replaces("labs/adding/lab.yaml", 'with: "result = 1"', 'with: "result = (1"')
    author.replaces("labs/adding/lab.yaml", "    needs: [sums-up]\n", "")
    author.replaces("labs/adding/lab.yaml", "fails: [sums-up]", "fails: [sums-up, runs-along]")
    (found,) = author.finds("adding", "misconceptions")
    assert found.place == "labs/adding/lab.yaml:19:11"
    assert "a file that is not Python" in found.message


def test_lacking_misconceptions_are_found(author: Author) -> None:
    """There are as many as the course asks for, and each check is failed by one."""
    author.replaces("curriculum/path.yaml", "  misconceptions: 2\n", "")
    author.replaces("labs/adding/lab.yaml", 'with: "so_far, totals = 0, [0]"', 'with: "return 1"')
    author.replaces("labs/adding/lab.yaml", "fails: [runs-along]", "fails: [sums-up]")
    author.replaces("labs/adding/lab.yaml", '"so_far, totals = 0, []"', '"result += number"')
    found = author.finds("adding", "misconceptions", quick=True)
    assert "has 2 misconceptions; it needs 5" in found[1].message
    assert found[0].message == "No misconception fails the check `runs-along`."
    assert found[0].place == "labs/adding/lab.yaml:11:9"


# 5. Mutants


def test_a_mutant_that_no_check_notices_is_shown(author: Author) -> None:
    """A survivor is told with its place and with the lines that differ."""
    author.replaces(
        "labs/adding/checks.py", "same(lab.running_totals(numbers), wanted,", "same(wanted, wanted,"
    )
    found = author.finds("adding", "mutants")
    assert {each.path for each in found} == {"labs/adding/lab.py"}
    assert (found[0].line, found[0].column) == (29, 22)
    shown = [each.excerpt for each in found]
    assert "-        totals.append(so_far)\n+        totals.append(None)" in shown
    assert "are killed, 95 % are asked" in found[0].message


def test_an_equivalent_mutant_can_be_listed(author: Author) -> None:
    """A survivor that is listed with a reason is no finding; one that is killed is none to list."""
    author.replaces(
        "labs/adding/lab.py",
        "    result = 0\n    for number in numbers:\n",
        "    result = 0\n    step = 1 * 1\n    for number in numbers[::step]:\n",
    )
    survivors = author.finds("adding", "mutants")
    assert [each.excerpt for each in survivors] != ["-    step = 1 * 1\n+    step = 1 / 1"]
    author.replaces("curriculum/path.yaml", "standards:\n", "standards:\n  mutants_killed: 100\n")
    survivors = author.finds("adding", "mutants")
    assert survivors
    edits = [each.excerpt.splitlines() for each in survivors]
    entries = "".join(
        f"  - replace: {json.dumps(old[1:])}\n    with: {json.dumps(new[1:])}\n"
        "    because: The step is still one.\n"
        for old, new in edits
    )
    author.adds("labs/adding/lab.yaml", "equivalents:\n" + entries)
    verdict = author.verdict("adding", "mutants")
    assert verdict.sound
    measures = {each.name: each.value for each in verdict.proofs[-1].measures}
    assert measures["equivalent"] == len(edits)
    assert measures["killed"] == 100
    author.adds(
        "labs/adding/lab.yaml",
        '  - replace: "result = 0"\n    with: "result = 1"\n    because: It is not.\n'
        '  - replace: "result = 0"\n    with: "result = 7 - 7"\n    because: No mutant is so.\n',
    )
    told = author.finds("adding", "mutants")
    assert "fails this edit, so it is not equivalent" in told[0].message
    assert told[1].message == "No mutant is like this edit."


def test_mutants_of_a_solution_that_fails_prove_nothing(author: Author) -> None:
    """Where the solution itself is not passed, no mutant counts as killed."""
    author.replaces("labs/adding/checks.py", '10, because="2 + 3', '11, because="2 + 3')
    (found,) = author.finds("adding", "mutants")
    assert "The solution itself does not pass" in found.message


SOLUTION = '''
def steps(values: list[int] = [], *, most: int = 3) -> int:
    """A docstring with 1 + 1 in it."""
    given = 2 + 2
    ### BEGIN SOLUTION
    if len(values) > most:
        raise ValueError(f"there are {len(values) + 1} values, and {2 * most} are too many")
    count: int = 0
    while count < most:
        count += 1
    return count
    ### END SOLUTION
'''


def test_mutants_are_changes_of_what_the_learner_writes() -> None:
    """Annotations, docstrings, given code and the words of exceptions are left alone."""
    found = mutants(SOLUTION)
    lines = {mutant.line for mutant in found}
    assert lines == {6, 8, 9, 10}
    changed = "\n".join(mutant.difference for mutant in found)
    assert "count <= most" in changed
    assert "len(values) >= most" in changed
    assert "count = 1" in changed
    assert all(mutant.column for mutant in found)
    assert len({mutant.source for mutant in found}) == len(found)


def test_a_sample_of_mutants_stays_the_same() -> None:
    """The sample depends on the changes alone: code above them moves none in or out."""
    found = mutants(SOLUTION)
    moved = mutants("import math\n\n" + SOLUTION)
    chosen = {mutant.difference for mutant in sample(found, 3)}
    assert len(chosen) == 3
    assert {mutant.difference for mutant in sample(moved, 3)} == chosen


# 6. Other right answers


def test_a_right_answer_that_fails_is_found(author: Author) -> None:
    """A file under accepted/ that does not pass is found, with what it fails."""
    author.replaces("labs/adding/accepted/folded.py", "numbers, 0)", "numbers, 1)")
    (found,) = author.finds("adding", "accepted")
    assert found.path == "labs/adding/accepted/folded.py"
    assert "fails sums-up" in found.message


def test_a_lab_without_another_answer_is_found(author: Author) -> None:
    """There is at least one right answer besides the solution, and it is not the same code."""
    folder = author.course / "labs/adding/accepted"
    shutil.rmtree(folder)
    (found,) = author.finds("adding", "accepted")
    assert found.place == "labs/adding/accepted"
    folder.mkdir()
    shutil.copy(author.course / "labs/adding/lab.py", folder / "again.py")
    (found,) = author.finds("adding", "accepted")
    assert found.message == "This is the solution again."


# 7. Cheats


def test_a_check_that_a_cheat_passes_is_found(author: Author) -> None:
    """NaN passes a check that only asks whether the difference is too large."""
    author.replaces(
        "labs/adding/checks.py",
        'same(lab.total([2, 3, 5]), 10, because="2 + 3 + 5 is 10")',
        'got = lab.total([2, 3, 5])\n    assert isinstance(got, int | float), "no number"\n'
        '    assert not abs(got - 10) > 0.1, "2 + 3 + 5 is 10"\n    return',
    )
    (found,) = author.finds("adding", "hostile")
    assert found.place == "labs/adding/checks.py:11"
    assert "NaN" in found.message or "naN" in found.message


# 8. Limits and experiments


def test_a_slow_check_is_found(author: Author) -> None:
    """A check that takes over a third of its limit is found, though it passes."""
    author.replaces(
        "labs/adding/checks.py",
        "def test_sums_up(lab, seed):\n",
        "def test_sums_up(lab, seed):\n    __import__('time').sleep(1.8)\n",
    )
    (found,) = author.finds("adding", "limits")
    assert found.place == "labs/adding/lab.yaml:6:9"
    assert "over a third of the 5 s" in found.message


def test_a_check_cannot_have_more_time_than_its_lab(author: Author) -> None:
    """A check's limit that the lab's would cut short is found, and so is the usual one."""
    author.replaces("labs/adding/lab.yaml", "    points: 2\n", "    points: 2\n    seconds: 21\n")
    author.replaces("labs/adding/lab.yaml", "check_seconds: 5", "check_seconds: 30")
    found = author.finds("adding", "limits", quick=True)
    assert [(each.place, each.message) for each in found] == [
        ("labs/adding/lab.yaml:4:38", "One check may take 30 s, but all of them together 20 s."),
        ("labs/adding/lab.yaml:14:14", "One check may take 21 s, but all of them together 20 s."),
    ]


def test_a_slow_machine_is_given_time(author: Author) -> None:
    """With slack, limits of time are as many times longer; nothing else is forgiven."""
    author.replaces(
        "labs/adding/checks.py",
        "def test_sums_up(lab, seed):\n",
        "def test_sums_up(lab, seed):\n    __import__('time').sleep(1.8)\n",
    )
    author.replaces(
        "curriculum/path.yaml", "standards:\n", "standards:\n  experiment_seconds: 0.001\n"
    )
    assert len(author.finds("adding", "limits", "experiment")) == 2
    assert author.verdict("adding", "limits", "experiment", slack=1e4).sound


def test_a_part_of_the_mutants_can_be_graded(author: Author) -> None:
    """How many mutants are graded is the caller's to say."""
    for most, graded in (
        (3, 3),
        (0, len(mutants((author.course / "labs/adding/lab.py").read_text()))),
    ):
        (proved,) = (
            each
            for each in author.verdict("adding", "mutants", most_mutants=most).proofs
            if each.proof == "mutants"
        )
        assert {m.name: m.value for m in proved.measures}["graded"] == graded


EXPERIMENTS = {
    "    raise OSError('broken')\n": (4, "The experiment fails: OSError: broken"),
    "    run.text('a', 'b')\n": (0, "The experiment ends without a result."),
    "    import os\n    run.result(f'{os.urandom(8).hex()}')\n": (0, "same seed differ: result"),
    "    run.save('x', lambda path: path.write_bytes(__import__('os').urandom(8)))\n"
    "    run.result('Done.')\n": (0, "write a different x"),
    "    run.text('time', 'b')\n    total = sum(i * i for i in range(9_000_000))\n"
    "    run.result(f'{total}')\n": (0, "and may take 0.3 s"),
}


@pytest.mark.parametrize("body", EXPERIMENTS)
def test_a_broken_experiment_is_found(author: Author, body: str) -> None:
    """An experiment that fails, tells nothing, differs or takes too long is found."""
    line, message = EXPERIMENTS[body]
    if "may take" in message:
        author.replaces(
            "curriculum/path.yaml", "standards:\n", "standards:\n  experiment_seconds: 0.3\n"
        )
    (author.course / "labs/adding/experiment.py").write_text(
        f'"""Broken."""\n\ndef experiment(lab, run):\n{body}', encoding="utf-8"
    )
    (found,) = author.finds("adding", "experiment")
    assert (found.path, found.line) == ("labs/adding/experiment.py", line)
    assert message in found.message


@pytest.mark.parametrize("before", ["", "    run.result('Done.')\n"])
def test_an_experiment_without_an_end_is_found(author: Author, before: str) -> None:
    """An experiment that goes on for ever is stopped and found, also behind its result."""
    author.replaces(
        "curriculum/path.yaml", "standards:\n", "standards:\n  experiment_seconds: 0.3\n"
    )
    (author.course / "labs/adding/experiment.py").write_text(
        f'"""Endless."""\n\ndef experiment(lab, run):\n{before}    while True:\n        pass\n',
        encoding="utf-8",
    )
    (found,) = author.finds("adding", "experiment", jobs=2)
    assert "The experiment does not end" in found.message


@pytest.mark.parametrize("body", ["raise OSError('broken')", "while True:\n        pass"])
def test_what_cannot_be_made_is_found_where_it_is_needed(author: Author, body: str) -> None:
    """A broken experiment is found, and so is every lab that needs what it would have made."""
    author.replaces(
        "curriculum/path.yaml", "standards:\n", "standards:\n  experiment_seconds: 0.3\n"
    )
    author.adds("labs/adding/lab.yaml", "makes: [sum]\n")
    author.adds("labs/shouting/lab.yaml", "needs: [sum]\n")
    (author.course / "labs/adding/experiment.py").write_text(
        f'"""Broken."""\n\ndef experiment(lab, run):\n    {body}\n', encoding="utf-8"
    )
    found = author.finds("", "experiment", jobs=4)
    assert {each.path for each in found} == {
        "labs/adding/experiment.py",
        "labs/shouting/lab.yaml",
    }
    assert "sum" in next(each.message for each in found if each.subject == "shouting")


def test_ctrl_c_ends_a_silent_experiment(author: Author) -> None:
    """Ctrl-C ends the command while an experiment goes on that tells nothing."""
    marker = author.course / "running"
    (author.course / "labs/adding/experiment.py").write_text(
        f'"""Silent."""\n\ndef experiment(lab, run):\n'
        f"    open({str(marker)!r}, 'w').close()\n    while True:\n        pass\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [*LLMPATH, "--course", str(author.course), "author", "check", "--only", "experiment"],
        env=author.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.1)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive


def test_times_need_not_be_the_same(author: Author) -> None:
    """What is named `seconds` is a time, and is not compared between two runs."""
    (author.course / "labs/adding/experiment.py").write_text(
        "import time\n\n\ndef experiment(lab, run):\n"
        "    run.log(1, total=lab.total([1]), seconds=time.perf_counter())\n"
        "    run.table('Speed', ['n', 'seconds'], [[1, time.perf_counter()]])\n"
        "    run.result(f'It took {time.perf_counter()} s.', seconds=time.perf_counter())\n",
        encoding="utf-8",
    )
    assert author.verdict("adding", "experiment").sound


# 9. Nothing is given away

SECRET = 'return text.upper() + "!" * adding.total(wishes)'


def test_the_solution_in_a_hint_or_the_lesson_is_found(author: Author) -> None:
    """A line of the solution is found wherever a learner could read it, however it is spaced."""
    author.adds("curriculum/beta/shouting.md", f"\nLike this: `{SECRET.replace(' ', '  ')}`.\n")
    author.replaces("labs/shouting/lab.yaml", "Strings have a method for that.", f"'`{SECRET}`'")
    found = author.finds("shouting", "secrecy")
    assert [each.place for each in found if "solution stands" in each.message] == [
        "curriculum/beta/shouting.md:6",
        "labs/shouting/lab.yaml:10:11",
    ]


def test_a_hint_that_is_the_answer_is_found(author: Author) -> None:
    """Code of a hint that earns a point when it is pasted is found, also in other words."""
    author.replaces(
        "labs/shouting/lab.yaml",
        "Your own total gives the number of marks.",
        '\'Write `"".join([text.upper(), adding.total(wishes) * "!"])`.\'',
    )
    (found,) = author.finds("shouting", "secrecy")
    assert found.place == "labs/shouting/lab.yaml:29:5"
    assert "passes capitals, marks when it is pasted" in found.message


def test_a_report_that_tells_the_solution_is_found(author: Author) -> None:
    """A check whose message is a line of the solution is found, however it was put together."""
    author.replaces(
        "labs/shouting/checks.py",
        'because="every letter becomes a capital"',
        f"because={SECRET[::-1]!r}[::-1]",
    )
    (found,) = author.finds("shouting", "secrecy")
    assert found.place == "labs/shouting/checks.py:11"
    assert "tells line 18 of the solution" in found.message


def test_the_solution_is_found_in_all_that_is_told_of_a_lab(author: Author) -> None:
    """Goals, quiz, titles, explanations and sentences of checks hold no line of the solution."""
    author.replaces("curriculum/beta/shouting.yaml", "[Use your own earlier code]", f"['{SECRET}']")
    author.replaces("curriculum/beta/shouting.yaml", "[the length of the text,", f"['{SECRET}',")
    author.replaces("labs/shouting/lab.yaml", "The text in capital letters", f"'{SECRET}'")
    author.replaces("labs/shouting/lab.yaml", "The entries are counted, not", f"|\n      {SECRET}")
    author.replaces("labs/shouting/checks.py", '"nobody wished', f"f'{SECRET}' \"nobody wished")
    assert places(author.finds("shouting", "secrecy")) == [
        "curriculum/beta/shouting.yaml:5:9",
        "curriculum/beta/shouting.yaml:11:15",
        "labs/shouting/checks.py:22",
        "labs/shouting/lab.yaml:8:12",
        "labs/shouting/lab.yaml:26:14",
    ]


def test_the_solution_in_given_code_is_found_elsewhere(author: Author) -> None:
    """A learner's file of another lab must not hold a line of this one's solution."""
    author.adds("labs/adding/lab.py", f"\n\ndef shout(text, wishes, adding):\n    {SECRET}\n")
    found = author.finds("shouting", "secrecy")
    assert any("stands in a learner's alpha/adding.py" in each.message for each in found)


# 10. Texts

LESSONS = {
    "# A title\n": "this heading would be a second",
    "#### Too deep\n": "2 levels below",
    "## Louder\n": "stands on line 1 too",
    "```python\nprint(\n```\n": "This block is not python",
    "```python\n>>> 1 +\n```\n": "This block is not python",
    "```json\n{'a': 1}\n```\n": "This block is not json",
    "```toml\na = \n```\n": "This block is not toml",
    "```\nplain\n```\n": "does not say its language",
    "```pyhton\nx\n```\n": "No language is called `pyhton`",
    "The sum $\\frac{1}{2$ is half.\n": "cannot be read",
    "$$\\nonsense{x}$$\n": "\\nonsense",
    "![A cat](cat.png)\n": "There is no picture cat.png",
    "![](https://example.org/cat.png)\n": "learners may have no network",
    "See [the end](#the-end).\n": "No heading of this lesson is called `#the-end`",
    "See [adding](../alpha/addin.md).\n": "is no lesson of the course",
    "See [adding](../alpha/adding.md#nothing).\n": "No heading of ../alpha/adding.md",
    "See [adding][there].\n": "defined nowhere",
    "Type `llmpath show addin`.\n": "no step or lab called `addin`",
    "```console\n$ llmpath show adding\n$ llmpath grade addin\n```\n": "lab called `addin`",
    "```yaml\na: [1\n```\n": "This block is not yaml",
    'See <img src="cat.png"> here.\n': "is HTML",
    "<div>\nThere\n</div>\n": "is HTML",
    "A spread of $\\sigma, and no end.\n": "`\\sigma` stands outside of a formula",
}


@pytest.mark.parametrize("text", LESSONS)
def test_what_is_wrong_in_a_lesson_is_found(author: Author, text: str) -> None:
    """Headings, code, formulas, pictures, links and commands of lessons are looked at."""
    author.adds("curriculum/beta/shouting.md", f"\n{text}")
    found = author.finds("shouting", "lesson")
    assert [each for each in found if LESSONS[text] in each.message], found
    assert all(each.line >= 6 for each in found)


def test_a_sound_lesson_may_link_and_show(author: Author) -> None:
    """Links to lessons and headings, and commands with real names, are no findings."""
    author.adds(
        "curriculum/beta/shouting.md",
        "\nSee [why](../alpha/adding.md#why-add-things-up), [above](#louder), "
        "<https://example.org> and `llmpath grade shouting`.\n\n"
        "```python\n>>> 1 + 1\n2\n```\n\n```text\nanything (at all\n```\n\n"
        "```yaml\nbase: &base {on: yes}\nmore: !tag [*base]\n---\nsecond: 1\n```\n\n"
        "It costs $5, or $\\frac{1}{2}$ of that, \\*really\\*; see `\\sigma`.\n\n"
        "<!-- For authors alone. -->\n",
    )
    assert author.finds("shouting", "lesson") == ()


def test_the_title_of_a_step_is_looked_at(author: Author) -> None:
    """A step's title has no full stop, fits on a line, and is its own."""
    author.replaces("curriculum/beta/shouting.yaml", "title: Shouting", "title: Shouting.")
    (found,) = author.finds("shouting", "lesson")
    assert (found.place, found.message) == (
        "curriculum/beta/shouting.yaml:2:8",
        "The title ends with `.`.",
    )
    author.replaces("curriculum/beta/shouting.yaml", "title: Shouting.", "title: adding UP")
    (found,) = author.finds("shouting", "lesson")
    assert found.message == "The step `adding` has this title too."


def test_a_lesson_of_the_wrong_length_is_found(author: Author) -> None:
    """Lessons are as long as the course asks, and their minutes allow for reading them."""
    author.replaces("curriculum/path.yaml", "  lab_words: {least: 20, most: 1200}\n", "")
    (short,) = author.finds("shouting", "lesson")
    assert short.message == "The lesson has 33 words; 600 to 1200 are asked."
    author.adds("curriculum/beta/shouting.md", "\n## More\n\n" + "Louder still, they said. " * 700)
    found = author.finds("shouting", "lesson")
    assert [each.message for each in found] == [
        "The lesson has 2834 words; 600 to 1200 are asked.",
        "Reading 2834 words takes longer than the 10 minutes given.",
    ]


QUIZZES = {
    ("questions: {least: 0, most: 6}", "questions: {least: 3, most: 6}"): "2 questions; 3 to 6",
    ("questions: {least: 0, most: 6}", "questions: {least: 0, most: 1}"): "2 questions; 0 to 1",
}


@pytest.mark.parametrize("edit", QUIZZES)
def test_a_quiz_of_the_wrong_length_is_found(author: Author, edit: tuple[str, str]) -> None:
    """A quiz has as many questions as the course asks."""
    author.replaces("curriculum/path.yaml", *edit)
    (found,) = author.finds("welcome", "quiz")
    assert QUIZZES[edit] in found.message
    assert found.place == "curriculum/alpha/welcome.yaml:7:1"


def test_a_quiz_that_can_be_guessed_is_found(author: Author) -> None:
    """Four questions whose right choice is always the first are a pattern."""
    question = (
        "  - ask: What is {}?\n    choices: [this, that]\n    answer: 1\n    because: It is.\n"
    )
    path = author.course / "curriculum/alpha/welcome.yaml"
    head = path.read_text(encoding="utf-8").partition("quiz:\n")[0]
    questions = "".join(question.format(each) for each in ("one", "two", "three", "one"))
    path.write_text(f"{head}quiz:\n{questions}", encoding="utf-8")
    found = author.finds("welcome", "quiz")
    assert "number 1 in every question" in found[0].message
    assert "This is question 1 again." in found[1].message


DESCRIPTIONS = {
    ("title: The text in capital letters", "title: The text in capital letters."): "ends with",
    ("title: As many exclamation marks as the total says", "title: The text in capital letters"): (
        "stands on line 8 too"
    ),
    ("  - Your own total gives the number of marks.\n", ""): "has 2 hints; it needs 3",
    (
        "  - Your own total gives the number of marks.\n",
        "  - Shout the text first, then think of the marks.\n",
    ): ("given before"),
    ("after: This used the code of your earlier lab.\n", ""): "once the lab passes",
    ('hint: What is "ab" * 3?', "hint: What is $\\frac{1$?"): "cannot be read",
    ("explain: The entries are counted, not added up.", "explain: Look at $\\nonsense$."): (
        "is not known"
    ),
}


@pytest.mark.parametrize("edit", DESCRIPTIONS)
def test_what_is_wrong_in_a_labs_texts_is_found(author: Author, edit: tuple[str, str]) -> None:
    """Titles, hints and explanations of a lab are looked at."""
    author.replaces("labs/shouting/lab.yaml", *edit)
    (found,) = author.finds("shouting", "description")
    assert DESCRIPTIONS[edit] in found.message


def test_a_check_without_a_hint_is_found(author: Author) -> None:
    """Each check says where to look when it fails."""
    author.replaces("labs/shouting/lab.yaml", "    hint: Strings have a method for that.\n", "")
    (found,) = author.finds("shouting", "description")
    assert found.message == "The check `capitals` has no hint."


# 11. Topics and goals


def test_an_untaught_topic_and_an_untested_goal_are_found(author: Author) -> None:
    """Each topic is taught or planned, and each goal is named by a check or a question."""
    author.adds("curriculum/topics.yaml", "  - {id: silence, title: Silence, stage: beta}\n")
    author.replaces("labs/adding/lab.yaml", "    goals: [1, 2]\n", "")
    author.replaces("curriculum/beta/shouting.yaml", "topics: [emphasis]", "topics: []")
    found = author.finds("", "coverage")
    assert [(each.subject, each.place) for each in found] == [
        ("", "curriculum/topics.yaml:8:9"),
        ("", "curriculum/topics.yaml:11:10"),
        ("adding", "curriculum/alpha/adding.yaml:7:5"),
        ("shouting", "curriculum/beta/shouting.yaml:1:1"),
    ]


def test_a_missing_library_is_told_before_anything_is_proven(
    author: Author, monkeypatch: Any
) -> None:
    """Without mutmut, the command says how to get it, and that --quick does without."""
    monkeypatch.setitem(__import__("sys").modules, "mutmut.mutation.mutators", None)
    with pytest.raises(LlmpathError) as refused:
        author.finds("adding", "mutants")
    assert "llmpath[author]" in refused.value.hint

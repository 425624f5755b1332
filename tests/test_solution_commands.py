"""`lab diff` and `lab solution`: the reference opens when it can spoil nothing, and says so."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess

import pytest
from conftest import SMALL_COURSE, Learner
from test_solution_markers import LAB

from llmpath.course.problems import CourseError
from llmpath.course.solution import regions, solved, starter
from llmpath.ui import solution as view
from llmpath.ui.theme import make_console

REFERENCE = solved((SMALL_COURSE / "labs" / "adding" / "lab.py").read_text(encoding="utf-8"))


def looks(learner: Learner) -> int:
    """How often the log says that a solution was looked at."""
    with sqlite3.connect(learner.root / ".llmpath" / "progress.db") as log:
        rows = log.execute("select kind from events").fetchall()
    log.close()
    return sum(kind == "give-up" for (kind,) in rows)


def passes_otherwise(learner: Learner) -> None:
    """Pass the lab with code that is not the reference."""
    file = learner.solves("adding", "alpha")
    source = REFERENCE.replace("result += number", "result = result + number")
    file.write_text(source, encoding="utf-8")
    assert learner.types("grade", "adding").returncode == 0


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_solved_is_the_lab_file_without_its_markers(ending: str) -> None:
    """All but the marker lines stays, to the byte; the result runs and has no region left."""
    source = LAB.replace("\n", ending)
    text = solved(source)
    kept = [line for line in LAB.split("\n") if "### " not in line]
    assert text == ending.join(kept)
    namespace: dict = {}
    exec(compile(text, "lab.py", "exec"), namespace)
    assert namespace["Counter"]().up(2) == 2
    with pytest.raises(CourseError):
        regions(text)


def test_solved_refuses_what_has_no_regions() -> None:
    """A file with markers that do not match is the course's mistake, and is named."""
    with pytest.raises(CourseError, match="never ends"):
        solved(LAB.replace("    ### END SOLUTION\n", "", 3))


@pytest.mark.parametrize("command", [["diff"], ["solution"], ["solution", "--yes"]])
def test_the_reference_is_closed_before_passing(learner: Learner, command: list[str]) -> None:
    """Before the lab passed, nothing of the reference is shown, and the ways to it are named."""
    done = learner.types("lab", command[0], "adding", *command[1:])
    assert done.returncode == 2
    assert done.stdout == ""
    assert "opens once the lab has passed" in done.stderr
    assert "llmpath hint adding" in done.stderr
    assert "--give-up" in done.stderr
    assert looks(learner) == 0


def test_the_reference_is_open_after_passing(learner: Learner) -> None:
    """Then `solution` prints the plain reference, for a file or a pipe, and records nothing."""
    learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    done = learner.types("lab", "solution", "adding")
    assert (done.returncode, done.stdout) == (0, REFERENCE)
    assert learner.types("lab", "solution", "adding", "--give-up").stdout == REFERENCE
    assert looks(learner) == 0


def test_giving_up_asks_and_records(learner: Learner) -> None:
    """--give-up asks on standard error; no leaves all as it was, yes shows and is remembered."""
    refused = learner.types("lab", "solution", "adding", "--give-up", stdin="n\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "recorded" in refused.stderr
    assert looks(learner) == 0
    shown = learner.types("lab", "solution", "adding", "--give-up", stdin="y\n")
    assert (shown.returncode, shown.stdout) == (0, REFERENCE)
    assert looks(learner) == 1
    assert learner.types("lab", "solution", "adding").stdout == REFERENCE
    assert learner.types("lab", "diff", "adding").returncode == 0
    learner.types("lab", "solution", "adding", "--give-up", "--yes")
    assert looks(learner) == 1


def test_no_answer_is_not_a_yes(learner: Learner) -> None:
    """Where nobody can answer, nothing is shown or recorded; --yes answers for a script."""
    done = learner.types("lab", "solution", "adding", "--give-up", stdin="")
    assert (done.returncode, done.stdout) == (1, "")
    assert looks(learner) == 0
    assert learner.types("lab", "solution", "adding", "--give-up", "--yes").stdout == REFERENCE
    assert looks(learner) == 1


def test_looking_can_be_taken_back(learner: Learner) -> None:
    """`progress undo` closes the reference again."""
    learner.types("lab", "solution", "adding", "--give-up", "--yes")
    assert learner.types("progress", "undo").returncode == 0
    assert learner.types("lab", "diff", "adding").returncode == 2


def test_diff_leads_from_the_learners_file_to_the_reference(learner: Learner) -> None:
    """What is printed to a pipe is a unified diff: `patch` makes the reference of the file."""
    passes_otherwise(learner)
    done = learner.types("lab", "diff", "adding")
    assert done.returncode == 0
    assert done.stdout.startswith("--- yours/alpha/adding.py\n+++ reference/alpha/adding.py\n@@")
    changed = [line for line in done.stdout.splitlines()[2:] if line[0] in "+-"]
    assert changed == ["-        result = result + number", "+        result += number"]
    subprocess.run(
        ["patch", "-p1", "alpha/adding.py"],
        cwd=learner.root, input=done.stdout, text=True, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert (learner.root / "alpha" / "adding.py").read_text(encoding="utf-8") == REFERENCE


def test_diff_is_about_code_not_line_endings(learner: Learner) -> None:
    """A file that differs in line endings, a byte-order mark and blanks at line ends is equal."""
    file = learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    text = REFERENCE.replace("return result\n", "return result   \n").replace("\n", "\r\n")
    file.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    assert learner.types("lab", "diff", "adding").stdout.startswith("Your file is the reference")


def test_diff_survives_any_file(learner: Learner) -> None:
    """Bytes that are not text are shown as a difference; a file that is gone is named."""
    passes_otherwise(learner)
    file = learner.root / "alpha" / "adding.py"
    file.write_bytes(b"\xff\x00" + file.read_bytes())
    done = learner.types("lab", "diff", "adding")
    assert done.returncode == 0
    assert "�" in done.stdout
    file.unlink()
    done = learner.types("lab", "diff", "adding")
    assert done.returncode == 2
    assert "llmpath lab reset adding" in done.stderr


def test_a_terminal_gets_colours_and_no_control_characters() -> None:
    """On a terminal signs and colours tell the sides apart, and a file cannot steer the screen."""
    mine = REFERENCE.replace("result += number", "result = 0  # \x1b[2J\x07 mine")
    output = io.StringIO()
    console = make_console(file=output, width=60, force_terminal=True)
    console.print(view.diff(view.unified(mine, REFERENCE, "adding.py")), soft_wrap=True)
    shown = output.getvalue()
    assert "- yours" in shown
    assert "+ the reference" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown


def test_the_coloured_solution_is_still_the_solution() -> None:
    """Colours change no character of the code."""
    console = make_console(file=io.StringIO(), force_terminal=True)
    text = view.code(REFERENCE, console)
    assert text.plain == REFERENCE.rstrip("\n")
    assert text.spans or console.color_system is None


def test_the_starter_and_the_solution_are_never_confused(learner: Learner) -> None:
    """Looking at the solution leaves the learner's file alone."""
    file = learner.root / "alpha" / "adding.py"
    before = file.read_bytes()
    learner.types("lab", "solution", "adding", "--give-up", "--yes")
    assert file.read_bytes() == before
    lab = SMALL_COURSE / "labs" / "adding" / "lab.py"
    assert before.decode() == starter(lab.read_text(encoding="utf-8"))
    assert json.loads(learner.types("status", "--json").stdout)["labs"]["adding"] == "reference"

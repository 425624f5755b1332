"""`llmpath author preview`: what learners will see, and again after each save."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pexpect
import pytest
from conftest import LLMPATH, SMALL_COURSE, Learner, environment


@pytest.fixture
def author(tmp_path: Path) -> Learner:
    """Someone in the folder of a course of their own, a copy of the small one."""
    root = Path(shutil.copytree(SMALL_COURSE, tmp_path / "course"))
    seen = environment(tmp_path / "cache")
    del seen["LLMPATH_COURSE"]
    return Learner(root, seen)


def test_everything_is_printed_once_without_a_terminal(author: Learner) -> None:
    """Lesson, starter, hints, and a report on the starter and on each mistake, in one go."""
    done = author.types("author", "preview", "adding")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    for part in (
        "Adding up whole numbers",
        "raise NotImplementedError",
        "Hint 3 of 3",
        "Write your code in alpha/adding.py",
        "Not written yet: total",
        "The report: the mistake starts-at-one",
        "The sum starts at 1, so every total is 1 too large.",
        "The report: the mistake keeps-the-zero",
    ):
        assert part in said, part
    assert "result += number" not in said, "the solution is not for learners"


def test_it_is_what_a_learner_sees(author: Learner, learner: Learner) -> None:
    """The lesson and the report on the starter are word for word those of next and grade."""
    said = author.types("author", "preview", "adding", "--once").stdout
    learner.types("next", "--skip")
    lesson = learner.types("show", "adding").stdout
    graded = learner.types("grade", "adding").stdout
    for text in (lesson.split("Your turn")[0], graded):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert len(lines) > 5
        assert [line for line in lines if line not in said] == []


def test_a_step_without_a_lab_has_a_quiz(author: Learner) -> None:
    """The questions come with their answers, and parts that are not there are said so."""
    said = author.types("author", "preview", "welcome").stdout
    assert "Question 1 of 2" in said
    assert "each begins with a lesson" in said
    assert said.count("This step has no lab.") == 2


def test_an_unknown_step_and_a_broken_course_are_sentences(author: Learner) -> None:
    """A misspelt step is suggested; what does not load is told with its place."""
    unknown = author.types("author", "preview", "ading")
    assert unknown.returncode == 2
    assert "adding" in unknown.stderr
    (author.root / "curriculum/alpha/adding.md").unlink()
    broken = author.types("author", "preview", "adding")
    assert broken.returncode == 2
    assert "curriculum/alpha/adding.yaml:9:9" in broken.stderr


def test_a_save_is_shown_at_once(author: Learner) -> None:
    """In a terminal the chosen part is drawn anew after a save, mistakes of the author included."""
    lesson = author.root / "curriculum" / "alpha" / "adding.md"
    child = pexpect.spawn(
        LLMPATH[0],
        [*LLMPATH[1:], "author", "preview", "adding"],
        cwd=str(author.root),
        env={**author.environment, "TERM": "xterm"},
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 100),
    )
    child.expect("The lesson")
    child.expect("reports")
    lesson.write_text("# Adding up\n\nA sentence that is new.\n", "utf-8")
    child.expect(re.escape("A sentence that is new."))
    child.send("3")
    child.expect("The starter, alpha/adding.py")
    child.send("5")
    child.expect("The report: the untouched starter")
    child.expect("The report: the mistake keeps-the-zero")
    labs = author.root / "labs" / "adding" / "lab.yaml"
    text = labs.read_text("utf-8")
    labs.write_text(text.replace("points: 3", "points: many"), "utf-8")
    child.expect(re.escape("labs/adding/lab.yaml:8:13"))
    labs.write_text(text.replace("points: 3", "points: 4"), "utf-8")
    child.expect("0 of 6 points")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0

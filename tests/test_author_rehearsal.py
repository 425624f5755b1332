"""An upgrade rehearsed before a course is released: what learners would lose is found."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, change

from llmpath.authoring.rehearsal import lost_lines, problems, rehearse
from llmpath.course.loader import read
from llmpath.workspace import FileUpgrade, Outcome, Upgrade

ROOT = Path(__file__).parent.parent
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A course that can be changed."""
    return Path(shutil.copytree(SMALL_COURSE, tmp_path / "course"))


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    seen = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *who, *arguments], cwd=folder, env=seen, check=True, capture_output=True)


def found(course: Path, scratch: Path) -> list[str]:
    return [str(problem) for problem in problems(read(course), scratch)]


@pytest.mark.parametrize("course", [SMALL_COURSE, ROOT], ids=["small", "bundled"])
def test_a_sound_course_takes_everyone_along(course: Path, tmp_path: Path) -> None:
    """With older signatures and without its last step, nobody loses a line or a point."""
    assert found(course, tmp_path) == []


@NEEDS_GIT
def test_the_released_version_is_what_git_remembers(folder: Path, tmp_path: Path) -> None:
    """A step that was released and is gone since is found in the history, by its id."""
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "First")
    (folder / "curriculum/beta/shouting.yaml").unlink()
    shutil.rmtree(folder / "labs" / "shouting")
    change(folder, "curriculum/path.yaml", ("[shouting]", "[]"), ('"1.0"', '"1.1"'))
    said = found(folder, tmp_path / "scratch")
    assert any("The step `shouting` of version 1.0 is gone" in problem for problem in said)
    assert any("The lab `shouting` of version 1.0 is gone" in problem for problem in said)
    assert len(said) == 2


def test_a_conflict_loses_no_line(folder: Path, tmp_path: Path) -> None:
    """Lines that both changed are all kept between markers, so that nothing is found."""
    older = read(SMALL_COURSE)
    words = ("BEGIN SOLUTION add them up, one after the other", "BEGIN SOLUTION go along")
    change(folder, "labs/adding/lab.py", words)
    change(folder, "curriculum/path.yaml", ('"1.0"', '"1.1"'))
    assert list(rehearse(older, read(folder), tmp_path / "ws")) == []


def test_a_lost_line_is_found(tmp_path: Path) -> None:
    """A file in which a line of the learner's is missing is named, with that line."""
    file = tmp_path / "adding.py"
    file.write_text("def total(numbers):\n    return sum(numbers)\n", "utf-8")
    done = Upgrade("1.0", "1.1", (FileUpgrade("adding", file, Outcome.MERGED),))
    assert list(lost_lines(done, {"adding": ("    return sum(numbers)",)})) == []
    (problem,) = lost_lines(done, {"adding": ("    return sum(numbers)", "# mine")})
    assert problem.path == "labs/adding/lab.py"
    assert "`# mine`" in problem.message

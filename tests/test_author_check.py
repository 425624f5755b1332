"""`llmpath author check`: a sound course is found sound, and each way of breaking one is found."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import LLMPATH, SMALL_COURSE, environment


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
            timeout=300,
        )

    def finds(self, *arguments: str, code: int = 1) -> list[dict[str, Any]]:
        """What `author check` finds; it must end with this exit code."""
        done = self.types("author", "check", "--json", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return found

    def replaces(self, file: str, old: str, new: str) -> None:
        """Change a text that stands once in a file of the course."""
        path = self.course / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def author(tmp_path: Path) -> Author:
    course = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, course, ignore=shutil.ignore_patterns("__pycache__"))
    return Author(course, environment(tmp_path / "cache"))


def test_a_broken_file_is_named_with_its_place_and_mend(author: Author) -> None:
    """All that keeps a course from being loaded is found at once, each with line and column."""
    author.replaces("curriculum/alpha/adding.yaml", "topics: [sums]", "topics: [sumz]")
    author.replaces("labs/adding/lab.yaml", "points: 3", "points: three")
    found = author.finds()
    assert [(each["path"], each["line"], each["column"]) for each in found] == [
        ("curriculum/alpha/adding.yaml", 8, 10),
        ("labs/adding/lab.yaml", 8, 13),
    ]
    assert "Did you mean `sums`?" in found[0]["mend"]

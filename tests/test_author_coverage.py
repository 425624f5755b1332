"""`llmpath author coverage`: which topics are taught, which goals tested, and what is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner, environment

from llmpath.authoring.coverage import cover
from llmpath.course.loader import read

ROOT = Path(__file__).parent.parent


@pytest.fixture
def author(tmp_path: Path) -> Learner:
    """Someone in the folder of a course of their own, a copy of the small one."""
    root = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, root)
    seen = environment(tmp_path / "cache")
    del seen["LLMPATH_COURSE"]
    return Learner(root, seen)


def forget_goals(root: Path) -> None:
    """Let no goal of the small course be named by what tests it."""
    for name in ("curriculum/alpha/welcome", "curriculum/beta/shouting", "labs/adding/lab"):
        file = root / f"{name}.yaml"
        lines = file.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("    goals: ")]
        file.write_text("".join(kept), "utf-8")


def test_the_map_names_who_teaches_and_what_tests(author: Learner) -> None:
    """Each topic has its steps, and each goal its checks and questions; then the exit code is 0."""
    found = author.types("author", "coverage", "--json")
    assert found.returncode == 0
    data = json.loads(found.stdout)
    assert data["complete"]
    assert {topic["id"]: topic["taught_by"] for topic in data["topics"]} == {
        "orientation": ["welcome"],
        "sums": ["adding"],
        "emphasis": ["shouting"],
    }
    goals = {(g["step"], g["number"]): (g["checks"], g["questions"]) for g in data["goals"]}
    assert goals == {
        ("welcome", 1): ([], [1]),
        ("adding", 1): (["sums-up", "runs-along"], []),
        ("adding", 2): (["runs-along"], []),
        ("shouting", 1): ([], [1]),
    }
    told = author.types("author", "coverage").stdout
    assert "every goal is tested" in told
    assert "question 1" in told


def test_gaps_are_told_and_are_not_a_success(author: Learner) -> None:
    """An untaught topic and an untested goal are named, and the exit code is 1."""
    forget_goals(author.root)
    topics = author.root / "curriculum/topics.yaml"
    topics.write_text(
        topics.read_text("utf-8") + "  - {id: silence, title: Silence, stage: beta}\n", "utf-8"
    )
    found = author.types("author", "coverage")
    assert found.returncode == 1
    assert "taught by no step" in found.stdout
    assert "1 topic is taught by no step." in found.stdout
    assert "4 goals are tested by no check and no question." in found.stdout


def test_a_planned_topic_is_said_to_be_to_come(author: Learner) -> None:
    """A topic of a step to come is no gap; once that step is there, its `planned` is stale."""
    topics = author.root / "curriculum/topics.yaml"
    before = topics.read_text("utf-8")
    line = "  - {id: silence, title: Silence, stage: beta, planned: whispering}\n"
    topics.write_text(before + line, "utf-8")
    found = author.types("author", "coverage")
    assert found.returncode == 0
    assert "planned: whispering" in found.stdout
    assert "1 topic is still to come." in found.stdout
    topics.write_text(before + line.replace("whispering", "shouting"), "utf-8")
    found = author.types("author", "coverage")
    assert found.returncode == 1
    assert "taught by no step" in found.stdout


def test_every_topic_of_the_bundled_syllabus_is_taught_or_planned() -> None:
    """The bundled course's syllabus has no topic that nobody teaches or will."""
    coverage = cover(read(ROOT))
    assert len(coverage.topics) > 200
    assert [each.topic.id for each in coverage.topics if each.missing] == []


def test_the_course_around_the_current_folder_is_meant(author: Learner) -> None:
    """Within a course's folder, author commands speak of that course without being told."""
    inside = Learner(author.root / "labs" / "adding", author.environment)
    assert "Adding up" in inside.types("author", "coverage").stdout

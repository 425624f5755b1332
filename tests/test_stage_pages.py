"""The pages of docs/stages/ tell of every step, and their pictures are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmpath.course.course import Course
from llmpath.course.loader import load

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs/stages"


@pytest.fixture(scope="module")
def course() -> Course:
    return load(ROOT)


def test_every_step_stands_on_its_stages_page(course: Course) -> None:
    """Each stage has a page, with all its steps in their order, and what came out of each lab."""
    for stage in course.stages:
        page = (PAGES / f"{stage.id}.md").read_text(encoding="utf-8")
        assert re.findall(r"^`([\w-]+)`, about", page, re.MULTILINE) == [s.id for s in stage.steps]
        labs = [step for step in stage.steps if step.lab is not None]
        assert page.count("\n> ") == len(labs), f"{stage.id}: a lab without its result"


def test_every_picture_of_the_pages_is_there() -> None:
    """No page shows a picture that is missing, and no picture of a lab is left behind."""
    shown = {
        (page.parent / link).resolve()
        for page in PAGES.glob("*.md")
        for link in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    assert shown
    assert not [picture for picture in shown if not picture.is_file()]
    kept = {picture.resolve() for picture in (ROOT / "docs/pictures").glob("*.png")}
    assert kept == shown

"""`llmpath tour`: every model of the path is made, and says the same things."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import tiny_llama
from conftest import Learner, make_learner

from llmpath.artefacts.route import route
from llmpath.course.loader import load
from llmpath.course.locate import bundled
from llmpath.ui.words import clean, one_line

LINES = ("the wall", "an")


def on_tour(tmp_path: Path, folder: Path) -> Learner:
    """Someone without a workspace, on a small course that makes one model."""
    learner = make_learner(tmp_path, folder)
    path = Path(learner.environment["LLMPATH_COURSE"]) / "curriculum" / "path.yaml"
    path.write_text(path.read_text().replace("stages:", f"tour: {list(LINES)}\nstages:", 1))
    shutil.rmtree(learner.root)
    learner.root.mkdir()
    return learner


def test_a_tour_makes_each_model_and_lets_it_talk(tmp_path: Path, tiny: Path) -> None:
    """Without a workspace, the model is made, named, and goes on with each line as it would."""
    learner = on_tour(tmp_path, tiny)
    done = learner.types("tour")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert "1/1 Adding" in words
    assert "One of them is still to be made" in words
    assert words.count("Made a model.") == 1
    for line in LINES:
        said = one_line(clean(tiny_llama.likeliest(tiny, f"<|endoftext|>{line}", 48)))
        assert f"{line} {said}"[:40] in words
    assert list(learner.root.iterdir()) == []


def test_a_second_tour_makes_nothing(tmp_path: Path, tiny: Path) -> None:
    """What was made is kept, and says the same again."""
    learner = on_tour(tmp_path, tiny)
    first, second = learner.types("tour"), learner.types("tour")
    assert "still to be made" not in second.stdout
    rows = [re.findall(r"tiny +[\d,]+ .*", done.stdout) for done in (first, second)]
    assert rows[0]
    assert rows[0] == rows[1]


def test_a_course_that_makes_nothing_has_no_tour(learner: Learner) -> None:
    """There is a sentence, and nothing is run."""
    done = learner.types("tour")
    assert done.returncode == 2
    assert "makes anything that a tour could show" in done.stderr


def test_the_route_leaves_no_lab_out() -> None:
    """Each lab of the bundled course is a stop, on the way to one, or comes after the last."""
    course = load(bundled())
    stops, rest = route(course)
    walked = [step for stop in stops for step in (*stop.before, stop.step)]
    assert [*walked, *rest] == [step for step in course.steps if step.lab is not None]
    assert all(stop.lab.makes for stop in stops)

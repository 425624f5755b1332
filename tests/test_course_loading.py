"""Loading a course: what a good one gives, what a bad one is told, and the cache in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmpath.course.loader import load, read
from llmpath.course.locate import locate
from llmpath.course.problems import CourseError, Problem
from llmpath.errors import LlmpathError

SMALL = Path(__file__).parent / "course"
CHECKOUT = Path(__file__).parent.parent

PATH = "curriculum/path.yaml"
TOPICS = "curriculum/topics.yaml"
WELCOME = "curriculum/alpha/welcome.yaml"
ADDING = "curriculum/alpha/adding.yaml"
SHOUTING = "curriculum/beta/shouting.yaml"
LESSON = "curriculum/alpha/adding.md"
LAB = "labs/adding/lab.yaml"
LOUD = "labs/shouting/lab.yaml"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A copy of the small course, to be spoiled."""
    return Path(shutil.copytree(SMALL, tmp_path / "course"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LOCALAPPDATA", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home


def spoil(root: Path, name: str, *edit: str | bytes | None) -> None:
    """Delete a file (None), write it (one text), or replace one text in it by another."""
    file = root / name
    if edit == (None,):
        file.unlink()
    elif len(edit) == 1:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = edit[0]
        file.write_bytes(content if isinstance(content, bytes) else str(content).encode())
    else:
        text = file.read_text(encoding="utf-8")
        old, new = map(str, edit)
        assert text.count(old) == 1, f"{old!r} is not one place of {name}"
        file.write_text(text.replace(old, new), encoding="utf-8")


def problems(root: Path) -> tuple[Problem, ...]:
    """What is wrong with a course."""
    with pytest.raises(CourseError) as caught:
        read(root)
    return caught.value.problems


def test_a_course_is_its_stages_steps_and_labs():
    """The small course loads with everything in the order of its path."""
    course = read(SMALL)
    assert course.title == "A small course"
    assert [stage.id for stage in course.stages] == ["alpha", "beta"]
    assert [step.id for step in course.steps] == ["welcome", "adding", "shouting"]
    assert list(course.labs) == ["adding", "shouting"]
    assert [topic.id for topic in course.topics] == ["orientation", "sums", "emphasis"]
    lab = course.lab("adding")
    assert lab.max_points == 5
    assert [check.function for check in lab.checks] == ["test_sums_up", "test_runs_along"]
    assert lab.misconceptions[0].with_ == "result = 1"
    assert course.step_of(lab).id == "adding"
    assert course.lesson_path(course.step("shouting")) == SMALL / "curriculum/beta/shouting.md"
    assert course.lesson_path(course.step("shouting")).is_file()
    assert (course.lab_folder(lab) / "lab.py").is_file()


@pytest.mark.parametrize("kind", ["step", "lab"])
def test_a_name_that_is_nearly_right_is_suggested(kind):
    """Asking for a step or lab by a misspelt id names the one that was meant."""
    with pytest.raises(LlmpathError) as caught:
        getattr(read(SMALL), kind)("ading")
    assert "adding" in caught.value.hint


# What is done to the small course -> where it is told, and a part of what is said.
SPOILED: dict[str, tuple[list[tuple], list[tuple[str, str]]]] = {
    "empty step": ([(ADDING, "")], [(f"{ADDING}:1:1", "empty")]),
    "a list for a mapping": (
        [(ADDING, "- a\n")],
        [(f"{ADDING}:1:1", "is a list. Its keys are id")],
    ),
    "a word for a mapping": ([(ADDING, "a\n")], [(f"{ADDING}:1:1", "is text. Its keys are id")]),
    "a tab": ([(ADDING, "goals:", "\tgoals:")], [(f"{ADDING}:5:1", "tab")]),
    "a repeated key": ([(ADDING, "lab:", "minutes: 3\nlab:")], [(f"{ADDING}:10:1", "on line 3")]),
    "an alias bomb": (
        [(ADDING, "a: &a [x, x]\nb: [*a, *a]\n")],
        [(f"{ADDING}:1:4", "anchor"), (f"{ADDING}:2:5", "alias")],
    ),
    "megabytes of nesting": ([(ADDING, "[" * 5_000_000)], [(ADDING, "larger")]),
    "nesting": ([(ADDING, "[" * 500_000)], [(f"{ADDING}:1:1001", "too deep")]),
    "invalid UTF-8": ([(ADDING, b"id: a\nb: \xff")], [(f"{ADDING}:2:4", "not UTF-8")]),
    "no path": ([(PATH, None)], [(PATH, "does not exist")]),
    "an empty path": ([(PATH, "")], [(f"{PATH}:1:1", "empty")]),
    "no lesson": ([(LESSON, None)], [(f"{ADDING}:9:9", "lesson curriculum/alpha/adding.md")]),
    "an empty lesson": ([(LESSON, " \n")], [(LESSON, "empty")]),
    "a lesson in Latin-1": ([(LESSON, b"abc\n d\xe9")], [(f"{LESSON}:2:3", "not UTF-8")]),
    "a misspelt key": ([(ADDING, "minutes", "minuts")], [(f"{ADDING}:3:1", "mean `minutes`")]),
    "an unknown key": ([(ADDING, "lab:", "fun: 1\nlab:")], [(f"{ADDING}:10:1", "keys here are")]),
    "a missing key": (
        [(ADDING, "minutes: 10\n", "")],
        [(f"{ADDING}:1:1", "`minutes` is missing. Add `minutes:` with a whole number")],
    ),
    "wrong kinds": (
        [
            (ADDING, "minutes: 10", 'minutes: "10"'),
            (ADDING, "Adding up", "5"),
            (ADDING, "requires: [welcome]", "requires: welcome"),
            (ADDING, "topics: [sums]", "topics:"),
        ],
        [
            (f"{ADDING}:2:8", 'Put it in quotes: "5"'),
            (f"{ADDING}:3:10", "a whole number, but is text"),
            (f"{ADDING}:4:11", "a list, but is text"),
            (f"{ADDING}:8:1", "[] for none"),
        ],
    ),
    "wrong values": (
        [
            (ADDING, "minutes: 10", "minutes: 0"),
            (ADDING, "Adding up", '"two\\nlines"'),
            (ADDING, "id: adding", "id: Adding"),
        ],
        [
            (f"{ADDING}:1:5", "lower-case words"),
            (f"{ADDING}:2:8", "one line"),
            (f"{ADDING}:3:10", "is 0, but should be at least 1"),
        ],
    ),
    "a version that is a number": (
        [(PATH, '"1.0"', "1.0")],
        [(f"{PATH}:2:10", 'Put it in quotes: "1.0"')],
    ),
    "a step in two stages": (
        [(PATH, "[shouting]", "[shouting, adding]")],
        [(f"{PATH}:11:23", "second time; the first is in stage alpha, line 7")],
    ),
    "a stage twice": (
        [(PATH, "id: beta", "id: alpha"), (PATH, "[shouting]", "[]"), (TOPICS, None)],
        [(SHOUTING, "No stage"), (f"{PATH}:8:9", "the first is on line 4")],
    ),
    "another id than the file": ([(ADDING, "id: adding", "id: ad")], [(f"{ADDING}:1:5", "adding")]),
    "a step in no stage": ([(PATH, ", adding", "")], [(ADDING, "Add it to the steps of alpha")]),
    "a misspelt step": ([(PATH, "adding", "addin")], [(f"{PATH}:7:22", "mean `adding`")]),
    "a step without a file": ([(PATH, "adding]", "adding, zz]")], [(f"{PATH}:7:30", "zz.yaml")]),
    "a step in another folder": (
        [(PATH, ", adding", ""), (PATH, "[shout", "[adding, shout")],
        [(f"{PATH}:11:13", "Move it to curriculum/beta/adding.yaml")],
    ),
    "a file that ends in .yml": (
        [("curriculum/alpha/x.yml", "")],
        [("curriculum/alpha/x.yml", "")],
    ),
    "an unknown requirement": (
        [(ADDING, "[welcome]", "[welcom]")],
        [(f"{ADDING}:4:12", "no step `welcom`. Did you mean `welcome`?")],
    ),
    "a circle of requirements": (
        [(WELCOME, "minutes: 5", "minutes: 5\nrequires: [shouting]")],
        [(f"{ADDING}:4:12", "adding → welcome → shouting → adding")],
    ),
    "a step that requires itself": (
        [(WELCOME, "minutes: 5", "minutes: 5\nrequires: [welcome]")],
        [(f"{WELCOME}:4:12", "welcome → welcome")],
    ),
    "a requirement that comes later": (
        [(WELCOME, "minutes: 5", "minutes: 5\nrequires: [adding]"), (ADDING, "[welcome]", "[]")],
        [(f"{WELCOME}:4:12", "comes later on the path")],
    ),
    "neither lab nor quiz": (
        [(SHOUTING, "lab: shouting\nquiz:", "quiz: []\nx:")],
        [(f"{SHOUTING}:9:1", "no key `x`")],
    ),
    "nothing to do": (
        [(WELCOME, "id: welcome\ntitle: A\nminutes: 1\ngoals: [b]\nlesson: welcome.md\n")],
        [(f"{WELCOME}:1:1", "neither a lab nor a quiz")],
    ),
    "an answer beyond the choices": (
        [(WELCOME, "answer: 2", "answer: 4")],
        [(f"{WELCOME}:10:13", "there are 3 choices")],
    ),
    "choices that are truth values": (
        [(WELCOME, "[one, two]", "[yes, no]")],
        [(f"{WELCOME}:14:15", '"yes"'), (f"{WELCOME}:14:20", '"no"')],
    ),
    "one choice": ([(WELCOME, "[one, two]", "[one]")], [(f"{WELCOME}:14:14", "at least 2")]),
    "the same choice twice": ([(WELCOME, "one, two", "a, a")], [(f"{WELCOME}:14:18", "second")]),
    "a goal of a question that the step has not": (
        [(SHOUTING, "goals: [1]", "goals: [1, 9]")],
        [(f"{SHOUTING}:14:16", "has no goal 9; it has one goal")],
    ),
    "a goal of a check that the step has not": (
        [(LAB, "goals: [1]", "goals: [7]")],
        [(f"{LAB}:9:13", "step `adding` has no goal 7")],
    ),
    "an unknown topic": ([(ADDING, "[sums]", "[sum]")], [(f"{ADDING}:8:10", "mean `sums`")]),
    "a topic of no stage": (
        [(TOPICS, "stage: beta", "stage: z")],
        [(f"{TOPICS}:10:12", "alpha, b")],
    ),
    "an unknown lab": (
        [(ADDING, "lab: adding", "lab: ading")],
        [(f"{ADDING}:10:6", "mean `adding`")],
    ),
    "a lab of two steps": (
        [(WELCOME, "quiz:", "lab: shouting\nquiz:")],
        [(f"{SHOUTING}:8:6", "already belongs to curriculum/alpha/welcome.yaml")],
    ),
    "a lab of no step": (
        [(SHOUTING, "lab: shouting\n", "")],
        [(LOUD, "No step has the lab `shouting`")],
    ),
    "no lab files": (
        [(f"labs/adding/{name}", None) for name in ("lab.py", "checks.py", "experiment.py")],
        [
            ("labs/adding/checks.py", "does not exist"),
            ("labs/adding/experiment.py", "does not exist"),
            ("labs/adding/lab.py", "does not exist"),
        ],
    ),
    "no lab.yaml": ([(LAB, None)], [(LAB, "does not exist")]),
    "another id than the folder": ([(LAB, "id: adding", "id: a")], [(f"{LAB}:1:5", "`adding`")]),
    "an unknown need": (
        [(LAB, "[sums-up]\n    hint", "[sum-up]\n    hint")],
        [(f"{LAB}:15:13", "sums-up")],
    ),
    "a need below": (
        [
            (LAB, "    points: 3", "    points: 3\n    needs: [runs-along]"),
            (LAB, "    needs: [sums-up]\n", ""),
        ],
        [(f"{LAB}:9:13", "does not come before it")],
    ),
    "a check without a function": (
        [("labs/adding/checks.py", "def test_sums_up", "def test_sum_up")],
        [
            ("labs/adding/checks.py:11", "no check for `test_sum_up`. Declare the check `sum-up`"),
            (f"{LAB}:6:9", "Write `def test_sums_up(lab, …):`"),
        ],
    ),
    "a function twice": (
        [("labs/adding/checks.py", "def test_runs_along", "def test_sums_up")],
        [("labs/adding/checks.py:18", "second time; the first is on line 11"), (f"{LAB}:11:9", "")],
    ),
    "an unknown failing check": (
        [(LAB, "fails: [sums-up]", "fails: [sumsup]")],
        [(f"{LAB}:21:13", "mean `sums-up`")],
    ),
    "a check that would be skipped": (
        [(LAB, "fails: [runs-along]", "fails: [sums-up, runs-along]")],
        [(f"{LAB}:26:22", "`runs-along` is skipped, not failed, when `sums-up` fails")],
    ),
    "an edit of nothing": ([(LAB, '"result = 0"', '"res = 0"')], [(f"{LAB}:19:14", "nowhere")]),
    "an edit of two places": (
        [(LAB, '"result = 0"', '"for number"')],
        [(f"{LAB}:19:14", "2 times")],
    ),
    "an edit without effect": (
        [(LAB, '"result = 1"', '"result = 0"')],
        [(f"{LAB}:20:11", "itself")],
    ),
    "bad points": (
        [(LAB, "points: 3", "points: 0"), (LAB, "points: 2", "points: 1.5")],
        [(f"{LAB}:8:13", "at least 1"), (f"{LAB}:13:13", "decimal point")],
    ),
    "bad limits": (
        [(LAB, "seconds: 20, check_seconds: 5, memory_mb: 1024", "seconds: '20', memory_mb: 1")],
        [(f"{LAB}:4:19", "a number, but is text"), (f"{LAB}:4:36", "at least 64")],
    ),
    "one file for two labs": (
        [
            (WELCOME, "quiz:", "lab: shouting\nquiz:"),
            (SHOUTING, "lab: shouting\n", ""),
            (LOUD, "file: shouting.py\nuses: [adding]", "file: adding.py"),
        ],
        [(f"{LOUD}:3:7", "the file of the lab `adding` of the same stage")],
    ),
    "unknown foundations": (
        [(LOUD, "uses: [adding]", "uses: [ading]\nneeds: [base]")],
        [(f"{LOUD}:4:8", "mean `adding`"), (f"{LOUD}:5:9", "No lab makes the artefact `base`")],
    ),
    "foundations that come later": (
        [
            (LAB, "limits:", "uses: [shouting]\nneeds: [base]\nlimits:"),
            (LOUD, "uses:", "makes: [base]\nuses:"),
        ],
        [(f"{LAB}:4:8", "comes later"), (f"{LAB}:5:9", "comes later")],
    ),
    "a marker that is missing": (
        [("labs/shouting/lab.py", "    ### END SOLUTION\n", "")],
        [("labs/shouting/lab.py:17", "never ends")],
    ),
    "files that are not Python": (
        [
            ("labs/adding/lab.py", "def total(", "def total(("),
            ("labs/adding/checks.py", "def test_sums_up", "deff test_sums_up"),
            ("labs/adding/experiment.py", "def experiment(", "def experimen("),
        ],
        [
            ("labs/adding/checks.py:11", "not Python"),
            ("labs/adding/experiment.py", "no function `experiment`"),
            ("labs/adding/lab.py:6", "not Python"),
        ],
    ),
}


def test_a_mistake_hides_no_other(course):
    """A wrong value or a misspelt key keeps nothing else of its file from being looked at."""
    spoil(course, "curriculum/path.yaml", "title: A small", "titel: A small")
    spoil(course, "curriculum/path.yaml", "steps: [shouting]", "steps: [shouting, ghost]")
    spoil(course, ADDING, "minutes: 10", "minutes: ten")
    spoil(course, ADDING, "topics: [sums]", "topics: sumz")
    spoil(course, LOUD, "points: 2", "points: -2")
    spoil(course, LOUD, "needs: [capitals]", "needs: [capitls]")
    found = [(each.path, each.message) for each in problems(course)]
    assert found == [
        (ADDING, "`minutes` should be a whole number, but is text."),
        (ADDING, "There is no topic `sumz`."),
        (ADDING, "`topics` should be a list, but is text."),
        ("curriculum/path.yaml", "There is no key `titel`."),
        (
            "curriculum/path.yaml",
            "The step `ghost` has no file curriculum/beta/ghost.yaml.",
        ),
        (LOUD, "`points` is -2, but should be at least 1."),
        (LOUD, "There is no check `capitls`."),
    ]


def test_a_span_begins_with_the_smaller_number(course):
    """What a course asks at least is not more than what it asks at most."""
    spoil(course, "curriculum/path.yaml", "{least: 20, most: 1200}", "{least: 1300, most: 1200}")
    (found,) = problems(course)
    assert "`lab_words` asks for at least 1300 and at most 1200." in found.message


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_course_is_told_where_and_what(course, name):
    """Each way to spoil a course is reported at its place, and nothing else is."""
    edits, expected = SPOILED[name]
    for edit in edits:
        spoil(course, *edit)
    found = problems(course)
    assert len(found) == len(expected), "\n".join(map(str, found))
    for problem, (place, fragment) in zip(found, expected, strict=True):
        assert f"{problem.place}:".startswith(f"{place}:")
        assert fragment in f"{problem.message} {problem.mend}"


def test_all_problems_of_all_files_come_at_once(course):
    """Files that have nothing to do with each other are all reported, as an editor reads them."""
    spoil(course, ADDING, "minutes: 10", "minutes: ten")
    spoil(course, LOUD, "points: 2", "point: 2")
    spoil(course, "curriculum/beta/shouting.md", "")
    with pytest.raises(CourseError) as caught:
        read(course)
    lines = caught.value.message.splitlines()
    assert lines[0] == "This course has 3 problems:"
    assert lines[1].startswith(f"{ADDING}:3:10: `minutes` should be a whole number")
    assert lines[2].startswith("curriculum/beta/shouting.md: The lesson is empty.")
    assert lines[3].startswith(f"{LOUD}:13:5: There is no key `point`. Did you mean `points`?")
    assert "3 places" in caught.value.hint


def test_a_folder_without_a_course_is_told_what_is_missing(tmp_path):
    """An empty folder gives sentences, not a traceback."""
    messages = " ".join(map(str, problems(tmp_path)))
    assert "curriculum/path.yaml: The file does not exist." in messages
    assert "labs: The folder labs/ does not exist." in messages


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = ["id", "title", "minutes", "requires", "goals", "topics", "lesson", "lab", "quiz", "file"]
KEYS += ["uses", "needs", "makes", "limits", "checks", "misconceptions", "hints", "after", "stages"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from([PATH, TOPICS, ADDING, LAB]),
    data=st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=8),
)
def test_no_data_whatever_make_loading_raise_anything_else(course, name, data):
    """Values of any kind at any key give sentences of ours, one line each."""
    spoil(course, name, json.dumps(data))
    found = problems(course)
    for problem in found:
        assert problem.message.endswith(".")
        assert "\n" not in str(problem)
        assert "nput should" not in str(problem)


def settle(root: Path) -> None:
    """Make all files look as if they had last been changed a minute ago."""
    minute_ago = time.time() - 60
    for file in root.rglob("*.*"):
        os.utime(file, (minute_ago, minute_ago))


def kept(home: Path) -> list[Path]:
    """The courses in a cache."""
    return [file for file in home.rglob("*.json") if file.parent.name == "courses"]


def test_a_course_is_read_once(course, cache):
    """The second load gives the same course without looking into YAML."""
    settle(course)
    first = load(course)
    assert len(kept(cache)) == 1
    script = (
        "import sys; from pathlib import Path; from llmpath.course.loader import load;"
        "course = load(Path(sys.argv[1]));"
        "print(course.title, 'yaml' in sys.modules, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(course)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "A small course False False"
    assert load(course) == first == read(course)


def test_a_changed_course_is_read_again(course, cache):
    """An edit that keeps a file's size, a new file and a lost file are all noticed."""
    settle(course)
    load(course)
    spoil(course, ADDING, "title: Adding up", "title: Adding on")
    assert load(course).step("adding").title == "Adding on"
    settle(course)
    load(course)
    spoil(course, "curriculum/alpha/stray.yaml", "id: stray\n")
    with pytest.raises(CourseError):
        load(course)
    (course / "curriculum/alpha/stray.yaml").unlink()
    (course / LESSON).unlink()
    with pytest.raises(CourseError):
        load(course)


def test_a_file_changed_just_now_is_not_trusted_to_the_cache(course, cache):
    """Where a further change could hide behind the same time stamp, nothing is kept."""
    (course / ADDING).touch()
    load(course)
    assert not kept(cache)


def test_a_course_with_problems_is_never_kept(course, cache):
    """An error is found again by the next command."""
    spoil(course, ADDING, "minutes: 10", "minutes: ten")
    settle(course)
    for _ in range(2):
        with pytest.raises(CourseError):
            load(course)
    assert not kept(cache)


@pytest.mark.parametrize("damage", [b"", b"\n", b"\xff\xfe", b"[" * 100_000, "half", "other"])
def test_a_damaged_cache_is_as_good_as_none(course, cache, damage):
    """Whatever became of the kept file, the course loads, and is kept anew."""
    settle(course)
    first = load(course)
    [file] = kept(cache)
    whole = file.read_bytes()
    mark = whole.partition(b"\n")[0] + b"\n"
    if damage == "half":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "other":
        file.write_bytes(mark + b'{"title": 3}')
    else:
        file.write_bytes(mark + damage)
    assert load(course) == first
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(course, cache):
    """A file where the cache folder belongs prevents nothing."""
    settle(course)
    load(course)
    folder = kept(cache)[0].parent
    shutil.rmtree(folder)
    folder.write_text("in the way", encoding="utf-8")
    assert load(course).title == "A small course"


def test_the_cache_does_not_grow_for_ever(tmp_path, cache):
    """Of many courses only the latest are kept, and nothing half-written stays behind."""
    for number in range(20):
        root = Path(shutil.copytree(SMALL, tmp_path / f"course-{number}"))
        settle(root)
        load(root)
    assert len(kept(cache)) == 16
    assert len(list(kept(cache)[0].parent.iterdir())) == 16


def test_the_course_is_found_around_the_package(monkeypatch):
    """Nothing named: the course of this checkout."""
    monkeypatch.delenv("LLMPATH_COURSE", raising=False)
    assert locate() == CHECKOUT


def test_a_named_course_wins(monkeypatch):
    """A folder on the command line goes before the environment, and that before the checkout."""
    monkeypatch.setenv("LLMPATH_COURSE", str(SMALL))
    assert locate() == SMALL
    assert locate(CHECKOUT) == CHECKOUT
    monkeypatch.setenv("LLMPATH_COURSE", "  ")
    assert locate() == CHECKOUT


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("nowhere", "There is no folder", "curriculum/ and labs/"),
        ("file", "is a file", "curriculum/ and labs/"),
        ("empty", "has no curriculum/path.yaml", "curriculum/ and labs/"),
        ("course/curriculum", "part of a course", "above it"),
        ("course/labs/adding", "part of a course", "above it"),
    ],
)
def test_a_named_folder_that_is_no_course_is_explained(course, monkeypatch, name, message, hint):
    """A wrong folder is never silently replaced by another; the sentence says who named it."""
    (course.parent / "file").touch()
    (course.parent / "empty").mkdir()
    with pytest.raises(LlmpathError) as caught:
        locate(course.parent / name)
    assert message in caught.value.message
    assert "--course" in caught.value.message
    assert hint in caught.value.hint
    monkeypatch.setenv("LLMPATH_COURSE", str(course.parent / name))
    with pytest.raises(LlmpathError, match="LLMPATH_COURSE"):
        locate()

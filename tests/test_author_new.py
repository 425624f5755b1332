"""`llmpath author new`: a step, or a whole course, that works before a word of it is changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pexpect
import pytest
from conftest import LLMPATH, environment

from llmpath.course.documents import parse
from llmpath.course.insertion import append
from llmpath.course.loader import read
from llmpath.course.solution import edited
from llmpath.errors import LlmpathError
from llmpath.grading.grader import Grader
from llmpath.grading.request import GradeRequest


class Author:
    """Someone who types commands in a folder of their own."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        self.environment = environment(cache)
        del self.environment["LLMPATH_COURSE"]

    def types(self, *arguments: str, where: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Type one command, with nobody there to be asked."""
        return subprocess.run(
            [*LLMPATH, *arguments],
            cwd=where or self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )


@pytest.fixture
def author(tmp_path: Path) -> Author:
    """An author in a course of their own, just begun."""
    author = Author(tmp_path, tmp_path / "cache")
    made = author.types("author", "new", "--course", "own", "--title", "A course: “mine”")
    assert made.returncode == 0, made.stderr
    author.root = tmp_path / "own"
    return author


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_new_course_is_whole(author: Author) -> None:
    """A course just begun loads, is found sound, covers its goals, and can be taken."""
    course = read(author.root)
    assert course.title == "A course: “mine”"
    assert [step.id for step in course.steps] == ["smoothing"]
    checked = author.types("author", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "killed 100 %" in checked.stdout
    assert author.types("author", "coverage").returncode == 0
    learner = author.root.parent / "learner"
    taken = author.types("init", str(learner), "--course", ".", "--trust")
    assert taken.returncode == 0, taken.stderr
    lesson = author.types("next", where=learner)
    assert "Smoothing a noisy curve" in lesson.stdout
    graded = author.types("grade", where=learner)
    assert "running_mean" in graded.stdout
    assert graded.returncode == 1


def test_steps_are_added_at_the_end_of_their_stage(author: Author) -> None:
    """Each new step requires the one before it, with a lab or without, and all is still sound."""
    assert author.types("author", "new", "bits", "--lab", "--title", 'Bits: "x"').returncode == 0
    inside = author.root / "curriculum"
    assert author.types("author", "new", "essay", where=inside).returncode == 0
    course = read(author.root)
    assert [(step.id, step.title, step.lab) for step in course.steps] == [
        ("smoothing", "Smoothing a noisy curve", "smoothing"),
        ("bits", 'Bits: "x"', "bits"),
        ("essay", "Essay", None),
    ]
    assert [step.requires for step in course.steps] == [(), ("smoothing",), ("bits",)]
    checked = author.types("author", "check", "--quick", "essay", "bits")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_lesson_that_nobody_has_written_yet_is_remarked_on(author: Author) -> None:
    """The worked example is sound, and whoever leaves it as their own step is told so."""
    author.types("author", "new", "essay", "--no-lab")
    checked = author.types("author", "check", "essay", "--only", "lesson")
    assert checked.returncode == 0, checked.stdout
    assert "essay.md:1: This is still the worked example" in " ".join(checked.stdout.split())
    lesson = author.root / "curriculum" / "basics" / "essay.md"
    lesson.write_text("An essay. " + lesson.read_text("utf-8"), "utf-8")
    checked = author.types("author", "check", "essay", "--only", "lesson")
    assert "worked example that" not in " ".join(checked.stdout.split())


def test_the_worked_lab_grades_as_a_lab_should(author: Author, tmp_path: Path) -> None:
    """Its solution and its other answer pass, and each known mistake fails just its checks."""
    course = read(author.root)
    lab = course.lab("smoothing")
    folder = course.lab_folder(lab)
    solution = (folder / "lab.py").read_text("utf-8")
    answers = {"solution": (solution, set())}
    for path in (folder / "accepted").glob("*.py"):
        answers[path.name] = (path.read_text("utf-8"), set())
    for known in lab.misconceptions:
        answers[known.id] = (edited(solution, known), set(known.fails))
    assert len(answers) > 6
    with Grader(folder) as grader:
        for name, (source, fails) in answers.items():
            (tmp_path / lab.file).write_text(source, "utf-8")
            request = GradeRequest(lab, folder, tmp_path / lab.file, {}, 3, course.version)
            report = grader.grade(request).report
            failed = {check.id for check in report.checks if check.status != "passed"}
            assert failed == fails, (name, [check.message for check in report.checks])


def test_scaffolded_files_point_editors_at_their_schema(author: Author) -> None:
    """Each YAML file begins with the line that editors look for, and the schema is there."""
    author.types("author", "new", "bits", "--lab")
    found = sorted(author.root.rglob("*.yaml"))
    assert len(found) == 6
    for file in found:
        first = file.read_text("utf-8").splitlines()[0]
        prefix, _, path = first.partition("=")
        assert prefix == "# yaml-language-server: $schema"
        assert (file.parent / path).is_file(), file


def test_nothing_is_overwritten(author: Author) -> None:
    """What stands there already is refused by name, and no file is changed or made."""
    (author.root / "labs" / "bits").mkdir()
    (author.root / "labs" / "bits" / "checks.py").write_text("mine\n", "utf-8")
    before = contents(author.root)
    refusals = {
        ("smoothing",): "has a step 'smoothing' already",
        ("bits", "--lab"): "checks.py is there already; nothing was made",
        ("Bits",): "is no id",
        ("more", "--stage", "basic"): "Did you mean basics?",
        ("--course", "."): "is a course already",
        ("more", "--course", ".."): "is not a course",
        (): "has no name",
    }
    for arguments, said in refusals.items():
        refused = author.types("author", "new", *arguments)
        assert refused.returncode == 2, arguments
        assert said in " ".join(refused.stderr.split()), refused.stderr
        assert contents(author.root) == before


def test_a_planned_topic_comes_along(author: Author) -> None:
    """A step takes the topics that the syllabus has planned for it, or adds one of its own."""
    topics = author.root / "curriculum" / "topics.yaml"
    line = "  - {id: surprise, title: Surprise, stage: basics, planned: bits}\n"
    topics.write_text(topics.read_text("utf-8") + line, "utf-8")
    author.types("author", "new", "bits")
    author.types("author", "new", "essay", "--title", "Essays: how")
    course = read(author.root)
    assert course.step("bits").topics == ("surprise",)
    assert course.step("essay").topics == ("essay",)
    assert (course.topics[-1].id, course.topics[-1].title) == ("essay", "Essays: how")
    assert topics.read_text("utf-8").startswith("# yaml-language-server")


def test_without_a_stage_they_are_named(author: Author) -> None:
    """Where nobody can be asked, the error says what to add."""
    path = author.root / "curriculum" / "path.yaml"
    more = "  - id: later\n    title: Later\n    about: What comes then.\n"
    path.write_text(path.read_text("utf-8").rstrip() + "\n" + more, "utf-8")
    refused = author.types("author", "new", "bits")
    assert refused.returncode == 2
    assert "Add --stage and one of: basics, later." in " ".join(refused.stderr.split())
    assert author.types("author", "new", "bits", "--stage", "later").returncode == 0
    assert [step.id for step in read(author.root).stages[1].steps] == ["bits"]
    assert "# - id: next-stage" in path.read_text("utf-8")


def test_a_path_with_a_mistake_is_not_added_to(author: Author) -> None:
    """Where `path.yaml` is to be mended first, the place is told and nothing is made."""
    path = author.root / "curriculum" / "path.yaml"
    path.write_text(path.read_text("utf-8").replace("title: Basics", "titel: Basics"), "utf-8")
    done = author.types("author", "new", "bits", "--stage", "basics", "--lab")
    assert done.returncode == 2
    assert "curriculum/path.yaml:6:5: There is no key `titel`." in done.stderr
    assert not (author.root / "labs" / "bits").exists()


def test_a_terminal_is_asked(author: Author) -> None:
    """Someone at a terminal is asked for what they did not say."""
    child = pexpect.spawn(
        LLMPATH[0],
        [*LLMPATH[1:], "author", "new"],
        cwd=str(author.root),
        env=author.environment,
        encoding="utf-8",
        timeout=60,
    )
    child.expect("id of the step")
    child.sendline("Two Bits")
    child.expect("'Two Bits' is no id. Write lower-case words")
    child.expect("id of the step")
    child.sendline("smoothing")
    child.expect("has a step 'smoothing' already")
    child.expect("id of the step")
    child.sendline("bits")
    child.expect("Its title")
    child.sendline("Bits and bytes")
    child.expect("have a lab")
    child.sendline("y")
    child.expect("is the last step of basics")
    child.expect(pexpect.EOF)
    step = read(author.root).step("bits")
    assert (step.title, step.lab) == ("Bits and bytes", "bits")


LISTS = {
    "in brackets": ("steps: [a, b]  # two\n", "steps: [a, b, new]  # two\n"),
    "empty": ("steps: []\nmore: x\n", "steps: [new]\nmore: x\n"),
    "with a comma at the end": ("steps: [a, b,]\n", "steps: [a, b, new,]\n"),
    "over two lines": ("steps: [a,  # first\n  b]\n", "steps: [a,  # first\n  b, new]\n"),
    "one to a line": (
        "steps:\n  - a  # first\n  - b  # last\n\n# end\nmore: x\n",
        "steps:\n  - a  # first\n  - b  # last\n  - new\n\n# end\nmore: x\n",
    ),
    "not indented": ("steps:\n- a\n- b", "steps:\n- a\n- b\n- new"),
    "with the line ends of Windows": ("steps:\r\n  - é\r\n", "steps:\r\n  - é\r\n  - new\r\n"),
    "missing": (
        "title: x\nabout: |\n  long\n\n  text\n# end\n",
        "title: x\nabout: |\n  long\n\n  text\nsteps: [new]\n# end\n",
    ),
    "missing in braces": ("{title: x, about: y}\n", "{title: x, about: y, steps: [new]}\n"),
}


@pytest.mark.parametrize("name", list(LISTS))
def test_a_word_is_added_to_a_list_and_nothing_else_changes(name: str) -> None:
    """However the list is laid out, every byte but the word stays as it was."""
    before, after = LISTS[name]
    assert append(before, ("steps",), "new", "x.yaml") == after


def test_a_list_that_would_be_too_wide_goes_on_in_the_next_line() -> None:
    """A list in brackets is broken before it reaches beyond a hundred columns."""
    names = ", ".join(f"step-{number:03}" for number in range(9))
    before = f"stages:\n  - steps: [{names}]\n"
    after = append(before, ("stages", 0, "steps"), "another-step", "x.yaml")
    assert after == f"stages:\n  - steps: [{names},\n{' ' * 12}another-step]\n"


def test_an_edit_that_would_change_more_is_refused() -> None:
    """Where the new text would not hold what was meant, nothing is guessed."""
    with pytest.raises(LlmpathError, match="cannot be added to steps"):
        append("steps: [a]\n", ("steps",), "two, words", "x.yaml")
    assert parse(b"steps: [a]\n", "x.yaml").data == {"steps": ["a"]}

"""A newer course comes to a learner's files: merged, shown, undone, and nothing lost."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner, change, environment

from llmpath.course.course import Course
from llmpath.course.loader import read
from llmpath.workspace import Outcome, Workspace, create, events, redo, reset, undo, upgrade
from llmpath.workspace.upgrades import merge

MINE = "    # my own way\n    return sum(numbers)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A course that can be changed."""
    root = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, root)
    return root


@pytest.fixture
def workspace(tmp_path: Path, folder: Path) -> Workspace:
    """A workspace made from the first version, in which one function is written."""
    made = create(tmp_path / "ws", read(folder)).workspace
    write_total(made.root / "alpha" / "adding.py")
    return made


def write_total(file: Path) -> None:
    """Write one of the two functions of a lab, as a learner would."""
    text = file.read_text("utf-8")
    todo = "    # TODO: add them up, one after the other\n    raise NotImplementedError\n"
    assert text.count(todo) == 1
    file.write_text(text.replace(todo, MINE), "utf-8")


def newer(folder: Path, *edits: tuple[str, str], lab: str = "adding") -> Course:
    """The next version of the course, with edits of a solved file."""
    change(folder, "curriculum/path.yaml", ('version: "1.0"', 'version: "1.1"'))
    change(folder, f"labs/{lab}/lab.py", *edits)
    return read(folder)


SIGNATURE = (
    "def running_totals(numbers: list[int]) -> list[int]:",
    "def running_totals(numbers: list[int], start: int = 0) -> list[int]:",
)


def outcomes(done: object) -> dict[str, str]:
    return {file.lab: str(file.outcome) for file in done.files}  # type: ignore[attr-defined]


def test_a_changed_signature_is_merged_into_what_was_written(
    workspace: Workspace, folder: Path
) -> None:
    """The learner's code stays, the new signature comes, and an untouched starter is replaced."""
    adding = workspace.root / "alpha" / "adding.py"
    shouting = workspace.root / "beta" / "shouting.py"
    course = newer(folder, SIGNATURE)
    done = upgrade(workspace, course)
    assert outcomes(done) == {"adding": "merged", "shouting": "same"}
    text = adding.read_text("utf-8")
    assert MINE in text
    assert SIGNATURE[1] in text
    assert SIGNATURE[0] not in text
    compile(text, "adding.py", "exec")
    assert shouting.exists()
    again = upgrade(find_again(workspace), course)
    assert outcomes(again) == {"adding": "same", "shouting": "same"}
    assert len(workspace.log.events()) == 1


def find_again(workspace: Workspace) -> Workspace:
    from llmpath.workspace import find

    return find(workspace.root)


def test_an_untouched_starter_is_simply_the_new_one(workspace: Workspace, folder: Path) -> None:
    """Who has written nothing gets the starter of the new version, entire."""
    solved = (folder / "labs/shouting/lab.py").read_text("utf-8")
    course = newer(folder, (solved.splitlines()[0], '"""Shouting, louder."""'), lab="shouting")
    done = upgrade(workspace, course)
    assert outcomes(done) == {"adding": "same", "shouting": "replaced"}
    text = (workspace.root / "beta" / "shouting.py").read_text("utf-8")
    assert text.startswith('"""Shouting, louder."""')
    assert "# TODO" in text


def test_lines_that_both_changed_are_shown_with_markers(workspace: Workspace, folder: Path) -> None:
    """Where both changed the same lines, the file holds both, and the place is told."""
    adding = workspace.root / "alpha" / "adding.py"
    words = (
        "BEGIN SOLUTION add them up, one after the other",
        "BEGIN SOLUTION go from left to right",
    )
    done = upgrade(workspace, newer(folder, words))
    (told,) = [file for file in done.files if file.lab == "adding"]
    assert told.outcome is Outcome.CONFLICT
    lines = adding.read_text("utf-8").splitlines()
    assert [lines[number - 1] for number in told.conflicts] == ["<<<<<<< yours"]
    assert ">>>>>>> the course, version 1.1" in lines
    assert MINE in adding.read_text("utf-8")
    assert "    # TODO: go from left to right" in lines


def test_one_undo_takes_all_of_it_back(workspace: Workspace, folder: Path) -> None:
    """Undo brings back every file, redo does it again, and an upgrade after an undo as well."""
    course = newer(folder, SIGNATURE)
    add_lab(folder)
    course = read(folder)
    before = learner_files(workspace)
    upgrade(workspace, course)
    after = learner_files(workspace)
    assert set(after) == {*before, "beta/more.py"}
    assert after["alpha/adding.py"] != before["alpha/adding.py"]
    edited = workspace.root / "beta" / "more.py"
    edited.write_text("edited since\n", "utf-8")
    change_ = undo(workspace, course)
    assert (change_.kind, change_.step, change_.changed) == ("upgrade", None, True)
    assert learner_files(workspace) == before
    redo(workspace, course)
    assert learner_files(workspace) == {**after, "beta/more.py": b"edited since\n"}
    undo(workspace, course)
    assert learner_files(workspace) == before
    again = upgrade(workspace, course)
    assert outcomes(again)["adding"] == "merged"
    assert learner_files(workspace) == after


def learner_files(workspace: Workspace) -> dict[str, bytes]:
    return {
        path.relative_to(workspace.root).as_posix(): path.read_bytes()
        for path in sorted(workspace.root.rglob("*.py"))
        if ".llmpath" not in path.parts
    }


def add_lab(folder: Path) -> None:
    """Add a step with a lab at the end of a course."""
    shutil.copytree(folder / "labs" / "adding", folder / "labs" / "more")
    change(folder, "labs/more/lab.yaml", ("id: adding", "id: more"), ("file: adding", "file: more"))
    step = (folder / "curriculum/alpha/adding.yaml").read_text("utf-8")
    step = step.replace("id: adding", "id: more").replace("adding.md", "more.md")
    step = step.replace("lab: adding", "lab: more")
    (folder / "curriculum/beta/more.yaml").write_text(step, "utf-8")
    (folder / "curriculum/beta/more.md").write_text("# More\n", "utf-8")
    change(folder, "curriculum/path.yaml", ("[shouting]", "[shouting, more]"))


def test_a_lab_that_is_gone_leaves_its_file(workspace: Workspace, folder: Path) -> None:
    """A file whose lab the new version does not have stays, and is named; undo still works."""
    shutil.rmtree(folder / "labs" / "shouting")
    (folder / "curriculum/beta/shouting.yaml").unlink()
    change(folder, "curriculum/path.yaml", ("[shouting]", "[]"))
    course = newer(folder, SIGNATURE)
    before = learner_files(workspace)
    done = upgrade(workspace, course)
    assert outcomes(done) == {"adding": "merged", "shouting": "gone"}
    assert learner_files(workspace)["beta/shouting.py"] == before["beta/shouting.py"]
    undo(workspace, course)
    assert learner_files(workspace) == before


def test_a_lab_that_moved_takes_the_learners_file_along(workspace: Workspace, folder: Path) -> None:
    """When a lab moves to another stage, what was written is found in its new place."""
    for suffix in (".yaml", ".md"):
        (folder / f"curriculum/alpha/adding{suffix}").rename(
            folder / f"curriculum/beta/adding{suffix}"
        )
    change(
        folder,
        "curriculum/path.yaml",
        ("[welcome, adding]", "[welcome]"),
        ("[shouting]", "[adding, shouting]"),
    )
    course = newer(folder, SIGNATURE)
    done = upgrade(workspace, course)
    (told,) = [file for file in done.files if file.lab == "adding"]
    assert told.moved_from == workspace.root / "alpha" / "adding.py"
    moved = (workspace.root / "beta" / "adding.py").read_text("utf-8")
    assert MINE in moved
    assert SIGNATURE[1] in moved
    assert MINE in (workspace.root / "alpha" / "adding.py").read_text("utf-8")
    undo(workspace, course)
    assert not (workspace.root / "beta" / "adding.py").exists()


def test_progress_is_kept(workspace: Workspace, folder: Path) -> None:
    """What was passed, answered and skipped is so after an upgrade, with every event."""
    course = read(folder)
    lab = course.lab("adding")
    workspace.record_grade(
        course, lab, status="passed", points=5, max_points=5, failed=[], content=b"passed = 1\n"
    )
    workspace.record(events.answered("welcome", {1: True}), events.skipped("shouting"))
    before, log = workspace.progress(), workspace.log.events()
    upgrade(workspace, newer(folder, SIGNATURE))
    assert workspace.progress().steps == before.steps
    assert workspace.log.events()[: len(log)] == log
    kept = workspace.passed_file(lab)
    assert kept is not None
    assert kept.read_bytes() == b"passed = 1\n"


def test_a_rehearsal_changes_nothing(workspace: Workspace, folder: Path) -> None:
    """What would be done is said, and no file, event or setting is another."""
    course = newer(folder, SIGNATURE)
    before = {
        path: path.read_bytes() for path in sorted(workspace.root.rglob("*")) if path.is_file()
    }
    done = upgrade(workspace, course, rehearse=True)
    assert outcomes(done)["adding"] == "merged"
    assert before == {
        path: path.read_bytes() for path in sorted(workspace.root.rglob("*")) if path.is_file()
    }


def test_after_a_reset_the_file_is_based_on_the_starter_of_that_day(
    workspace: Workspace, folder: Path
) -> None:
    """A reset takes the newer starter as the basis; undoing it takes the older one again."""
    adding = workspace.root / "alpha" / "adding.py"
    mine = adding.read_bytes()
    course = newer(folder, SIGNATURE)
    reset(workspace, course, course.lab("adding"))
    write_total(adding)
    assert outcomes(upgrade(workspace, course, rehearse=True))["adding"] == "same"
    undo(workspace, course)
    assert adding.read_bytes() == mine
    assert outcomes(upgrade(workspace, course, rehearse=True))["adding"] == "merged"


def test_a_workspace_without_kept_starters_is_left_alone(
    workspace: Workspace, folder: Path
) -> None:
    """Where the old starter is not known nothing is guessed; from then on it is known."""
    shutil.rmtree(workspace.state / "starters")
    before = learner_files(workspace)
    course = newer(folder, SIGNATURE)
    done = upgrade(workspace, course)
    assert outcomes(done)["adding"] == "unknown"
    assert learner_files(workspace) == before
    change(folder, "labs/adding/lab.py", ('"""Adding up whole numbers."""', '"""Adding up."""'))
    done = upgrade(find_again(workspace), read(folder))
    assert outcomes(done)["adding"] == "merged"
    assert MINE in (workspace.root / "alpha" / "adding.py").read_text("utf-8")


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_learners_line_endings_stay(ending: str, mark: str) -> None:
    """A file with the line endings of Windows, or a byte order mark, keeps them when merged."""
    base, theirs = "a\nb\nc\nd\ne\n", "A\nb\nc\nd\ne\n"
    ours = mark + "a\nb\nc\nd\nE\n".replace("\n", ending)
    merged, conflicts = merge(base.encode(), ours.encode(), theirs.encode(), "2")
    assert conflicts == ()
    assert merged.decode() == mark + "A\nb\nc\nd\nE\n".replace("\n", ending)


def test_both_sides_of_a_conflict_are_kept() -> None:
    """Every line of either side is in what a conflict leaves."""
    merged, conflicts = merge(b"a\nb\nc\n", b"a\nmine\nc\n", b"a\ntheirs\nc\n", "2")
    assert conflicts == (2,)
    assert merged == (
        b"a\n<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> the course, version 2\nc\n"
    )


def test_a_file_that_cannot_be_written_stops_all_of_it(workspace: Workspace, folder: Path) -> None:
    """If one file cannot be replaced none is, and nothing is recorded."""
    if os.name == "nt" or os.geteuid() == 0:
        shouting = workspace.root / "beta" / "shouting.py"
        shouting.unlink()
        shouting.mkdir()
    course = newer(folder, SIGNATURE)
    before = learner_files_only(workspace)
    with pytest.raises(Exception, match="is not a file"):
        upgrade(workspace, course)
    assert learner_files_only(workspace) == before
    assert workspace.log.events() == ()


def learner_files_only(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for path in sorted(workspace.root.rglob("*.py"))
        if path.is_file() and ".llmpath" not in path.parts
    }


@pytest.fixture
def student(tmp_path: Path, folder: Path) -> Learner:
    """A learner who has written one function on the first version of a course."""
    root = tmp_path / "student"
    root.mkdir()
    student = Learner(root, environment(tmp_path / "cache") | {"LLMPATH_COURSE": str(folder)})
    assert student.types("init").returncode == 0
    write_total(root / "alpha" / "adding.py")
    return student


def test_the_command_says_what_it_did_and_how_to_go_back(student: Learner, folder: Path) -> None:
    """`upgrade` names each file that changed, `--dry-run` changes none, and undo is told."""
    newer(folder, SIGNATURE)
    adding = student.root / "alpha" / "adding.py"
    before = adding.read_bytes()
    assert "llmpath upgrade" in student.types("status").stdout
    tried = student.types("upgrade", "--dry-run")
    assert "would be brought from version 1.0 of the course to 1.1" in tried.stdout
    assert adding.read_bytes() == before
    done = student.types("upgrade")
    assert done.returncode == 0, done.stderr
    assert "alpha/adding.py" in done.stdout
    assert "your code, with what has changed around it" in done.stdout
    assert "llmpath progress undo" in done.stdout
    assert "llmpath upgrade" not in student.types("status").stdout
    again = student.types("upgrade")
    assert "are those of version 1.1" in again.stdout
    undone = student.types("progress", "undo")
    assert "Undone: the upgrade." in undone.stdout
    assert adding.read_bytes() == before
    assert student.reads("upgrade")["changes"]


def test_a_conflict_is_told_with_its_line(student: Learner, folder: Path) -> None:
    """The exit code is 1, the line is named, and what to do with the markers is said."""
    newer(folder, ("SOLUTION add them up, one after the other", "SOLUTION go along"))
    done = student.types("upgrade")
    assert done.returncode == 1
    text = (student.root / "alpha" / "adding.py").read_text("utf-8").splitlines()
    line = text.index("<<<<<<< yours") + 1
    assert f"alpha/adding.py, line {line}" in done.stdout
    assert "delete the three marker lines" in done.stdout
    graded = student.types("grade", "adding")
    assert graded.returncode == 1
    assert "Traceback" not in graded.stdout + graded.stderr

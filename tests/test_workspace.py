"""The learner's folder: made without harm, found from within, and each change undone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmpath.course.course import Course, Stage
from llmpath.course.models import Check, Lab, Step
from llmpath.errors import LlmpathError
from llmpath.workspace import Workspace, create, events, find, redo, reset, restore, undo
from llmpath.workspace.snapshots import sha256

UNIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX processes and permissions")
SOLVED = '''"""Adding."""


def add(left: int, right: int) -> int:
    """The sum."""
    ### BEGIN SOLUTION add the two
    return left + right
    ### END SOLUTION
'''


def make_lab(root: Path, name: str) -> Lab:
    (root / "labs" / name).mkdir(parents=True)
    (root / "labs" / name / "lab.py").write_text(SOLVED, "utf-8")
    checks = (Check(id="works", title="It works"),)
    return Lab(id=name, title=name.title(), file=f"{name}.py", checks=checks)


def make_step(name: str, lab: str | None = None) -> Step:
    return Step(id=name, title=name, minutes=5, goals=("Do it",), lesson=f"{name}.md", lab=lab)


def make_course(root: Path, *more: str) -> Course:
    """A course of three stages, the second without labs; `more` adds labs to the last."""
    labs = {name: make_lab(root, name) for name in ("adding", "shouting", *more)}
    stages = (
        Stage("numbers", "Numbers", "About", (make_step("sums", "adding"),)),
        Stage("reading", "Reading", "About", (make_step("essay"),)),
        Stage(
            "words",
            "Words",
            "About",
            (make_step("shouting", "shouting"), *(make_step(name, name) for name in more)),
        ),
    )
    return Course(root, "A small course", "1.0", stages, labs)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return make_course(tmp_path / "course")


@pytest.fixture
def workspace(tmp_path: Path, course: Course) -> Workspace:
    return create(tmp_path / "ws", course).workspace


@pytest.fixture
def adding(course: Course) -> Lab:
    return course.lab("adding")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return [name for name in contents(folder) if name.endswith(".tmp")]


def test_a_new_workspace_has_a_starter_for_each_lab(tmp_path: Path, course: Course) -> None:
    """Only stages with labs get a folder, and the starters hold the task without the solution."""
    created = create(tmp_path / "deep" / "ws", course)
    root = created.workspace.root
    assert created.made == (root / "numbers" / "adding.py", root / "words" / "shouting.py")
    assert (created.kept, created.existed, created.new_log) == ((), False, True)
    assert not (root / "reading").exists()
    starter = created.made[0].read_text("utf-8")
    assert "# TODO" in starter
    assert "left + right" not in starter
    assert created.workspace.file(course, course.lab("shouting")) == created.made[1]
    assert created.workspace.progress().steps == {}
    assert leftovers(root) == []


def test_a_new_workspace_leaves_other_files_alone(tmp_path: Path, course: Course) -> None:
    """A folder with files of the learner's own keeps every one, even where a starter belongs."""
    mine = tmp_path / "ws" / "numbers" / "adding.py"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine = True\n", "utf-8")
    (tmp_path / "ws" / "notes.txt").write_text("notes", "utf-8")
    dangling = tmp_path / "ws" / "words" / "shouting.py"
    dangling.parent.mkdir()
    dangling.symlink_to(tmp_path / "not there yet")
    created = create(tmp_path / "ws", course)
    assert created.kept == (mine, dangling)
    assert created.made == ()
    assert mine.read_text("utf-8") == "mine = True\n"
    assert (tmp_path / "ws" / "notes.txt").read_text("utf-8") == "notes"
    assert dangling.is_symlink()


def test_making_it_again_adds_what_is_missing(tmp_path: Path, workspace: Workspace) -> None:
    """A second `init` adds the labs that are new, says so, and loses neither work nor progress."""
    workspace.record(events.skipped("essay"))
    mine = workspace.root / "numbers" / "adding.py"
    mine.write_text("mine = True\n", "utf-8")
    newer = make_course(tmp_path / "newer", "rhyming")
    again = create(workspace.root, newer)
    assert again.made == (workspace.root / "words" / "rhyming.py",)
    assert (again.existed, again.new_log) == (True, False)
    assert mine.read_text("utf-8") == "mine = True\n"
    assert again.workspace.id == workspace.id
    assert again.workspace.progress().of("essay").skipped


def test_the_course_is_remembered_only_if_it_was_named(tmp_path: Path, course: Course) -> None:
    """`course_root` is null unless given, is kept by a later `init` and replaced by a new one."""
    root = tmp_path / "ws"
    assert create(root, course).workspace.course_root is None
    assert create(root, course, course.root).workspace.course_root == course.root
    assert create(root, course).workspace.course_root == course.root
    assert find(root) == create(root, course).workspace
    assert find(root).course_version == "1.0"


def test_two_that_make_one_workspace_at_once_agree(tmp_path: Path, course: Course) -> None:
    """When two processes make the same workspace at the same time, both end up in one."""
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from test_workspace import make_course; from llmpath.workspace import create, events;"
        "course = make_course(Path(sys.argv[2])); sys.stdin.readline();"
        "workspace = create(Path(sys.argv[3]), course).workspace;"
        "workspace.record(events.skipped('essay')); print(workspace.id)"
    )
    here, root = Path(__file__).parent, tmp_path / "ws"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, here, tmp_path / name, root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    told = {child.communicate()[0].strip() for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert told == {find(root).id}
    assert len(find(root).log.events()) == 3


def _a_file(root: Path) -> None:
    root.write_text("a file", "utf-8")


def _a_file_as_stage(root: Path) -> None:
    root.mkdir()
    (root / "words").write_text("a file", "utf-8")


def _a_file_as_state(root: Path) -> None:
    root.mkdir()
    (root / ".llmpath").write_text("a file", "utf-8")


@pytest.mark.parametrize("spoil", [_a_file, _a_file_as_stage, _a_file_as_state])
def test_a_name_that_a_file_bears_is_refused(
    tmp_path: Path, course: Course, spoil: Callable[[Path], None]
) -> None:
    """Where a file stands in the way of a folder, it is named before anything is made."""
    spoil(tmp_path / "ws")
    before = contents(tmp_path)
    with pytest.raises(LlmpathError, match="is not a folder"):
        create(tmp_path / "ws", course)
    assert contents(tmp_path) == before


def test_a_workspace_inside_another_is_refused(workspace: Workspace, course: Course) -> None:
    """`init` typed in a stage's folder does not make a second workspace inside the first."""
    with pytest.raises(LlmpathError, match="inside the workspace") as caught:
        create(workspace.root / "words", course)
    assert f"llmpath init {workspace.root}" in caught.value.hint


def test_a_workspace_is_found_from_within(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found from its root, from below, by name and from the current folder."""
    below = workspace.root / "words" / "deep"
    below.mkdir()
    assert find(below) == find(workspace.root) == find(tmp_path, workspace.root) == workspace
    monkeypatch.chdir(below)
    assert find() == workspace
    assert find(explicit=Path("../..")) == workspace


def test_no_workspace_is_an_error_with_a_mend(tmp_path: Path) -> None:
    """Outside of any workspace, and for a named folder that is none, `init` is advised."""
    for explicit in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LlmpathError) as caught:
            find(tmp_path, explicit)
        assert "llmpath init" in caught.value.hint


@UNIX
def test_a_current_folder_that_is_gone_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standing in a folder that was removed gives a sentence, not a traceback."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(LlmpathError, match="no longer exists"):
        find()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": "1"}', '{"format": 0}', '{"format": 1, "id": 3}', "\x00",
     '{"format": 1, "id": "a", "course_root": 5, "course_version": "1"}',
     "[" * 100_000],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_description_is_named(workspace: Workspace, course: Course, text: str) -> None:
    """A damaged workspace.json is an error that names it; deleting it and `init` mend that."""
    path = workspace.state / "workspace.json"
    workspace.record(events.skipped("essay"))
    path.write_text(text, "utf-8")
    for attempt in (lambda: find(workspace.root), lambda: create(workspace.root, course)):
        with pytest.raises(LlmpathError, match=r"workspace\.json is damaged") as caught:
            attempt()
        assert "Delete that one file" in caught.value.hint
        assert path.read_text("utf-8") == text
    path.unlink()
    with pytest.raises(LlmpathError, match="has lost"):
        find(workspace.root)
    create(workspace.root, course)
    assert find(workspace.root).progress().of("essay").skipped


def test_a_workspace_of_a_newer_version_is_refused(workspace: Workspace, course: Course) -> None:
    """A later format is neither read nor written over."""
    path = workspace.state / "workspace.json"
    path.write_text(json.dumps({"format": 2, "anything": "else"}), "utf-8")
    for attempt in (lambda: find(workspace.root), lambda: create(workspace.root, course)):
        with pytest.raises(LlmpathError, match="newer llmpath"):
            attempt()


def test_a_missing_log_is_begun_anew_by_init_only(workspace: Workspace, course: Course) -> None:
    """`init` in a workspace whose log is gone starts one and says so."""
    workspace.log.path.unlink()
    with pytest.raises(LlmpathError, match="is missing"):
        find(workspace.root).progress()
    created = create(workspace.root, course)
    assert (created.existed, created.new_log) == (True, True)
    assert created.workspace.progress().steps == {}


def test_init_tells_of_a_damaged_log(workspace: Workspace, course: Course) -> None:
    """A damaged log is set aside by `init` too; the next `init` then begins a new one."""
    workspace.log.path.write_bytes(b"nonsense" * 100)
    with pytest.raises(LlmpathError, match="set aside"):
        create(workspace.root, course)
    assert create(workspace.root, course).new_log


def test_what_passed_is_kept_for_later_labs(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """The file of the last pass is kept; a grading that fails afterwards leaves it alone."""
    assert workspace.passed_file(adding) is None

    def record(status: str, points: int, content: bytes) -> None:
        workspace.record_grade(
            course, adding, status=status, points=points, max_points=1, failed=[], content=content
        )

    record("failed", 0, b"wrong")
    assert workspace.passed_file(adding) is None
    record("passed", 1, b"right")
    record("failed", 0, b"wrong again")
    kept = workspace.passed_file(adding)
    assert kept is not None
    assert (kept.name, kept.read_bytes()) == ("adding.py", b"right")
    found = workspace.progress().of("sums")
    assert (found.passed, found.attempts, found.best_points) == (True, 3, 1)
    graded = workspace.log.events()[1].payload
    assert graded["sha256"] == sha256(b"right")
    assert graded["course"] == "1.0"


def test_reset_can_be_undone_and_redone(workspace: Workspace, course: Course, adding: Lab) -> None:
    """A walk back and forth through two resets brings back each text, later edits included."""
    path = workspace.file(course, adding)
    starter = path.read_bytes()
    path.write_bytes(b"first")
    change = reset(workspace, course, adding)
    assert (change.kind, change.step, change.changed) == ("reset", "sums", True)
    (file,) = change.files
    assert file.path == path
    assert file.snapshot is not None
    assert file.snapshot.read_bytes() == b"first"
    path.write_bytes(b"second")
    reset(workspace, course, adding)
    assert path.read_bytes() == starter
    assert undo(workspace, course).files[0].snapshot == workspace.snapshots.path(sha256(starter))
    assert path.read_bytes() == b"second"
    undo(workspace, course)
    assert path.read_bytes() == b"first"
    path.write_bytes(b"edited after the undo")
    redo(workspace, course)
    assert path.read_bytes() == b"second"
    undo(workspace, course)
    assert path.read_bytes() == b"edited after the undo"
    redo(workspace, course)
    redo(workspace, course)
    assert path.read_bytes() == starter
    with pytest.raises(LlmpathError, match="nothing to redo"):
        redo(workspace, course)
    kept = {file.read_bytes() for file in workspace.snapshots.folder.iterdir()}
    assert {b"first", b"second", b"edited after the undo", starter} <= kept
    assert leftovers(workspace.root) == []


def test_resetting_a_starter_changes_nothing(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """A file that already is the starter is left as it is, and nothing is recorded."""
    assert not reset(workspace, course, adding).changed
    assert workspace.log.events() == ()


def test_a_missing_file_is_brought_back_by_reset(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """Reset makes a deleted file anew; undoing that removes it, with a snapshot of its text."""
    path = workspace.file(course, adding)
    path.unlink()
    assert reset(workspace, course, adding).files[0].snapshot is None
    path.write_bytes(b"work")
    undo(workspace, course)
    assert not path.exists()
    redo(workspace, course)
    assert path.read_bytes() == b"work"


def test_undo_steps_through_different_things(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """Skipping, looking at the solution and replacing a file are undone newest first."""
    path = workspace.file(course, adding)
    starter = path.read_bytes()
    workspace.record(events.skipped("essay"))
    restore(workspace, course, adding, b"other")
    workspace.record(events.gave_up("sums", "adding"))
    workspace.record(events.answered("essay", {1: True}))
    assert undo(workspace, course).kind == "give-up"
    assert not workspace.progress().of("sums").gave_up
    assert undo(workspace, course).kind == "restore"
    assert path.read_bytes() == starter
    assert undo(workspace, course).kind == "skip"
    assert not workspace.progress().of("essay").skipped
    assert workspace.progress().of("essay").right == {1}
    with pytest.raises(LlmpathError, match="nothing to undo"):
        undo(workspace, course)
    assert redo(workspace, course).kind == "skip"
    assert workspace.progress().of("essay").skipped
    workspace.record(events.unskipped("essay"))
    with pytest.raises(LlmpathError, match="nothing to redo"):
        redo(workspace, course)


def test_a_snapshot_that_was_altered_is_not_brought_back(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """Undo refuses a damaged or missing snapshot, and leaves file and log as they were."""
    path = workspace.file(course, adding)
    path.write_bytes(b"work")
    snapshot = reset(workspace, course, adding).files[0].snapshot
    assert snapshot is not None
    snapshot.write_bytes(b"altered")
    before, count = path.read_bytes(), len(workspace.log.events())
    with pytest.raises(LlmpathError, match="is damaged"):
        undo(workspace, course)
    snapshot.unlink()
    with pytest.raises(LlmpathError, match="is missing"):
        undo(workspace, course)
    assert path.read_bytes() == before
    assert len(workspace.log.events()) == count


@UNIX
def test_a_linked_file_stays_a_link(
    tmp_path: Path, workspace: Workspace, course: Course, adding: Lab
) -> None:
    """A learner who keeps the file elsewhere keeps the link, and its target is what changes."""
    path, elsewhere = workspace.file(course, adding), tmp_path / "dotfiles" / "adding.py"
    elsewhere.parent.mkdir()
    starter = path.read_bytes()
    elsewhere.write_bytes(b"work")
    elsewhere.chmod(0o640)
    path.unlink()
    path.symlink_to(elsewhere)
    reset(workspace, course, adding)
    assert path.is_symlink()
    assert elsewhere.read_bytes() == starter
    assert elsewhere.stat().st_mode & 0o777 == 0o640
    undo(workspace, course)
    assert elsewhere.read_bytes() == b"work"
    assert leftovers(tmp_path) == []


def test_something_else_than_a_file_is_refused(
    workspace: Workspace, course: Course, adding: Lab
) -> None:
    """A folder where the learner's file belongs is named and left alone."""
    path = workspace.file(course, adding)
    path.unlink()
    path.mkdir()
    with pytest.raises(LlmpathError, match=r"adding\.py is not a file"):
        reset(workspace, course, adding)
    assert path.is_dir()


# Run in an interpreter of its own, for what cannot be taken back: other rights, limits, kills.
IN_A_PROCESS = """
import os, random, resource, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_workspace import make_course
from llmpath.errors import LlmpathError
from llmpath.workspace import create, find, redo, reset, restore, undo
from llmpath.workspace.snapshots import sha256
base = Path(sys.argv[2])
course = make_course(base / "course")
adding = course.lab("adding")
"""


def run_in_a_process(base: Path, script: str) -> str:
    command = [sys.executable, "-c", IN_A_PROCESS + script, str(Path(__file__).parent), str(base)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROTECTED = """
workspace = create(base / "ws", course).workspace
path = workspace.file(course, adding)
path.write_bytes(b"work")
path.chmod(0o444)
(base / "closed").mkdir(mode=0o555)
if os.geteuid() == 0:
    for folder, _, names in os.walk(base / "ws"):
        for name in [".", *names]:
            os.chown(os.path.join(folder, name), 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
for attempt in (
    lambda: reset(workspace, course, adding),
    lambda: create(base / "closed" / "ws", course),
    lambda: create(base / "closed", course),
):
    try:
        attempt()
    except LlmpathError as error:
        print(error.message)
assert path.read_bytes() == b"work"
assert workspace.log.events() == ()
"""


@UNIX
def test_what_is_write_protected_is_not_written(open_folder: Path) -> None:
    """A protected file is not reset, and no workspace is begun in a protected folder."""
    said = run_in_a_process(open_folder, PROTECTED).splitlines()
    assert "write-protected" in said[0]
    assert "permission was refused" in said[1]
    assert "permission was refused" in said[2]
    assert contents(open_folder / "closed") == {}


NO_ROOM = """
workspace = create(base / "ws", course).workspace
path = workspace.file(course, adding)
path.write_bytes(b"work" * 10)
big = b"# a long answer\\n" * 100_000
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    restore(workspace, course, adding, big)
except LlmpathError as error:
    print(error.message)
assert path.read_bytes() == b"work" * 10
assert workspace.log.events() == ()
"""


@UNIX
def test_without_room_the_old_file_stays(tmp_path: Path) -> None:
    """When the new content cannot be written to the end, the file and the log are as before."""
    said = run_in_a_process(tmp_path, NO_ROOM)
    assert "no room on the disk" in said
    assert leftovers(tmp_path / "ws") == []


KILLED = """
workspace = create(base / "ws", course).workspace
path = workspace.file(course, adding)
starter = path.read_bytes()
edited = base / "edited.py"
generator = random.Random(11)

def answer(number, turn):
    return (f"# {number}.{turn}\\n" * 20_000).encode()

def moves(number):
    for turn in range(1000):
        edited.write_bytes(answer(number, turn))
        (base / "aside").write_text(str(turn))
        os.replace(base / "aside", base / "told")
        os.replace(edited, path)
        reset(workspace, course, adding)
        undo(workspace, course)
        redo(workspace, course)

def is_whole(content):
    if content == starter:
        return True
    number, turn = content.split(b"\\n", 1)[0][2:].split(b".")
    return content == answer(int(number), int(turn))

moments = set()
for number in range(40):
    child = os.fork()
    if child == 0:
        moves(number)
        os._exit(0)
    while not (base / "told").exists():
        time.sleep(0.0005)
    time.sleep(generator.uniform(0.002, 0.06))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    present = path.read_bytes()
    assert is_whole(present), present[:80]
    log = find(base / "ws").log.events()
    moments.add(log[-1].kind if log else None)
    for event in log:
        for digest in (event.payload["before"], event.payload["after"]):
            assert is_whole(workspace.snapshots.content(digest))
    newest = answer(number, int((base / "told").read_text()))
    replaced = {event.payload["before"] for event in log}
    not_yet_placed = edited.exists() and edited.read_bytes() == newest
    assert not_yet_placed or present == newest or sha256(newest) in replaced
    edited.unlink(missing_ok=True)
    (base / "told").unlink()
print(len(moments))
"""


@UNIX
def test_kill_at_any_moment_leaves_whole_files(tmp_path: Path) -> None:
    """After kill -9 of a reset, undo or redo the file is one of its texts, entire, the log and
    every snapshot can be read, and the log knows of every text that was replaced.
    """
    assert int(run_in_a_process(tmp_path, KILLED)) >= 2

"""The log of events, the progress that follows from it, and carrying it elsewhere."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmpath.errors import LlmpathError
from llmpath.workspace import Workspace, events, export, export_text, import_
from llmpath.workspace.events import Event
from llmpath.workspace.log import Log
from llmpath.workspace.progress import derive, effective

UNIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX processes and permissions")


def make_workspace(root: Path, name: str = "here") -> Workspace:
    workspace = Workspace(root / name, name * 4, None, "1")
    workspace.log.create()
    return workspace


def grade(step: str, points: int, max_points: int = 4) -> Event:
    return events.graded(
        step,
        step,
        status="passed" if points == max_points else "failed",
        points=points,
        max_points=max_points,
        failed=["works"],
        sha256="0" * 64,
        course_version="1",
    )


def some_events(count: int) -> list[Event]:
    return [events.answered(f"step-{number}", {number + 1: True}) for number in range(count)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def run_python(script: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_what_is_recorded_is_read_back_in_order(workspace: Workspace) -> None:
    """Every kind of event comes back as it was, in the order of recording, clocks or not."""
    recorded = [
        grade("a", 2),
        events.answered("a", {1: True, 2: False}),
        events.skipped("a"),
        events.unskipped("a"),
        events.hinted("a", "a", 1),
        events.gave_up("a", "a"),
        events.ran("a", "a", "runs/a/1", "finished"),
        events.replaced(events.RESET, "a", "a", before=None, after="0" * 64),
        events.imported("elsewhere.jsonl", 3),
    ]
    late = Event("0" * 32, 0.0, "a", events.SKIP, {})
    workspace.log.append(*recorded, late)
    assert workspace.log.events() == (*recorded, late)


def test_progress_adds_up() -> None:
    """The best grading counts, a pass is for ever, right answers are united, hints are counted."""
    log = [
        events.hinted("a", "a", 1),
        grade("a", 1),
        grade("a", 3),
        grade("a", 2),
        events.answered("a", {1: True, 2: False}),
        events.answered("a", {1: False, 3: True}),
        events.hinted("a", "a", 2),
        events.ran("a", "a", "runs/a/1", "finished"),
    ]
    found = derive(log).of("a")
    assert (found.best_points, found.max_points, found.attempts, found.passed) == (3, 4, 3, False)
    assert found.right == {1, 3}
    assert found.answered == {1, 2, 3}
    assert (found.hints, found.runs, found.skipped, found.gave_up) == (2, 1, False, False)
    assert derive([*log, grade("a", 4), grade("a", 0)]).of("a").passed
    assert derive(log).of("b").attempts == 0
    assert derive(log).latest_step == "a"


def test_the_best_result_is_the_best_share_of_the_points() -> None:
    """When a lab's points change with the course, three of four still beat four of ten."""
    found = derive([grade("a", 3, 4), grade("a", 4, 10)]).of("a")
    assert (found.best_points, found.max_points) == (3, 4)
    found = derive([grade("a", 0, 4), grade("a", 0, 10)]).of("a")
    assert (found.best_points, found.max_points) == (0, 10)


def test_looking_at_the_solution_after_passing_is_not_giving_up() -> None:
    """A learner who passed first and then compares with the solution did not give up."""
    assert not derive([grade("a", 4), events.gave_up("a", "a")]).of("a").gave_up
    assert derive([events.gave_up("a", "a"), grade("a", 4)]).of("a").gave_up


def test_kinds_of_newer_versions_are_kept_and_mean_nothing(workspace: Workspace) -> None:
    """An unknown kind does no harm to progress and travels on in an export."""
    unknown = Event("1" * 32, 5.0, "a", "teleport", {"to": ["b", None, {"x": 1.5}]})
    workspace.log.append(unknown, events.skipped("a"))
    assert workspace.progress().of("a").skipped
    assert unknown in workspace.log.events()
    assert '"teleport"' in export_text(workspace.log.events())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["skip", "undo", "redo"]), max_size=12), st.randoms())
def test_what_was_undone_does_not_depend_on_the_order_of_merging(
    actions: list[str], shuffler: random.Random
) -> None:
    """Undoing is a statement about a set of events: any order of the log tells the same."""
    log: list[Event] = []
    standing: list[Event] = []
    undone: list[tuple[Event, Event]] = []
    for number, action in enumerate(actions):
        if action == "skip":
            log.append(events.skipped(f"step-{number}"))
            standing.append(log[-1])
        elif action == "undo" and standing:
            log.append(events.undone(standing[-1]))
            undone.append((log[-1], standing.pop()))
        elif action == "redo" and undone:
            undoing, target = undone.pop()
            log.append(events.redone(undoing))
            standing.append(target)
    shuffled = list(log)
    shuffler.shuffle(shuffled)
    assert {e.id for e in effective(shuffled)} == {e.id for e in standing}
    skipped = {name for name, found in derive(shuffled).steps.items() if found.skipped}
    assert skipped == {e.step for e in standing}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET kind = 'grade'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT id, 0, step, 'grade', payload FROM events",
    ],
)
def test_recorded_events_cannot_be_changed(workspace: Workspace, statement: str) -> None:
    """The database itself refuses to change, delete or replace an event, whoever asks."""
    workspace.log.append(*some_events(3))
    before = workspace.log.events()
    connection = sqlite3.connect(workspace.log.path, isolation_level=None)
    try:
        connection.execute(statement)
    except sqlite3.IntegrityError as error:
        assert "never" in str(error)  # noqa: PT017 - REPLACE is ignored without an error
    finally:
        connection.close()
    assert workspace.log.events() == before


def test_a_failure_in_the_middle_records_nothing(workspace: Workspace) -> None:
    """Leaving a change with an error takes back what was appended in it."""
    workspace.log.append(*some_events(2))

    def interrupted() -> None:
        with workspace.log.writing() as writing:
            writing.append(*some_events(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(workspace.log.events()) == 2


APPEND = """
import sys
from pathlib import Path
from llmpath.workspace import events
from llmpath.workspace.log import Log
log = Log(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    with log.writing() as writing:
        found = len(writing.events())
        writing.append(events.hinted(f"{sys.argv[2]}-{number}", "lab", found))
    assert log.events()
"""


def test_several_processes_record_at_once(workspace: Workspace) -> None:
    """Three processes that write and read one log at the same time lose no event."""
    children = [run_python(APPEND, workspace.log.path, name, 40) for name in "abc"]
    for child in children:
        _, complaint = child.communicate()
        assert child.returncode == 0, complaint
    steps = [str(event.step) for event in workspace.log.events()]
    for name in "abc":
        assert [s for s in steps if s[0] == name] == [f"{name}-{n}" for n in range(40)]
    # Each event tells how many it found: what was read was still true when it was recorded.
    assert [e.payload["number"] for e in workspace.log.events()] == list(range(120))


@UNIX
def test_a_killed_writer_loses_nothing_that_was_recorded(workspace: Workspace) -> None:
    """After kill -9 of a process that records, the log opens and holds a whole beginning."""
    script = APPEND.replace("    assert", "    print(number, flush=True)\n    assert")
    generator = random.Random(7)
    expected: list[str] = []
    for name in "abc":
        child = run_python(script, workspace.log.path, name, 100_000)
        assert child.stdout is not None
        told = -1
        for _ in range(generator.randrange(1, 60)):
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].split()
        told = int(rest[-1]) if rest else told
        steps = [str(event.step) for event in workspace.log.events()]
        recorded = len(steps) - len(expected)
        assert recorded >= told + 1
        expected += [f"{name}-{number}" for number in range(recorded)]
        assert steps == expected


def damaged_logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("progress.damaged-*.db"))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 8192, b"this is not a database, and long enough to be told from one" * 20],
    ids=["empty", "zeros", "text"],
)
def test_a_file_that_is_no_log_is_set_aside(workspace: Workspace, content: bytes) -> None:
    """What is no log is moved away unchanged and named, and never read as no progress."""
    path = workspace.log.path
    path.write_bytes(content)
    with pytest.raises(LlmpathError, match="is damaged") as caught:
        workspace.progress()
    (aside,) = damaged_logs(path.parent)
    assert aside.read_bytes() == content
    assert str(aside) in caught.value.message
    assert "llmpath init" in caught.value.hint
    with pytest.raises(LlmpathError, match=f"is missing.*{aside.name}"):
        workspace.progress()
    workspace.log.create()
    with pytest.raises(LlmpathError, match="No event can be read"):
        import_(workspace, aside)
    assert aside.read_bytes() == content


def test_a_database_of_something_else_is_set_aside(workspace: Workspace) -> None:
    """A database without the table of events is not taken for a log without events."""
    path = workspace.log.path
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.close()
    with pytest.raises(LlmpathError, match="is damaged"):
        workspace.log.append(events.skipped("a"))
    assert len(damaged_logs(path.parent)) == 1


def test_no_cut_makes_a_log_that_is_read_as_shorter(tmp_path: Path) -> None:
    """However a log is cut short, it is set aside or every event of it is still read."""
    whole = make_workspace(tmp_path, "whole")
    whole.log.append(*some_events(200))
    content = whole.log.path.read_bytes()
    cuts = [*range(0, len(content), 701), len(content) - 1]
    set_aside = 0
    for number, cut in enumerate(cuts):
        folder = tmp_path / str(number) / ".llmpath"
        folder.mkdir(parents=True)
        log = Log(folder / "progress.db")
        log.path.write_bytes(content[:cut])
        try:
            assert len(log.events()) == 200
        except LlmpathError:
            assert damaged_logs(folder)[0].read_bytes() == content[:cut]
            set_aside += 1
    assert set_aside > len(cuts) // 2


def test_an_event_that_makes_no_sense_counts_as_damage(workspace: Workspace) -> None:
    """A grading without points in the log is damage, not a grading to be overlooked."""
    workspace.log.append(Event("2" * 32, 1.0, "a", events.GRADE, {"lab": "a"}))
    with pytest.raises(LlmpathError, match=r"is damaged.*'status'"):
        workspace.progress()


def test_what_a_damaged_log_still_tells_can_be_brought_back(workspace: Workspace) -> None:
    """Importing a log that was set aside recovers the events outside the damaged page."""
    path = workspace.log.path
    workspace.log.append(*some_events(400))
    content = bytearray(path.read_bytes())
    middle = content.index(b'"201"') // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(LlmpathError, match="is damaged"):
        workspace.progress()
    (aside,) = damaged_logs(path.parent)
    workspace.log.create()
    added = import_(workspace, aside).added
    assert 300 < added < 400
    right = [s for s, found in workspace.progress().steps.items() if found.right]
    assert len(right) == added
    assert {"step-0", "step-399"} <= set(right)


def test_a_missing_log_is_an_error_with_a_mend(workspace: Workspace) -> None:
    """A log that is gone is not quietly begun anew, neither by reading nor by recording."""
    workspace.log.path.unlink()
    for attempt in (workspace.log.events, lambda: workspace.log.append(events.skipped("a"))):
        with pytest.raises(LlmpathError, match="is missing") as caught:
            attempt()
        assert "llmpath init" in caught.value.hint
        assert not workspace.log.path.exists()
    assert workspace.log.create()
    assert workspace.log.events() == ()
    assert not workspace.log.create()


def test_a_log_of_a_newer_version_is_left_alone(workspace: Workspace) -> None:
    """A log in a later format is refused with the way out, and not set aside."""
    connection = sqlite3.connect(workspace.log.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LlmpathError, match="newer llmpath") as caught:
        workspace.progress()
    assert "pgrade" in caught.value.hint
    assert damaged_logs(workspace.log.path.parent) == []


READ_ONLY = """
import os, sys
from pathlib import Path
from llmpath.errors import LlmpathError
from llmpath.workspace import events
from llmpath.workspace.log import Log
log = Log(Path(sys.argv[1]))
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print(len(log.events()))
try:
    log.append(events.skipped("a"))
except LlmpathError as error:
    print(error.message)
print(len(log.events()))
"""


@UNIX
@pytest.mark.parametrize("file_mode", [0o444, 0o666])
def test_a_read_only_workspace_can_be_read(open_folder: Path, file_mode: int) -> None:
    """In a write-protected workspace progress is shown, and recording says why it cannot be."""
    workspace = make_workspace(open_folder)
    workspace.log.append(*some_events(3))
    workspace.log.path.chmod(file_mode)
    workspace.state.chmod(0o555)
    said, complaint = run_python(READ_ONLY, workspace.log.path).communicate()
    workspace.state.chmod(0o755)
    assert complaint == ""
    assert said.splitlines()[::2] == ["3", "3"]
    assert "cannot be recorded" in said
    assert str(workspace.log.path) in said


def test_two_machines_come_to_the_same(tmp_path: Path) -> None:
    """Logs merged both ways hold the same events, and merging once more changes nothing."""
    here, there = make_workspace(tmp_path, "here"), make_workspace(tmp_path, "there")
    here.record(grade("a", 4), events.skipped("b"))
    there.record(events.answered("c", {1: True}), events.skipped("d"))
    letter = tmp_path / "letter.jsonl"
    for _ in range(3):
        export(here, letter)
        import_(there, letter)
        export(there, letter)
        import_(here, letter)
    ids = [{event.id for event in workspace.log.events()} for workspace in (here, there)]
    assert ids[0] == ids[1]
    assert here.progress().steps == there.progress().steps
    assert set(here.progress().steps) == {"a", "b", "c", "d"}
    export(here, letter)
    again = import_(there, letter)
    assert (again.added, again.known) == (0, len(ids[0]))


def test_an_import_is_itself_recorded(tmp_path: Path) -> None:
    """The log tells that, from which file and how many events were merged."""
    here, there = make_workspace(tmp_path, "here"), make_workspace(tmp_path, "there")
    here.record(*some_events(3))
    assert export(here, tmp_path / "letter.jsonl") == 3
    assert import_(there, tmp_path / "letter.jsonl").added == 3
    last = there.log.events()[-1]
    assert (last.kind, last.payload["source"], last.payload["events"]) == (
        events.IMPORT,
        "letter.jsonl",
        3,
    )


def _damage_line(text: str, number: int, line: str) -> str:
    lines = text.splitlines(keepends=True)
    lines[number - 1] = line
    return "".join(lines)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (1, "hello\n"),
        (1, '{"format": "something else", "version": 1, "events": 3}\n'),
        (2, "{}\n"),
        (3, '{"id": "a", "time": 1\n'),
        (3, "\n"),
        (3, "[" * 100_000 + "\n"),
        (4, '{"id": "a", "time": NaN, "step": null, "kind": "skip", "payload": {}}\n'),
        (4, '{"id": "a", "time": 1, "step": null, "kind": "skip", "payload": {}}\n'),
        (4, '{"id": "a", "time": 1, "step": "a", "kind": "quiz", "payload": {"answers": 3}}\n'),
        (4, '{"id": "a", "time": 1, "step": "a", "kind": "x", "payload": [1]}\n'),
    ],
)
def test_a_damaged_line_stops_the_whole_import(tmp_path: Path, number: int, line: str) -> None:
    """The number of the first bad line is told, and of the other lines none is imported."""
    here, there = make_workspace(tmp_path, "here"), make_workspace(tmp_path, "there")
    here.record(*some_events(3))
    letter = tmp_path / "letter.jsonl"
    letter.write_text(_damage_line(export_text(here.log.events()), number, line), "utf-8")
    with pytest.raises(LlmpathError, match=f"letter.jsonl, line {number}:"):
        import_(there, letter)
    assert there.log.events() == ()


def test_an_export_that_was_cut_short_is_noticed(tmp_path: Path) -> None:
    """Missing lines at the end, an empty file and a file that is not there are each an error."""
    here, there = make_workspace(tmp_path, "here"), make_workspace(tmp_path, "there")
    here.record(*some_events(3))
    letter = tmp_path / "letter.jsonl"
    letter.write_text("".join(export_text(here.log.events()).splitlines(True)[:-1]), "utf-8")
    with pytest.raises(LlmpathError, match="3 events and holds 2"):
        import_(there, letter)
    letter.write_bytes(b"")
    with pytest.raises(LlmpathError, match="line 1"):
        import_(there, letter)
    with pytest.raises(LlmpathError, match="no file"):
        import_(there, tmp_path / "none.jsonl")
    letter.write_text('{"format": "llmpath-progress", "version": 2, "events": 0}\n', "utf-8")
    with pytest.raises(LlmpathError, match="newer llmpath"):
        import_(there, letter)
    assert there.log.events() == ()


def test_an_event_told_in_two_ways_is_refused(tmp_path: Path) -> None:
    """An export whose event differs from the known one of the same id changes nothing."""
    here = make_workspace(tmp_path)
    here.record(grade("a", 1))
    forged = export_text(here.log.events()).replace('"points": 1', '"points": 4')
    letter = tmp_path / "letter.jsonl"
    letter.write_text(forged, "utf-8")
    with pytest.raises(LlmpathError, match="otherwise"):
        import_(here, letter)
    assert here.progress().of("a").best_points == 1


def test_an_export_overwrites_only_an_export(tmp_path: Path) -> None:
    """Exporting twice to one name works, exporting over another file of the learner does not."""
    here = make_workspace(tmp_path)
    export(here, tmp_path / "letter.jsonl")
    here.record(events.skipped("a"))
    assert export(here, tmp_path / "letter.jsonl") == 1
    lines = (tmp_path / "letter.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line).get("kind") for line in lines] == [None, "skip"]
    essay = tmp_path / "essay.txt"
    essay.write_text("mine", "utf-8")
    with pytest.raises(LlmpathError, match="left alone"):
        export(here, essay)
    assert essay.read_text("utf-8") == "mine"
    with pytest.raises(LlmpathError, match="no folder"):
        export(here, tmp_path / "nowhere" / "letter.jsonl")

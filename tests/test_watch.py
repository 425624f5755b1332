"""`llmpath watch` in a real pseudo-terminal, on real files saved as editors save them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import LLMPATH, SMALL_COURSE, Learner

pexpect = pytest.importorskip("pexpect", reason="there are no pseudo-terminals here")
if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals here", allow_module_level=True)

SOLUTION = (SMALL_COURSE / "labs" / "adding" / "lab.py").read_bytes()
WAITING = "Waiting for a save"


@contextlib.contextmanager
def watching(
    learner: Learner, *, within: tuple[str, ...] = (), **variables: str
) -> Iterator[pexpect.spawn]:
    """`llmpath watch adding`, past its first report; afterwards, nothing of it may be left."""
    command = [*within, *LLMPATH, "watch", "adding"]
    child = pexpect.spawn(
        command[0],
        command[1:],
        cwd=str(learner.root),
        env={**learner.environment, "TERM": "xterm", **variables},
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 100),
    )
    family: list[psutil.Process] = []
    try:
        child.expect("Watching alpha/adding.py")
        child.expect(WAITING)
        family = psutil.Process(child.pid).children(recursive=True)
        yield child
        child.expect(pexpect.EOF)
        child.close()
        assert family, "a fork server or an interpreter was at work"
        assert psutil.wait_procs(family, timeout=10)[1] == []
    finally:
        child.close(force=True)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def graded(learner: Learner) -> int:
    """How many gradings the log holds."""
    exported = learner.root.parent / f"log-{time.monotonic_ns()}.jsonl"
    assert learner.types("progress", "export", str(exported)).returncode == 0
    events = map(json.loads, exported.read_text().splitlines())
    return sum(event.get("kind") == "grade" for event in events)


def test_a_save_is_graded_and_recorded(learner: Learner) -> None:
    """A right answer saved while watching passes, and counts as if graded by command."""
    with watching(learner) as child:
        (learner.root / "alpha" / "adding.py").write_bytes(SOLUTION)
        child.expect("5 of 5 points")
        child.expect(WAITING)
        child.send("q")
    assert child.exitstatus == 0
    assert learner.reads("list")[1]["points"] == 5


def test_equal_results_are_recorded_once(learner: Learner) -> None:
    """Saves that change nothing in the result do not fill the log."""
    file = learner.root / "alpha" / "adding.py"
    with watching(learner) as child:
        for number in range(3):
            file.write_bytes(file.read_bytes() + f"# {number}\n".encode())
            child.expect("0 of 5 points")
            child.expect(WAITING)
        child.send("q")
    assert graded(learner) == 1


@pytest.mark.parametrize("polling", ["", "1"], ids=["notified", "polled"])
def test_however_an_editor_saves(learner: Learner, polling: str) -> None:
    """Half a file, no file, a file renamed into place: watching goes on through all of them."""
    file = learner.root / "alpha" / "adding.py"
    with watching(learner, WATCHFILES_FORCE_POLLING=polling) as child:
        file.write_bytes(SOLUTION[: SOLUTION.index(b"def ") + 7])
        child.expect("0 of 5 points")
        child.expect(WAITING)
        file.unlink()
        child.expect("There is no alpha/adding.py now")
        other = file.with_name(".adding.py.swp")
        other.write_bytes(SOLUTION)
        os.replace(other, file)
        child.expect("5 of 5 points")
        child.expect(WAITING)
        child.send("q")
    assert child.exitstatus == 0


def test_a_folder_made_anew_is_watched_again(learner: Learner) -> None:
    """When the whole folder goes and comes back, as with a change of branch, saves still count."""
    folder = learner.root / "alpha"
    aside = learner.root / "aside"
    with watching(learner) as child:
        folder.rename(aside)
        child.expect("There is no alpha/adding.py now")
        folder.mkdir()
        (folder / "adding.py").write_bytes(SOLUTION)
        child.expect("5 of 5 points")
        child.send("q")
    assert child.exitstatus == 0


def test_a_save_ends_the_grading_of_what_was_before(learner: Learner) -> None:
    """Code that would run for ever does not hold up the report on the code that mends it."""
    file = learner.root / "alpha" / "adding.py"
    with watching(learner) as child:
        file.write_text("while True: pass\n")
        child.expect("Grading alpha/adding.py")
        file.write_bytes(SOLUTION)
        child.expect("5 of 5 points")
        assert "of 5 points" not in child.before
        child.expect(WAITING)
        child.send("q")
    assert child.exitstatus == 0
    assert graded(learner) == 2


def test_checks_are_listed_as_they_come(learner: Learner) -> None:
    """While one check is still at work, those before it have their verdict on the screen."""
    file = learner.root / "alpha" / "adding.py"
    slow = SOLUTION.replace(
        b"    so_far, totals", b"    import time; time.sleep(1)\n    so_far, totals"
    )
    assert slow != SOLUTION
    with watching(learner) as child:
        file.write_bytes(slow)
        child.expect("Grading alpha/adding.py")
        child.expect("✓ The total .*3/3")
        assert "5 of 5 points" not in child.before
        child.expect("5 of 5 points")
        child.send("q")
    assert child.exitstatus == 0


def test_keys_do_what_the_commands_do(learner: Learner) -> None:
    """n, h, l and r show the step, a hint, the list and the experiment; then it is watched on."""
    file = learner.root / "alpha" / "adding.py"
    with watching(learner) as child:
        child.send("l")
        child.expect("Shouting")
        child.send("h")
        child.expect("Hint 1 of 3")
        child.send("h")
        child.expect("Hint 2 of 3")
        child.send("n")
        child.expect("Welcome")
        child.send(" ")
        child.expect("0 of 5 points")
        file.write_bytes(SOLUTION)
        child.expect("5 of 5 points")
        child.expect(WAITING)
        child.send("r")
        child.expect("adding")
        child.expect("any other key")
        file.write_bytes(b"")
        child.expect("0 of 5 points")
        child.send("q")
    assert child.exitstatus == 0
    assert learner.reads("lab", "runs")[0]["lab"] == "adding"


@pytest.mark.parametrize("end", ["ctrl-c", "terminate"])
def test_the_terminal_is_left_as_it_was(learner: Learner, end: str) -> None:
    """Ctrl-C and a signal to end give back echo and lines, in the midst of a grading too."""
    import termios

    def modes(child: pexpect.spawn) -> int:
        return int(termios.tcgetattr(child.child_fd)[3]) & (termios.ECHO | termios.ICANON)

    with watching(learner) as child:
        assert modes(child) == 0
        (learner.root / "alpha" / "adding.py").write_text("while True: pass\n")
        child.expect("Grading alpha/adding.py")
        if end == "ctrl-c":
            child.sendintr()
        else:
            child.kill(signal.SIGTERM)
        child.expect(pexpect.EOF)
        assert modes(child) == termios.ECHO | termios.ICANON
    assert child.exitstatus == (0 if end == "ctrl-c" else 128 + signal.SIGTERM)


def test_without_a_terminal_each_save_prints_a_report(learner: Learner) -> None:
    """In a pipe there are plain lines: no keys, no redrawing."""
    watcher = subprocess.Popen(
        [*LLMPATH, "watch", "adding"],
        cwd=learner.root,
        env=learner.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    assert watcher.stdout is not None
    lines: list[str] = []

    def read_until(word: str) -> None:
        for line in watcher.stdout or ():
            lines.append(line)
            if word in line:
                return
        raise AssertionError("".join(lines))

    try:
        read_until(WAITING)
        (learner.root / "alpha" / "adding.py").write_bytes(SOLUTION)
        read_until("5 of 5 points")
        read_until(WAITING)
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(timeout=30) == 0
    finally:
        watcher.kill()
        watcher.stdout.close()
    assert "\x1b" not in "".join(lines)
    assert "q quit" not in "".join(lines)


NO_NOTIFICATIONS = """
echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"
"""


def test_without_notifications_the_file_is_polled(learner: Learner) -> None:
    """Where the system has no notifications to give, saves are seen, and it is said how."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to take notifications away with")
    within = ("unshare", "--user", "--map-root-user", "sh", "-c", NO_NOTIFICATIONS, "sh")
    if subprocess.run([*within, "true"], capture_output=True).returncode != 0:
        pytest.skip("this system gives no user namespaces")
    with watching(learner, within=within) as child:
        (learner.root / "alpha" / "adding.py").write_bytes(SOLUTION)
        child.expect("5 of 5 points")
        child.expect("looked at every moment")
        child.send("q")
    assert child.exitstatus == 0


def test_folders_that_others_change_are_told_apart(tmp_path: Path) -> None:
    """A folder of this machine's own is not polled; the kinds of shared ones are known."""
    from llmpath.watching.changes import is_shared, shared

    assert not shared(tmp_path)
    for kind in ("9p", "drvfs", "virtiofs", "nfs4", "fuse.grpcfuse", "cifs", "smb3", "fakeowner"):
        assert is_shared(kind)
    for kind in ("ext4", "btrfs", "xfs", "zfs", "overlay", "tmpfs", "apfs", "ntfs"):
        assert not is_shared(kind)


def test_the_self_test_tells_where_notifications_arrive(tmp_path: Path) -> None:
    """A folder that can be written sends them here; one that is not there does not."""
    from llmpath.watching.changes import notified

    assert notified(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not notified(tmp_path / "nowhere")

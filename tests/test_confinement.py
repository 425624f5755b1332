"""What learner code can reach during a grading, where the machine can confine it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from test_grading import SOLUTION, Bench

from llmpath.errors import LlmpathError
from llmpath.grading import sandbox
from llmpath.grading.report import GradeReport
from llmpath.grading.request import GradeRequest

TRY = """
def attempt():
    {body}

try:
    attempt()
except OSError as error:
    print("refused", error.errno)
else:
    print("done")
"""


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
    os._exit(0)
"""

BURST = """
import os, time
for _ in range(100):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
time.sleep(1.5)
"""

FILL = """
import time
for number in range(8):
    with open(f"file{number}", "wb") as file:
        file.seek(60_000_000)
        file.write(b"x")
time.sleep(1.5)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("confined") / "labs" / "little")
    with bench.grader:
        yield bench


def attempted(bench: Bench, body: str, measure: str) -> GradeReport:
    """A grading whose file tries something on import; skipped where that is not confined."""
    report = bench.grade(TRY.format(body=body) + SOLUTION)
    if measure not in report.isolation.measures:
        pytest.skip(f"this machine cannot confine {measure}")
    assert report.status == "passed", report.output
    return report


def test_recent_linux_lacks_nothing(bench: Bench) -> None:
    """Where the kernel can do it all, it is all in force, so what follows is not skipped."""
    if sys.platform != "linux" or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12):
        pytest.skip("Landlock confines signals since Linux 6.12")
    measures = set(bench.grade(SOLUTION).isolation.measures)
    assert {sandbox.FILES, sandbox.SIGNALS, sandbox.LIMITS} <= measures


@pytest.mark.parametrize("what", ["checks", "solution", "home", "password", "parent", "neighbour"])
def test_files_of_others_cannot_be_read(bench: Bench, what: str, tmp_path: Path) -> None:
    """Neither checks, solution and progress nor the home folder can be read."""
    neighbour = tmp_path / "progress.db"
    neighbour.write_text("progress")
    home = Path.home()
    path = {
        "checks": bench.folder / "checks.py",
        "solution": bench.folder / "lab.py",
        "home": home,
        "password": Path("/etc/passwd"),
        "parent": Path(f"/proc/{os.getpid()}/environ"),
        "neighbour": neighbour,
    }[what]
    opener = "import os; os.listdir" if path.is_dir() else "open"
    report = attempted(bench, f"{opener}({str(path)!r})", sandbox.FILES)
    assert report.output.startswith("refused")


def test_nothing_can_be_written_outside(bench: Bench, tmp_path: Path) -> None:
    """A file outside the scratch folder cannot be made; one inside can."""
    outside = tmp_path / "trace"
    report = attempted(bench, f"open({str(outside)!r}, 'w')", sandbox.FILES)
    assert report.output.startswith("refused")
    assert not outside.exists()
    inside = "import tempfile; tempfile.TemporaryFile().write(b'x')"
    assert attempted(bench, inside, sandbox.FILES).output.startswith("done")


def test_no_program_can_be_started(bench: Bench) -> None:
    """Learner code starts no other program."""
    body = "import subprocess; subprocess.run(['/bin/ls', '/'])"
    assert attempted(bench, body, sandbox.FILES).output.startswith("refused")


def test_no_socket_can_be_opened(bench: Bench) -> None:
    """A listening port on this very machine cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        body = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=2)"
        assert attempted(bench, body, sandbox.NETWORK).output.startswith("refused")


def test_no_signal_reaches_other_processes(bench: Bench) -> None:
    """The grader cannot be signalled, let alone killed."""
    body = f"import os; os.kill({os.getpid()}, 0)"
    assert attempted(bench, body, sandbox.SIGNALS).output.startswith("refused")


def test_event_loops_still_work(bench: Bench) -> None:
    """What a lab may well use, such as asyncio and threads, is not lost."""
    body = "import asyncio; asyncio.run(asyncio.sleep(0))"
    assert attempted(bench, body, sandbox.NETWORK).output.startswith("done")


def test_require_confines_fully_or_refuses(bench: Bench) -> None:
    """`require` gives a verified report or an error that says what is missing, nothing between."""
    file = bench.folder.parent / "little.py"
    file.write_text(SOLUTION)
    request = GradeRequest(bench.lab, bench.folder, file, isolation="require")
    if not set(bench.grade(SOLUTION).isolation.measures) >= sandbox.REQUIRED:
        with pytest.raises(LlmpathError, match="cannot confine"):
            bench.grader.grade(request)
        return
    report = bench.grader.grade(request).report
    assert report.isolation.standing == "verified"
    assert set(report.isolation.measures) >= sandbox.REQUIRED


def test_off_is_told(bench: Bench) -> None:
    """With isolation off the report claims no measure of the system's, and is self-checked."""
    file = bench.folder.parent / "little.py"
    file.write_text(SOLUTION)
    report = bench.grader.grade(GradeRequest(bench.lab, bench.folder, file, isolation="off")).report
    assert report.passed
    assert not set(report.isolation.measures) & sandbox.REQUIRED
    assert report.isolation.standing == "self-checked"


def test_what_a_worker_leaves_behind_is_ended(bench: Bench) -> None:
    """A daemon in a session of its own does not outlive the grading."""
    report = bench.grade(DAEMON + SOLUTION)
    assert report.passed
    server = [p for p in psutil.Process().children() if "forkserver" in " ".join(p.cmdline())]
    assert all(not p.children() for p in server)


def test_too_many_processes_are_ended(bench: Bench) -> None:
    """A burst of forks ends as a failure with a reason, and nothing is left."""
    report = bench.grade(BURST + SOLUTION)
    assert report.status == "import-error"
    assert "processes" in report.checks[0].message


def test_a_full_scratch_folder_is_a_failure(bench: Bench) -> None:
    """Many large files end as a failure with a reason, before the disk is full."""
    report = bench.grade(FILL + SOLUTION)
    assert report.status == "import-error"
    assert "MB" in report.checks[0].message

"""Files that try to cheat, break or outlive the grading, each graded for real.

An attack is one file of `tests/attacks`. Its docstring says what it tries and, in its last
lines, what it may honestly earn:

    Lab: plain | tensors
    Scores: the points
    Needs: what the worker has to be confined from, if the attack fails only then
    Says: words that the report's messages must have, if they matter

`@outside@`, `@lab@`, `@port@` and `@pid@` in a file become a folder, the lab's folder, a
listening port of 127.0.0.1 and the process that grades: an attacker would find them out.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import hashlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from llmpath.course.models import Lab
from llmpath.grading.grader import Grader
from llmpath.grading.report import GradeReport
from llmpath.grading.request import GradeRequest

resource = pytest.importorskip("resource", reason="the attacks are written for POSIX")

ATTACKS = Path(__file__).parent / "attacks"
LIMITS = {"seconds": 8, "check_seconds": 1, "output_kb": 8}
# A guard against hangs: what starting, ending and a busy machine may cost beyond the limit.
MARGIN = 7.0

LABS = {
    "plain": {
        "id": "plain",
        "title": "Plain Python",
        "file": "plain.py",
        "limits": {**LIMITS, "memory_mb": 300},
        "checks": [
            {"id": "adds", "title": "Adds", "points": 3},
            {"id": "counts", "title": "Counts", "points": 2},
            {"id": "shouts", "title": "Shouts", "points": 4},
            {"id": "applies", "title": "Applies", "points": 1},
        ],
    },
    "tensors": {
        "id": "tensors",
        "title": "Tensors",
        "file": "tensors.py",
        "limits": {**LIMITS, "memory_mb": 1200},
        "checks": [
            {"id": "matches", "title": "Equals torch's", "points": 3},
            {"id": "centres", "title": "Takes the mean away", "points": 2},
            {"id": "gradient", "title": "Has the right gradient", "points": 4},
        ],
    },
}


@dataclass(frozen=True)
class Attack:
    """One file that attacks the grading, and what it declares of itself."""

    file: Path
    lab: str
    scores: int
    needs: frozenset[str]
    says: str

    @classmethod
    def read(cls, file: Path) -> Attack:
        """The attack that a file holds; `ValueError` if it does not declare itself."""
        text = ast.get_docstring(ast.parse(file.read_bytes())) or ""
        told = dict(re.findall(r"^(Lab|Scores|Needs|Says): (.+)$", text, re.MULTILINE))
        if not {"Lab", "Scores"} <= told.keys():
            raise ValueError(f"{file} does not say its lab and what it scores")
        needs = frozenset(told.get("Needs", "").split())
        return cls(file, told["Lab"], int(told["Scores"]), needs, told.get("Says", ""))


@dataclass(frozen=True)
class Scene:
    """Where attacks take place.

    Attributes:
        root: the only folder that the tests use.
        outside: what must stay as it is: a workspace, labs, a home folder.
        canary: text that lies in everything secret, and must not be in any report.
        listener: a server on 127.0.0.1.
        graders: an open grader for each lab.
        force: what the worker can be kept from on this machine.
    """

    root: Path
    outside: Path
    canary: str
    listener: socket.socket
    graders: dict[str, Grader]
    force: frozenset[str]

    @property
    def port(self) -> int:
        """Where the server listens."""
        return int(self.listener.getsockname()[1])

    def stage(self, lab: str, source: str) -> GradeRequest:
        """A request to grade the source, with its placeholders filled in."""
        folder = self.outside / "labs" / lab
        known = {"outside": self.outside, "lab": folder, "port": self.port, "pid": os.getpid()}
        for name, value in known.items():
            source = source.replace(f"@{name}@", str(value))
        model = Lab.model_validate(LABS[lab])
        file = self.outside / "workspace" / model.file
        file.write_text(source)
        return GradeRequest(lab=model, folder=folder, file=file)

    def tidy(self) -> None:
        """Put things back as they were, so that a successful attack is no other one's success."""
        # Not rmtree, which an attack may have made too deep for.
        for folder in (self.root / "scratch", self.outside):
            subprocess.run(["rm", "-rf", str(folder)], check=True)
        shutil.copytree(self.root / "backup", self.outside)
        (self.root / "scratch").mkdir()

    def grade(self, lab: str, request: GradeRequest) -> GradeReport:
        """The report, or a failure if none comes in time; an exception comes through."""
        found: list[GradeReport | BaseException] = []

        def work() -> None:
            try:
                found.append(self.graders[lab].grade(request).report)
            except BaseException as error:
                found.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(request.lab.limits.seconds + MARGIN)
        report = found[0] if found else None
        if isinstance(report, GradeReport):
            return report
        # The grader is not to be trusted any more; the other attacks get a new one.
        _end_what_is_left(self.root)
        thread.join(5)
        self.graders[lab].__exit__(None, None, None)
        self.graders[lab] = Grader(request.folder, method="fork")
        if report is not None:
            raise report
        pytest.fail("no report came within the lab's limit and a margin")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    root = tmp_path_factory.mktemp("scene")
    outside, canary = root / "outside", secrets.token_hex(8)
    _furnish(outside, canary)
    (root / "scratch").mkdir()
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as closing:
        patch.setenv("HOME", str(outside / "home"))
        patch.setenv("SECRET_TOKEN", canary)
        patch.setattr(tempfile, "tempdir", str(root / "scratch"))
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(0)
        graders = {lab: Grader(outside / "labs" / lab, method="fork") for lab in LABS}
        closing.callback(lambda: [grader.__exit__(None, None, None) for grader in graders.values()])
        bare = Scene(root, outside, canary, listener, graders, frozenset())
        force = set()
        for lab in LABS:
            # Also leaves the byte code of checks.py, which later gradings must not touch.
            report = bare.grade(lab, bare.stage(lab, _solution(lab)))
            assert report.status == "passed", report
            force.update(report.isolation.measures)
        shutil.copytree(outside, root / "backup")
        scene = Scene(root, outside, canary, listener, graders, frozenset(force))
        yield scene
        scene.tidy()
        _end_what_is_left(root)


def _furnish(outside: Path, canary: str) -> None:
    """Put everything there that learner code must not read or change."""
    for lab in LABS:
        shutil.copytree(ATTACKS / "lab" / lab, outside / "labs" / lab)
        for name in ("lab.py", "checks.py"):
            with (outside / "labs" / lab / name).open("a") as file:
                file.write(f"\n# {canary}\n")
    for name in ("workspace/progress.db", "home/.netrc", "home/.ssh/key"):
        file = outside / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(canary)


def _solution(lab: str) -> str:
    return (ATTACKS / "lab" / lab / "lab.py").read_text()


def _state(outside: Path) -> dict[str, object]:
    """All that there is outside the scratch folder: names, content, rights, times, limits."""
    found: dict[str, object] = {}
    for path in sorted([outside, *outside.rglob("*")]):
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        marks = os.listxattr(path, follow_symlinks=False) if hasattr(os, "listxattr") else []
        found[str(path)] = (about.st_mode, about.st_mtime_ns, about.st_nlink, content, tuple(marks))
    limits = {name: getattr(resource, name) for name in dir(resource) if name[:7] == "RLIMIT_"}
    found |= {name: resource.getrlimit(kind) for name, kind in limits.items()}
    found["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    if hasattr(os, "sched_getaffinity"):
        found["processors"] = frozenset(os.sched_getaffinity(0))
    return found


def _restore(state: dict[str, object]) -> None:
    """Give this process the limit and the processors that an attack may have taken."""
    resource.setrlimit(resource.RLIMIT_CORE, state["RLIMIT_CORE"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, state["processors"])


def _shared_memory() -> set[str]:
    """The System V shared memory segments of this user, which outlive processes."""
    table = Path("/proc/sysvipc/shm")
    if not table.exists():
        return set()
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return {row[1] for row in rows if int(row[7]) == os.getuid()}


def _family(root: Path) -> set[psutil.Process]:
    """Our descendants, and every process that has to do with our folder."""
    family = set(psutil.Process().children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            signs = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if process.pid != os.getpid() and any(str(root) in sign for sign in signs):
                family.add(process)
    return family


def _left(root: Path, before: set[psutil.Process]) -> list[psutil.Process]:
    """What was not there before and has not ended shortly after."""
    new = _family(root) - before
    _, alive = psutil.wait_procs(new, timeout=2)
    return [process for process in alive if process.is_running()]


def _end_what_is_left(root: Path) -> None:
    for process in _family(root):
        with contextlib.suppress(psutil.Error):
            process.kill()


FILES = sorted(ATTACKS.glob("*.py"))
by_file = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def test_there_are_enough_attacks() -> None:
    """The pack is complete, and every file declares its lab and what it may earn."""
    assert len(FILES) >= 45
    for attack in map(Attack.read, FILES):
        most = sum(check["points"] for check in LABS[attack.lab]["checks"])
        assert 0 <= attack.scores <= most


@by_file
def test_an_attack_earns_what_is_honest_and_leaves_no_trace(scene: Scene, file: Path) -> None:
    """Exactly the honest points, a report in time, nothing changed, leaked or left running."""
    attack = Attack.read(file)
    if lacking := attack.needs - scene.force:
        pytest.skip(f"not in force on this machine: {', '.join(sorted(lacking))}")
    request = scene.stage(attack.lab, file.read_text())
    state, segments, family = _state(scene.outside), _shared_memory(), _family(scene.root)
    try:
        report = scene.grade(attack.lab, request)
        after, left = _state(scene.outside), _left(scene.root, family)
        kept = _shared_memory()
        litter = list((scene.root / "scratch").iterdir())
    finally:
        scene.tidy()
        _restore(state)
        for segment in _shared_memory() - segments:
            ctypes.CDLL(None).shmctl(int(segment), 0, None)  # IPC_RMID

    told = report.model_dump_json()
    assert report.points == attack.scores, told
    assert (report.status == "passed") == (attack.scores == report.max_points), told
    assert attack.needs <= set(report.isolation.measures)
    assert attack.says in told
    assert scene.canary not in told
    assert after == state
    assert kept == segments
    assert not left
    assert not litter
    with pytest.raises(BlockingIOError):
        scene.listener.accept()


def test_after_all_attacks_an_honest_file_still_passes(scene: Scene) -> None:
    """No attack has left a grader behind that refuses, or forgets, an honest answer."""
    for lab in LABS:
        assert scene.grade(lab, scene.stage(lab, _solution(lab))).status == "passed"


NOBODY = 65534


def test_the_same_holds_for_an_ordinary_user() -> None:
    """Where these tests run as root, they all run once more as a user without privileges.

    There, learner code has the same user as whoever grades it, so that no file's owner keeps
    it out; and `--isolation require` has to confine it without root's help.
    """
    if os.getuid() != 0:
        pytest.skip("these tests run as an ordinary user already")
    tests = [__file__, str(Path(__file__).with_name("test_confinement.py"))]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, where only its user may look
        os.chown(folder, NOBODY, NOBODY)
        around = {"HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [*_without_privileges(), *command],
            env={**os.environ, **around},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            encoding="utf-8",
        )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


def _without_privileges() -> list[str]:
    """The beginning of a command that runs as another user; skipped where that cannot be."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("there is no setpriv to change the user with")
    change = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    none = ["--inh-caps=-all"]
    # Python itself may lie in root's home, which takes a right to read; it helps no attack,
    # for the worker is kept from files by Landlock and not by their owner.
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    same = f"import sys; sys.exit(sys.version != {sys.version!r})"
    for rights in (none, read):
        probe = [*change, *rights, sys.executable, "-c", same]
        if subprocess.run(probe, capture_output=True).returncode == 0:
            return [*change, *rights]
    pytest.skip("another user cannot run this Python")

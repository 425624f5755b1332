"""The installed command on the small course, in a workspace of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# A shell that starts the tests in the background has them ignore Ctrl-C, and every program that
# they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

SMALL_COURSE = Path(__file__).parent / "course"
LLMPATH = (sys.executable, "-m", "llmpath")


@dataclass
class Learner:
    """Someone who types commands in a workspace.

    Attributes:
        root: the workspace.
        environment: what the commands see; the course is the small one.
    """

    root: Path
    environment: dict[str, str]

    def types(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Type one command, and wait for it."""
        return subprocess.run(
            [*LLMPATH, *arguments],
            cwd=self.root,
            env=self.environment,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    def begins(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one command and go on at once."""
        return subprocess.Popen(
            [*LLMPATH, *arguments],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def reads(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.types(*arguments, "--json").stdout)

    def solves(self, lab: str, stage: str) -> Path:
        """Write the reference into the learner's file of a lab."""
        file = self.root / stage / f"{lab}.py"
        file.write_bytes((SMALL_COURSE / "labs" / lab / "lab.py").read_bytes())
        return file


def environment(cache: Path) -> dict[str, str]:
    """An environment in which commands use the small course and a cache of their own."""
    return {
        **os.environ,
        "LLMPATH_COURSE": str(SMALL_COURSE),
        "XDG_CACHE_HOME": str(cache),
        "COLUMNS": "80",
        "NO_COLOR": "1",
    }


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    """A learner with a new workspace on the small course."""
    root = tmp_path / "workspace"
    root.mkdir()
    learner = Learner(root, environment(tmp_path / "cache"))
    assert learner.types("init").returncode == 0
    return learner


MAKER = '''
import shutil


def experiment(lab, run):
    """Take the model that a test has made."""
    run.save("tiny", lambda path: shutil.copytree(FOLDER, path))
    run.result("Made a model.")
'''


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that goes on with texts."""
    import tiny_llama  # imports torch, which most tests do without

    return tiny_llama.write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that knows how a conversation is written."""
    import tiny_llama

    return tiny_llama.write(tmp_path_factory.mktemp("models") / "chatty", chats=True)


def make_learner(tmp_path: Path, folder: Path) -> Learner:
    """A learner on a small course whose first lab makes the model in a folder."""
    course, root = tmp_path / "course", tmp_path / "workspace"
    shutil.copytree(SMALL_COURSE, course)
    file = course / "labs" / "adding" / "lab.yaml"
    file.write_text(file.read_text().replace("limits:", "makes: [tiny]\nlimits:", 1))
    maker = MAKER.replace("FOLDER", repr(str(folder)))
    (course / "labs" / "adding" / "experiment.py").write_text(maker)
    root.mkdir()
    learner = Learner(root, {**environment(tmp_path / "cache"), "LLMPATH_COURSE": str(course)})
    assert learner.types("init").returncode == 0
    return learner


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def change(root: Path, name: str, *edits: tuple[str, str]) -> None:
    """Replace the one place of each text in a file of a course."""
    file = root / name
    text = file.read_text("utf-8")
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, "utf-8")

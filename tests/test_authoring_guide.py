"""docs/authoring.md leads from nothing to a checked step: every command and file in it is real."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import environment
from markdown_it import MarkdownIt

from llmpath.labkit import checks
from llmpath.labkit.run import Run

GUIDE = Path(__file__).parent.parent / "docs" / "authoring.md"
TITLE = re.compile(r'title="([^"]+)"')
EXIT = re.compile(r"# exit code (\d)")


@dataclass(frozen=True)
class Block:
    """A block of code of the guide."""

    line: int
    info: str
    text: str


def blocks() -> Iterator[Block]:
    for token in MarkdownIt().parse(GUIDE.read_text("utf-8")):
        if token.type == "fence" and token.map is not None:
            yield Block(token.map[0] + 1, token.info, token.content)


def commands(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, with the lines that it is said to print."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, *printed = part.splitlines()
        yield command, [line for line in printed if line.strip()]


@dataclass
class Reader:
    """Someone who follows the guide to the letter.

    Attributes:
        folder: where they are.
    """

    folder: Path
    environment: dict[str, str]

    def writes(self, name: str, text: str) -> None:
        """Save a file that the guide shows."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def types(self, command: str, line: int) -> str:
        """Type a command; it must end as the guide says."""
        if command.startswith("cd "):
            self.folder = (self.folder / command[3:].strip()).resolve()
            assert self.folder.is_dir()
            return ""
        done = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=900,
        )
        wanted = int(found[1]) if (found := EXIT.search(command)) else 0
        said = f"line {line}: {command}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == wanted, said
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """Someone in an empty folder, for whom `llmpath` and `python` are those of the tests."""
    seen = environment(tmp_path / "cache") | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    del seen["LLMPATH_COURSE"]
    (tmp_path / "desk").mkdir()
    return Reader(tmp_path / "desk", seen)


@pytest.mark.skipif(os.name == "nt", reason="the guide is written for a Unix shell")
def test_the_guide_works_from_its_first_line_to_its_last(reader: Reader) -> None:
    """Whoever types every command and saves every file has a sound course, taken and upgraded."""
    typed = 0
    for block in blocks():
        if title := TITLE.search(block.info):
            reader.writes(title[1], block.text)
        elif block.info == "console":
            for command, printed in commands(block):
                said = " ".join(reader.types(command, block.line).split())
                for line in printed:
                    pattern = re.escape(" ".join(line.split())).replace("…", ".+")
                    assert re.search(pattern, said), f"line {block.line}: {line!r} in {said}"
                typed += 1
    assert typed > 15
    merged = (reader.folder.parent / "my-copy" / "basics" / "ngrams.py").read_text("utf-8")
    assert "n: int = 2" in merged


def test_the_guide_names_all_that_checks_and_experiments_are_given() -> None:
    """The two tables name each public function of `checks` and each public method of `Run`."""
    _, _, given = GUIDE.read_text("utf-8").partition("## What checks and experiments are given")
    tables, _, _ = given.partition("\n## ")
    run = {name for name in vars(Run) if not name.startswith("_")}
    assert set(re.findall(r"`run\.(\w+)", tables)) - {"seed", "scale", "model"} == run
    written = ast.parse(Path(checks.__file__).read_text("utf-8")).body
    public = {
        node.name
        for node in written
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    shown = public & set(re.findall(r"^\| `(\w+)\(", tables, re.MULTILINE))
    assert shown == public - {"show", "describe"}  # what sentences are made with


def test_every_command_of_the_guide_is_a_command(reader: Reader) -> None:
    """Commands that are only spoken of in the text exist too."""
    spoken = re.findall(r"`(llmpath [a-z]+(?: [a-z]+)?)", GUIDE.read_text("utf-8"))
    known = {" ".join(each.split()[:3]) for each in spoken}
    assert len(known) > 3
    for command in sorted(known):
        words = command.split()
        groups = ("author", "lab", "progress", "models")
        asked = words[: 3 if words[1] in groups else 2]
        reader.types(" ".join([*asked, "--help"]), 0)

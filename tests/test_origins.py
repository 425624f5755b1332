"""Taking a course from a folder, a git repository or an installed package, if it is trusted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest
from conftest import LLMPATH, SMALL_COURSE, Learner, environment

from llmpath.course.origins import Kind, origin
from llmpath.errors import LlmpathError

NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@pytest.fixture
def newcomer(tmp_path: Path) -> Learner:
    """Someone without a workspace, and without a course in the environment."""
    root = tmp_path / "home"
    root.mkdir()
    seen = environment(tmp_path / "cache") | {"XDG_DATA_HOME": str(tmp_path / "data")}
    del seen["LLMPATH_COURSE"]
    return Learner(root, seen)


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody, whatever this machine's settings."""
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    seen = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *who, *arguments], cwd=folder, env=seen, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with the small course in it."""
    folder = tmp_path / "published"
    shutil.copytree(SMALL_COURSE, folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "First")
    return folder


def publish(folder: Path, name: str, old: str, new: str) -> None:
    """Commit a change of one file."""
    file = folder / name
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")
    git(folder, "commit", "--quiet", "--all", "-m", "Next")


def test_a_folder_is_taken_once_it_is_trusted(newcomer: Learner) -> None:
    """Without --trust and with nobody to ask nothing is made; with it the course is remembered."""
    refused = newcomer.types("init", "mine", "--course", str(SMALL_COURSE))
    assert refused.returncode == 2
    assert "made of programs as well as texts" in refused.stderr
    assert "--trust" in refused.stderr
    assert not (newcomer.root / "mine").exists()
    taken = newcomer.types("init", "mine", "--course", str(SMALL_COURSE), "--trust")
    assert taken.returncode == 0, taken.stderr
    inside = Learner(newcomer.root / "mine", newcomer.environment)
    assert "Welcome" in inside.types("next").stdout
    again = newcomer.types("init", "mine")
    assert again.returncode == 0
    assert "Welcome" in inside.types("next").stdout


def test_the_option_before_the_command_means_the_same(newcomer: Learner) -> None:
    """`--course X init` asks and remembers as `init --course X` does."""
    before = newcomer.types("--course", str(SMALL_COURSE), "init", "mine")
    assert before.returncode == 2
    assert "--trust" in before.stderr
    taken = newcomer.types("--course", str(SMALL_COURSE), "init", "mine", "--trust")
    assert taken.returncode == 0
    assert "adding" in newcomer.types("--workspace", "mine", "list").stdout


@pytest.mark.parametrize(("answer", "made"), [("n", False), ("", False), ("y", True)])
def test_someone_at_a_terminal_is_asked(newcomer: Learner, answer: str, made: bool) -> None:
    """The question says what running a stranger's course means; only a yes makes anything."""
    child = pexpect.spawn(
        LLMPATH[0],
        [*LLMPATH[1:], "init", "mine", "--course", str(SMALL_COURSE)],
        cwd=str(newcomer.root),
        env=newcomer.environment,
        encoding="utf-8",
        timeout=60,
    )
    child.expect("with your rights")
    child.expect("Do you trust whoever wrote it")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert (newcomer.root / "mine" / "alpha" / "adding.py").exists() == made
    assert (child.exitstatus == 0) == made


@NEEDS_GIT
def test_a_repository_is_cloned_and_later_upgraded(newcomer: Learner, repository: Path) -> None:
    """A URL is fetched once; `upgrade` fetches the newest version, and merges as ever."""
    url = repository.as_uri()
    taken = newcomer.types("init", "mine", "--course", url, "--trust")
    assert taken.returncode == 0, taken.stderr
    settings = json.loads((newcomer.root / "mine/.llmpath/workspace.json").read_text("utf-8"))
    assert settings["origin"] == {"kind": "git", "name": url}
    inside = Learner(newcomer.root / "mine", newcomer.environment)
    adding = inside.root / "alpha" / "adding.py"
    adding.write_text(adding.read_text("utf-8") + "\n# mine\n", "utf-8")
    before = adding.read_bytes()
    publish(repository, "curriculum/path.yaml", 'version: "1.0"', 'version: "2.0"')
    publish(repository, "labs/adding/lab.py", '"""Adding up whole numbers."""', '"""Sums."""')
    assert "are those of version 1.0" in inside.types("upgrade", "--dry-run").stdout
    done = inside.types("upgrade")
    assert done.returncode == 0, done.stderr
    assert "from version 1.0 of the course to 2.0" in done.stdout
    text = adding.read_text("utf-8")
    assert text.startswith('"""Sums."""')
    assert text.endswith("# mine\n")
    assert inside.types("progress", "undo").returncode == 0
    assert adding.read_bytes() == before


@NEEDS_GIT
def test_a_newest_version_that_is_broken_is_not_taken(newcomer: Learner, repository: Path) -> None:
    """When the author has published a course that cannot be read, the one before it is kept."""
    url = repository.as_uri()
    newcomer.types("init", "mine", "--course", url, "--trust")
    inside = Learner(newcomer.root / "mine", newcomer.environment)
    publish(repository, "curriculum/alpha/adding.yaml", "minutes: 10", "minutes: many")
    done = inside.types("upgrade")
    assert done.returncode == 2
    assert "the one before it is kept" in " ".join(done.stderr.split())
    assert "curriculum/alpha/adding.yaml:3:10" in done.stderr
    assert "Welcome" in inside.types("next").stdout


@NEEDS_GIT
def test_a_course_in_a_folder_of_a_repository_is_found(newcomer: Learner, tmp_path: Path) -> None:
    """The course may be one folder of a repository that holds other things too."""
    folder = tmp_path / "published"
    shutil.copytree(SMALL_COURSE, folder / "course")
    (folder / "notes.txt").write_text("notes", "utf-8")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "First")
    taken = newcomer.types("init", "mine", "--course", folder.as_uri(), "--trust")
    assert taken.returncode == 0, taken.stderr


@NEEDS_GIT
def test_what_cannot_be_fetched_leaves_nothing(newcomer: Learner, tmp_path: Path) -> None:
    """No repository, one without a course, an option for a URL: a sentence, and no clone."""
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet", "--initial-branch", "main")
    git(empty, "commit", "--quiet", "--allow-empty", "-m", "Nothing")
    for url, said in {
        (tmp_path / "nowhere.git").as_uri(): "git clone failed",
        empty.as_uri(): "holds no course",
        "--upload-pack=touch${IFS}owned.git": "",
        "ext::sh -c touch% owned.git": "",
    }.items():
        done = newcomer.types("init", "mine", f"--course={url}", "--trust")
        assert done.returncode == 2, url
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        assert list(newcomer.root.iterdir()) == []
        courses = tmp_path / "data" / "llmpath" / "courses"
        assert not courses.exists() or list(courses.iterdir()) == []


@pytest.fixture
def package(newcomer: Learner, tmp_path: Path) -> Path:
    """The small course as an installed package, whose code must not be imported to find it."""
    site = tmp_path / "site"
    shutil.copytree(SMALL_COURSE, site / "small_course")
    (site / "small_course" / "__init__.py").write_text("raise SystemExit('imported')\n", "utf-8")
    metadata = site / "small_course-3.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: small-course\nVersion: 3.1\n", "utf-8"
    )
    (metadata / "entry_points.txt").write_text(
        "[llmpath.courses]\nsmall = small_course\nbroken = no_such_package\n", "utf-8"
    )
    newcomer.environment["PYTHONPATH"] = str(site)
    return site


def test_an_installed_course_is_taken_by_its_name(newcomer: Learner, package: Path) -> None:
    """A package that offers a course is found by the name it gives, also after it has moved."""
    refused = newcomer.types("init", "mine", "--course", "small")
    assert "The installed course small 3.1" in " ".join(refused.stderr.split())
    taken = newcomer.types("init", "mine", "--course", "small", "--trust")
    assert taken.returncode == 0, taken.stderr
    inside = Learner(newcomer.root / "mine", newcomer.environment)
    assert "Welcome" in inside.types("next").stdout
    moved = package.rename(package.parent / "elsewhere")
    inside.environment["PYTHONPATH"] = str(moved)
    assert "Welcome" in inside.types("next").stdout
    del inside.environment["PYTHONPATH"]
    gone = inside.types("next")
    assert gone.returncode == 2
    assert "is not installed any more" in gone.stderr


def test_a_name_that_nothing_bears_is_told(newcomer: Learner, package: Path) -> None:
    """A misspelt name is refused with those that are installed; a broken package is named."""
    unknown = newcomer.types("init", "mine", "--course", "smal", "--trust")
    assert unknown.returncode == 2
    assert "Installed courses: broken, small." in unknown.stderr
    broken = newcomer.types("init", "mine", "--course", "broken", "--trust")
    assert broken.returncode == 2
    assert "no_such_package" in broken.stderr
    assert not (newcomer.root / "mine").exists()


def test_what_a_name_means(tmp_path: Path) -> None:
    """Paths, URLs and addresses as ssh writes them are told apart without fetching anything."""
    for url in (
        "https://example.org/course",
        "git@example.org:who/course.git",
        "ssh://git@example.org/course",
        "file:///srv/course",
        "somewhere/course.git",
    ):
        assert origin(url).kind is Kind.GIT
    assert origin(str(SMALL_COURSE)).kind is Kind.FOLDER
    with pytest.raises(LlmpathError, match="is not a course"):
        origin(str(tmp_path))
    with pytest.raises(LlmpathError, match="There is no folder"):
        origin(str(tmp_path / "nowhere"))

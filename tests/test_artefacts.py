"""What one lab makes and another needs: whose it is, when it is made, and that none is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner, environment

from llmpath.artefacts.own import folder
from llmpath.artefacts.recipe import Variant, fingerprint
from llmpath.course.loader import load
from llmpath.workspace.folder import find

MAKER = '''
import time
from pathlib import Path


def experiment(lab, run):
    """Write down the numbers that this lab can add up."""
    time.sleep(WAIT)

    def write(path):
        path.mkdir()
        (path / "numbers.txt").write_text(str(lab.total([1, 2, 3])) + " " + run.data_name)
        (path / "numbers.safetensors").write_bytes(bytes(8))

    run.data_name = run.scale
    run.save("numbers", write)
    run.result("Wrote the numbers.", total=lab.total([1, 2, 3]))
'''
USER = '''
def experiment(lab, run):
    """Read what the other lab wrote."""
    text = (run.artefact("numbers") / "numbers.txt").read_text()
    run.result(f"Read {text}.", text=text)
'''


def make_course(root: Path, wait: float = 0.0) -> Path:
    """The small course, in which `adding` makes numbers and `shouting` needs them."""
    shutil.copytree(SMALL_COURSE, root)
    for lab, line, experiment in (
        ("adding", "makes: [numbers]", MAKER.replace("WAIT", str(wait))),
        ("shouting", "needs: [numbers]", USER),
    ):
        file = root / "labs" / lab / "lab.yaml"
        file.write_text(file.read_text().replace("limits:", f"{line}\nlimits:", 1))
        (root / "labs" / lab / "experiment.py").write_text(experiment)
    return root


def make_learner(tmp_path: Path, wait: float = 0.0, name: str = "workspace") -> Learner:
    """A learner on that course; learners of one test share the cache."""
    course = tmp_path / "course"
    if not course.exists():
        make_course(course, wait)
    root = tmp_path / name
    root.mkdir()
    variables = {**environment(tmp_path / "cache"), "LLMPATH_COURSE": str(course)}
    learner = Learner(root, variables)
    assert learner.types("init").returncode == 0
    return learner


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return make_learner(tmp_path)


def built(tmp_path: Path) -> list[Path]:
    """What the cache holds of the reference's artefacts."""
    return sorted((tmp_path / "cache" / "llmpath" / "artefacts").glob("[!.]*"))


def read(learner: Learner, *options: str) -> str:
    """What the experiment that needs the numbers says it read."""
    learner.solves("shouting", "beta")
    told = learner.types("lab", "run", "shouting", *options)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def own(learner: Learner) -> Path:
    return learner.root / "artifacts" / "numbers"


def test_a_need_is_made_by_the_reference_once(learner: Learner, tmp_path: Path) -> None:
    """What nobody has made yet is made first, said so, and used again afterwards."""
    first = read(learner)
    assert "First, the reference's numbers (lab adding)" in first
    assert "Read 6 micro." in first
    again = read(learner)
    assert "First," not in again
    assert "Read 6 micro." in again
    assert len(built(tmp_path)) == 1


def test_the_learners_own_is_used_once_its_lab_passes(learner: Learner) -> None:
    """Grading first, running then: the run's artefact stands in artifacts/ and is used."""
    learner.solves("adding", "alpha")
    assert learner.types("grade", "adding").returncode == 0
    told = learner.types("lab", "run", "adding").stdout
    assert "Yours from now on: artifacts/numbers/" in told
    (own(learner) / "numbers.txt").write_text("mine")
    assert "Read mine." in read(learner)


def test_a_run_before_the_grading_counts_too(learner: Learner) -> None:
    """Running first, grading then: the artefact of that run is taken when it is needed."""
    learner.solves("adding", "alpha")
    told = learner.types("lab", "run", "adding").stdout
    assert "until yours passes" in told
    assert not own(learner).exists()
    learner.types("grade", "adding")
    assert "Read 6 micro." in read(learner)
    manifest = json.loads((own(learner) / "llmpath.json").read_text())
    assert manifest["run"].startswith("runs/adding/")


def test_the_learners_own_is_made_if_they_never_ran_it(learner: Learner) -> None:
    """A lab that passes but was never run is run with the code that passed."""
    learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    assert "First, your own numbers (lab adding)" in read(learner)
    assert own(learner).is_dir()


def test_code_that_does_not_pass_makes_nothing_for_later_labs(
    learner: Learner, tmp_path: Path
) -> None:
    """A wrong answer's artefact stays in its run folder; the reference's is used."""
    file = learner.solves("adding", "alpha")
    file.write_text(file.read_text().replace("result = 0", "result = 1"))
    assert learner.types("grade", "adding").returncode == 1
    assert learner.types("lab", "run", "adding").returncode == 0
    assert "Read 6 micro." in read(learner)
    assert not own(learner).exists()


def test_a_reference_run_fills_the_cache(learner: Learner, tmp_path: Path) -> None:
    """`lab run --reference` of the maker is what later labs use; nothing is made twice."""
    assert learner.types("lab", "run", "adding", "--reference").returncode == 0
    assert len(built(tmp_path)) == 1
    assert "First," not in read(learner)


def test_what_it_is_made_from_decides(tmp_path: Path) -> None:
    """Code, experiment, code used, scale, seed and data each change the fingerprint."""
    root = make_course(tmp_path / "course")

    def prints(**options: object) -> str:
        course = load(root)
        return fingerprint(course, course.lab("shouting"), replace(Variant(), **options))

    text = tmp_path / "text.txt"
    text.write_text("one")
    kinds = [{}, {"scale": "mini"}, {"seed": 1}, {"data": "python"}, {"data": str(text)}]
    found = {prints(**options) for options in kinds}
    text.write_text("another")
    found.add(prints(data=str(text)))
    found.add(prints(data=f"{text}#column"))
    text.write_text("another one")
    found.add(prints(data=f"{text}#column"))
    texts = tmp_path / "texts"
    (texts / "more").mkdir(parents=True)
    for content in ("one", "another"):
        (texts / "more" / "a.txt").write_text(content)
        found.add(prints(data=str(texts)))
    for name in ("adding/lab.py", "adding/experiment.py", "shouting/lab.py"):
        path = root / "labs" / name
        path.write_text(path.read_text() + "\n")
        found.add(prints())
    assert len(found) == 13
    assert prints() == prints()


def test_two_builders_take_turns(tmp_path: Path) -> None:
    """Two runs that need the same at once make it once, and both have it."""
    learners = [make_learner(tmp_path, 3.0, name) for name in ("one", "two")]
    for learner in learners:
        learner.solves("shouting", "beta")
    both = [learner.begins("lab", "run", "shouting") for learner in learners]
    told = [process.communicate(timeout=60)[0].decode() for process in both]
    assert all("Read 6 micro." in text for text in told), told
    assert len(built(tmp_path)) == 1
    assert sum("First," in text for text in told) == 1
    assert sum("waiting for it" in text for text in told) == 1


def test_a_killed_build_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    """After kill -9 in the middle of a build, the next run makes it anew."""
    learner = make_learner(tmp_path, 3.0)
    learner.solves("shouting", "beta")
    process = learner.begins("lab", "run", "shouting")
    folder = tmp_path / "cache" / "llmpath" / "artefacts"
    while not list(folder.glob(".*.building")):
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert built(tmp_path) == []
    assert "Read 6 micro." in read(learner)


def test_a_build_that_fails_says_whose_fault_it_is(learner: Learner, tmp_path: Path) -> None:
    """A broken experiment of the maker is named, with the command that shows it."""
    (tmp_path / "course" / "labs" / "adding" / "experiment.py").write_text("def experiment(): x\n")
    learner.solves("shouting", "beta")
    told = learner.types("lab", "run", "shouting")
    assert told.returncode == 2
    assert "numbers could not be made: the experiment of adding" in told.stderr
    assert "llmpath lab run adding --reference" in told.stderr
    assert built(tmp_path) == []


def cut_off(folder: Path) -> None:
    """Leave half of the weights."""
    (folder / "numbers.safetensors").write_bytes(bytes(4))


def test_a_damaged_reference_is_made_anew(learner: Learner, tmp_path: Path) -> None:
    """A file that was cut off, or is gone, in the cache is not read as if it were whole."""
    read(learner)
    (build,) = built(tmp_path)
    for damage in (cut_off, shutil.rmtree):
        damage(build / "numbers")
        assert learner.reads("status")["artefacts"] == {"numbers": "none yet"}
        told = read(learner)
        assert "First, the reference's numbers (lab adding)" in told
        assert "Read 6 micro." in told
    cut_off(build / "numbers")
    assert learner.types("lab", "run", "adding", "--reference").returncode == 0
    assert "First," not in read(learner)


def test_a_damaged_one_of_ones_own_is_set_aside(learner: Learner) -> None:
    """It is taken anew from its run, or made anew, and what was damaged is still there."""
    learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    learner.types("lab", "run", "adding")
    cut_off(own(learner))
    told = read(learner)
    assert "Read 6 micro." in told
    assert "First," not in told
    aside = own(learner).with_name("numbers.damaged")
    assert (aside / "numbers.safetensors").stat().st_size == 4
    (own(learner) / "numbers.txt").unlink()
    shutil.rmtree(learner.root / "runs")
    told = read(learner)
    assert "First, your own numbers (lab adding)" in told
    assert "Read 6 micro." in told


def test_data_that_is_not_there_is_said_before_what_it_was_for(
    learner: Learner, tmp_path: Path
) -> None:
    """Where the maker of a need refuses what was asked for, that is what is said."""
    experiment = tmp_path / "course" / "labs" / "adding" / "experiment.py"
    experiment.write_text("def experiment(lab, run):\n    run.data\n    undefined\n")
    learner.solves("shouting", "beta")
    told = learner.types("lab", "run", "shouting", "--data", "nowhere.txt")
    assert told.returncode == 2
    assert "no file or folder nowhere.txt" in told.stderr
    assert "could not be made" not in told.stderr
    told = learner.types("lab", "run", "shouting", "--data", "python", "--seed", "3")
    assert "llmpath lab run adding --reference --data python --seed 3 shows why" in told.stderr


def test_each_data_has_a_folder_of_its_own(learner: Learner) -> None:
    """Names of data that differ in signs or letters beyond ASCII do not share an artefact."""
    workspace = find(learner.root)
    names = ["microworld", "python", "/a/b.txt", "/a-b.txt", "/ä.txt", "/ö.txt", "/" + "x" * 300]
    folders = {folder(workspace, "numbers", name) for name in names}
    assert len(folders) == len(names)
    assert all(len(each.name) < 64 for each in folders)


def test_status_says_whose_artefacts_there_are(learner: Learner) -> None:
    """`status` tells whose each artefact is, and whether it is of older code."""
    assert learner.reads("status")["artefacts"] == {"numbers": "none yet"}
    read(learner)
    assert learner.reads("status")["artefacts"] == {"numbers": "reference"}
    file = learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    learner.types("lab", "run", "adding")
    assert learner.reads("status")["artefacts"] == {"numbers": "own"}
    file.write_text(file.read_text() + "\n# tidied\n")
    learner.types("grade", "adding")
    assert learner.reads("status")["artefacts"] == {"numbers": "own, of older code"}
    assert "of older code" in learner.types("status").stdout


def test_run_all_walks_the_thread_and_says_what_it_cost(learner: Learner, tmp_path: Path) -> None:
    """`lab run --all` runs every lab in order, own code where it passes, else the reference."""
    learner.solves("adding", "alpha")
    learner.types("grade", "adding")
    told = learner.types("lab", "run", "--all")
    assert told.returncode == 0, told.stderr
    assert own(learner).is_dir()
    assert [line.split()[:2] for line in told.stdout.splitlines() if " finished" in line] == [
        ["adding", "yours"],
        ["shouting", "reference"],
    ]
    rows = learner.reads("lab", "run", "--all", "--reference")
    assert [(row["lab"], row["code"], row["outcome"]) for row in rows] == [
        ("adding", "reference", "finished"),
        ("shouting", "reference", "finished"),
    ]
    assert len(built(tmp_path)) == 1

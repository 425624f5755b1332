"""Lists and comparisons of runs, and going on with one, through the command line."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner

from llmpath.labkit.data import generated, standard_library
from llmpath.running.curves import Curves, overlay
from llmpath.running.events import Floor, Log
from llmpath.running.request import NAMED_DATA

EXPERIMENT = """
import random, time
def experiment(lab, run):
    run.floor("val_bits", 1.0, "noise floor")
    saved = run.resumed()
    for step in range(saved.step if saved else 0, 20):
        run.log(step, val_bits=1 + random.random() / (1 + step), seed=run.seed)
        run.progress(step + 1, 20)
        if step == 9:
            run.checkpoint(10, {"drawn": 10})
            if run.seed == 7 and not saved:
                print("waiting", flush=True)
                time.sleep(600)
    run.result(f"Seed {run.seed}.", last=run.seed / 2)
"""


@pytest.fixture
def course(learner: Learner, tmp_path: Path) -> Learner:
    """A learner whose first lab logs a curve, and waits in its middle with seed 7."""
    import shutil

    root = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, root)
    (root / "labs" / "adding" / "experiment.py").write_text(EXPERIMENT, encoding="utf-8")
    learner.environment["LLMPATH_COURSE"] = str(root)
    learner.solves("adding", "alpha")
    return learner


def interrupted(learner: Learner, sig: signal.Signals) -> None:
    """Begin a run, and stop it in its middle."""
    with learner.begins("lab", "run", "adding", "--seed", "7", "--json") as command:
        assert command.stdout is not None
        assert any(b"waiting" in line for line in iter(command.stdout.readline, b""))
        (row,) = [row for row in learner.reads("lab", "runs", "adding") if row["seed"] == 7]
        assert row["outcome"] == "running"
        command.send_signal(sig)
        command.communicate()


def test_runs_are_compared_in_a_table_and_a_picture(course: Learner) -> None:
    """Metrics, floors, findings and what differs stand side by side, the curves in one PNG."""
    for seed in ("3", "4"):
        assert course.types("lab", "run", "adding", "--seed", seed).returncode == 0
    shown = course.types("lab", "runs", "adding", "--compare")
    assert shown.returncode == 0, shown.stderr
    rows = {
        cells[0]: cells[1:]
        for line in shown.stdout.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 3
    }
    assert rows["adding"] == ["1 yours", "2 yours"]
    assert rows["seed"] == ["3", "4"]
    assert rows["last"] == ["1.5", "2"]
    assert rows["noise floor"] == ["1", "1"]
    assert "scale" not in rows  # it is the same
    assert "runs/adding/comparison.png" in shown.stdout
    picture = course.root / "runs" / "adding" / "comparison.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    data = course.reads("lab", "runs", "adding", "2", "1", "--compare")
    assert [run["number"] for run in data] == [2, 1]
    assert data[0]["metrics"]["val_bits"]["bounds"] == {"noise floor": 1.0}
    assert data[0]["metrics"]["seed"]["last"] == 4.0


@pytest.mark.parametrize("columns", ["40", "60", "80", "130"])
def test_nothing_is_cut_off_in_a_narrow_terminal(course: Learner, columns: str) -> None:
    """Where runs do not fit beside each other they stand in several tables, each value whole."""
    for seed in range(4):
        assert course.types("lab", "run", "adding", "--seed", str(seed)).returncode == 0
    course.environment["COLUMNS"] = columns
    listed = course.types("lab", "runs").stdout
    compared = course.types("lab", "runs", "adding", "--compare").stdout
    for shown in (listed, compared):
        assert max(map(len, shown.splitlines())) <= int(columns)
    assert all(f"Seed {seed}." in listed for seed in range(4))
    assert listed.count("finished") == compared.count("finished") == 4
    assert all(f"{number} yours" in compared for number in (1, 2, 3, 4))
    rows = [line.split("|") for line in compared.splitlines() if line.startswith("| seed")]
    assert [cell.strip() for row in rows[::2] for cell in row[2:-1]] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_cut_short_is_listed_and_goes_on(course: Learner, sig) -> None:
    """It is told as what it was, `--resume` ends it with its own seed, and its curve is whole."""
    interrupted(course, sig)
    listed = course.types("lab", "runs", "adding")
    assert {signal.SIGKILL: "killed", signal.SIGINT: "interrupted"}[sig] in listed.stdout
    assert "llmpath lab run adding --resume goes on with run 1" in listed.stdout
    done = course.types("lab", "run", "adding", "--resume")
    assert done.returncode == 0, done.stderr
    assert "Going on from step 10." in done.stdout
    assert "Seed 7." in done.stdout
    (row,) = course.reads("lab", "runs", "adding")
    assert row["outcome"] == "finished"
    lines = (Path(row["folder"]) / "events.jsonl").read_text().splitlines()
    steps = [event["step"] for line in lines if (event := json.loads(line))["event"] == "log"]
    assert steps == list(range(20))
    again = course.types("lab", "run", "adding", "--resume")
    assert again.returncode == 2
    assert "no run of adding that ended before it was done" in again.stderr


def test_a_resumed_run_tells_what_changed(course: Learner) -> None:
    """A file that was edited in between is named, and the run goes on."""
    interrupted(course, signal.SIGKILL)
    file = course.root / "alpha" / "adding.py"
    file.write_text(file.read_text() + "\n# another thought\n")
    done = course.types("lab", "run", "adding", "1", "--resume")
    assert done.returncode == 0, done.stderr
    assert "Changed since the run began" in done.stdout
    assert "adding.py" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "adding", "3"], "one name too many"),
        (["run", "adding", "--resume", "--seed", "1"], "--seed is for a new run"),
        (["run", "--all", "--resume"], "--all is for a new run"),
        (["run", "adding", "--resume"], "no run of adding"),
        (["runs", "adding", "9"], "Run 9 of adding is not there"),
        (["runs", "adding", "--compare"], "No run of adding has logged"),
        (["run", "adding", "--scale", "huge"], "--scale huge is not known"),
    ],
)
def test_what_does_not_go_together_is_refused(learner: Learner, arguments, words) -> None:
    """A sentence that says what is wrong, exit code 2, and no folder of a run."""
    done = learner.types("lab", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert not (learner.root / "runs").exists()


def test_data_may_be_a_path_from_where_the_learner_stands(course: Learner) -> None:
    """A relative path is found by the run, which works in a folder of its own."""
    experiment = "def experiment(lab, run):\n    run.result(next(iter(run.data.train))[:9])\n"
    root = Path(course.environment["LLMPATH_COURSE"])
    (root / "labs" / "adding" / "experiment.py").write_text(experiment)
    text = "\n\n".join(f"A tale number {index}." for index in range(50))
    (course.root / "tales.txt").write_text(text)
    done = course.types("lab", "run", "adding", "--data", "tales.txt")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "A tale" in done.stdout


def test_names_of_data_are_those_that_labkit_knows() -> None:
    """What the command line takes for a name and what for a path is what the loader does."""
    assert {*generated.NAMES, *standard_library.NAMES} == set(NAMED_DATA)


def test_curves_lie_over_each_other_by_metric() -> None:
    """Each metric has one chart, with the runs that logged it and each bound once."""
    floor = Floor(metric="bits", value=1.0, label="floor")
    logs = [Log(step=step, metrics={"bits": 2.0 + step}) for step in range(3)]
    charts = overlay(
        {
            "1 yours": Curves([floor, *logs]),
            "2 yours": Curves([floor, *logs, Log(step=1, metrics={"more": None})]),
        }
    )
    assert [series.name for series in charts["bits"].series] == ["1 yours", "2 yours"]
    assert len(charts["bits"].bounds) == 1
    assert [series.name for series in charts["more"].series] == ["2 yours"]


def test_curves_as_a_picture_lose_no_run_and_no_gap() -> None:
    """More runs than colours, gaps and a metric of odd name are drawn as a PNG."""
    from matplotlib.image import imread

    from llmpath.running import picture

    runs = {
        f"run {number}": Curves(
            Log(step=step, metrics={"_$x^{": None if step == 2 else step * number})
            for step in range(6)
        )
        for number in range(40)
    }
    pixels = imread(io.BytesIO(picture.of_runs(runs)))
    colours = {tuple(colour) for colour in (pixels[:, :, :3].reshape(-1, 3) * 255).astype(int)}
    for colour in picture.COLOURS:
        assert tuple(bytes.fromhex(colour[1:])) in colours
    assert picture.of_runs({"a": Curves()}) == b""

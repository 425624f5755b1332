"""Runs that end before they are done go on from their last checkpoint, bit for bit."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy
import pytest
import torch

from llmpath.errors import LlmpathError
from llmpath.labkit import checkpoint
from llmpath.labkit.run import Run
from llmpath.running.events import Event
from llmpath.running.folder import held, new_folder
from llmpath.running.records import list_runs
from llmpath.running.request import RunRequest
from llmpath.running.resume import changed, named, resumable
from llmpath.running.runner import run

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

# Draws from all three generators, has an optimizer with a state and a generator of its own, and
# shows something before the loop, in it, and after it.
TRAINING = """
import os, random, time
import numpy, torch
from torch import nn

STEPS = 60

def experiment(lab, run):
    run.floor("loss", 0.0, "nothing is lost")
    run.table("before", ["a"], [[1]])
    shuffle = torch.Generator().manual_seed(run.seed)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.2), nn.GELU(), nn.Linear(16, 1))
    optimizer = run.adamw(model.parameters(), lr=lab.LEARNING_RATE)
    run.log(0, loss=9.0)
    start, smooth = 0, float("nan")
    if saved := run.resumed():
        start, smooth = saved.step, saved.state["smooth"]
        model.load_state_dict(saved.state["model"])
        optimizer.load_state_dict(saved.state["optimizer"])
        shuffle.set_state(saved.state["shuffle"])
    for step in range(start, STEPS):
        picked = torch.randint(0, 100, (8,), generator=shuffle)
        x = torch.from_numpy(numpy.random.rand(8, 4)).float() + picked[:, None] / 100
        with run.autocast():
            loss = (run.compile(model)(x).sum(-1) - x.sum(-1) * random.random()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        smooth = loss.item() if smooth != smooth else 0.9 * smooth + 0.1 * loss.item()
        run.log(step + 1, loss=loss, smooth=smooth)
        run.progress(step + 1, STEPS, tokens=8 * (step + 1))
        if (step + 1) % 10 == 0:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            run.checkpoint(step + 1, {**state, "shuffle": shuffle.get_state(), "smooth": smooth})
        if step + 1 == 37 and lab.STOP and saved is None:
            print("stopped here", flush=True)
            time.sleep(600)
    from safetensors.torch import save_model
    run.save("model.safetensors", lambda path: save_model(model, str(path)))
    run.result("Done.", smooth=smooth, drawn=random.random(), torch=float(torch.rand(())))
"""
LEARNER = "LEARNING_RATE = 0.01\nSTOP = {stop}\n"
DRIVER = """
import sys
from llmpath.running.request import RunRequest
from llmpath.running.runner import run
for event in run(RunRequest.model_validate_json(sys.argv[1])):
    print(event.model_dump_json(), flush=True)
"""


def written(root: Path, experiment: str = TRAINING, stop: bool = True) -> RunRequest:
    """Write a lab that trains, and give back what to run."""
    folder = root / "labs" / "training"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "experiment.py").write_text(experiment, encoding="utf-8")
    learner_file = root / "train.py"
    learner_file.write_text(LEARNER.format(stop=stop), encoding="utf-8")
    return RunRequest(
        lab="training",
        lab_folder=folder,
        learner_file=learner_file,
        course_root=root,
        run_folder=new_folder(root / "runs", "training"),
        seed=5,
        device="cpu",
    )


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., RunRequest]:
    """Writes a lab that trains, and returns what to run."""
    return partial(written, tmp_path)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRequest, list[Event]]:
    """A training run that nothing stopped, and its events."""
    request = written(tmp_path_factory.mktemp("straight"), stop=False)
    return request, list(run(request))


def again(request: RunRequest) -> RunRequest:
    return request.model_copy(update={"resume": True})


def kept(request: RunRequest) -> list[dict]:
    lines = (request.run_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def curve(events: list[dict]) -> list:
    return [(each["step"], each["metrics"]) for each in events if each["event"] == "log"]


def stop_in_the_middle(request: RunRequest, stop: Callable[[subprocess.Popen[str]], None]) -> None:
    """Run in a process of its own, and stop it where its training waits."""
    command = [sys.executable, "-c", DRIVER, request.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert any("stopped here" in line for line in driver.stdout)
        stop(driver)
        driver.stdout.read()


@posix_only
@pytest.mark.parametrize("sig", ["SIGKILL", "SIGINT"])
def test_a_resumed_run_equals_one_that_was_never_stopped(lab, straight, sig):
    """Killed or interrupted in the middle, the run ends with the same bits in model and curve."""
    undisturbed, whole = straight
    broken = lab()
    stop_in_the_middle(broken, lambda driver: driver.send_signal(getattr(signal, sig)))
    records = list_runs(broken.run_folder.parents[1], "training")
    chosen = resumable(records, "training")
    assert chosen.folder == broken.run_folder
    assert chosen.outcome == {"SIGKILL": "killed", "SIGINT": "interrupted"}[sig]
    events = list(run(again(broken)))

    models = [request.run_folder / "model.safetensors" for request in (undisturbed, broken)]
    assert models[0].read_bytes() == models[1].read_bytes()
    assert curve(kept(undisturbed)) == curve(kept(broken))
    assert result(whole) == result(events)
    shown = [event.model_dump(mode="json") for event in events]
    assert curve(shown) == curve(kept(undisturbed))
    assert [event.step for event in events if event.event == "resumed"] == [30]
    assert [event.changed for event in events if event.event == "resumed"] == [()]
    assert sum(event.event == "table" for event in events) == 1
    assert sum(event.event == "started" for event in events) == 1
    assert [event.event for event in events][-1] == "ended"
    times = [event["at"] for event in kept(broken)]
    assert times == sorted(times)
    after = list_runs(broken.run_folder.parents[1], "training")[-1]
    assert after.outcome == "finished"
    assert not after.has_checkpoint


def result(events: list[Event]) -> dict:
    return next(event.figures for event in events if event.event == "result")


@posix_only
def test_a_run_may_be_stopped_and_resumed_again_and_again(lab, straight):
    """A run killed twice keeps each part of its curve once."""
    broken = lab(TRAINING.replace("== 37 and lab.STOP and saved is None", "in lab.STOP"))
    for stop in ((37,), (52,)):
        broken.learner_file.write_text(LEARNER.format(stop=stop))
        stop_in_the_middle(again(broken) if stop == (52,) else broken, lambda driver: driver.kill())
    broken.learner_file.write_text(LEARNER.format(stop=()))
    list(run(again(broken)))
    assert curve(kept(straight[0])) == curve(kept(broken))
    assert [event["step"] for event in kept(broken) if event["event"] == "resumed"] == [30, 50]


@posix_only
def test_changed_code_is_told_and_its_result_is_nobodys(lab):
    """A run that goes on with another file says which, and is not taken for that file's work."""
    broken = lab()
    stop_in_the_middle(broken, lambda driver: driver.kill())
    broken.learner_file.write_text("LEARNING_RATE = 0.5\nSTOP = False\n")
    (record,) = list_runs(broken.run_folder.parents[1])
    assert changed(record, broken) == ("train.py",)
    events = list(run(again(broken)))
    assert [event.changed for event in events if event.event == "resumed"] == [("train.py",)]
    (record,) = list_runs(broken.run_folder.parents[1])
    assert record.code == ""
    assert record.outcome == "finished"


@posix_only
def test_a_checkpoint_whose_word_was_lost_loses_no_events(lab, straight):
    """A kill right after a checkpoint was written: the curve so far is kept, and goes on."""
    broken = lab()
    stop_in_the_middle(broken, lambda driver: driver.kill())
    file = broken.run_folder / "events.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    said = [n for n, line in enumerate(lines) if '"checkpoint"' in line]
    file.write_text("".join(lines[: said[-1]]) + '{"event": "lo')
    list(run(again(broken)))
    assert curve(kept(straight[0])) == curve(kept(broken))


def test_what_cannot_go_on_is_told_why(lab, tmp_path):
    """Finished, without a checkpoint, still going, or not there: each has its own sentence."""
    runs = tmp_path / "runs"

    def refusal(name: str = "") -> str:
        with pytest.raises(LlmpathError) as caught:
            resumable(list_runs(runs, "training"), "training", name)
        return f"{caught.value.message} {caught.value.hint}"

    assert "no run of training that ended before" in refusal()
    bare = lab("def experiment(lab, run):\n    run.log(1, a=1)\n", stop=False)
    list(run(bare))
    assert "left no checkpoint" in refusal()
    done = lab("def experiment(lab, run):\n    run.result('Done.')\n", stop=False)
    list(run(done))
    assert "was finished" in refusal("2")
    assert "is not there" in refusal("77")
    assert "is not clear" in refusal("20")
    with held(lab().run_folder):
        assert "still goes on" in refusal("3")
    (bare.run_folder / "checkpoint.safetensors").write_bytes(b"\0" * 7)
    assert resumable(list_runs(runs, "training"), "training").number == 1
    with pytest.raises(LlmpathError, match="cannot be read"):
        list(run(again(bare)))


def test_a_run_that_goes_on_elsewhere_is_not_taken_up(lab):
    """Two terminals cannot both write one run."""
    request = lab()
    with held(request.run_folder), pytest.raises(LlmpathError, match="still goes on"):
        list(run(again(request)))


def test_a_run_is_named_by_number_or_by_part_of_its_time(lab, tmp_path):
    """Its place in the list, its folder's name, or what tells it apart."""
    folders = [tmp_path / "runs" / "training" / f"2026-01-0{day}T10-00-00" for day in (1, 2)]
    for folder in folders:
        folder.mkdir(parents=True)
    records = list_runs(tmp_path / "runs", "training")
    for name in ("2", "2026-01-02T10-00-00", "01-02"):
        assert named(records, "training", name).folder == folders[1]


STATE = {
    "weights": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
    "view": torch.arange(12.0).reshape(3, 4).t()[1:],
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1}]},
    "betas": (0.9, 0.95),
    "numbers": [1, 2.5, -0.0, math.inf, True, None, 2**80],
    "best": math.nan,
    "phase": "warm-up",
    "array": numpy.arange(3),
    "empty": torch.zeros(0, 4),
}


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, numpy.ndarray):
        return a.dtype == b.dtype and numpy.array_equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def test_a_state_comes_back_as_it_was(tmp_path):
    """Types, keys that are numbers, tuples, views, odd numbers and generators survive."""
    generator = torch.Generator().manual_seed(9)
    torch.rand(5, generator=generator)
    file = tmp_path / "checkpoint.safetensors"
    checkpoint.write(file, 7, {**STATE, "generator": generator})
    expected = torch.rand(3, generator=generator)
    read, _ = checkpoint.read(file)
    restored = read.state.pop("generator")
    assert read.step == 7
    assert same(read.state, STATE)
    assert torch.equal(torch.rand(3, generator=restored), expected)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_the_random_state_of_three_libraries_comes_back(tmp_path):
    """Python, numpy and torch draw after a restart what they would have drawn without."""
    before = (random.getstate(), numpy.random.get_state(), torch.get_rng_state())

    def draw() -> list:
        gauss = [random.gauss(0, 1), float(numpy.random.standard_normal())]
        return [*gauss, random.random(), float(numpy.random.rand()), float(torch.rand(()))]

    try:
        draw()
        checkpoint.write(tmp_path / "c.safetensors", 1, {})
        expected = draw()
        draw()
        checkpoint.restore_random_state(checkpoint.read(tmp_path / "c.safetensors")[1])
        assert draw() == expected
    finally:
        random.setstate(before[0])
        numpy.random.set_state(before[1])
        torch.set_rng_state(before[2])


def test_a_state_that_cannot_be_kept_is_refused_and_the_old_one_stays(tmp_path):
    """No object travels but data, so that reading a checkpoint can run nothing."""
    given = Run(lambda *event: None, folder=tmp_path)
    with pytest.raises(RuntimeError, match=r"run\.checkpoint: call run\.resumed\(\)"):
        given.checkpoint(1, {})
    assert given.resumed() is None
    given.checkpoint(1, {"a": 1})
    for state, words in (({"m": torch.nn.Linear(1, 1)}, "state_dict"), ({"f": print}, "a builtin")):
        with pytest.raises(TypeError, match=rf"run\.checkpoint: .*{words}"):
            given.checkpoint(2, state)
    with pytest.raises(ValueError, match="step must be a whole number"):
        given.checkpoint(-1, {})
    assert checkpoint.read(tmp_path / "checkpoint.safetensors")[0].state == {"a": 1}


@posix_only
def test_a_full_disk_leaves_the_old_checkpoint_and_no_part_of_a_new_one(tmp_path: Path) -> None:
    """What cannot be written to its end takes nothing away, and no room."""
    import resource

    path = tmp_path / checkpoint.FILE
    checkpoint.write(path, 1, {"weight": torch.zeros(10)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OSError, match="large"):
            checkpoint.write(path, 2, {"weight": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [path]
    assert checkpoint.read(path)[0].step == 1


def test_a_lab_without_torch_keeps_a_checkpoint_without_it(lab):
    """Plain numbers are kept and read back, and torch is not loaded for them."""
    experiment = """
import random, sys
def experiment(lab, run):
    saved = run.resumed()
    total = saved.state["total"] if saved else 0
    for step in range(saved.step if saved else 0, 6):
        total += random.randrange(1000)
        run.checkpoint(step + 1, {"total": total})
        if step == 2 and lab.STOP and not saved:
            raise RuntimeError("stopped")
    run.result("Added.", total=total, torch="torch" in sys.modules)
"""
    straight = lab(experiment, stop=False)
    expected = result(list(run(straight)))
    broken = lab(experiment)
    assert list(run(broken))[-1].outcome == "failed"
    assert result(list(run(again(broken)))) == expected
    assert expected["torch"] == "no"


def test_an_experiment_that_forgets_to_ask_is_told(lab):
    """A resumed run whose experiment never asks for its checkpoint does not pretend to go on."""
    request = lab("def experiment(lab, run):\n    run.result('Done.')\n")
    checkpoint.write(request.run_folder / "checkpoint.safetensors", 3, {})
    (request.run_folder / "run.json").write_text("{}")
    events = list(run(again(request)))
    failed = next(event for event in events if event.event == "failed")
    assert "has not called run.resumed()" in failed.message

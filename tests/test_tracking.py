"""`--track`: each tracker, read back with its own library, has what the run logged."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Learner

from llmpath.errors import LlmpathError
from llmpath.running.events import Event
from llmpath.running.folder import new_folder
from llmpath.running.request import TRACKERS, RunRequest
from llmpath.running.runner import run
from llmpath.running.tracking.follower import require

EXPERIMENT = """
def experiment(lab, run):
    run.floor("val_bits", 0.75, "entropy floor")
    for step in range(1, 6):
        run.log(step, val_bits=2 / step, odd=float("nan") if step == 2 else step)
    run.text("sample", "the cat sat")
    run.table("by kind", ["kind", "bits"], [["fact", 0.5], ["a|b", 2]])
    {then}
    run.result("It learns.", last=0.4, name="x")
"""
STEPS = {step: 2 / step for step in range(1, 6)}

# What each library finds where the run wrote it: steps and values, facts, texts, how it ended.
READERS = {
    "tensorboard": """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
kept = EventAccumulator(str(folder)).Reload()
def text(tag):
    return kept.Tensors(tag + "/text_summary")[0].tensor_proto.string_val[0].decode()
found = {
    "bits": {e.step: e.value for e in kept.Scalars("val_bits")},
    "gaps": [e.step for e in kept.Scalars("odd")],
    "floor": float(text("val_bits: entropy floor")),
    "seed": "| seed | 4 |" in text("facts"),
    "texts": text("sample") + text("by kind") + text("result"),
    "pictures": kept.Tags()["images"],
    "ended": text("result").split(":")[0],
}
""",
    "mlflow": """
from mlflow import MlflowClient
client = MlflowClient(f"sqlite:///{runs / 'mlflow' / 'mlflow.db'}")
experiment = client.get_experiment_by_name("llmpath-doubling")
(kept,) = client.search_runs([experiment.experiment_id])
assert kept.info.run_name == folder.name
files = [file.path for file in client.list_artifacts(kept.info.run_id)]
where = Path(kept.info.artifact_uri.removeprefix("file://"))
texts = "".join((where / file).read_text() for file in files if file.endswith(".md"))
history = lambda name: client.get_metric_history(kept.info.run_id, name)
found = {
    "bits": {m.step: m.value for m in history("val_bits")},
    "gaps": [m.step for m in history("odd")],
    "floor": float(kept.data.params.get("val_bits: entropy floor", 0)),
    "seed": kept.data.params["seed"] == "4",
    "texts": texts + kept.data.tags.get("mlflow.note.content", ""),
    "pictures": [file.removesuffix(".png") for file in files if file.endswith(".png")],
    "ended": kept.info.status,
}
""",
    "wandb": """
import struct
from wandb.proto import wandb_internal_pb2
(file,) = folder.glob("wandb/offline-*/*.wandb")
data, at, part, history, config, ended = file.read_bytes(), 7, b"", [], {}, None
while at + 7 <= len(data):  # LevelDB's log format: blocks of 32 KiB
    if 32768 - at % 32768 < 7:
        at += 32768 - at % 32768
        continue
    size, kind = struct.unpack("<4xHB", data[at : at + 7])
    part, at = part + data[at + 7 : at + 7 + size], at + 7 + size
    if kind in (1, 4):
        record, part = wandb_internal_pb2.Record.FromString(part), b""
        values = lambda items: {i.key or i.nested_key[0]: json.loads(i.value_json) for i in items}
        if record.HasField("history"):
            history.append(values(record.history.item))
        if record.HasField("exit"):
            ended = record.exit.exit_code
        if record.HasField("run"):
            assert record.run.project == "llmpath-doubling"
            assert record.run.display_name == folder.name
        for changed in (record.run.config, record.config):
            config |= values(changed.update)
tables = folder.glob("wandb/offline-*/files/media/table/*.json")
found = {
    "bits": {h["step"]: h["val_bits"] for h in history if "val_bits" in h},
    "gaps": [h["step"] for h in history if "odd" in h],
    "floor": config["val_bits: entropy floor"],
    "seed": config["seed"] == 4,
    "texts": "".join(table.read_text() for table in tables) + "It learns.",
    "pictures": [p.name.split("_")[0] for p in folder.glob("wandb/offline-*/files/media/images/*")],
    "ended": {0: "finished", 1: "failed"}.get(ended),
}
""",
    "trackio": """
from trackio import SQLiteStorage
project = "llmpath-doubling"
logs = SQLiteStorage.get_logs(project, folder.name)
media = {k: v for log in logs for k, v in log.items() if isinstance(v, dict)}
values = lambda kind: {k: v for k, v in media.items() if v["_type"] == kind}
texts = "".join(v["_value"] for v in values("trackio.markdown").values())
found = {
    "bits": {log["step"]: log["val_bits"] for log in logs if "val_bits" in log},
    "gaps": [log["step"] for log in logs if "odd" in log],
    "floor": next(v for log in logs for k, v in log.items() if k == "val_bits: entropy floor"),
    "seed": SQLiteStorage.get_run_config(project, folder.name)["seed"] == 4,
    "texts": texts,
    "pictures": list(values("trackio.image")),
    "ended": media["result"]["_value"].split(":")[0],
}
""",
}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a lab that logs a little, and returns what to run."""
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI", "TRACKIO_SPACE_ID"):
        monkeypatch.delenv(name, raising=False)

    def write(tracker: str, then: str = "") -> RunRequest:
        if importlib.util.find_spec(tracker) is None:
            pytest.skip(f"{tracker} is not installed")
        folder = tmp_path / "labs" / "doubling"
        folder.mkdir(parents=True)
        (folder / "experiment.py").write_text(EXPERIMENT.format(then=then), encoding="utf-8")
        learner_file = tmp_path / "twice.py"
        learner_file.write_text("", encoding="utf-8")
        values = {
            "lab": "doubling",
            "lab_folder": folder,
            "learner_file": learner_file,
            "course_root": tmp_path,
            "run_folder": new_folder(tmp_path / "runs", "doubling"),
            "seed": 4,
            "track": tracker,
        }
        return RunRequest.model_validate(values)

    return write


def read_back(request: RunRequest) -> dict:
    """What the tracker's own library finds of a run."""
    folder = str(request.run_folder)
    program = (
        f"import json\nfrom pathlib import Path\nfolder = Path({folder!r})\n"
        f"runs = folder.parent.parent\n{READERS[request.track or '']}\nprint(json.dumps(found))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    found["bits"] = {int(step): value for step, value in found["bits"].items()}
    return found


def tracked(events: list[Event]) -> list:
    return [event for event in events if event.event == "tracked"]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_tracker_has_what_the_run_logged(lab, tracker):
    """Metrics at their steps, facts, floors, texts, tables, the picture and the outcome."""
    request = lab(tracker)
    events = list(run(request))
    assert [event.problem for event in tracked(events)] == [""]
    assert events[-1].event == "ended"
    assert '"tracked"' not in (request.run_folder / "events.jsonl").read_text()
    found = read_back(request)
    assert found["bits"] == pytest.approx(STEPS)
    assert found["gaps"] == [1, 3, 4, 5]
    assert found["floor"] == 0.75
    assert found["seed"]
    for words in ("the cat sat", "fact", "It learns."):
        assert words in found["texts"]
    assert found["pictures"] == ["curves"]
    assert found["ended"].lower() == "finished"


def test_a_run_that_was_killed_is_told_as_killed(lab):
    """The tracker outlives a parent that is killed just long enough to say so."""
    request = lab("mlflow", then="import time; print('waiting', flush=True); time.sleep(600)")
    driver = (
        "import sys\nfrom llmpath.running.request import RunRequest\n"
        "from llmpath.running.runner import run\n"
        "for event in run(RunRequest.model_validate_json(sys.argv[1])):\n"
        "    print(event.model_dump_json(), flush=True)\n"
    )
    command = [sys.executable, "-c", driver, request.model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        seen: set[str] = set()
        for line in parent.stdout:
            seen |= {word for word in ("waiting", '"tracked"') if word in line}
            if len(seen) == 2:
                break
        parent.kill()
    deadline = time.monotonic() + 90
    while (found := read_back(request))["ended"] != "KILLED" and time.monotonic() < deadline:
        time.sleep(1)
    assert found["ended"] == "KILLED"
    assert found["bits"] == pytest.approx(STEPS)


def test_a_tracker_that_fails_costs_the_run_nothing(lab, monkeypatch):
    """The run finishes, and what went wrong is told once, before the end."""
    request = lab("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at-all")
    events = list(run(request))
    assert events[-1].outcome == "finished"
    (said,) = tracked(events)
    assert "nowhere" in said.problem


def test_a_tracker_that_is_missing_is_told_with_the_command(monkeypatch):
    """Before anything runs: which package, and how to install it."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "wandb" else real(name)
    )
    with pytest.raises(LlmpathError, match="not installed") as caught:
        require("wandb")
    assert "-m pip install wandb" in caught.value.hint


def test_an_unknown_tracker_is_refused(learner: Learner):
    """The known ones are named, and no run is begun."""
    done = learner.types("lab", "run", "adding", "--track", "paper")
    assert done.returncode == 2
    assert "tensorboard, mlflow, wandb, trackio" in done.stderr
    assert not (learner.root / "runs").exists()

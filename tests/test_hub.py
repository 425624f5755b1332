"""Data and models from the hub, through its own clients and a hub that runs on this machine."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Learner
from small_hub import Hub
from small_models import plain_model

from llmpath.models import store
from llmpath.models.catalogue import Model

STORIES = [f"Story {number}: a dog met {number + 2} cats." for number in range(120)]
PULL = """
import pickle, sys
from llmpath.errors import LlmpathError
from llmpath.models.pull import pull
try:
    print(pull(pickle.load(open(sys.argv[1], "rb")), lambda *told: None, sys.argv[2]).source)
except LlmpathError as error:
    sys.exit(f"{error.message} {error.hint}")
"""


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """The folder of the hub's repositories."""
    root = tmp_path / "hub"
    root.mkdir()
    return root


@pytest.fixture
def hub(repositories: Path, learner: Learner, tmp_path: Path) -> Iterator[Hub]:
    """The hub; the learner's commands know no other, and keep its caches here."""
    with Hub(repositories) as running:
        learner.environment |= {
            "HF_ENDPOINT": running.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
            store.VARIABLE: str(tmp_path / "store"),
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }
        yield running


def add(repositories: Path, name: str, files: dict[str, list[str]], column: str = "text") -> None:
    """A data set with a Parquet file for each split."""
    for split, texts in files.items():
        path = repositories / "datasets" / name / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = {column: texts, "url": [f"https://example.org/{i}" for i in range(len(texts))]}
        pq.write_table(pa.table(rows), path)


def test_a_data_set_is_streamed(hub: Hub, repositories: Path, learner: Learner) -> None:
    """Splits are taken at their word, the licence comes from the card, nothing is downloaded."""
    add(repositories, "someone/stories", {"train": STORIES[:100], "validation": STORIES[100:]})
    found = learner.reads("data", "show", "someone/stories", "-n", "1")
    assert found["licence"] == "cc0-1.0"
    assert found["sizes"]["train"]["documents"] == 100
    assert found["sizes"]["validation"]["documents"] == 20
    assert found["samples"][0]["text"] == STORIES[0]
    kept = Path(learner.environment["HF_HOME"]).rglob("*.parquet")
    assert not list(kept)


def test_without_validation_the_content_decides(
    hub: Hub, repositories: Path, learner: Learner
) -> None:
    """One split becomes two, and no document is on both sides or lost."""
    add(repositories, "someone/more", {"train": STORIES})
    found = learner.reads("data", "show", "someone/more#text", "-n", "0")
    sizes = found["sizes"]
    assert sizes["train"]["documents"] + sizes["validation"]["documents"] == len(STORIES)
    assert sizes["validation"]["documents"] > 0


def test_wrong_columns_and_names_get_a_sentence(
    hub: Hub, repositories: Path, learner: Learner
) -> None:
    """What is wrong with a name is told apart: the column, or the data set."""
    add(repositories, "someone/tables", {"train": STORIES}, column="english")
    several = learner.types("data", "show", "someone/tables")
    assert several.returncode == 2
    assert "several columns of text" in several.stderr
    assert "#english" in several.stderr
    wrong = learner.types("data", "show", "someone/tables#nothing")
    assert wrong.returncode == 2
    assert "no column 'nothing'" in wrong.stderr
    nobody = learner.types("data", "show", "nobody/nothing")
    assert nobody.returncode == 2
    assert "no data set of that name on the hub" in nobody.stderr


def test_without_a_network_what_works_is_named(learner: Learner, tmp_path: Path) -> None:
    """Offline, the hub gets one sentence and no traceback, and not a long wait."""
    learner.environment |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    refused = learner.types("data", "show", "roneneldan/TinyStories")
    assert refused.returncode == 2
    assert "cannot be reached" in refused.stderr
    assert "microworld, python" in refused.stderr
    assert "Traceback" not in refused.stderr


# Models


def pulls(model: Model, source: str, learner: Learner) -> subprocess.CompletedProcess[str]:
    """Pull a model in a process that knows this hub."""
    path = learner.root / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    return subprocess.run(
        [sys.executable, "-c", PULL, str(path), source],
        env=learner.environment,
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def model(repositories: Path, tmp_path: Path) -> Model:
    """A small model whose repository is on the hub."""
    index = tmp_path / "index"
    index.mkdir()
    model = plain_model(index, tmp_path)
    folder = repositories / "models" / model.hub.repository
    folder.mkdir(parents=True)
    for file in model.hub.files:
        (folder / file.name).write_bytes((tmp_path / file.name).read_bytes())
    return model


def test_a_model_comes_from_the_hub(hub: Hub, model: Model, learner: Learner) -> None:
    """The hub is asked first; the manifest says so, and no other file is downloaded."""
    done = pulls(model, "auto", learner)
    assert done.returncode == 0, done.stderr
    assert "from the hub" in done.stdout
    folder = Path(learner.environment[store.VARIABLE]) / model.id
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        store.MANIFEST,
    }
    assert json.loads((folder / store.MANIFEST).read_text())["sha256"] == model.hub.files[1].sha256


def test_a_changed_file_on_the_hub_is_refused(
    hub: Hub, model: Model, repositories: Path, learner: Learner
) -> None:
    """A file that is not the one in the catalogue is not used, wherever it comes from."""
    path = repositories / "models" / model.hub.repository / "model.safetensors"
    path.write_bytes(b"x" * path.stat().st_size)
    done = pulls(model, "auto", learner)
    assert done.returncode == 1
    assert "model.safetensors from the hub is not the file that llmpath knows" in done.stderr
    assert not (Path(learner.environment[store.VARIABLE]) / model.id).exists()


def test_where_the_hub_has_no_such_model_the_index_is_asked(
    hub: Hub, model: Model, learner: Learner, tmp_path: Path
) -> None:
    """A hub that answers, but not with the model, is as good as none."""
    learner.environment["PIP_FIND_LINKS"] = str(tmp_path / "index")
    elsewhere = replace(model, hub=replace(model.hub, repository="nobody/moved"))
    done = pulls(elsewhere, "auto", learner)
    assert done.returncode == 0, done.stderr
    assert "package tiny-plain 1.0" in done.stdout

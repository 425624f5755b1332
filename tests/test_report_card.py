"""`llmpath report`: what was done and made, in four forms that say the same."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner, environment
from markdown_it import MarkdownIt
from test_html_report import read

from llmpath.markup.literal import literal
from llmpath.portfolio.summary import figures_of, split
from llmpath.portfolio.weights import weights

HEAVY = ("torch", "transformers", "datasets", "matplotlib")
SAID = "Needs <b>0.5</b> bits | a [token](x); that is `all`."
MAKER = '''
import shutil
from matplotlib.figure import Figure


def experiment(lab, run):
    """Take the model that a test has made, and draw a line."""
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 2])
    run.figure("a-line", figure)
    run.save("tiny", lambda path: shutil.copytree(FOLDER, path))
    run.result(SAID, floor_gap=0.0412, facts=lab.total([400, 612]))
'''


def begun(tmp_path: Path, tiny: Path) -> Learner:
    """A learner on a small course whose first lab makes a model."""
    course, root = tmp_path / "course", tmp_path / "workspace"
    shutil.copytree(SMALL_COURSE, course)
    file = course / "labs" / "adding" / "lab.yaml"
    file.write_text(file.read_text().replace("limits:", "makes: [tiny]\nlimits:", 1))
    code = MAKER.replace("FOLDER", repr(str(tiny))).replace("SAID", repr(SAID))
    (course / "labs" / "adding" / "experiment.py").write_text(code)
    root.mkdir()
    learner = Learner(root, {**environment(tmp_path / "cache"), "LLMPATH_COURSE": str(course)})
    assert learner.types("init").returncode == 0
    return learner


@pytest.fixture
def maker(tmp_path: Path, tiny: Path) -> Learner:
    """A learner on that course who has done nothing yet."""
    return begun(tmp_path, tiny)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Learner:
    """One who has solved, graded and run the first lab."""
    learner = begun(tmp_path_factory.mktemp("finished"), tiny)
    learner.solves("adding", "alpha")
    assert learner.types("grade", "adding").returncode == 0
    ran = learner.types("lab", "run", "adding")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return learner


@pytest.fixture
def doer(tmp_path: Path, finished: Learner) -> Learner:
    """The same in a workspace that a test may change."""
    root = Path(shutil.copytree(finished.root, tmp_path / "workspace"))
    return Learner(root, dict(finished.environment))


def flat(text: str) -> str:
    return " ".join(text.split())


def test_an_empty_workspace_says_what_to_do_first(learner: Learner) -> None:
    """Before anything was done, every form says so, names the next command, and succeeds."""
    told = learner.types("report", "--html", "r.html", "--markdown", "r.md")
    assert told.returncode == 0
    assert "Nothing has been graded, run or made here yet.\nllmpath next begins." in told.stdout
    assert "Nothing has been" in read(learner.root / "r.html").text()
    assert "`llmpath next` begins." in (learner.root / "r.md").read_text()
    data = learner.reads("report")
    assert (data["empty"], data["points"], data["artefacts"]) == (True, 0, [])


def test_what_was_done_and_made_is_told(doer: Learner, tiny: Path) -> None:
    """Points, checks, the last run with its figures, the artefact with its size and origin."""
    data = doer.reads("report")
    first, second = data["labs"]
    assert (first["code"], first["points"], first["checks_passed"]) == ("own", 5, 2)
    assert first["run"]["figures"] == {"floor_gap": 0.0412, "facts": 1012}
    assert first["run"]["sentence"] == SAID
    assert Path(first["run"]["pictures"]["a-line"]).is_file()
    assert (second["code"], second["attempts"], second["run"]) == ("reference", 0, None)
    (model,) = data["artefacts"]
    assert (model["name"], model["whose"], model["run"]) == ("tiny", "own", first["run"]["folder"])
    files = [path for path in (doer.root / "artifacts" / "tiny").iterdir() if path.is_file()]
    assert model["bytes"] == sum(path.stat().st_size for path in files)
    told = doer.types("report").stdout
    for words in ("own code, 2 of 2 checks, 5 of 5 points", SAID, "floor gap 0.0412"):
        assert words in flat(told)
    assert "Self-checked: all of this was graded and run on the learner's own" in told
    assert "run 1 of adding" in told
    assert "Not begun: shouting." in told


def test_what_sums_up_comes_first(maker: Learner) -> None:
    """A lab that says so heads every form once it was run, is told once, and not before."""
    file = Path(maker.environment["LLMPATH_COURSE"]) / "labs" / "adding" / "lab.yaml"
    file.write_text(file.read_text().replace("limits:", "summary: true\nlimits:", 1))
    maker.solves("adding", "alpha")
    assert maker.types("grade", "adding").returncode == 0
    assert maker.reads("report")["summary"] is None
    assert maker.types("lab", "run", "adding").returncode == 0
    assert maker.reads("report")["summary"] == "adding"
    told = maker.types("report", "--html", "r.html", "--markdown", "r.md").stdout
    assert flat(told).count(SAID) == 1
    for name, heading in (("r.html", "<h2>Labs</h2>"), ("r.md", "## Labs")):
        text = (maker.root / name).read_text()
        assert text.count("floor gap") == 1
        assert text.index("floor gap") < text.index(heading)


def test_parameters_are_counted_without_torch(tiny: Path) -> None:
    """The headers of the weights say as many parameters as transformers counts, tied ones once."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    found = weights(tiny)
    assert found is not None
    assert found.parameters == model.num_parameters()
    assert found.types == ("F32",)


def test_training_is_counted_by_tokens_and_weights(maker: Learner, tiny: Path) -> None:
    """6·N·D with and without embeddings, of the last tokens that the run reported; in each form."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny)
    inner = sum(
        weight.numel() for name, weight in model.named_parameters() if "layers" in name
    ) + sum(weight.numel() for weight in model.model.norm.parameters())
    file = Path(maker.environment["LLMPATH_COURSE"]) / "labs" / "adding" / "experiment.py"
    words = "    run.progress(1, 2, tokens=700)\n    run.progress(2, 2, tokens=1000)\n"
    file.write_text(file.read_text().replace("    figure = ", f"{words}    figure = ", 1))
    maker.solves("adding", "alpha")
    assert maker.types("grade", "adding").returncode == 0
    assert maker.types("lab", "run", "adding").returncode == 0
    (made,) = maker.reads("report")["artefacts"]
    took = made["training"]
    assert (took["tokens"], took["flops"]) == (1000, 6 * inner * 1000)
    assert took["flops_of_all_parameters"] == 6 * model.num_parameters() * 1000
    told = maker.types("report", "--html", "r.html", "--markdown", "r.md").stdout
    for text in (told, (maker.root / "r.md").read_text(), read(maker.root / "r.html").text()):
        assert f"{6 * inner * 1000:.2e}" in text
        assert "Kaplan et al. (2020)" in flat(text)


def test_figures_of_models_are_laid_side_by_side() -> None:
    """By the longest name that ends a figure's; what names no model of the lab stays apart."""
    figures = {"gap_a": 1, "gap_b_a": 2, "facts_a": 3.5, "rate": 4, "kind_c": "x"}
    measures, others = split(figures, ("a", "b_a"))
    assert measures == {"gap": {"a": 1, "b_a": 2}, "facts": {"a": 3.5}}
    assert others == {"rate": 4, "kind_c": "x"}
    assert figures_of("b_a", figures, ("a", "b_a")) == {"gap": 2}
    assert figures_of("a", {"rate": 4, "said": "x"}, ("a",)) == {"rate": 4}


def test_weights_that_are_damaged_or_beside_do_not_count(tmp_path: Path, tiny: Path) -> None:
    """A torn file has no parameters; tensors under other names are no parameters of the model."""
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    whole = weights(folder)
    shutil.copy(folder / "model.safetensors", folder / "codes.safetensors")
    assert weights(folder) == whole
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert weights(folder) is None


def test_only_runs_of_the_code_in_use_count(doer: Learner) -> None:
    """After other code has passed, the run of the older code is not shown as its result."""
    file = doer.root / "alpha" / "adding.py"
    file.write_text(file.read_text() + "\n# tidied\n")
    assert doer.types("grade", "adding").returncode == 0
    data = doer.reads("report")
    assert (data["labs"][0]["runs"], data["labs"][0]["run"]) == (1, None)
    assert data["artefacts"][0]["whose"] == "own, of older code"
    told = flat(doer.types("report").stdout)
    assert "Its experiment was not run to its end with the code in use." in told


def test_a_failed_grading_says_how_far_it_came(maker: Learner) -> None:
    """Best points and the checks of the last grading, while the reference stands for the lab."""
    file = maker.solves("adding", "alpha")
    file.write_text(file.read_text().replace("so_far, totals = 0, []", "so_far, totals = 0, [0]"))
    assert maker.types("grade", "adding").returncode == 1
    first = maker.reads("report")["labs"][0]
    assert (first["code"], first["points"], first["checks_passed"]) == ("reference", 3, 1)
    told = flat(maker.types("report").stdout)
    assert "the reference, 1 of 2 checks, 3 of 5 points" in told


def test_the_reference_run_is_said_to_be_one(maker: Learner) -> None:
    """What the reference found and made is shown as the reference's."""
    assert maker.types("lab", "run", "adding", "--reference").returncode == 0
    data = maker.reads("report")
    assert data["labs"][0]["run"]["reference"]
    assert data["artefacts"][0]["whose"] == "reference"
    assert "on the reference's code" in flat(maker.types("report").stdout)


def test_the_page_holds_its_pictures_and_asks_for_nothing(doer: Learner) -> None:
    """Pictures are inside, as they are on the disk; no script, no address, all text escaped."""
    doer.types("report", "--html", "out/card.html")
    page = read(doer.root / "out" / "card.html")
    assert not {"script", "link", "b", "a", "iframe"} & page.names()
    assert SAID in page.text("p")
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    kind, _, content = str(image["src"]).partition(",")
    assert kind == "data:image/png;base64"
    (drawn,) = doer.root.glob("runs/adding/*/a-line.png")
    assert base64.b64decode(content) == drawn.read_bytes()
    assert image["alt"] == "Adding up: a-line"
    policies = [a.get("content") for _, a in page.tags if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert "Self-checked" in page.text("p")


def test_markdown_shows_words_as_they_are_and_finds_pictures(doer: Learner) -> None:
    """Nothing that a run says becomes markup; the picture is found from the file's folder."""
    doer.types("report", "--markdown", "out/card.md")
    text = (doer.root / "out" / "card.md").read_text()
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [child for child in inline if child.type in ("html_inline", "link_open")]
    words = ["".join(c.content for c in token.children or ()) for token in tokens]
    assert SAID in words
    (image,) = [child for child in inline if child.type == "image"]
    address = str(image.attrs["src"])
    assert (doer.root / "out" / address).resolve().is_file()
    assert {"floor gap", "0.0412", "own code", "5 of 5"} <= set(words)


def test_models_of_other_texts_are_told_of(doer: Learner, tmp_path: Path) -> None:
    """A model made from a text of one's own stands beside the other, and names that text."""
    text = tmp_path / "diary.txt"
    text.write_text("A day.\n\nAnother.\n" * 20)
    assert doer.types("lab", "run", "adding", "--data", str(text)).returncode == 0
    made = doer.reads("report")["artefacts"]
    assert [(each["name"], each["data"]) for each in made] == [
        ("tiny", "microworld"),
        ("tiny", str(text)),
    ]
    assert "tiny, of diary.txt" in flat(doer.types("report").stdout)


@pytest.mark.parametrize("columns", ["30", "200"])
def test_windows_of_any_width(doer: Learner, columns: str) -> None:
    """In a narrow window no line is longer than it, and nothing is left out; no colours here."""
    doer.environment["COLUMNS"] = columns
    told = doer.types("report").stdout
    assert max(map(len, told.splitlines())) <= int(columns)
    assert "\x1b" not in told
    assert "floor gap" in told
    assert "own" in told.split("What the labs have made")[1]


def test_pictures_outside_the_run_are_not_taken(doer: Learner) -> None:
    """An event that names a file elsewhere, or one that is no picture, puts nothing on the page."""
    (run,) = doer.root.glob("runs/adding/*")
    (doer.root / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (run / "text.png").write_text("no picture")
    with (run / "events.jsonl").open("a") as events:
        for path in ("../../../secret.png", "text.png", "gone.png"):
            events.write(f'{{"event":"figure","name":"x","path":"{path}"}}\n')
    assert list(doer.reads("report")["labs"][0]["run"]["pictures"]) == ["a-line"]


@pytest.mark.parametrize(
    ("option", "name"),
    [("--html", "report.md"), ("--markdown", "alpha/adding.py"), ("--html", ".")],
)
def test_other_names_are_refused(learner: Learner, option: str, name: str) -> None:
    """A name under which something else may stand is refused, and nothing is written."""
    before = (learner.root / "alpha" / "adding.py").read_bytes()
    told = learner.types("report", option, name)
    assert told.returncode == 2
    assert "is not the name of such a file" in told.stderr
    assert (learner.root / "alpha" / "adding.py").read_bytes() == before


def test_it_does_not_load_torch(doer: Learner) -> None:
    """The report is read from files; none of the heavy libraries is imported."""
    timed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llmpath", "report", "--html", "r.html"],
        cwd=doer.root, env=doer.environment, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    imported = {line.rsplit("|", 1)[-1].strip() for line in timed.stderr.splitlines()}
    assert "llmpath.portfolio.card" in imported
    assert not [name for name in imported if name.split(".")[0] in HEAVY]


@pytest.mark.parametrize(
    "text",
    ["- a", "--- b", "1. c", "2) d", "-0.5", "2.5", "# e", "> f", "*g* _h_ `i`", "[j](k) ![l](m)",
     "<b>n</b> &amp; o", "p | q", "~~r~~", r"s\*t\*", "=== u", "+ v", "| w |", "https://x.org"],
)  # fmt: skip
def test_a_literal_text_is_shown_as_it_stands(text: str) -> None:
    """Whatever a text holds, Markdown makes one paragraph of exactly its words."""
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(literal(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    shown = "".join(child.content for child in tokens[1].children or ())
    assert shown == text


def test_a_literal_text_has_one_line_and_no_controls() -> None:
    """Line ends become spaces; what steers a terminal goes; a number is left alone."""
    assert literal("a\n\n# b\x1b[31m\x00") == r"a \# b\[31m"
    assert literal("0.0412") == "0.0412"

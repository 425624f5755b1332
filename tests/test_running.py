"""Running experiments: what is seen, what is kept, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from llmpath.errors import LlmpathError
from llmpath.labkit.run import Run
from llmpath.running.events import Event, Failed, Log, Unreadable, parse
from llmpath.running.folder import new_folder
from llmpath.running.records import list_runs
from llmpath.running.request import RunRequest
from llmpath.running.runner import run

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")

EXPERIMENT = """
def experiment(lab, run):
    run.result("Twice three is six.", six=lab.twice(3))
"""
LEARNER = "def twice(x):\n    return 2 * x\n"


@pytest.fixture
def lab(tmp_path: Path):
    """Writes a torch-free lab and a learner's file, and returns what to run."""

    def write(
        experiment: str = EXPERIMENT, learner: str = LEARNER, file: str = "twice.py", **asked
    ) -> RunRequest:
        folder = tmp_path / "labs" / "doubling"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "experiment.py").write_text(experiment, encoding="utf-8")
        learner_file = tmp_path / "work" / file
        learner_file.parent.mkdir(exist_ok=True)
        learner_file.write_text(learner, encoding="utf-8")
        return RunRequest(
            lab="doubling",
            lab_folder=folder,
            learner_file=learner_file,
            course_root=tmp_path,
            run_folder=new_folder(tmp_path / "runs", "doubling"),
            **asked,
        )

    return write


def play(request: RunRequest) -> dict[str, list[Event]]:
    """Run to the end; the events by kind."""
    seen: dict[str, list[Event]] = {}
    for event in run(request):
        seen.setdefault(event.event, []).append(event)
    return seen


def failure(request: RunRequest) -> Failed:
    seen = play(request)
    assert seen["ended"][0].outcome == "failed"
    (failed,) = seen["failed"]
    return failed


def result_of(request: RunRequest) -> dict:
    return json.loads((request.run_folder / "result.json").read_text(encoding="utf-8"))


def test_a_tensor_that_wants_gradients_is_logged_without_a_warning(lab):
    """`run.log(step, loss=loss)` before or after `backward` prints nothing."""
    experiment = """
import torch
def experiment(lab, run):
    run.log(1, loss=torch.ones((), requires_grad=True) * 2)
    run.result("Done.")
"""
    seen = play(lab(experiment))
    assert seen["log"][0].metrics == {"loss": 2.0}
    assert "output" not in seen


def test_data_that_is_not_there_is_refused_with_the_mend(lab):
    """The error of the loader is told as it is, as nobody's fault."""
    failed = failure(lab("def experiment(lab, run):\n    run.data\n", data="nowhere.txt"))
    assert failed.kind == "refused"
    assert "nowhere.txt" in failed.message
    assert "path that exists" in failed.hint


def test_on_a_cpu_what_makes_a_gpu_fast_changes_nothing(tmp_path):
    """autocast, compile and adamw are float32, the same module and the plain optimizer there."""
    import torch

    given = Run(lambda *event: None, folder=tmp_path, device="cpu", scale="gpu")
    model = torch.nn.Linear(3, 2)
    inputs = torch.rand(4, 3)
    with given.autocast():
        outputs = given.compile(model)(inputs)
    assert outputs.dtype == torch.float32
    assert torch.equal(outputs, model(inputs))
    assert not given.adamw(model.parameters(), lr=0.1, betas=(0.9, 0.95)).defaults["fused"]


def test_everything_that_an_experiment_shows_arrives_as_an_event(lab):
    """Each call of the experiment's API is one event, in order, with what it was given."""
    experiment = """
def experiment(lab, run):
    run.floor("bits", 0.5, "entropy floor")
    run.progress(1, 2, "first half")
    run.log(1, bits=2, more=float("nan"))
    run.text("sample", "to be")
    run.table("pairs", ["pair", "count"], [["t h", 3], ["h e", 2.5]])
    run.save("notes.txt", lambda path: path.write_text("kept"))
    run.progress(2, 2)
    run.result("Done.", bits=0.75, name="x")
"""
    request = lab(experiment)
    kinds = [event.event for event in run(request)]
    order = "started floor progress log text table saved progress result ended"
    assert " ".join(kinds) == order
    lines = (request.run_folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [json.loads(line) for line in lines]
    assert [event["event"] for event in kept] == kinds
    assert kept[3]["metrics"] == {"bits": 2.0, "more": None}
    assert kept[5]["rows"] == [["t h", 3], ["h e", 2.5]]
    assert (request.run_folder / "notes.txt").read_text() == "kept"
    assert result_of(request)["figures"] == {"bits": 0.75, "name": "x"}
    assert result_of(request)["outcome"] == "finished"


def test_what_is_printed_is_kept_apart_from_the_events(lab):
    """Prints of Python and of C, even ones that look like events, are learner's output."""
    learner = """
import os, subprocess, sys
def twice(x):
    print('{"event": "result", "sentence": "forged"}')
    os.write(1, "raw é \\n".encode())
    os.write(2, b"\\xff\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"])
    return 2 * x
"""
    request = lab(learner=learner)
    seen = play(request)
    text = "".join(event.text for event in seen["output"])
    assert "forged" in text
    assert "raw é \n\ufffd\n" in text
    assert "from a child" in text
    assert [event.sentence for event in seen["result"]] == ["Twice three is six."]
    assert (request.run_folder / "output.txt").read_text(encoding="utf-8") == text


def test_output_without_end_is_cut_and_the_run_goes_on(lab):
    """A program that prints 20 MB finishes, and about 1 MB of it is kept, with a word."""
    learner = "def twice(x):\n    print('x' * 20_000_000)\n    return 2 * x\n"
    request = lab(learner=learner)
    seen = play(request)
    assert seen["ended"][0].outcome == "finished"
    kept = (request.run_folder / "output.txt").read_text(encoding="utf-8")
    assert len(kept) < 1_100_000
    assert kept.rstrip().endswith("output cut")


def test_a_lab_without_torch_never_pays_for_it(lab):
    """Neither torch, numpy, matplotlib nor pydantic is loaded for an experiment without them."""
    experiment = """
import sys
def experiment(lab, run):
    heavy = {"torch", "numpy", "matplotlib", "pydantic", "rich"} & set(sys.modules)
    run.result("Loaded.", heavy=" ".join(sorted(heavy)))
"""
    seen = play(lab(experiment))
    assert seen["result"][0].figures == {"heavy": ""}
    assert seen["started"][0].torch is None


def test_the_same_seed_gives_the_same_figures(lab):
    """Random numbers and the order of sets repeat with the seed, and change without it."""
    experiment = """
import random
def experiment(lab, run):
    words = "-".join({"to", "be", "or", "not", "that", "is"})
    run.result("Drawn.", number=random.random(), words=words)
"""
    first, again, other = (
        play(lab(experiment, seed=seed))["result"][0].figures for seed in (7, 7, 8)
    )
    assert first == again
    assert first["number"] != other["number"]


def test_torch_and_numpy_are_seeded_and_the_device_is_named(lab):
    """An experiment that imports torch and numpy draws what this seed draws anywhere."""
    import numpy
    import torch

    experiment = """
import numpy, torch
def experiment(lab, run):
    assert run.device == torch.device("cpu")
    run.result("Drawn.", a=float(torch.rand(())), b=float(numpy.random.rand()))
"""
    seen = play(lab(experiment, seed=3, device="cpu"))
    torch_draws = float(torch.rand((), generator=torch.Generator().manual_seed(3)))
    numpy_draws = float(numpy.random.RandomState(3).rand())
    assert seen["result"][0].figures == {"a": torch_draws, "b": numpy_draws}
    assert seen["started"][0].device == "cpu"
    assert seen["started"][0].torch == torch.__version__


def test_a_file_called_like_a_library_hides_nothing(lab):
    """A learner's `random.py` is imported, and `import random` still gives Python's."""
    experiment = """
import random
def experiment(lab, run):
    run.result("Both.", six=lab.twice(3), real=hasattr(random, "shuffle"))
"""
    request = lab(experiment, file="random.py")
    (request.learner_file.parent / "json.py").write_text("raise RuntimeError('shadowed')")
    assert play(request)["result"][0].figures == {"six": 6, "real": "yes"}


def test_a_file_saved_twice_in_a_second_runs_as_it_is_now(lab):
    """No compiled copy of the learner's file is used, or left beside it."""
    request = lab()
    play(request)
    before = request.learner_file.stat()
    request.learner_file.write_text(LEARNER.replace("2", "5"), encoding="utf-8")
    os.utime(request.learner_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = request.model_copy(update={"run_folder": new_folder(request.course_root / "r", "x")})
    assert play(again)["result"][0].figures == {"six": 15}
    assert not (request.learner_file.parent / "__pycache__").exists()


def test_a_learners_exception_shows_their_frames_only(lab):
    """From the learner's first frame on; below it, of a library, the last frame alone."""
    learner = """
import json
def inner(text):
    return json.loads(text)
def twice(x):
    return inner("{")
"""
    failed = failure(lab(learner=learner))
    assert failed.kind == "learner"
    assert failed.type == "JSONDecodeError"
    assert [(frame.function, frame.mine) for frame in failed.frames[:2]] == [
        ("twice", True),
        ("inner", True),
    ]
    assert len(failed.frames) == 3
    assert Path(failed.frames[2].file).parts[-2] == "json"
    assert failed.frames[1].line == 4
    marked = failed.frames[1]
    assert marked.code[marked.column - 1 : marked.end_column - 1] == "json.loads(text)"


def test_an_unwritten_function_is_named_with_its_line_and_its_task(lab):
    """The starter's NotImplementedError says which function, where, and what to do."""
    learner = "def twice(x):\n    # TODO: double x\n    raise NotImplementedError\n"
    failed = failure(lab(learner=learner))
    assert (failed.kind, failed.function, failed.instruction) == (
        "not-written",
        "twice",
        "double x",
    )
    assert failed.frames[-1].line == 3


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def twice(x):\n    return 2 +* x\n", 2),
        ("def twice(x):\nreturn 2\n", 2),
        ("x = 'never closed\n", 1),
    ],
)
def test_a_syntax_error_is_told_with_its_line(lab, source, line):
    """A file that Python cannot read is no failure of the course."""
    failed = failure(lab(learner=source))
    assert failed.kind == "syntax"
    assert failed.frames[0].line == line


def test_a_file_that_is_no_utf8_is_a_syntax_error(lab):
    """Bytes that are no text get a failure of kind syntax, not a crash."""
    request = lab()
    request.learner_file.write_bytes(b"x = '\xff\xfe'\n")
    assert failure(request).kind == "syntax"


def test_endless_recursion_is_told_in_a_few_frames(lab):
    """A thousand equal frames become one, with their number; two in turn become a few."""
    failed = failure(lab(learner="def twice(x):\n    return twice(x)\n"))
    assert len(failed.frames) == 1
    assert failed.frames[0].repeated > 900
    ring = "def twice(x):\n    return other(x)\ndef other(x):\n    return twice(x)\n"
    failed = failure(lab(learner=ring))
    assert len(failed.frames) <= 12
    assert failed.omitted > 900


def test_an_exception_without_learner_frames_is_not_theirs(lab):
    """What the experiment itself does wrong is marked so."""
    failed = failure(lab("def experiment(lab, run):\n    run.log(1, bits='much')\n"))
    assert failed.kind == "experiment"
    assert failed.frames[-1].line == 2
    assert "run.log" in failed.message


def test_a_failure_of_the_reference_is_not_the_learners(lab):
    """Run with --reference, nothing that goes wrong is said to be the learner's code."""
    for learner in ("def twice(x):\n    return x[0]\n", "def twice(x:\n"):
        assert failure(lab(learner=learner, reference=True)).kind == "experiment"


def test_a_program_that_ends_itself_early_has_no_result(lab):
    """os._exit(0) is not a finished run, sys.exit is told as such, a signal is a kill."""
    leave = "import os\ndef twice(x):\n    os._exit(0)\n"
    assert play(lab(learner=leave))["ended"][0].outcome == "no-result"
    assert failure(lab(learner="import sys\ndef twice(x):\n    sys.exit(0)\n")).kind == "exit"
    seen = play(lab("def experiment(lab, run):\n    pass\n"))
    assert seen["ended"][0].outcome == "no-result"


@posix_only
def test_a_crash_is_told_with_its_signal(lab):
    """A child that dies of a signal has the outcome killed, and its folder a result."""
    request = lab(learner="import os\ndef twice(x):\n    os.kill(os.getpid(), 9)\n")
    ended = play(request)["ended"][0]
    assert (ended.outcome, ended.exit_code) == ("killed", -9)
    assert result_of(request)["outcome"] == "killed"


def test_the_thread_gives_earlier_labs(lab, tmp_path):
    """`earlier` in the learner's file is the file that the request names."""
    before = tmp_path / "before.py"
    before.write_text("def triple(x):\n    return 3 * x\n")
    learner = (
        "from llmpath.labkit.thread import earlier\n"
        "def twice(x):\n    return earlier('tripling').triple(x)\n"
    )
    seen = play(lab(learner=learner, thread={"tripling": before}))
    assert seen["result"][0].figures == {"six": 9}


def test_input_is_empty(lab):
    """`input()` in learner code meets the end of its input; it does not wait."""
    assert failure(lab(learner="def twice(x):\n    return input()\n")).type == "EOFError"


def test_a_missing_file_is_told_before_anything_starts(lab):
    """No learner's file, or no experiment: an error that names it."""
    request = lab()
    request.learner_file.unlink()
    with pytest.raises(LlmpathError, match=r"twice\.py"):
        run(request)


@linux_only
def test_a_full_disk_ends_the_run_with_a_clear_error(lab):
    """When the record cannot be written the child is ended and the error says why."""
    learner = (
        "import os, time\ndef twice(x):\n    print(os.getpid(), flush=True)\n    time.sleep(60)\n"
    )
    request = lab(learner=learner)
    (request.run_folder / "output.txt").symlink_to("/dev/full")
    with pytest.raises(LlmpathError, match="disk is full") as caught:
        play(request)
    assert "runs/" in caught.value.hint
    assert not (request.run_folder / "result.json").exists()
    assert not [
        process
        for process in psutil.Process().children(recursive=True)
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


@linux_only
def test_a_full_disk_in_the_experiment_is_told_as_such(lab):
    """No space for what the experiment saves is neither the learner's nor the course's fault."""
    experiment = """
def experiment(lab, run):
    def write(path):
        with open("/dev/full", "w") as file:
            file.write("x")
    run.save("big.bin", write)
"""
    request = lab(experiment)
    assert failure(request).kind == "disk"
    assert not (request.run_folder / "big.bin").exists()


def test_figures_are_saved_whole_and_without_a_date(lab):
    """A Matplotlib figure becomes a PNG in the run folder; equal figures are equal files."""
    experiment = """
from matplotlib.figure import Figure
def experiment(lab, run):
    for name in ("first", "second.png"):
        figure = Figure(figsize=(2, 2))
        figure.subplots().plot([1, lab.twice(1)])
        run.figure(name, figure)
    run.result("Drawn.")
"""
    request = lab(experiment)
    seen = play(request)
    assert [event.path for event in seen["figure"]] == ["first.png", "second.png"]
    first, second = ((request.run_folder / event.path).read_bytes() for event in seen["figure"])
    assert first.startswith(b"\x89PNG")
    assert first == second
    assert b"Software" not in first
    assert not (request.run_folder / ".partial").exists()


CURVE = """
def experiment(lab, run):
    run.floor("bits", 0.5, "entropy floor")
    for step in range(10):
        run.log(step, train_bits=2 / (1 + step), bits=3 / (1 + step), {more})
    {figure}
    {end}
"""


def test_a_run_draws_its_curves_by_itself(lab):
    """What was logged becomes a picture, the same for the same curves, told before the end."""
    experiment = CURVE.format(more="odd_='$x_'", figure="", end="run.result('Done.')")
    experiment = experiment.replace("odd_='$x_'", "**{'_odd $x^': step}")
    pictures = []
    for _ in range(2):
        asked = lab(experiment)
        kinds = [event.event for event in run(asked)]
        assert kinds[-3:] == ["result", "figure", "ended"]
        pictures.append((asked.run_folder / "curves.png").read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1]


@pytest.mark.parametrize(
    ("figure", "end", "drawn"),
    [
        ("", "raise RuntimeError", True),
        ("from matplotlib.figure import Figure; run.figure('own', Figure())", "pass", False),
    ],
)
def test_a_run_that_fails_has_its_curves_and_one_with_pictures_no_other(lab, figure, end, drawn):
    """The curves are drawn however the run ends, but not beside the experiment's own pictures."""
    asked = lab(CURVE.format(more="", figure=figure, end=end))
    play(asked)
    assert (asked.run_folder / "curves.png").exists() == drawn


def test_a_run_without_curves_draws_nothing(lab):
    """One value of each metric is no curve."""
    asked = lab("def experiment(lab, run):\n    run.log(1, bits=2)\n    run.result('Done.')\n")
    assert "figure" not in play(asked)
    assert not list(asked.run_folder.glob("*.png"))


def sent(tmp_path: Path) -> tuple[Run, list]:
    events: list = []
    return Run(lambda *event: events.append(event), folder=tmp_path), events


def write_nothing(path: Path) -> None:
    """Write nothing at all."""


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda run: run.progress(3, 2), ValueError, "run.progress: done"),
        (lambda run: run.progress(0, 0), ValueError, "run.progress: total"),
        (lambda run: run.progress(float("nan"), 2), ValueError, "run.progress: done"),
        (lambda run: run.log(1), TypeError, "run.log: no metric"),
        (lambda run: run.log(1, loss="low"), TypeError, "run.log: loss"),
        (lambda run: run.log(1, loss=None), TypeError, "run.log: loss"),
        (lambda run: run.log(float("nan"), loss=1), ValueError, "run.log: step"),
        (lambda run: run.floor("loss", float("inf"), "x"), ValueError, "run.floor: value"),
        (lambda run: run.text("t", 3), TypeError, "run.text: text"),
        (lambda run: run.table("t", ["a"], [[1, 2]]), ValueError, "run.table: row 1"),
        (lambda run: run.table("t", ["a"], [[None]]), TypeError, "run.table: a cell"),
        (lambda run: run.figure("f", "plot"), TypeError, "run.figure"),
        (lambda run: run.save("../x", write_nothing), ValueError, "run.save"),
        (lambda run: run.save("x", write_nothing), ValueError, "run.save: write"),
        (lambda run: run.result(""), ValueError, "run.result"),
    ],
)
def test_a_wrong_call_is_refused_by_name(tmp_path, call, error, words):
    """Misuse of the API names the call and the argument, and sends no event."""
    given, events = sent(tmp_path)
    with pytest.raises(error) as caught:
        call(given)
    assert str(caught.value).startswith(words)
    assert events == []


def test_the_result_is_given_once_and_last(tmp_path):
    """After the result, every other call is refused."""
    given, events = sent(tmp_path)
    given.result("Done.")
    for call in (lambda: given.result("Again."), lambda: given.log(1, loss=1)):
        with pytest.raises(RuntimeError, match=r"run\.result was already called"):
            call()
    assert len(events) == 1


def test_a_saved_folder_replaces_the_one_before(tmp_path):
    """`save` takes folders too, and what was there under the name is gone."""
    given, _ = sent(tmp_path)
    for name in ("old", "new"):
        given.save("model", lambda path, name=name: (path.mkdir(), (path / name).touch()))
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["new"]


def test_artefacts_are_given_by_name_and_told_apart_when_saved(lab, tmp_path):
    """`run.artefact` gives the folder of the request; what `makes` lists is saved as one."""
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    experiment = """
def experiment(lab, run):
    text = (run.artefact("tokenizer") / "tokenizer.json").read_text()
    for name in ("base", "notes"):
        run.save(name, lambda path: path.mkdir())
    run.result("Read.", text=text)
"""
    asked = lab(experiment, artefacts={"tokenizer": tokenizer}, makes=("base",))
    seen = play(asked)
    assert seen["result"][0].figures == {"text": "{}"}
    assert {event.name: event.artefact for event in seen["saved"]} == {"base": True, "notes": False}


def test_an_artefact_that_the_lab_does_not_name_is_refused(lab, tmp_path):
    """The error names what there is and where to add it; one that has gone is told as well."""
    experiment = "def experiment(lab, run):\n    run.artefact('{name}')\n"
    artefacts = {"tokenizer": tmp_path / "gone"}
    failed = failure(lab(experiment.format(name="base"), artefacts=artefacts))
    assert "it needs: tokenizer" in failed.message
    assert failed.kind == "refused"
    assert "`needs` in lab.yaml" in failed.hint
    failed = failure(lab(experiment.format(name="tokenizer"), artefacts=artefacts))
    assert "there is no folder" in failed.message


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b'{"event": "unknown"}\n',
        b'{"event": "log", "step": "one", "metrics": {}}\n',
        b'{"event": "progress", "done": 1, "total": 0}\n',
        b'{"event": "ended", "outcome": "finished", "exit_code": 0, "seconds": 1, "folder": ""}\n',
        b'{"event": "text", "title": "\\ud800", "text": ""}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_line_that_is_no_event_is_told_and_never_raises(line):
    """Whatever comes over the pipe, the reader says so; the end is the parent's to tell."""
    event = parse(line)
    assert isinstance(event, Unreadable)
    assert event.reason


def test_keys_that_are_not_known_are_passed_over():
    """A newer child may say more than this reader knows."""
    event = parse(b'{"event": "log", "step": 1, "metrics": {"a": null}, "colour": "red"}\n')
    assert event == Log(step=1, metrics={"a": None})


def test_runs_are_listed_oldest_first_with_what_is_known(tmp_path, lab):
    """A finished run, one without a result and a damaged one all stand in the list."""
    request = lab(seed=5)
    play(request)
    runs = tmp_path / "runs"
    for name in ("2024-01-31T12-00-05-10", "2024-01-31T12-00-05-2", "2024-01-31T12-00-05"):
        (runs / "doubling" / name).mkdir()
    (runs / "doubling" / "2024-01-31T12-00-05" / "result.json").write_text("{")
    (runs / "doubling" / "notes").mkdir()
    records = list_runs(runs)
    assert [record.folder.name[:24] for record in records[:3]] == [
        "2024-01-31T12-00-05",
        "2024-01-31T12-00-05-2",
        "2024-01-31T12-00-05-10",
    ]
    assert [record.outcome for record in records] == ["killed"] * 3 + ["finished"]
    assert [record.number for record in records] == [1, 2, 3, 4]
    last = records[-1]
    assert (last.lab, last.seed, last.sentence) == ("doubling", 5, "Twice three is six.")
    assert list_runs(runs, "another") == ()
    assert list_runs(tmp_path / "nowhere") == ()


def test_two_runs_in_one_second_have_two_folders(tmp_path):
    """A clash of names gives a number, never a shared folder."""
    folders = {new_folder(tmp_path, "x") for _ in range(5)}
    assert len(folders) == 5


# A process of its own that runs an experiment, for what happens to that process.

DRIVER = """
import sys
from llmpath.running.request import RunRequest
from llmpath.running.runner import run
for event in run(RunRequest.model_validate_json(sys.argv[1])):
    print(event.model_dump_json(), flush=True)
"""
STUBBORN = """
import os, re, subprocess, sys, time
def twice(x):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(os.getpid(), child.pid, flush=True)
    {body}
"""


def start(request: RunRequest) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, request.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
    )


def printed(driver: subprocess.Popen[str], words: int) -> list[str]:
    """The first words that the learner's code prints from now on, at least so many."""
    assert driver.stdout is not None
    text = ""
    for line in driver.stdout:
        event = json.loads(line)
        text += event["text"] if event["event"] == "output" else ""
        if len(text.split()) >= words:
            return text.split()
    raise AssertionError(f"the learner's code printed no more than {text!r}")


def pids(driver: subprocess.Popen[str]) -> list[int]:
    """The processes that the learner's code says that it runs in."""
    return [int(pid) for pid in printed(driver, 2)[:2]]


def gone(processes: list[int]) -> bool:
    """Whether all have ended within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(_alive(pid) for pid in processes):
            return True
        time.sleep(0.02)
    return False


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@posix_only
def test_ctrl_c_ends_the_run_and_keeps_what_there_is(lab):
    """One interrupt ends child and grandchild, the outcome is told and the record completed."""
    request = lab(learner=STUBBORN.format(body="time.sleep(600)"))
    with start(request) as driver:
        processes = pids(driver)
        driver.send_signal(signal.SIGINT)
        assert driver.stdout is not None
        last = json.loads(driver.stdout.read().splitlines()[-1])
        assert driver.wait() == 0
    assert (last["event"], last["outcome"]) == ("ended", "interrupted")
    assert result_of(request)["outcome"] == "interrupted"
    assert gone(processes)


@posix_only
def test_a_second_ctrl_c_ends_code_that_will_not_listen(lab):
    """Code that catches everything is terminated, and killed if need be."""
    body = """
    ready = False
    while True:
        try:
            if not ready:
                ready = print("ready", flush=True) is None
            time.sleep(0.02)
        except BaseException:
            print("again", flush=True)
"""
    request = lab(learner=STUBBORN.format(body=body.strip()))
    with start(request) as driver:
        processes = [int(pid) for pid in printed(driver, 3)[:2]]
        driver.send_signal(signal.SIGINT)
        printed(driver, 1)  # it has caught the first one
        driver.send_signal(signal.SIGINT)
        assert driver.stdout is not None
        last = json.loads(driver.stdout.read().splitlines()[-1])
    assert last["outcome"] == "interrupted"
    assert gone(processes)


@posix_only
@pytest.mark.parametrize("sig", ["SIGTERM", "SIGKILL"])
def test_no_orphan_is_left_when_the_parent_dies(lab, sig):
    """Child and grandchild end with a parent that is ended, and the run is told as killed then.

    Until then it is told as one that still goes on.
    """
    request = lab(learner=STUBBORN.format(body="time.sleep(600)"))
    with start(request) as driver:
        processes = pids(driver)
        (record,) = list_runs(request.run_folder.parents[1])
        assert record.outcome == "running"
        driver.send_signal(getattr(signal, sig))
        driver.wait()
        assert gone(processes)
    (record,) = list_runs(request.run_folder.parents[1])
    assert record.outcome == "killed"


@linux_only
def test_no_orphan_is_left_even_by_code_that_keeps_the_interpreter(lab):
    """A regular expression gone astray lets no thread of its process run; it ends all the same."""
    body = 're.match(r"(a+)+$", "a" * 64 + "b")'
    request = lab(learner=STUBBORN.format(body=body))
    with start(request) as driver:
        processes = pids(driver)
        driver.kill()
        driver.wait()
        assert gone(processes)


def test_closing_the_events_early_ends_the_child(lab):
    """Whoever stops taking events leaves no process behind."""
    request = lab(learner=STUBBORN.format(body="time.sleep(600)"))
    events = run(request)
    output = next(event for event in events if event.event == "output")
    events.close()
    assert gone([int(pid) for pid in output.text.split()])
    assert result_of(request)["outcome"] == "interrupted"

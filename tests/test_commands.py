"""Commands as a learner types them: the installed program, a real workspace, the small course."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import psutil
import pytest
from conftest import SMALL_COURSE, Learner

from llmpath.models import store


def traceless(text: str) -> bool:
    """Whether a text is free of tracebacks of ours."""
    return "Traceback" not in text and "site-packages" not in text


def test_from_init_to_done(learner: Learner) -> None:
    """next, quiz, grade and next again lead through the whole course."""
    assert "Welcome" in learner.types("next").stdout
    assert learner.types("quiz", "welcome", stdin="2\n1\n").returncode == 0
    assert "Adding up" in learner.types("next").stdout
    learner.solves("adding", "alpha")
    assert learner.types("grade", "adding").returncode == 0
    assert "Shouting" in learner.types("next").stdout
    learner.solves("shouting", "beta")
    assert learner.types("grade").returncode == 0
    assert "1 question is still to be answered" in learner.types("next").stdout
    assert learner.types("quiz", stdin="2\n").returncode == 0
    finished = learner.types("next").stdout
    assert "3 of 3 steps" in finished
    assert [step["status"] for step in learner.reads("list")] == ["done"] * 3


def test_next_says_what_is_missing_instead_of_running_ahead(learner: Learner) -> None:
    """An unfinished step is not passed over; its state and the commands for it are shown."""
    learner.types("next", "--skip")
    learner.types("grade")
    told = learner.types("next").stdout
    assert "The lab has not passed: best result 0 of 5 points" in told
    assert "llmpath grade adding" in told


def test_skip_moves_on_and_can_be_taken_back(learner: Learner) -> None:
    """--skip is remembered and shown, and `progress undo` undoes it."""
    assert "Adding up" in learner.types("next", "--skip").stdout
    assert learner.reads("list")[0]["status"] == "skipped"
    assert learner.types("progress", "undo").returncode == 0
    assert learner.reads("list")[0]["status"] == "current"
    assert learner.types("progress", "redo").returncode == 0
    assert learner.reads("list")[0]["status"] == "skipped"


def test_wrong_quiz_answers_are_explained_and_asked_again(learner: Learner) -> None:
    """A wrong answer shows the right one with its reason, and only that question comes again."""
    told = learner.types("quiz", "welcome", stdin="1\nnonsense\n1\n").stdout
    assert "It is 2" in told
    assert "Type a number from 1 to 2." in told
    assert learner.reads("list")[0]["questions_missing"] == [1]
    again = learner.types("quiz", stdin="2\n").stdout
    assert "Question 1 of 1" in again
    assert "All 1 right" in again


def test_hints_open_one_at_a_time(learner: Learner) -> None:
    """Each `hint` opens one more; the last stays the last."""
    counts = []
    for _ in range(5):
        told = learner.types("hint", "adding").stdout
        counts.append(sum(f"Hint {n} of 3" in told for n in (1, 2, 3)))
    assert counts == [1, 2, 3, 3, 3]


def test_grade_exit_codes_and_json(learner: Learner) -> None:
    """0 passed, 1 not passed, 2 something wrong with the request; --json is one report."""
    assert learner.types("grade", "adding").returncode == 1
    learner.solves("adding", "alpha")
    done = learner.types("grade", "adding", "--json", "--seed", "5")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    expected = {"lab", "status", "points", "max_points", "checks", "misconception", "isolation"}
    assert expected | {"seed", "course"} <= set(report)
    assert (report["status"], report["points"], report["seed"]) == ("passed", 5, 5)
    check = report["checks"][0]
    assert {"id", "status", "points", "max_points", "message", "seconds"} <= set(check)
    assert learner.types("grade", "nonsense").returncode == 2
    assert learner.types("grade", "adding", "--file", "missing.py").returncode == 2


def test_grading_another_file_records_nothing(learner: Learner) -> None:
    """--file grades without touching progress, also outside of any workspace."""
    solution = SMALL_COURSE / "labs" / "adding" / "lab.py"
    assert learner.types("grade", "adding", "--file", str(solution)).returncode == 0
    assert learner.reads("list")[1]["points"] == 0
    learner.root = Path(learner.root.anchor)
    assert learner.types("grade", "adding", "--file", str(solution)).returncode == 0


def test_grade_all_takes_every_lab(learner: Learner) -> None:
    """--all grades each lab and exits with the worst of their codes."""
    learner.solves("adding", "alpha")
    done = learner.types("grade", "--all", "--json")
    assert done.returncode == 1
    assert [report["status"] for report in json.loads(done.stdout)] == ["passed", "failed"]


def test_a_later_lab_stands_on_the_learners_own_code(learner: Learner) -> None:
    """`earlier` gives the learner's module once it has passed, the reference until then."""
    learner.types("next", "--skip")
    assert learner.reads("status")["labs"] == {"adding": "reference", "shouting": "reference"}
    file = learner.solves("adding", "alpha")
    file.write_text(file.read_text() + "\nprint('my own adding')\n")
    learner.solves("shouting", "beta")
    assert "my own adding" not in learner.reads("grade", "shouting")["output"]
    learner.types("grade", "adding")
    assert learner.reads("status")["labs"]["adding"] == "own"
    report = learner.reads("grade", "shouting")
    assert report["status"] == "passed"
    assert "my own adding" in report["output"]


def test_lab_run_keeps_a_run(learner: Learner) -> None:
    """An experiment runs on the learner's code and leaves a folder with its result."""
    learner.solves("adding", "alpha")
    done = learner.types("lab", "run", "adding")
    assert done.returncode == 0, done.stderr
    (folder,) = (learner.root / "runs" / "adding").iterdir()
    assert json.loads((folder / "result.json").read_text())["outcome"] == "finished"
    (row,) = learner.reads("lab", "runs", "adding")
    assert row["outcome"] == "finished"
    assert row["reference"] is False


def test_lab_run_takes_a_real_model_that_was_pulled(learner: Learner, tmp_path: Path) -> None:
    """`--model` reaches the experiment and is kept with the run; what is not there is refused."""
    learner.environment[store.VARIABLE] = str(tmp_path / "models")
    command = ("lab", "run", "shouting", "--reference", "--model", "smollm2-135m")
    absent = learner.types(*command)
    assert absent.returncode == 2
    assert "llmpath models pull smollm2-135m" in absent.stderr
    facts = {"title": "", "licence": "", "authors": "", "source": "", "sha256": "", "pulled": ""}
    manifest = store.Manifest(model="smollm2-135m", files={}, **facts)
    folder = tmp_path / "models" / "smollm2-135m"
    folder.mkdir(parents=True)
    (folder / store.MANIFEST).write_text(manifest.model_dump_json())
    done = learner.types(*command)
    assert done.returncode == 0, done.stderr
    assert "Together with" in done.stdout
    (row,) = learner.reads("lab", "runs", "shouting")
    assert row["model"] == "smollm2-135m"


def test_lab_run_shows_the_learners_own_traceback_only(learner: Learner) -> None:
    """An exception in learner code is shown from their file on, with no frame of ours."""
    file = learner.solves("adding", "alpha")
    source = file.read_text().replace("result += number", "result += number + missing")
    file.write_text(source)
    done = learner.types("lab", "run", "adding")
    assert done.returncode == 1
    assert "adding.py" in done.stdout
    assert "missing" in done.stdout
    assert traceless(done.stdout + done.stderr)


def test_reset_keeps_the_learners_file(learner: Learner) -> None:
    """Reset brings the starter back, undo brings the learner's file back."""
    file = learner.root / "alpha" / "adding.py"
    starter = file.read_bytes()
    learner.solves("adding", "alpha")
    mine = file.read_bytes()
    assert learner.types("lab", "reset", "adding").returncode == 0
    assert file.read_bytes() == starter
    assert learner.types("progress", "undo").returncode == 0
    assert file.read_bytes() == mine


def test_progress_travels_between_machines(learner: Learner, tmp_path: Path) -> None:
    """What one machine exports, another imports, as often as one likes."""
    learner.types("quiz", "welcome", stdin="2\n1\n")
    export = tmp_path / "progress.jsonl"
    assert learner.types("progress", "export", str(export)).returncode == 0
    other = Learner(tmp_path / "other", learner.environment)
    other.root.mkdir()
    other.types("init")
    for _ in range(2):
        assert other.types("progress", "import", str(export)).returncode == 0
    assert other.reads("list")[0]["status"] == "done"


def test_init_never_overwrites(learner: Learner) -> None:
    """Init in a workspace adds what is missing and leaves every file alone."""
    file = learner.solves("adding", "alpha")
    mine = file.read_bytes()
    (learner.root / "beta" / "shouting.py").unlink()
    told = learner.types("init")
    assert told.returncode == 0
    assert "shouting.py" in told.stdout
    assert file.read_bytes() == mine


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "wellcome"], "Did you mean welcome?"),
        (["nxt"], "Did you mean 'next'?"),
        (["grade", "adding", "--seed", "-1"], "--seed"),
        (["lab", "run", "adding", "--device", "tpu"], "auto, cpu, cuda, mps"),
        (["lab", "run", "adding", "--model", "smollm2-135m"], "adding has no use for the model"),
        (["lab", "run", "shouting", "--model", "gpt-5"], "It takes smollm2-135m."),
        (["lab", "run", "--all", "--model", "smollm2-135m"], "--model is for one lab"),
        (["lab", "run", "shouting", "--resume", "--model", "smollm2-135m"], "--model is for a new"),
        (["--course", "nowhere", "list"], "There is no course 'nowhere'"),
        (["--workspace", "nowhere", "list"], "is not an llmpath workspace"),
        (["progress", "import", "nothing"], "There is no file"),
        (["progress", "undo"], "There is nothing to undo"),
    ],
)
def test_bad_requests_get_a_sentence(learner: Learner, arguments: list[str], words: str) -> None:
    """Exit code 2, what is wrong and what to do, and never a traceback."""
    done = learner.types(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert traceless(done.stderr)


@pytest.mark.skipif(os.name != "posix", reason="the editor is a shell's command")
def test_the_editor_is_started_as_it_is_set(learner: Learner, tmp_path: Path) -> None:
    """$EDITOR may have arguments, and a path in quotes; what is no command is told of."""
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\necho "with $1, $2"\n')
    editor.chmod(0o755)
    learner.environment |= {"VISUAL": "", "EDITOR": f"'{editor}' --wait"}
    assert "with --wait, " in learner.types("lab", "open", "adding").stdout
    learner.environment["EDITOR"] = "'code --wait"
    done = learner.types("lab", "open", "adding")
    assert done.returncode == 2
    assert "EDITOR is no command: No closing quotation" in done.stderr
    assert "EDITOR is no command" in learner.types("doctor").stdout.replace("\n", " ")


def test_outside_a_workspace_the_way_in_is_shown(tmp_path: Path, learner: Learner) -> None:
    """Without a workspace, commands say how to make one."""
    learner.root = tmp_path
    done = learner.types("next")
    assert done.returncode == 2
    assert "llmpath init" in done.stderr


def test_a_damaged_progress_file_is_set_aside_and_named(learner: Learner) -> None:
    """Garbage in progress.db is never read as "no progress"; it is kept under another name."""
    (learner.root / ".llmpath" / "progress.db").write_bytes(b"garbage" * 1000)
    done = learner.types("list")
    assert done.returncode == 2
    assert "progress.damaged-" in done.stderr
    assert list((learner.root / ".llmpath").glob("progress.damaged-*.db"))
    assert learner.types("list").returncode == 2
    assert learner.types("init").returncode == 0
    assert learner.types("list").returncode == 0


def test_a_broken_course_names_every_place(learner: Learner, tmp_path: Path) -> None:
    """All mistakes of a course are told at once, each with file, line and column."""
    course = tmp_path / "course"
    shutil.copytree(SMALL_COURSE, course)
    adding = course / "curriculum" / "alpha" / "adding.yaml"
    adding.write_text(adding.read_text().replace("minutes:", "minuts:"))
    (course / "curriculum" / "alpha" / "welcome.md").unlink()
    done = learner.types("--course", str(course), "list")
    assert done.returncode == 2
    assert "curriculum/alpha/adding.yaml:" in done.stderr
    assert "minutes" in done.stderr
    assert "welcome.md" in done.stderr
    assert traceless(done.stderr)


def test_plain_output_has_no_control_characters(learner: Learner) -> None:
    """What is not a terminal gets plain text."""
    learner.solves("adding", "alpha")
    for arguments in (["next"], ["list"], ["grade", "adding"], ["lab", "run", "adding"]):
        assert "\x1b" not in learner.types(*arguments).stdout


def test_output_survives_a_poor_encoding(learner: Learner) -> None:
    """A terminal that knows ASCII only gets stand-ins, not an error."""
    learner.environment |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for arguments in (["next"], ["list"], ["grade", "adding"], ["status"]):
        done = learner.types(*arguments)
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout.isascii()


@pytest.mark.parametrize(
    "arguments", [["grade", "adding"], ["lab", "run", "adding"], ["lab", "reset", "adding"]]
)
def test_a_kill_at_any_moment_loses_nothing(learner: Learner, arguments: list[str]) -> None:
    """After kill -9 at random moments, the learner's file and the log are whole."""
    file = learner.solves("adding", "alpha")
    mine = file.read_bytes()
    learner.types("lab", "reset", "adding")
    starter = file.read_bytes()
    whole = {mine, starter}
    chance = random.Random(0)
    for _ in range(6):
        file.write_bytes(mine)
        process = learner.begins(*arguments)
        time.sleep(chance.uniform(0.05, 0.7))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert file.read_bytes() in whole
        with sqlite3.connect(learner.root / ".llmpath" / "progress.db") as log:
            assert log.execute("pragma integrity_check").fetchone() == ("ok",)
        log.close()
        assert learner.types("list").returncode == 0


def test_ctrl_c_stops_a_command_and_says_so(learner: Learner) -> None:
    """Whatever the installed typer makes of an interrupt, it is exit code 130 and a sentence."""
    (learner.root / "alpha" / "adding.py").write_text("while True: pass\n")
    process = learner.begins("grade", "adding")
    while not psutil.Process(process.pid).children():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, b"")
    assert told.decode().split()[1:] == ["Stopped."]


def test_two_terminals_at_once_lose_nothing(learner: Learner) -> None:
    """Gradings at the same time are all recorded."""
    learner.solves("adding", "alpha")
    together = [learner.begins("grade", "adding") for _ in range(4)]
    assert [process.wait() for process in together] == [0] * 4
    for process in together:
        process.communicate()
    with sqlite3.connect(learner.root / ".llmpath" / "progress.db") as log:
        (count,) = log.execute("select count(*) from events where kind = 'grade'").fetchone()
    log.close()
    assert count == 4


def test_the_environment_reaches_no_grading(learner: Learner) -> None:
    """Tokens and Python settings of the shell are not there for learner code to read."""
    file = learner.solves("adding", "alpha")
    file.write_text("import os\nprint(sorted(os.environ))\n" + file.read_text())
    learner.environment |= {"HF_TOKEN": "secret", "PYTHONPATH": os.fspath(learner.root)}
    output = learner.reads("grade", "adding")["output"]
    assert "HF_TOKEN" not in output
    assert "PYTHONPATH" not in output

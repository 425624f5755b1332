"""`llmpath chat`: a model talks, in a terminal and through a pipe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import tiny_llama
from conftest import LLMPATH, Learner, make_learner
from rich.cells import cell_len

from llmpath.artefacts.recipe import Variant
from llmpath.artefacts.references import build_folder, building
from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.course.models import Lab
from llmpath.serving.answers import Answer, Broken, Ended, Refused, Text
from llmpath.serving.conversation import Conversation
from llmpath.serving.engine import Engine, ModelFailedError
from llmpath.serving.request import Generation, Message, Options
from llmpath.serving.source import Code, Part, Source, code
from llmpath.ui.chat import Words
from llmpath.ui.theme import make_console
from llmpath.workspace import create, find

HEAVY = ("torch", "transformers", "datasets", "numpy")


def talk(engine: Engine, asked: Generation) -> tuple[str, Answer]:
    """What is written, and the last answer."""
    *texts, last = engine.generate(asked)
    return "".join(each.text for each in texts if isinstance(each, Text)), last


def test_one_question_is_answered_as_transformers_would(tmp_path: Path, tiny: Path) -> None:
    """The model is made on demand, which is said; the answer alone is on standard output."""
    learner = make_learner(tmp_path, tiny)
    options = ("--prompt", "the wall", "--temperature", "0", "--max-tokens", "9")
    done = learner.types("chat", *options)
    said = tiny_llama.likeliest(tiny, "<|endoftext|>the wall", 9)
    assert done.stdout == said + "\n", done.stderr
    assert "tiny is not there yet" in done.stderr
    assert "experiment of adding" in done.stderr
    again = learner.types("chat", *options)
    assert again.stdout == done.stdout
    assert "not there" not in again.stderr


def test_lines_of_standard_input_are_said_one_by_one(tmp_path: Path, tiny: Path) -> None:
    """Each line has an answer, also where it is the same again; empty ones are left out."""
    learner = make_learner(tmp_path, tiny)
    options = ("chat", "--temperature", "0", "--max-tokens", "5", "--artefact", "tiny")
    done = learner.types(*options, stdin="the\n\nan wall\nthe\n")
    said = [tiny_llama.likeliest(tiny, f"<|endoftext|>{text}", 5) for text in ("the", "an wall")]
    assert done.stdout == f"{said[0]}\n{said[1]}\n{said[0]}\n", done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--temperature", "3"], "temperature"),
        (["--top-p", "0"], "It should be greater than 0."),
        (["--max-tokens", "0"], "max-tokens"),
        (["--artefact", "nothing"], "no artefact called 'nothing'"),
        (["--model", "nothing"], "There is no model 'nothing'"),
        (["--model", "minilm"], "does not talk"),
        (["--model", "smollm2-135m", "--artefact", "tiny"], "two models"),
        (["--device", "abacus"], "--device abacus is not known"),
    ],
)
def test_what_cannot_be_is_refused(learner: Learner, options: list[str], words: str) -> None:
    """A wrong option gets a sentence and exit code 2, before anything is loaded."""
    done = learner.types("chat", *options, "--prompt", "the")
    assert done.returncode == 2
    assert words in done.stderr


def test_the_command_line_never_imports_torch(tmp_path: Path, tiny: Path) -> None:
    """The model is in a process of its own."""
    learner = make_learner(tmp_path, tiny)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llmpath", "chat", "-p", "the"],
        cwd=learner.root,
        env=learner.environment,
        capture_output=True,
        encoding="utf-8",
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "llmpath.serving.engine" in imported
    assert not [name for name in imported if name.split(".")[0] in HEAVY]


def test_a_talk_in_a_terminal(tmp_path: Path, chatty: Path) -> None:
    """Ctrl-C stops an answer and keeps the talk; what cannot be done is said; Ctrl-D ends."""
    learner = make_learner(tmp_path, chatty)
    assert learner.types("chat", "-p", "the").returncode == 0  # makes the model
    terminal = pexpect.spawn(
        LLMPATH[0], [*LLMPATH[1:], "chat", "--max-tokens", "8"], cwd=str(learner.root),
        env={**learner.environment, "TERM": "xterm"}, encoding="utf-8", timeout=120,
        dimensions=(30, 70),
    )  # fmt: skip
    terminal.expect("the reference's")
    terminal.expect("Say something")
    for typed, seen in (
        ("/help", "/again"),
        ("/again", "Nothing was said yet"),
        ("/sing", "/sing is not known"),
        ("/set temperature hot", "temperature cannot be 'hot'"),
        ("/set temperature 0", "temperature is 0 from now on"),
        ("the wall", "no room for more"),
        ("/again", "no room for more"),
        ("/new", "forgotten"),
    ):
        terminal.expect("› ")
        terminal.sendline(typed)
        terminal.expect(seen)
    terminal.expect("› ")
    terminal.sendintr()
    terminal.expect("Ctrl-D ends")
    terminal.expect("› ")
    terminal.sendeof()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0


def lab_code(folder: Path) -> Code:
    """Code in which one file of the learner's provides a model that writes a's."""
    file = folder / "slow.py"
    file.write_text(tiny_llama.SLOW)
    parts = {"model": Part("slow", "Model", own=True), "memory": Part("slow", "Memory", own=True)}
    return Code(parts, {"slow": file}, (file,))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Engine]:
    """A model of the learner's that takes its time."""
    with Engine(Source("slow", tiny, lab_code(tmp_path_factory.mktemp("slow")))) as engine:
        yield engine


def test_an_answer_that_nobody_wants_any_more_is_cancelled(slow: Engine) -> None:
    """The model has time for the next one at once."""
    answers = slow.generate(Generation(prompt="b"))
    assert [next(answers).event for _ in range(3)] == ["text"] * 3
    answers.close()
    said, last = talk(slow, Generation(prompt="b", max_tokens=2))
    assert (said, last.event) == ("aa", "ended")


def test_two_answers_take_turns(slow: Engine) -> None:
    """A short answer that is asked for later is done before a long one."""
    seen: list[Answer] = []
    long = slow.start(Generation(prompt="b"), seen.append)
    said, _ = talk(slow, Generation(prompt="b", max_tokens=3))
    assert said == "aaa"
    assert not any(isinstance(each, Ended) for each in seen)
    slow.cancel(long)
    talk(slow, Generation(prompt="b", max_tokens=1))
    assert isinstance(seen[-1], Ended)
    assert seen[-1].reason == "cancelled"


def test_an_exception_in_the_learners_code_is_shown_with_its_place(slow: Engine) -> None:
    """One answer breaks, with the learner's own line; the process goes on."""
    _, last = talk(slow, Generation(prompt="bc"))  # three with the end of a text before it
    assert isinstance(last, Broken)
    assert last.failure is not None
    assert last.failure.kind == "learner"
    assert last.failure.frames[-1].code == 'raise KeyError("lost")'
    said, _ = talk(slow, Generation(prompt="b", max_tokens=2))
    assert said == "aa"


def test_a_process_that_dies_leaves_nobody_waiting(tmp_path: Path, tiny: Path) -> None:
    """Who waits for an answer is told, and so is who asks afterwards."""
    with Engine(Source("slow", tiny, lab_code(tmp_path))) as engine:
        for text in ("bcd", "b"):
            _, last = talk(engine, Generation(prompt=text))
            assert isinstance(last, Broken)
            assert "exit code 7" in last.message
        assert not engine.alive


def test_the_labs_of_the_course_run_the_model(tiny: Path) -> None:
    """What labs provide is there, and writes what transformers writes."""
    course = load(locate())
    with Engine(Source("tiny", tiny, code(course, None))) as engine:
        ready = engine.ready()
        assert {"model", "memory"} <= set(ready.roles)
        assert (ready.chats, ready.context) == (False, tiny_llama.CONTEXT)
        asked = Generation(prompt="an will", temperature=0, max_tokens=12)
        said, last = talk(engine, asked)
        assert said == tiny_llama.likeliest(tiny, "<|endoftext|>an will", 12)
        assert isinstance(last, Ended)
        asked = Generation(prompt="an will", temperature=1.2, top_p=0.9, max_tokens=12, seed=5)
        assert talk(engine, asked)[0] == talk(engine, asked)[0]


def test_the_memory_of_a_later_lab_takes_over_once_it_passes(tmp_path: Path, tiny: Path) -> None:
    """The reference's last memory, then the learner's first, then their last, which really runs."""
    course = load(locate())
    first, *_, last = (lab for lab in course.labs.values() if lab.provides.memory)
    create(tmp_path / "workspace", course)
    workspace = find(tmp_path / "workspace")

    def passes(lab: Lab, *, with_: str = "") -> None:
        text = (course.lab_folder(lab) / "lab.py").read_text() + with_
        workspace.record_grade(
            course, lab, status="passed", points=1, max_points=1, failed=[], content=text.encode()
        )

    def taken() -> tuple[str, bool]:
        part = code(course, workspace).parts["memory"]
        return part.lab, part.own

    assert taken() == (last.id, False)
    passes(first)
    assert taken() == (first.id, True)
    passes(last, with_="\n\nCache.extend = lambda self, k, v: 1 / self.length\n")
    assert taken() == (last.id, True)
    with Engine(Source("tiny", tiny, code(course, workspace))) as engine:
        _, broken = talk(engine, Generation(prompt="an will"))
    assert isinstance(broken, Broken)
    assert broken.failure is not None
    assert (broken.failure.kind, broken.failure.type) == ("learner", "ZeroDivisionError")
    # The file that passed is a copy, which nobody knows; theirs has changed since, or has not.
    own = str(workspace.file(course, last))
    assert broken.failure.frames[-1].file == f"{own} (as it last passed)"
    Path(own).write_text((workspace.passed_file(last) or Path()).read_text())
    with Engine(Source("tiny", tiny, code(course, workspace))) as engine:
        _, broken = talk(engine, Generation(prompt="an will"))
    assert f"({own}, line " in broken.message


def test_the_learners_streaming_cannot_harm_the_server(tmp_path: Path, tiny: Path) -> None:
    """Code that makes text of tokens and goes wrong breaks its own request, with a sentence."""
    file = tmp_path / "streaming.py"
    file.write_text(
        "def write(draw, decode, prompt, *, end, max_tokens, stop=()):\n"
        "    text = decode(prompt)\n"
        "    if text.endswith('a'):\n"
        "        yield decode([draw(prompt)])\n"
        "    if text.endswith('b'):\n"
        "        raise KeyError('lost')\n"
        "    if text.endswith('c'):\n"
        "        while True:\n"
        "            draw(prompt)\n"
        "    yield 'mine', None\n"
        "    if not text.endswith('d'):\n"
        "        yield '', 'stop'\n"
    )
    part = Part("streaming", "write", own=True)
    own = Code({"streaming": part}, {"streaming": file}, (file,))
    with Engine(Source("tiny", tiny, own)) as engine:
        for letter, message in [
            ("a", "gave out"),
            ("b", "KeyError"),
            ("c", "More than 3 tokens"),
            ("d", "ended without a reason"),
        ]:
            _, last = talk(engine, Generation(prompt=f"th{letter}", max_tokens=3))
            assert isinstance(last, Broken)
            assert message in last.message
        said, last = talk(engine, Generation(prompt="the", max_tokens=3))
        assert (said, last.event) == ("mine", "ended")
        assert engine.ready().roles == ("streaming",)


def test_a_conversation_is_written_with_the_models_own_template(tiny: Path, chatty: Path) -> None:
    """Turns go through the chat template; a model without one says so, as does a full one."""
    turns = (Message(role="user", content="the"),)
    asked = Generation(messages=turns, temperature=0, max_tokens=9)
    with Engine(Source("chatty", chatty, Code())) as engine:
        said, _ = talk(engine, asked)
        assert said == tiny_llama.likeliest(chatty, "<|user|>the<|end|><|assistant|>", 9).lstrip()
        _, last = talk(engine, Generation(prompt="x" * tiny_llama.CONTEXT))
        assert isinstance(last, Refused)
        assert last.code == "context_length_exceeded"
        said, last = talk(engine, Generation(prompt="x" * (tiny_llama.CONTEXT - 2)))
        assert isinstance(last, Ended)
        assert last.completion_tokens <= 2
    with Engine(Source("tiny", tiny, Code())) as engine:
        _, last = talk(engine, asked)
        assert isinstance(last, Refused)
        assert last.code == "no_chat_template"


@pytest.mark.parametrize("by", ["labs", "transformers"])
def test_a_turn_does_not_read_the_earlier_ones_again(chatty: Path, by: str) -> None:
    """A talk goes on, goes back and is shortened, and says what it would without a memory of it."""
    run_by = code(load(locate()), None) if by == "labs" else Code()
    talked = Conversation(True, Options(temperature=0, max_tokens=5), system="the")
    reused = []
    with Engine(Source("chatty", chatty, run_by)) as engine:

        def reply() -> None:
            asked = talked.request()
            said, last = talk(engine, asked)
            turns = (f"<|{turn.role}|>{turn.content}<|end|>" for turn in asked.messages)
            written = f"{''.join(turns)}<|assistant|>"
            assert said == tiny_llama.likeliest(chatty, written, 5).lstrip()
            assert isinstance(last, Ended)
            reused.append(last.reused_tokens)
            talked.answered(said, ended=False)

        for line in ("an wall", "a", "hall"):
            talked.say(line)
            reply()
        assert talked.again()
        reply()
        assert talked.shorten()
        talked.say("o")
        reply()
    first, second, third, again, _ = reused
    assert first == 0
    assert 5 < second < third <= again


def test_an_answer_begins_with_its_first_word(tmp_path: Path, chatty: Path) -> None:
    """The space that a model writes after the mark of an answer is on no line of the output."""
    file = tmp_path / "streaming.py"
    file.write_text(
        "def write(draw, decode, prompt, *, end, max_tokens, stop=()):\n"
        "    yield ' ', None\n    yield ' Mia', None\n    yield ' lives', 'stop'\n"
    )
    part = Part("streaming", "write", own=True)
    own = Code({"streaming": part}, {"streaming": file}, (file,))
    turns = (Message(role="user", content="the"),)
    with Engine(Source("chatty", chatty, own)) as engine:
        assert talk(engine, Generation(messages=turns))[0] == "Mia lives"
        assert talk(engine, Generation(prompt="the"))[0] == "  Mia lives"


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_damaged_folder_is_named(tmp_path: Path, tiny: Path, missing: str) -> None:
    """A model that cannot be loaded is an error in a sentence, with the folder."""
    folder = tmp_path / "damaged"
    shutil.copytree(tiny, folder)
    (folder / missing).write_text("{")
    with Engine(Source("damaged", folder, Code())) as engine:
        with pytest.raises(ModelFailedError, match=re.escape(str(folder))) as caught:
            engine.ready()
        assert caught.value.hint


def test_the_furthest_model_of_the_thread_is_taken(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name, the last model along the thread that is there talks, outside a workspace."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    course = load(locate())
    (maker,) = (lab for lab in course.labs.values() if "base" in lab.makes)
    with building(build_folder(course, maker, Variant())) as place:
        shutil.copytree(tiny, place / "base")
    done = subprocess.run(
        [*LLMPATH, "chat", "-p", "the wall", "--temperature", "0", "--max-tokens", "5"],
        cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    said = tiny_llama.likeliest(tiny, "<|endoftext|>the wall", 5)
    assert done.stdout == said + "\n", done.stderr
    assert done.stderr == ""


def test_a_conversation_goes_on_shortens_and_goes_back() -> None:
    """Turns add up; the oldest go first; an answer can be taken back."""
    talked = Conversation(True, Options(seed=4), system="Be brief.")
    for number in range(2):
        talked.say(f"question {number}")
        assert talked.request().seed == 4 + number
        talked.answered(f"answer {number}", ended=True)
    assert [m.content for m in talked.request().messages] == [
        "Be brief.", "question 0", "answer 0", "question 1", "answer 1",
    ]  # fmt: skip
    assert talked.again()
    assert talked.request().messages[-1].content == "question 1"
    assert talked.shorten()
    assert [m.content for m in talked.request().messages] == ["Be brief.", "question 1"]
    assert not talked.shorten()
    talked.forget()
    assert not talked.again()


def test_a_text_goes_on_until_it_has_ended() -> None:
    """What was written is gone on with; after its end a new text begins."""
    talked = Conversation(False, Options())
    talked.say("Once upon")
    talked.answered(" a time", ended=False)
    talked.say("")
    assert talked.request().prompt == "Once upon a time"
    assert talked.shorten()
    assert talked.request().prompt == "a time"
    talked.answered(".", ended=True)
    assert talked.request().prompt == ""


@pytest.mark.parametrize("width", [5, 12, 40])
def test_words_move_to_the_next_line_whole(tmp_path: Path, width: int) -> None:
    """However it is cut into pieces, no line is too long and no word is lost or broken."""
    text = "Anna 日本語 lives\n  in the cottage, with a verylongwordindeed.\n\nAnd so on\x1b[31m!"
    path = tmp_path / "written"
    with path.open("w", encoding="utf-8") as file:
        words = Words(make_console(file=file, width=width))
        for at in range(0, len(text), 3):
            words.add(text[at : at + 3])
        words.end()
    written = path.read_text("utf-8")
    assert "\x1b" not in written
    assert written.split() == text.replace("\x1b", "").split()
    if width >= 10:
        short = [line for line in written.splitlines() if "verylong" not in line]
        assert max(map(cell_len, short)) <= width
    assert "\n  in" in written

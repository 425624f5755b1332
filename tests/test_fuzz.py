"""No input from the worker's side crashes, hangs or fools the judge, nor the judge's the parent.

Each property is tried with inputs of hypothesis'. Where atheris is installed (`pip install
--group fuzz`), it also steers them for a while by what they reach; `python tests/fuzz.py
PROPERTY` does so for as long as you like.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmpath.codec import Encoder
from llmpath.course.models import Lab
from llmpath.feedback import feedback
from llmpath.grading import proxy
from llmpath.grading.children import Role
from llmpath.grading.evidence import raised
from llmpath.grading.grader import Grader
from llmpath.grading.judge import judge
from llmpath.grading.report import CheckResult, Detail, GradeReport
from llmpath.grading.request import GradeRequest
from llmpath.grading.wire import HEADER, MAGIC, Stream, WireError
from llmpath.labkit.checks import Mismatch, close, same
from llmpath.ui.report import render

KINDS = ["tuple", "set", "frozenset", "dict", "bytes", "int", "float", "complex"]
KINDS += ["tensor", "array", "dtype", "device", "generator", "handle", "callback", "nonsense"]
FIELDS = ["seq", "value", "error", "changed", "callback", "args", "kwargs", "isolation"]
FIELDS += ["id", "type", "name", "bases", "message", "frames", "file", "line", "text", "syntax"]
VERDICT = ["event", "check", "status", "detail", "seconds", "isolation", "error", "message"]
EVENTS = ["ready", "start", "verdict", "import-failed", "worker-died", "broken", "end", "x"]
WORDS = ["adds", "shouts", "passed", "failed", "mismatch", "output", "params", "0", "1", "float32"]
WORDS += ["nan", "cpu", "ValueError", "cHJpbnQ=", "0x10", "", "\ud800"]


def _values(fields: list[str]) -> st.SearchStrategy[Any]:
    """JSON that is often nearly what a reader looks for."""
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
    return st.recursive(
        plain | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.fixed_dictionaries({"t": st.sampled_from(KINDS), "v": inner})
            | st.dictionaries(st.sampled_from(fields) | st.text(max_size=4), inner, max_size=5)
        ),
        max_leaves=16,
    )


@functools.cache
def _blob() -> bytes:
    """A block of tensors as it should be, so that not all that is mutated is refused at once."""
    encoder = Encoder(lambda _: {})
    encoder.encode([torch.ones(2, 3), torch.arange(4), torch.Generator()])
    return encoder.blob()


answers = st.fixed_dictionaries(
    {}, optional={field: _values(FIELDS) for field in FIELDS if field != "seq"}
)
blobs = st.binary(max_size=80) | st.none()  # None stands for `_blob`
messages = st.tuples(st.integers(1, 6) | st.none() | st.booleans(), answers, blobs)


def _handle(value: Any) -> proxy.Handle:
    """A function of the learner's, as a check may well require it to be one."""
    assert isinstance(value, proxy.Handle)
    return value


USES: dict[str, Callable[[proxy.Lab], Any]] = {
    "attribute": lambda lab: lab.add,
    "call": lambda lab: _handle(lab.add)(torch.zeros(2), [1, {"a": (2, b"x")}], key={3}),
    "call back": lambda lab: _handle(lab.apply)(lambda value: value, [1]),
    "gradient": lambda lab: lab.vjp(lab.add, torch.zeros(2), cotangent=torch.zeros(2)),
    "item": lambda lab: _handle(lab.add)[0],
    "length": lambda lab: len(_handle(lab.add)),
    "items": lambda lab: list(zip(_handle(lab.add), range(200), strict=False)),
    "compare": lambda lab: close(lab.add, torch.zeros(2, 3), atol=0.1, because="x"),
    "compare numbers": lambda lab: close([lab.add], [1.0], atol=0.1, rtol=1, because="x"),
    "compare structures": lambda lab: same(lab.add, {"a": [1, "b"]}, because="x"),
}
fuzzed = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))


@given(st.sampled_from(sorted(USES)), st.lists(messages, max_size=8), st.binary(max_size=40))
@fuzzed
def test_no_answer_fools_the_proxy(
    use: str, frames: list[tuple[Any, dict[str, Any], bytes | None]], rest: bytes
) -> None:
    """Whatever frames a worker sends, a check ends by a verdict on the learner's code."""
    reading, writing = os.pipe()
    nothing = os.open(os.devnull, os.O_WRONLY)
    sent = Stream(-1, writing)
    try:
        for seq, message, blob in frames:
            with contextlib.suppress(ValueError):  # what JSON does not hold
                sent.send(
                    message if seq is None else {**message, "seq": seq},
                    _blob() if blob is None else blob,
                )
        os.write(writing, rest)
        os.close(writing)
        connection = proxy.Connection(Stream(reading, nothing))
        with contextlib.suppress(AssertionError, proxy.LearnerError, proxy.WorkerDiedError):
            connection.isolation()
            USES[use](proxy.Lab(connection))
    finally:
        os.close(reading)
        os.close(nothing)


@given(st.binary(max_size=400))
@fuzzed
def test_no_bytes_fool_the_proxy(data: bytes) -> None:
    """The same for bytes that are no frames, or only begin as such."""
    for head in (b"", MAGIC, HEADER.pack(MAGIC, len(data), 0)):
        reading, writing = os.pipe()
        os.write(writing, head + data)
        os.close(writing)
        try:
            while True:
                Stream(reading, -1).receive()
        except WireError:
            pass
        finally:
            os.close(reading)


LAB = Lab.model_validate(
    {
        "id": "little",
        "title": "A little lab",
        "file": "little.py",
        "checks": [
            {"id": "adds", "title": "Adds", "points": 3},
            {"id": "shouts", "title": "Shouts", "points": 4, "needs": ["adds"]},
        ],
    }
)


@given(_values(FIELDS))
@fuzzed
def test_every_account_of_an_exception_can_be_told(error: Any) -> None:
    """Whatever a worker says that was raised, there is a verdict, and it can be shown."""
    try:
        verdict = judge(proxy.learner_error(error))
    except proxy.WorkerDiedError:
        verdict = judge(Mismatch("x", expected="", got="", where="", because=""))
    status, detail = verdict
    assert status == "failed"
    if isinstance(error, dict):
        Detail.model_validate(raised(error))
    result = CheckResult(
        id="adds",
        status="failed",
        points=0,
        max_points=3,
        detail=Detail.model_validate(json.loads(json.dumps(detail))),
    )
    report = GradeReport(
        lab="little", status="failed", points=0, max_points=7, checks=(result,), seed=0, course="0"
    )
    told = feedback(report, LAB)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(file=nowhere, force_terminal=True)
        console.print(render(report, told, console, LAB.title))
    assert GradeReport.model_validate_json(report.model_dump_json()) == report


class Forger:
    """Starts no processes, but answers as a judge that says what it is told to say."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.rest = b""

    def load(self, modules: Any) -> None:
        """There is nothing to load."""

    def start(
        self, role: Role, config: Any, folder: Path, descriptors: tuple[int, int, int]
    ) -> Any:
        """The judge has spoken before anyone listens."""
        if role == "judge":
            verdicts = Stream(-1, os.dup(descriptors[2]))
            writing = threading.Thread(target=self._say, args=(verdicts, verdicts._writing))
            writing.start()
            writing.join()
        return Nobody()

    def _say(self, verdicts: Stream, descriptor: int) -> None:
        for frame in self.frames:
            with contextlib.suppress(ValueError):
                verdicts.send(frame)
        os.write(descriptor, self.rest)
        os.close(descriptor)

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was started."""


class Nobody:
    """A child that has ended."""

    pid = 2**22 + 1  # beyond what Linux gives to a process
    begun = True

    def end(self) -> int | None:
        """It has ended."""
        return 0


events = st.fixed_dictionaries(
    {"event": st.sampled_from(EVENTS)}, optional={name: _values(VERDICT) for name in VERDICT[1:]}
) | st.sampled_from(
    [
        {"event": "ready", "isolation": ["files"]},
        {"event": "start", "check": "adds"},
        {"event": "verdict", "check": "adds", "status": "passed", "detail": None, "seconds": 0.1},
        {"event": "verdict", "check": "shouts", "status": "passed", "seconds": 0.1},
        {"event": "end"},
    ]
)


@given(st.lists(events | _values(VERDICT), max_size=8), st.binary(max_size=20))
@fuzzed
def test_no_events_pass_but_a_verdict_for_every_check(frames: list[Any], rest: bytes) -> None:
    """Whatever a judge says, there is a report; passed only if it says so once for each check."""
    forger = Forger()
    forger.frames, forger.rest = frames, rest
    folder = Path(__file__).parent / "course" / "labs" / "adding"
    request = GradeRequest(LAB, folder, folder / "lab.py", seed=1)
    with Grader(started=forger) as grader:
        report = grader.grade(request).report
    said = [f.get("check") for f in frames if isinstance(f, dict) and f.get("status") == "passed"]
    if report.status == "passed":
        assert sorted(said) == ["adds", "shouts"]
    assert report.points <= sum(check.points for check in LAB.checks if check.id in said)
    assert {check.id for check in report.checks} == {"adds", "shouts"}


PROPERTIES = {
    name.removeprefix("test_"): value
    for name, value in sorted(globals().items())
    if name.startswith("test_") and hasattr(value, "hypothesis")
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_coverage_guided_search_finds_nothing(name: str) -> None:
    """Atheris, where it is installed, tries each property some more."""
    pytest.importorskip("atheris", reason="pip install --group fuzz brings it")
    script = Path(__file__).parent / "fuzz.py"
    command = [sys.executable, str(script), name, "-runs=500", "-seed=1", "-len_control=0"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done 500 runs" in done.stderr

"""The judge: runs pytest on a lab's `checks.py` and reports verdicts over its own pipe.

It never imports learner code; the `lab` fixture is a proxy to the worker. Every check
is one function, run in the order in which `lab.yaml` lists them, each with inputs drawn
from a seed of its own, so that neither the order nor the company of other checks
changes what it sees.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmpath.grading.evidence import UNSAID, raised
from llmpath.grading.proxy import Connection, Lab, LearnerError, WorkerDiedError
from llmpath.grading.warmup import warm_up
from llmpath.grading.wire import Closed, Stream
from llmpath.labkit import checks as comparisons
from llmpath.labkit.checks import Mismatch

CHECKS = "checks.py"
COMPARISONS = Path(comparisons.__file__).parent
MAX_TEXT = 4000  # characters of one part of a verdict
# Plugins of pytest that a grading has no use for; each costs start-up time, and some
# would read settings from the learner's folder.
UNUSED_PLUGINS = [
    "cacheprovider",
    "doctest",
    "junitxml",
    "logging",
    "pastebin",
    "setuponly",
    "setupplan",
    "stepwise",
    "tmpdir",
    "unittest",
    "unraisableexception",
    "threadexception",
    "warnings",
    "faulthandler",
    "debugging",
    "recwarn",
]


def main(config: dict[str, Any]) -> None:
    """Get ready, wait for an order, grade, and report verdicts on descriptor 2.

    Args:
        config: `checks`, the path of checks.py.
    """
    stream, verdicts = Stream(os.dup(0), os.dup(1)), Stream(-1, os.dup(2))
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    try:
        _grade(Path(config["checks"]), Connection(stream), verdicts)
    except Closed:
        pass  # the parent is gone: there is no one to tell
    except BaseException:
        verdicts.send({"event": "broken", "message": _cut(traceback.format_exc())})


def _grade(checks: Path, connection: Connection, verdicts: Stream) -> None:
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)  # tensors in checks are small; the other core is the worker's
    court = Court(connection, verdicts)
    arguments = ["--noconftest", "-c", os.devnull, "--import-mode=importlib", "-s"]
    arguments += ["--rootdir", str(checks.parent), "-p", "no:terminal"]
    for plugin in UNUSED_PLUGINS:
        arguments += ["-p", f"no:{plugin}"]
    code = pytest.main([*arguments, str(checks)], plugins=[court])
    if not court.broken:
        finished = code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        message = f"pytest ended with exit code {int(code)}"
        verdicts.send({"event": "end"} if finished else {"event": "broken", "message": message})


class Court:
    """The pytest plugin that selects, orders and judges the checks of one lab."""

    def __init__(self, connection: Connection, verdicts: Stream) -> None:
        self._connection = connection
        self._verdicts = verdicts
        self._seed = 0
        self._thread: dict[str, str] = {}
        self._passed: set[str] = set()
        self._wanted: dict[str, dict[str, Any]] = {}
        self._began = 0.0
        self.broken = False

    @pytest.fixture
    def lab(self) -> Lab:
        """The learner's module."""
        return Lab(self._connection)

    @pytest.fixture
    def seed(self, request: pytest.FixtureRequest) -> int:
        """A number of this grading and this check, for inputs that differ each time."""
        return self._seed_of(request.node.name)

    @pytest.fixture
    def rng(self, seed: int) -> Any:
        """A torch generator, seeded with `seed`."""
        import torch

        return torch.Generator().manual_seed(seed)

    def _seed_of(self, function: str) -> int:
        return zlib.crc32(f"{self._seed}:{function}".encode())

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Tell when checks.py cannot be imported: the course's fault, not the learner's."""
        if report.failed:
            self._break(str(report.longrepr))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """Wait for an order, have the learner's file imported, and run what is asked for."""
        items = [] if self.broken else self._ordered(session.items)
        session.items[:] = items if items and self._imported() else []
        return (yield)

    def _ordered(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """The checks that the parent orders, in its order; none if the worker is gone."""
        try:
            self._verdicts.send({"event": "ready", "isolation": self._connection.isolation()})
            warm_up()
            order = self._connection.order()
        except WorkerDiedError as error:
            self._died(error)
            return []
        self._seed, self._passed = int(order["seed"]), set(order["passed"])
        self._thread = order["thread"]
        self._wanted = {check["function"]: check for check in order["run"]}
        by_name = {item.name: item for item in items}
        missing = [name for name in self._wanted if name not in by_name]
        if missing:
            self._break(f"checks.py has no function {missing[0]}")
        return [] if self.broken else [by_name[name] for name in self._wanted]

    def _imported(self) -> bool:
        """Whether the worker could import the learner's file; if not, why is told."""
        try:
            self._connection.seed(self._seed)
            self._connection.ask("import", thread=self._thread)
        except LearnerError as error:
            self._verdicts.send({"event": "import-failed", "error": error.report})
            self.broken = True
        except WorkerDiedError as error:
            self._died(error)
        return not self.broken

    def _died(self, error: WorkerDiedError) -> None:
        self._verdicts.send({"event": "worker-died", "message": _cut(str(error))})
        self.broken = True

    def _break(self, message: str) -> None:
        if not self.broken:
            self._verdicts.send({"event": "broken", "message": _cut(message)})
        self.broken = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Announce a check, seed both processes, and run it unless a needed one failed."""
        check = self._wanted[item.name]
        failed = [need for need in check["needs"] if need not in self._passed]
        self._verdicts.send({"event": "start", "check": check["id"]})
        self._began = time.perf_counter()
        if failed:
            self._verdict(check["id"], "skipped", {"kind": "skipped", "summary": failed[0]})
            item.add_marker(pytest.mark.skip(reason="a needed check did not pass"))
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Give the worker the seed of this check before it runs."""
        self._connection.seed(self._seed_of(item.name))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None]:
        """Turn the end of a check into its verdict."""
        check = self._wanted[item.name]["id"]
        error = call.excinfo.value if call.excinfo else None
        if call.when == "call" and error is None:
            self._passed.add(check)
            self._verdict(check, "passed", None)
        elif isinstance(error, WorkerDiedError):
            self._died(error)
            item.session.shouldstop = "the worker is gone"
        elif error is not None and not isinstance(error, pytest.skip.Exception):
            status, detail = judge(error)
            self._verdict(check, status, detail)
        return (yield)

    def _verdict(self, check: str, status: str, detail: dict[str, Any] | None) -> None:
        seconds = time.perf_counter() - self._began
        verdict = {"event": "verdict", "check": check, "status": status}
        self._verdicts.send({**verdict, "detail": detail, "seconds": round(seconds, 4)})


def judge(error: BaseException) -> tuple[str, dict[str, Any]]:
    """The status and the reasons that an exception in a check amounts to."""
    if isinstance(error, Mismatch):
        names = ("summary", "expected", "got", "where", "because")
        parts = {name: _cut(getattr(error, name)) for name in names}
        return "failed", {"kind": "mismatch", **parts}
    if isinstance(error, LearnerError):
        return "failed", raised(error.report)
    if isinstance(error, (AssertionError, pytest.fail.Exception)):
        return "failed", {"kind": "assertion", "summary": _cut(_sentence(error))}
    if isinstance(error, TypeError) and _called_no_function(error):
        return "failed", {"kind": "assertion", "summary": f"expected a function, but {error}"}
    trace = "".join(traceback.format_exception(error)[-6:])
    return "error", {"kind": "course", "summary": _cut(trace)}


def _called_no_function(error: TypeError) -> bool:
    """Whether a check, or a comparison for it, has called what the learner has made no function."""
    where = traceback.extract_tb(error.__traceback__)
    if not where or not str(error).endswith("is not callable"):
        return False
    file = Path(where[-1].filename)
    return file.name == CHECKS or file.is_relative_to(COMPARISONS)


def _sentence(error: BaseException) -> str:
    """The sentence of an assertion, without pytest's retelling of the expression."""
    text = str(error).strip()
    return text.split("\nassert ", 1)[0] if text else UNSAID


def _cut(text: str) -> str:
    """A text that is no longer than a person reads, for a check may tell what learner code gave."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]} …"

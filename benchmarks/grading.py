"""How long a save takes to its verdict, against plain pytest on the same checks.

    python benchmarks/grading.py [--rounds N] [LAB ...]

For each lab of the course, on its reference, N rounds of these in turn, so that a busy machine
slows all alike; medians are compared.

- A save's grading, as `llmpath watch` does it: one open `Grader`, made ready beforehand.
- `python -m pytest checks.py` with the processes that a grading has: a plugin of a few lines
  starts a fresh worker at once, which imports the file while pytest imports the checks, and
  `lab` is the proxy to it.
- The same with the file imported into pytest's own process, and `lab` that module: nothing
  between the checks and the code, as no grader may have it.

Then, also in turn, a cold `llmpath grade` against the least that it cannot do without: a bare
import of torch (for a lab without torch, of pytest and of what its checks import) plus the
checks' own seconds in that grading.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from llmpath.course.course import Course
from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.course.models import Lab
from llmpath.grading.grader import Grader
from llmpath.grading.imports import imports_of
from llmpath.grading.request import GradeRequest
from llmpath.workspace.thread import sources

QUICKER, MEDIAN, COLD = 12, 0.3, 1.4  # the goals
COLD_ROUNDS = 7

# What `rng` and `seed` are in both ways of plain pytest.
FIXTURES = """
import json, os, zlib
import pytest

@pytest.fixture
def seed(request): return zlib.crc32(f"1:{request.node.name}".encode())

@pytest.fixture
def rng(seed):
    import torch
    return torch.Generator().manual_seed(seed)
"""

TWO_PROCESSES = (
    FIXTURES
    + """
import subprocess, sys, tempfile
from llmpath.grading.proxy import Connection, Lab
from llmpath.grading.wire import Stream

scratch = tempfile.TemporaryDirectory()
file = os.path.join(scratch.name, os.environ["BENCHMARK_NAME"])
with open(os.environ["BENCHMARK_FILE"], "rb") as source, open(file, "wb") as copy:
    copy.write(source.read())
config = {"file": file, "where": os.path.join(scratch.name, "where.txt"), "confine": False}
command = [sys.executable, "-m", "llmpath.grading.fresh", "worker", json.dumps(config)]
worker = subprocess.Popen([*command, *json.loads(os.environ["BENCHMARK_IMPORTS"])],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)

@pytest.fixture(scope="session")
def connection():
    connection = Connection(Stream(worker.stdout.fileno(), worker.stdin.fileno()))
    connection.isolation()
    connection.ask("import", thread=json.loads(os.environ["BENCHMARK_THREAD"]))
    yield connection
    worker.kill()
    worker.wait()

@pytest.fixture
def lab(connection, seed):
    connection.seed(seed)
    return Lab(connection)
"""
)

ONE_PROCESS = (
    FIXTURES
    + """
import importlib.util
from llmpath.grading.proxy import Gradients

def load(path):
    spec = importlib.util.spec_from_file_location("learner", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def vjp(function, *args, cotangent, **kwargs):
    import torch
    inputs = [a.requires_grad_() if isinstance(a, torch.Tensor) and a.is_floating_point() else None
              for a in args]
    named = dict(function.named_parameters()) if hasattr(function, "named_parameters") else {}
    output = function(*args, **kwargs)
    wanted = [a for a in inputs if a is not None] + list(named.values())
    found = list(torch.autograd.grad((output * cotangent).sum(), wanted, allow_unused=True))
    by_argument = [None if a is None else found.pop(0) for a in inputs]
    return Gradients(output, by_argument, dict(zip(named, found)))

@pytest.fixture(scope="session")
def module():
    from llmpath.labkit import thread
    thread.configure(json.loads(os.environ["BENCHMARK_THREAD"]))
    found = load(os.environ["BENCHMARK_FILE"])
    found.vjp = vjp
    return found

@pytest.fixture
def lab(module): return module
"""
)


def request_for(course: Course, lab: Lab, seed: int | None = None) -> GradeRequest:
    """A grading of a lab's reference."""
    folder = course.lab_folder(lab)
    thread = {name: s.path for name, s in sources(course, lab, None).items()}
    return GradeRequest(lab, folder, folder / "lab.py", thread, seed, course.version)


def environment(request: GradeRequest, folder: Path) -> dict[str, str]:
    """What all processes that are timed find around them."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {
        **kept,
        "PYTHONPATH": str(folder),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "BENCHMARK_FILE": str(request.file),
        "BENCHMARK_NAME": request.lab.file,
        "BENCHMARK_IMPORTS": json.dumps(imports_of(request.folder)["worker"]),
        "BENCHMARK_THREAD": json.dumps({name: str(path) for name, path in request.thread.items()}),
    }


def timed(command: list[str], environment: dict[str, str], folder: Path) -> float:
    """Wall-clock seconds of a command."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds


def plain_pytest(request: GradeRequest, folder: Path, plugin: str) -> float:
    """Seconds of `python -m pytest` on the checks with one of the plugins."""
    (folder / "plugin.py").write_text(plugin)
    options = ["-q", "-p", "plugin", "-p", "no:cacheprovider", "-c", os.devnull]
    checks = str(request.folder / "checks.py")
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), checks]
    return timed(command, environment(request, folder), folder)


def compare(course: Course, lab: Lab, rounds: int) -> None:
    """Print one lab's medians and their ratios."""
    request = request_for(course, lab)
    seconds: dict[str, list[float]] = {"warm": [], "own": [], "two": [], "one": []}
    with tempfile.TemporaryDirectory() as name, Grader(request.folder) as grader:
        folder = Path(name)
        grader.grade(request)  # the server has imported torch when the first is done
        for number in range(rounds + 1):
            grader.prepare(request)
            two = plain_pytest(request, folder, TWO_PROCESSES)
            one = plain_pytest(request, folder, ONE_PROCESS)
            began = time.perf_counter()
            report = grader.grade(request).report
            warm = time.perf_counter() - began
            if not report.passed:
                sys.exit(f"the reference of {lab.id} does not pass")
            own = sum(check.seconds for check in report.checks)
            if number:  # the first round fills the caches of byte code
                for kind, value in zip(seconds, (warm, own, two, one), strict=True):
                    seconds[kind].append(value)
    warm, own, two, one = (statistics.median(values) for values in seconds.values())
    print(
        f"{lab.id:18} verdict {warm:6.3f} s {_goal(warm <= MEDIAN, f'above {MEDIAN}')}  "
        f"(checks {own:.3f} s)  pytest, two processes {two:6.3f} s  ratio {two / warm:5.1f} "
        f"{_goal(two / warm >= QUICKER, f'below {QUICKER}')}  one process {one:6.3f} s  "
        f"ratio {one / warm:5.1f}",
        flush=True,
    )


def cold(course: Course, lab: Lab) -> None:
    """Print one lab's cold `llmpath grade` against the imports that it cannot do without."""
    request = request_for(course, lab)
    modules = sorted({name.split(":")[0] for name in imports_of(request.folder)["judge"]})
    needed = "torch" if "torch" in modules else ", ".join(["pytest", *modules])
    file = str(request.file)
    # As JSON, for the checks' own seconds of this very grading.
    grade = [sys.executable, "-m", "llmpath", "grade", lab.id, "--file", file, "--json"]
    seconds: dict[str, list[float]] = {"grade": [], "import": [], "own": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        around = environment(request, folder)
        for number in range(COLD_ROUNDS + 1):
            began = time.perf_counter()
            done = subprocess.run(grade, env=around, cwd=folder, capture_output=True, check=True)
            whole = time.perf_counter() - began
            least = timed([sys.executable, "-c", f"import {needed}"], around, folder)
            own = sum(check["seconds"] for check in json.loads(done.stdout)["checks"])
            if number:
                for kind, value in zip(seconds, (whole, least, own), strict=True):
                    seconds[kind].append(value)
    whole, least, own = (statistics.median(values) for values in seconds.values())
    ratio = whole / (least + own)
    print(
        f"{lab.id:18} cold    {whole:6.3f} s  import {needed} {least:.3f} s + checks {own:.3f} s"
        f"  ratio {ratio:.2f} {_goal(ratio <= COLD, f'above {COLD}')}",
        flush=True,
    )


def _goal(reached: bool, otherwise: str) -> str:
    return "ok" if reached else otherwise


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("lab", nargs="*", help="labs; all of them if left out")
    chosen = parser.parse_args()
    course = load(locate(None))
    labs = [course.lab(name) for name in chosen.lab] or list(course.labs.values())
    for lab in labs:
        compare(course, lab, chosen.rounds)
    for lab in labs:
        cold(course, lab)


if __name__ == "__main__":
    main()

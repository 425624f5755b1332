"""How long a save takes to its verdict, against plain pytest on the same checks.

    python benchmarks/grading.py [--rounds N] [LAB ...]

For each bundled lab, on its reference: N gradings through one open `Grader`, as `llmpath
watch` does them, in turn with N runs of `python -m pytest checks.py`, where a small plugin
imports the file into the same process and gives it to the checks as `lab`. Turns, so that
a busy machine slows both alike; medians are compared. Then cold `llmpath grade` against a
bare `import torch` plus the checks' own seconds, also in turn.
"""

from __future__ import annotations

import argparse
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
from llmpath.grading.grader import Grader, GradeRequest
from llmpath.workspace.thread import sources

QUICKER, MEDIAN, COLD = 12, 0.3, 1.4  # the goals
COLD_ROUNDS = 5

# What `lab`, `rng` and `seed` are when checks and learner share one process.
PLUGIN = """
import importlib.util, json, os, zlib
import pytest
from llmpath.grading.proxy import Gradients

def load(path):
    spec = importlib.util.spec_from_file_location("learner", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def vjp(function, *args, cotangent, **kwargs):
    import torch
    wanted = [a.requires_grad_() for a in args
              if isinstance(a, torch.Tensor) and a.is_floating_point()]
    output = function(*args, **kwargs)
    found = iter(torch.autograd.grad((output * cotangent).sum(), wanted, allow_unused=True))
    by_argument = [next(found) if isinstance(a, torch.Tensor) and a.is_floating_point() else None
                   for a in args]
    return Gradients(output, by_argument, {})

@pytest.fixture(scope="session")
def module():
    from llmpath.labkit import thread
    thread.configure(json.loads(os.environ["BENCHMARK_THREAD"]))
    found = load(os.environ["BENCHMARK_FILE"])
    found.vjp = vjp
    return found

@pytest.fixture
def lab(module): return module

@pytest.fixture
def seed(request): return zlib.crc32(f"1:{request.node.name}".encode())

@pytest.fixture
def rng(seed):
    import torch
    return torch.Generator().manual_seed(seed)
"""


def request_for(course: Course, lab: Lab, seed: int | None = None) -> GradeRequest:
    """A grading of a lab's reference."""
    folder = course.lab_folder(lab)
    thread = {name: s.path for name, s in sources(course, lab, None).items()}
    return GradeRequest(lab, folder, folder / "lab.py", thread, seed, course.version)


def timed(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, str]:
    """Wall-clock seconds of a command, and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds, done.stdout


def plain_pytest(request: GradeRequest, folder: Path) -> float:
    """Seconds of `python -m pytest` on the checks, learner code in the same process."""
    import json

    (folder / "in_process.py").write_text(PLUGIN)
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "BENCHMARK_FILE": str(request.file),
        "BENCHMARK_THREAD": json.dumps({name: str(path) for name, path in request.thread.items()}),
    }
    options = ["-q", "-p", "in_process", "-p", "no:cacheprovider", "-c", os.devnull]
    checks = str(request.folder / "checks.py")
    command = [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), checks]
    return timed(command, environment, folder)[0]


def compare(course: Course, lab: Lab, rounds: int) -> None:
    """Print one lab's medians and their ratio."""
    request = request_for(course, lab)
    with tempfile.TemporaryDirectory() as name, Grader(request.folder) as grader:
        folder = Path(name)
        grader.grade(request)  # the server has imported torch when the first is done
        plain_pytest(request, folder)
        warm, plain, own = [], [], []
        for _ in range(rounds):
            began = time.perf_counter()
            report = grader.grade(request).report
            warm.append(time.perf_counter() - began)
            if not report.passed:
                sys.exit(f"the reference of {lab.id} does not pass")
            own.append(sum(check.seconds for check in report.checks))
            plain.append(plain_pytest(request, folder))
    median, theirs = statistics.median(warm), statistics.median(plain)
    quick = "ok" if theirs / median >= QUICKER else f"below {QUICKER}"
    short = "ok" if median <= MEDIAN else f"above {MEDIAN}"
    print(
        f"{lab.id:14} verdict {median:6.3f} s {short}  (checks {statistics.median(own):.3f} s)  "
        f"pytest {theirs:6.3f} s  ratio {theirs / median:5.1f} {quick}",
        flush=True,
    )


def cold(course: Course, lab: Lab) -> None:
    """Print one lab's cold `llmpath grade` against the imports that it cannot do without."""
    request = request_for(course, lab)
    module = "torch" if "torch" in (request.folder / "checks.py").read_text() else "pytest"
    with tempfile.TemporaryDirectory() as name, Grader(request.folder) as grader:
        folder, file = Path(name), str(request.file)
        checks = grader.grade(request).report.checks
        own = sum(check.seconds for check in checks)
        grade = [sys.executable, "-m", "llmpath", "grade", lab.id, "--file", file]
        imports = [sys.executable, "-c", f"import {module}"]
        seconds: dict[str, list[float]] = {"grade": [], "import": []}
        for _ in range(COLD_ROUNDS):
            seconds["grade"].append(timed(grade, dict(os.environ), folder)[0])
            seconds["import"].append(timed(imports, dict(os.environ), folder)[0])
    whole, least = (statistics.median(values) for values in seconds.values())
    ratio = whole / (least + own)
    verdict = "ok" if ratio <= COLD else f"above {COLD}"
    print(
        f"{lab.id:14} cold    {whole:6.3f} s  import {module} {least:.3f} s + checks {own:.3f} s"
        f"  ratio {ratio:.2f} {verdict}",
        flush=True,
    )


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

"""Where the processor time of a grading goes, in the judge and in the worker.

    python benchmarks/grading_profile.py [--rounds N] [LAB ...]

Both run as they do in a grading, forked from a process that has loaded what the lab imports,
but with a clock around some of their functions. Medians of N gradings of the reference, in
milliseconds of processor time, which a busy machine lengthens less than it does the time on the
clock. The parts of `ahead` are over before the learner saves, if `llmpath watch` was waiting.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grading import request_for

from llmpath.course.course import Course
from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.course.models import Lab
from llmpath.grading import imports, sandbox
from llmpath.grading.wire import Stream

Clock = Counter[str]
ROWS = (
    ("judge", "ahead", "pytest starts"),
    ("judge", "ahead", "checks are collected"),
    ("judge", "save", "the checks themselves"),
    ("judge", "save", "values to and from the wire"),
    ("judge", "save", "pytest around the checks"),
    ("worker", "ahead", "confinement"),
    ("worker", "save", "the file is imported"),
    ("worker", "save", "the learner's code"),
    ("worker", "save", "values to and from the wire"),
)


def clocked(clock: Clock, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its processor time added to the clock under a name; calls may nest."""

    def call(*args: Any, **kwargs: Any) -> Any:
        began, within = time.process_time(), sum(clock.values())
        try:
            return function(*args, **kwargs)
        finally:
            spent = time.process_time() - began
            clock[name] += spent - (sum(clock.values()) - within)

    return call


def clock_judge(clock: Clock) -> Callable[[dict[str, Any]], None]:
    """The judge's `main`, with clocks around its parts."""
    from _pytest import config, main, python

    from llmpath.grading import judge, proxy

    config._prepareconfig = clocked(clock, "pytest starts", config._prepareconfig)
    main.Session.perform_collect = clocked(
        clock, "checks are collected", main.Session.perform_collect
    )
    python.Function.runtest = clocked(clock, "the checks themselves", python.Function.runtest)
    proxy.Connection.request = clocked(
        clock, "values to and from the wire", proxy.Connection.request
    )
    court = judge.Court

    def ready(self: Any, items: Any, real: Any = court._ordered) -> Any:
        clock["before"] = time.process_time()
        found = real(self, items)
        clock["begun"] = time.process_time()
        return found

    court._ordered = ready

    def run(options: dict[str, Any]) -> None:
        judge.main(options)
        whole = time.process_time() - clock.pop("begun")
        clock["pytest starts"] += clock.pop("before") - sum(
            clock[n] for n in ("pytest starts", "checks are collected")
        )
        inside = clock["the checks themselves"] + clock["values to and from the wire"]
        clock["pytest around the checks"] = whole - inside

    return run


def clock_worker(clock: Clock) -> Callable[[dict[str, Any]], None]:
    """The worker's `main`, with clocks around its parts."""
    from llmpath.grading import worker

    worker.confine = clocked(clock, "confinement", worker.confine)
    real = worker.Worker._target

    def target(self: Any, request: dict[str, Any]) -> Any:
        found = real(self, request)
        calls = request["op"] in ("call", "vjp") and callable(found)
        if calls and not hasattr(found, "named_parameters"):
            return clocked(clock, "the learner's code", found)
        return found

    worker.Worker._target = target
    worker.Worker._import = clocked(clock, "the file is imported", worker.Worker._import)
    worker.Worker._answer = clocked(clock, "values to and from the wire", worker.Worker._answer)
    return worker.main


def grading(course: Course, lab: Lab) -> dict[tuple[str, str], float]:
    """Seconds for each process and part of one grading."""
    request = request_for(course, lab)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / lab.file).write_bytes(request.file.read_bytes())
        to_worker, to_judge, verdicts, output = (os.pipe() for _ in range(4))
        settings: dict[str, Any] = {
            "file": str(folder / lab.file),
            "where": str(folder / "where.txt"),
            "confine": True,
            "hidden": [],
            "cpu_seconds": 600,
        }
        files = (folder / "worker.json", folder / "judge.json")
        checks = {"checks": str(request.folder / "checks.py")}
        fork(clock_worker, settings, (to_worker[0], to_judge[1], output[1]), files[0])
        fork(clock_judge, checks, (to_judge[0], to_worker[1], verdicts[1]), files[1])
        for end in (*to_worker, to_judge[0], verdicts[1], output[1]):
            os.close(end)
        follow(lab, request.thread, verdicts[0], to_judge[1])
        for end in (verdicts[0], output[0]):
            os.close(end)
        for _ in files:
            os.wait()
        return {
            (file.stem, part): seconds
            for file in files
            for part, seconds in json.loads(file.read_text()).items()
        }


def fork(
    clock: Callable[[Clock], Callable[[dict[str, Any]], None]],
    config: dict[str, Any],
    descriptors: tuple[int, int, int],
    file: Path,
) -> None:
    """Become one of the two in a child process, which writes its clock to a file."""
    if os.fork():
        return
    code = 1
    try:
        written = os.open(file, os.O_WRONLY | os.O_CREAT)  # before the files are out of reach
        os.set_inheritable(written, False)
        kept = os.dup2(written, 100)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, 100)
        times: Clock = Counter()
        run = clock(times)
        time.process_time()
        run(config)
        os.write(kept, json.dumps(times).encode())
        code = 0
    finally:
        os._exit(code)


def follow(lab: Lab, thread: Any, verdicts: int, order: int) -> None:
    """Order all checks and read verdicts to the end."""
    stream = Stream(verdicts, -1)
    while True:
        event, _ = stream.receive()
        if event["event"] == "ready":
            run = [{"id": c.id, "function": c.function, "needs": []} for c in lab.checks]
            files = {name: str(path) for name, path in thread.items()}
            Stream(-1, order).send({"seed": 1, "passed": [], "run": run, "thread": files})
            os.close(order)
        elif event["event"] == "verdict" and event["status"] != "passed":
            raise SystemExit(f"the reference of {lab.id} fails {event['check']}")
        elif event["event"] not in ("start", "verdict"):
            return


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("lab", nargs="*", help="labs; all of them if left out")
    chosen = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    course = load(locate(None))
    labs = [course.lab(name) for name in chosen.lab] or list(course.labs.values())
    imports.load(["llmpath.grading.worker", "llmpath.grading.judge"])
    sandbox.load()
    for lab in labs:
        found = imports.imports_of(course.lab_folder(lab))
        imports.load(sorted({name for names in found.values() for name in names}))
        gc.freeze()
        grading(course, lab)  # fills the cache of byte code
        rounds = [grading(course, lab) for _ in range(chosen.rounds)]
        for process, when, part in ROWS:
            values = [each.get((process, part), 0.0) for each in rounds]
            print(
                f"{lab.id:14} {process:7} {when:6} {part:28} "
                f"{statistics.median(values) * 1000:7.1f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Where proofs have answers graded and experiments run, several at once.

At most `jobs` gradings and runs go on at a time, whatever number of proofs wait for them. Each
of these places keeps a grader open, so that torch is loaded once for each.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

from llmpath.artefacts.recipe import Variant
from llmpath.artefacts.supply import Artefact, Supplier, Supply
from llmpath.course.course import Course
from llmpath.course.models import Lab
from llmpath.errors import LlmpathError
from llmpath.grading.grader import Grader
from llmpath.grading.report import CheckResult, GradeReport
from llmpath.grading.request import GradeRequest
from llmpath.grading.trial import Cancelled
from llmpath.running.events import Event
from llmpath.running.runner import run
from llmpath.workspace.thread import sources

# Of how many mutants of a lab a sample is graded, unless more are asked for.
MOST_MUTANTS = 150

A = TypeVar("A")
B = TypeVar("B")


class UnmadeError(LlmpathError):
    """What an experiment needs could not be made."""


@dataclass(frozen=True)
class Answer:
    """A content of a learner's file, and how it is to be graded.

    Attributes:
        name: what it is, for findings, such as "returns None".
        only: the checks to run, in this order; None for all.
        again: whether it is to be graded even if it was before.
        lab: the lab with other limits or needs than its own; None for the lab as it is.
    """

    name: str
    source: str
    seed: int = 0
    only: tuple[str, ...] | None = None
    again: bool = False
    lab: Lab | None = field(default=None, repr=False)


class Places:
    """The places where gradings and runs go on; a context that ends them all.

    Args:
        course: the course whose labs are graded.
        jobs: how many go on at once.
    """

    def __init__(self, course: Course, jobs: int) -> None:
        self.course = course
        self.scratch = Path(tempfile.mkdtemp(prefix="llmpath-author-"))
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._graders: list[Grader] = []
        self._reports: dict[Hashable, GradeReport] = {}
        self.stopped = False
        self._executor = ThreadPoolExecutor(jobs, thread_name_prefix="place")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ending: object) -> None:
        self.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def stop(self) -> None:
        """End what goes on, and begin nothing more."""
        self.stopped = True
        self._executor.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            for grader in self._graders:
                grader.__exit__()
            self._graders.clear()
        self._executor.shutdown(wait=True)

    def submit(self, work: Callable[[A], B], item: A) -> Future[B]:
        """Have something done at the next free place."""
        return self._executor.submit(work, item)

    def folder(self) -> Path:
        """A new empty folder."""
        folder = self.scratch / str(next(self._numbers))
        folder.mkdir()
        return folder

    def graded(self, lab: Lab, answer: Answer) -> GradeReport:
        """The report on an answer, from before if it was graded in the same way."""
        key = (lab.id, replace(answer, name="", lab=None), repr(answer.lab))
        if answer.again or key not in self._reports:
            self._reports[key] = _grade(self, lab, answer)
        return self._reports[key]

    def passes(self, lab: Lab, answer: Answer) -> bool:
        """Whether an answer passes every check; the grading ends at the first that fails."""
        grader = self.grader()

        def told(result: CheckResult) -> None:
            if result.status != "passed":
                grader.cancel()

        try:
            return _grade(self, lab, answer, told).passed
        except Cancelled:
            return False

    def grader(self) -> Grader:
        """The grader of this place."""
        grader: Grader | None = getattr(self._mine, "grader", None)
        if grader is None:
            with self._lock:
                if self.stopped:
                    raise CancelledError
                grader = self._mine.grader = Grader()
                self._graders.append(grader)
        return grader


@dataclass(frozen=True)
class Bench:
    """What one proof works with.

    Attributes:
        quick: leave out what takes long.
        most_mutants: of how many mutants of a lab a sample is graded; 0 for all.
        slack: by how much time limits are stretched.
        advanced: told how many of how many pieces of work are done.
    """

    places: Places
    quick: bool = False
    most_mutants: int = MOST_MUTANTS
    slack: float = 1.0
    advanced: Callable[[int, int], None] = lambda done, total: None

    def telling(self, advanced: Callable[[int, int], None]) -> Bench:
        """The same bench, which tells how far its work is."""
        return replace(self, advanced=advanced)

    def each(self, work: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """What `work` makes of each item, in order; several are worked on at once."""
        waiting = [self.places.submit(work, item) for item in items]
        results = []
        for done, future in enumerate(waiting, start=1):
            results.append(future.result())
            self.advanced(done, len(waiting))
        return results

    def grade(self, lab: Lab, answers: Sequence[Answer]) -> list[GradeReport]:
        """The report on each answer. What several proofs ask is graded once."""
        return self.each(lambda answer: self.places.graded(lab, answer), answers)

    def passes(self, lab: Lab, answers: Sequence[Answer]) -> list[bool]:
        """Whether each answer passes every check."""
        return self.each(lambda answer: self.places.passes(lab, answer), answers)

    def run(self, lab: Lab, times: int, most: float) -> list[tuple[tuple[Event, ...], Path]]:
        """The events and the folder of so many runs of a lab's experiment on its solution.

        A run that takes more than `most` seconds is stopped.
        """
        return self.each(lambda _: _run(self.places, lab, most), range(times))


def _run(places: Places, lab: Lab, most: float) -> tuple[tuple[Event, ...], Path]:
    artefacts = _supplied(places, lab, most)
    supplier = Supplier(places.course, None, Variant())
    file = places.course.lab_folder(lab) / "lab.py"
    request = supplier.request(lab, file, places.folder(), artefacts, reference=True)
    ends = time.monotonic() + most
    events = tuple(run(request, lambda: places.stopped or time.monotonic() > ends))
    if places.stopped:
        raise CancelledError
    return events, request.run_folder


def _supplied(places: Places, lab: Lab, most: float) -> dict[str, Artefact]:
    """What a lab needs, made first where it is not there, in `most` seconds for each run."""
    supplier = Supplier(places.course, None, Variant())
    ends = time.monotonic() + most * len(supplier.due(lab.needs))
    supplier = replace(supplier, enough=lambda: places.stopped or time.monotonic() > ends)
    try:
        return _last(supplier.supply(lab.needs))
    except KeyboardInterrupt:  # it was stopped, and not by anyone's Ctrl-C: that is elsewhere
        if places.stopped:
            raise CancelledError from None
        message = f"The experiments that make {', '.join(lab.needs)} do not end."
        raise UnmadeError(message, "Mend those first.") from None
    except LlmpathError as error:
        raise UnmadeError(error.message, error.hint) from error


def _last(supply: Supply) -> dict[str, Artefact]:
    """What a supply comes to, once all that has to be made is made."""
    while True:
        try:
            next(supply)
        except StopIteration as stop:
            found: dict[str, Artefact] = stop.value
            return found


def _grade(
    places: Places,
    lab: Lab,
    answer: Answer,
    told: Callable[[CheckResult], None] | None = None,
) -> GradeReport:
    course, graded = places.course, answer.lab or lab
    file = places.folder() / lab.file
    file.write_text(answer.source, encoding="utf-8", newline="")
    thread = {name: source.path for name, source in sources(course, lab, None).items()}
    folder = course.lab_folder(lab)
    request = GradeRequest(graded, folder, file, thread, answer.seed, course.version, answer.only)
    try:
        return places.grader().grade(request, told).report
    finally:
        shutil.rmtree(file.parent, ignore_errors=True)

"""Runs the proofs of a course, several at once, and tells what happens."""

from __future__ import annotations

import os
import queue
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

from llmpath.authoring import rehearsal
from llmpath.authoring.check import cache, coverage, files, mutation
from llmpath.authoring.check.bench import MOST_MUTANTS, Bench, Places
from llmpath.authoring.check.finding import Finding, Measure, ProofName, Proved, Remark, Verdict
from llmpath.authoring.check.proofs import Proof, proofs_of
from llmpath.authoring.check.subject import LabSubject, Subject, subjects
from llmpath.course.course import Course, unknown
from llmpath.course.loader import load
from llmpath.course.sources import Sources, gather
from llmpath.errors import LlmpathError

F = TypeVar("F", bound=Finding)


@dataclass(frozen=True)
class CheckRequest:
    """What to prove.

    Attributes:
        root: the course's folder.
        names: ids of steps and labs; none for the whole course.
        quick: leave out mutants, experiments and all seeds but one.
        most_mutants: of how many mutants of a lab to grade a sample; 0 for all, however many.
        slack: by how much time limits are stretched, for a machine slower than learners'.
        jobs: how many gradings and runs go on at once; 0 for one a processor.
        only: the proofs to run beside `files`; none for all.
        cache: take over what was proven before, where nothing that it rests on has changed.
    """

    root: Path
    names: tuple[str, ...] = ()
    quick: bool = False
    most_mutants: int = MOST_MUTANTS
    slack: float = 1.0
    jobs: int = 0
    only: tuple[ProofName, ...] = ()
    cache: bool = True


@dataclass(frozen=True)
class Planned:
    """So many proofs are to be run."""

    proofs: int


@dataclass(frozen=True)
class Began:
    """A proof begins."""

    proof: ProofName
    subject: str


@dataclass(frozen=True)
class Advanced:
    """`done` of `total` pieces of a proof's work are done."""

    proof: ProofName
    subject: str
    done: int
    total: int


@dataclass(frozen=True)
class Done:
    """A proof is over."""

    proved: Proved
    findings: tuple[Finding, ...]


Event = Planned | Began | Advanced | Done | Verdict


def proofs_named(names: Iterable[str]) -> tuple[ProofName, ...]:
    """The proofs of these names; an `LlmpathError` that suggests the nearest for one unknown."""
    known = {name: name for name in get_args(ProofName)}
    for name in names:
        if name not in known:
            raise LlmpathError(
                f"There is no proof called {name!r}.", f"The proofs are {', '.join(known)}."
            )
    return tuple(known[name] for name in names)


def check(request: CheckRequest) -> Generator[Event]:
    """Prove a course, or a part of it. The last event is the verdict.

    Raises:
        LlmpathError: a name is unknown, or something that a proof needs is missing.
    """
    sources = gather(request.root)
    first = _timed("files", "", lambda: files.prove(sources))
    if first.findings:
        # What does not load cannot be proven any further.
        yield Planned(1)
        yield first
        yield _verdict(request, [first])
        return
    course = load(request.root)
    plan = [
        (proof, each)
        for each in _chosen(course, sources, request.names)
        for proof in proofs_of(each, quick=request.quick, only=request.only)
    ]
    if any(proof.name == "mutants" for proof, _ in plan):
        mutation.require()
    done = [first]
    if not request.names and (not request.only or "coverage" in request.only):
        done.append(_timed("coverage", "", lambda: _topics(course, sources)))
    if not request.names and (not request.only or "upgrade" in request.only):
        done.append(_timed("upgrade", "", lambda: _upgrade(course)))
    yield Planned(len(plan) + len(done))
    yield from done
    jobs = request.jobs or _processors()
    _share_processors(jobs)
    with Places(course, jobs) as places:
        bench = Bench(places, request.quick, request.most_mutants, request.slack)
        for event in _run(plan, bench, jobs, cached=request.cache):
            yield event
            done += [event] if isinstance(event, Done) else []
    order = {(proof.name, each.id): at for at, (proof, each) in enumerate(plan)}
    done.sort(key=lambda each: order.get((each.proved.proof, each.proved.subject), -1))
    yield _verdict(request, done)


def _share_processors(jobs: int) -> None:
    """Have experiments that go on side by side use no more threads than there are processors.

    Two threads that wait for each other on one processor take many times as long as one.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _processors() // jobs)))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _topics(course: Course, sources: Sources) -> Iterator[Finding]:
    if sources.topics is not None:
        yield from coverage.prove_topics(course, sources.topics.document)


def _upgrade(course: Course) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="llmpath-author-") as scratch:
        yield from map(Finding.of, rehearsal.problems(course, Path(scratch)))


def _chosen(course: Course, sources: Sources, names: tuple[str, ...]) -> list[Subject]:
    """The named steps with their labs, and the named labs with their steps; all for no name."""
    every = subjects(course, sources)
    steps = {each.id: each for each in every if not isinstance(each, LabSubject)}
    owners = {step.lab: step.id for step in course.steps if step.lab is not None}
    wanted: set[str] = set()
    for name in names:
        if name not in steps and name not in owners:
            raise unknown("step or lab", name, [*steps, *owners], "llmpath list")
        wanted.add(name if name in steps else owners[name])
    return [
        each
        for each in every
        if not names or (each.step.id if isinstance(each, LabSubject) else each.id) in wanted
    ]


def _run(
    plan: list[tuple[Proof, Subject]], bench: Bench, jobs: int, *, cached: bool
) -> Iterator[Event]:
    """Run the proofs of a plan and yield what happens, as it happens."""
    happened: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()

    def prove(proof: Proof, subject: Subject) -> None:
        if bench.places.stopped:
            return
        try:
            for event in _prove(proof, subject, bench, happened.put, cached=cached):
                happened.put(event)
        except BaseException as error:  # raised where the events are taken
            happened.put(error)

    # One more than there are places, so that none waits while a proof thinks.
    with ThreadPoolExecutor(jobs + 1, thread_name_prefix="proof") as pool:
        left = len([pool.submit(prove, *each) for each in plan])
        try:
            while left:
                event = happened.get()
                if isinstance(event, BaseException):
                    raise event
                left -= isinstance(event, Done)
                yield event
        finally:
            if left:
                bench.places.stop()


def _prove(
    proof: Proof, subject: Subject, bench: Bench, tell: Callable[[Event], None], *, cached: bool
) -> Iterator[Event]:
    """Run one proof, unless it is known to find nothing."""
    mark = None
    if cached and proof.kept and isinstance(subject, LabSubject):
        mark = cache.key(subject, proof.name, (bench.quick, bench.most_mutants, bench.slack))
        known = cache.recall(mark)
        if known is not None:
            yield Done(known, ())
            return
    yield Began(proof.name, subject.id)
    telling = bench.telling(lambda done, total: tell(Advanced(proof.name, subject.id, done, total)))
    done = _timed(proof.name, subject.id, lambda: proof.prove(subject, telling))
    if mark is not None and not done.findings:
        cache.keep(mark, done.proved)
    yield done


def _timed(
    proof: ProofName, subject: str, prove: Callable[[], Iterable[Finding | Measure]]
) -> Done:
    """Run one proof, and say what it found and how long it took."""
    began = time.monotonic()
    found: list[Finding] = []
    remarks: list[Remark] = []
    measures: list[Measure] = []
    for each in prove():
        if isinstance(each, Measure):
            measures.append(each)
        elif isinstance(each, Remark):
            remarks.append(each)
        else:
            found.append(each)
    findings = tuple(_stamped(found, proof, subject))
    proved = Proved(
        proof=proof,
        subject=subject,
        found=len(findings),
        remarks=tuple(_stamped(remarks, proof, subject)),
        measures=tuple(measures),
        seconds=round(time.monotonic() - began, 3),
    )
    return Done(proved, findings)


def _stamped(findings: Iterable[F], proof: ProofName, subject: str) -> Iterator[F]:
    """The findings with what they belong to, each once, in the order of their places."""
    stamp = {"proof": proof, "subject": subject}
    unique = dict.fromkeys(each.model_copy(update=stamp) for each in findings)
    yield from sorted(unique, key=lambda each: (each.problem, each.excerpt))


def _verdict(request: CheckRequest, done: Iterable[Done]) -> Verdict:
    every = list(done)
    findings = tuple(finding for each in every for finding in each.findings)
    return Verdict(
        course=str(request.root),
        sound=not findings,
        findings=findings,
        proofs=tuple(each.proved for each in every),
    )

"""What must hold between the files of a course.

Each rule goes from what was read to problems. Rules read no files, and say nothing
of a file that does not say its own part properly: that is a problem already.
"""

from __future__ import annotations

import difflib
import graphlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from llmpath.course.documents import Document, KeyPath
from llmpath.course.models import Equivalent, Lab, Misconception, PathFile, Span, Step
from llmpath.course.problems import Problem
from llmpath.course.sources import LabSource, Source, Sources

MOST_LISTED = 10


def problems(sources: Sources) -> Iterator[Problem]:
    """Everything that does not hold between the files of a course."""
    if sources.path.value is not None:
        yield from _path(sources, sources.path.value)
    for (_, name), source in sources.steps.items():
        if source.value is not None:
            yield from _step(sources, name, source.document, source.value)
        if source.value is not None and source.value.lab in sources.labs:
            yield from _tested_goals(sources.labs[source.value.lab].source, source.value)
    order = _order(sources)
    yield from _requirements(sources, order)
    for folder, lab in sources.labs.items():
        if lab.source.value is not None:
            yield from _lab(folder, lab, lab.source.value)
    yield from _belonging(sources)
    yield from _thread(sources, order)
    if sources.topics is not None and sources.topics.value is not None:
        topics = sources.topics.value.topics
        document = sources.topics.document
        yield from _repeated(document, ("topics",), [topic.id for topic in topics], ("id",))
        if sources.path.value is not None:
            stages = [stage.id for stage in sources.path.value.stages]
            for index, topic in enumerate(topics):
                place = ("topics", index, "stage")
                yield from _unknown(document, place, "stage", topic.stage, stages)


def steps_in_order(sources: Sources) -> list[Source[Step]]:
    """The valid steps that the path lists, in its order, each once."""
    listed = sources.path.value.stages if sources.path.value is not None else ()
    found = {
        (stage.id, step): source
        for stage in listed
        for step in stage.steps
        if (source := sources.steps.get((stage.id, step))) is not None and source.value
    }
    return list(found.values())


def _order(sources: Sources) -> dict[str, int]:
    """The position on the path of each step that has a proper file."""
    order: dict[str, int] = {}
    for position, source in enumerate(steps_in_order(sources)):
        assert source.value is not None
        order.setdefault(source.value.id, position)
    return order


def _repeated(
    document: Document, path: KeyPath, values: Sequence[Hashable], tail: KeyPath = ()
) -> Iterator[Problem]:
    """A problem for each value of a list that stood in it before."""
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value not in first:
            first[value] = index
            continue
        line = document.place((*path, first[value], *tail)).line
        message = f"`{value}` stands here a second time; the first is on line {line}."
        yield document.problem((*path, index, *tail), message, "Keep one, or rename one.")


def _unknown(
    document: Document, path: KeyPath, kind: str, name: str, known: Iterable[str]
) -> Iterator[Problem]:
    """A problem if nothing bears this name, with the nearest name that something does."""
    names = list(known)
    if name in names:
        return
    near = _nearest(name, names)
    mend = f"Did you mean `{near}`?" if near else ""
    if not near and 0 < len(names) <= MOST_LISTED:
        mend = f"Known here: {', '.join(sorted(set(names)))}."
    yield document.problem(path, f"There is no {kind} `{name}`.", mend)


def _nearest(name: str, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names), n=1)), None)


def _path(sources: Sources, path: PathFile) -> Iterator[Problem]:
    document = sources.path.document
    yield from _repeated(document, ("stages",), [stage.id for stage in path.stages], ("id",))
    for name in type(path.standards).model_fields:
        span = getattr(path.standards, name)
        if isinstance(span, Span) and span.least > span.most:
            message = f"`{name}` asks for at least {span.least} and at most {span.most}."
            yield document.problem(("standards", name), message, "Write the smaller number first.")
    places: dict[str, tuple[str, KeyPath]] = {}
    for index, stage in enumerate(path.stages):
        for position, step in enumerate(stage.steps):
            place: KeyPath = ("stages", index, "steps", position)
            if step in places:
                other, first = places[step]
                where = f"the first is in stage {other}, line {document.place(first).line}"
                message = f"The step `{step}` is listed a second time; {where}."
                yield document.problem(place, message, "A step stands once on the path.")
                continue
            places[step] = (stage.id, place)
            yield from _step_file(sources, stage.id, step, place)
    files = [name for _, name in sources.steps]
    # A file whose listing is misspelt has been spoken of where it is listed.
    meant = {_nearest(step, files) for step in places if step not in files}
    for (folder, name), source in sources.steps.items():
        if name not in places and name not in meant:
            message = f"No stage of path.yaml lists the step `{name}`."
            stage_id = folder if folder in {stage.id for stage in path.stages} else "a stage"
            mend = f"Add it to the steps of {stage_id}, or move the file out of curriculum/."
            yield Problem(source.document.name, 0, 0, message, mend)


def _step_file(sources: Sources, stage: str, step: str, place: KeyPath) -> Iterator[Problem]:
    """A problem if a listed step has no file where it belongs."""
    if (stage, step) in sources.steps:
        return
    document = sources.path.document
    wanted = f"curriculum/{stage}/{step}.yaml"
    elsewhere = next((source for (_, name), source in sources.steps.items() if name == step), None)
    if elsewhere is not None:
        message = f"The step `{step}` is listed here, but its file is {elsewhere.document.name}."
        yield document.problem(place, message, f"Move it to {wanted}, or list it there.")
        return
    near = _nearest(step, [name for _, name in sources.steps])
    mend = f"Did you mean `{near}`?" if near else "Write the file, or take the step out."
    yield document.problem(place, f"The step `{step}` has no file {wanted}.", mend)


def _step(sources: Sources, name: str, document: Document, step: Step) -> Iterator[Problem]:
    if step.id != name:
        message = f"The step is called `{step.id}`, but its file {name}.yaml."
        yield document.problem(("id",), message, "Give both the same name.")
    if step.lab is None and not step.quiz:
        message = "The step has neither a lab nor a quiz."
        yield document.problem((), message, "Add one, so that the step can be finished.")
    if step.lab is not None:
        yield from _unknown(document, ("lab",), "lab", step.lab, sources.labs)
    for key in ("requires", "topics"):
        yield from _repeated(document, (key,), getattr(step, key))
    yield from _quiz(document, step)
    if sources.topics is not None and sources.topics.value is not None:
        known = [topic.id for topic in sources.topics.value.topics]
        for index, topic in enumerate(step.topics):
            yield from _unknown(document, ("topics", index), "topic", topic, known)


def _quiz(document: Document, step: Step) -> Iterator[Problem]:
    for index, question in enumerate(step.quiz):
        yield from _repeated(document, ("quiz", index, "choices"), question.choices)
        if question.answer > len(question.choices):
            message = (
                f"The answer is {question.answer}, but there are {len(question.choices)} choices."
            )
            mend = "Count the choices from 1."
            yield document.problem(("quiz", index, "answer"), message, mend)
        yield from _goals(document, ("quiz", index, "goals"), question.goals, step)


def _goals(
    document: Document, path: KeyPath, numbers: Sequence[int], step: Step
) -> Iterator[Problem]:
    """A problem for each number that is not the number of one of a step's goals."""
    yield from _repeated(document, path, numbers)
    for index, number in enumerate(numbers):
        if number > len(step.goals):
            count = "one goal" if len(step.goals) == 1 else f"{len(step.goals)} goals"
            message = f"The step `{step.id}` has no goal {number}; it has {count}."
            yield document.problem((*path, index), message, "Count its goals from 1.")


def _requirements(sources: Sources, order: Mapping[str, int]) -> Iterator[Problem]:
    """Requirements exist, stand earlier on the path, and do not run in a circle."""
    valid = [source for source in sources.steps.values() if source.value is not None]
    names = {name for _, name in sources.steps}
    graph = {source.value.id: source.value.requires for source in valid if source.value}
    circles = _circles(graph)
    closing = {(circle[0], circle[1]): circle for circle in circles}
    turning = {step for circle in circles for step in circle}
    for source in valid:
        assert source.value is not None
        step = source.value
        for index, required in enumerate(step.requires):
            place: KeyPath = ("requires", index)
            yield from _unknown(source.document, place, "step", required, names | set(graph))
            if (step.id, required) in closing:
                circle = " → ".join(closing[step.id, required])
                message = f"These steps require each other in a circle: {circle}."
                yield source.document.problem(place, message, "Take one of the arrows out.")
            elif not {step.id, required} <= turning:
                yield from _later(source.document, place, "requires", step.id, required, order)


def _later(
    document: Document, place: KeyPath, verb: str, step: str, other: str, order: Mapping[str, int]
) -> Iterator[Problem]:
    if step in order and order.get(other, -1) > order[step]:
        message = f"`{step}` {verb} `{other}`, which comes later on the path."
        yield document.problem(place, message, "Change their order in path.yaml.")


def _circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Circles of requirements, each with its first step again at the end."""
    left = {step: set(required) for step, required in graph.items()}
    circles: list[list[str]] = []
    while True:
        try:
            graphlib.TopologicalSorter(left).prepare()
        except graphlib.CycleError as error:
            # The sorter names each step before the one that requires it.
            circle = list(reversed(error.args[1]))
            circles.append(circle)
            left = {step: left[step] for step in left if step not in circle}
        else:
            return circles


def _belonging(sources: Sources) -> Iterator[Problem]:
    """Each lab belongs to one step, and labs of one stage have different files."""
    owners: dict[str, Source[Step]] = {}
    files: dict[tuple[str, str], str] = {}
    for (stage, _), source in sources.steps.items():
        lab_id = source.value.lab if source.value is not None else None
        if lab_id is None or lab_id not in sources.labs:
            continue
        if lab_id in owners:
            message = f"The lab `{lab_id}` already belongs to {owners[lab_id].document.name}."
            yield source.document.problem(("lab",), message, "A lab belongs to one step.")
            continue
        owners[lab_id] = source
        lab = sources.labs[lab_id].source
        if lab.value is None:
            continue
        other = files.setdefault((stage, lab.value.file), lab_id)
        if other != lab_id:
            message = f"`{lab.value.file}` is the file of the lab `{other}` of the same stage too."
            yield lab.document.problem(("file",), message, "Choose another name.")
    if any(source.value is None for source in sources.steps.values()):
        return
    steps = [source.value for source in sources.steps.values() if source.value is not None]
    unknown = [step.lab for step in steps if step.lab and step.lab not in sources.labs]
    meant = {_nearest(name, sources.labs) for name in unknown}
    for folder, lab_source in sources.labs.items():
        if folder not in owners and folder not in meant:
            mend = f"Write `lab: {folder}` in a step, or move the folder out of labs/."
            name = lab_source.source.document.name
            yield Problem(name, 0, 0, f"No step has the lab `{folder}`.", mend)


def _thread(sources: Sources, order: Mapping[str, int]) -> Iterator[Problem]:
    """The labs and artefacts that a lab builds on exist, and come before it."""
    position = {
        source.value.lab: order[source.value.id]
        for source in sources.steps.values()
        if source.value is not None and source.value.lab and source.value.id in order
    }
    makers: dict[str, str] = {}
    labs = {folder: lab.source for folder, lab in sources.labs.items() if lab.source.value}
    for folder, source in sorted(labs.items(), key=lambda item: position.get(item[0], 0)):
        for artefact in source.value.makes if source.value else ():
            makers.setdefault(artefact, folder)
    for folder, source in labs.items():
        assert source.value is not None
        for index, used in enumerate(source.value.uses):
            place: KeyPath = ("uses", index)
            yield from _unknown(source.document, place, "lab", used, sources.labs)
            if used == folder:
                yield source.document.problem(place, "A lab cannot use itself.", "Delete it.")
            yield from _later(source.document, place, "uses", folder, used, position)
        for index, artefact in enumerate(source.value.needs):
            place = ("needs", index)
            if artefact not in makers:
                message = f"No lab makes the artefact `{artefact}`."
                near = _nearest(artefact, makers)
                mend = f"Did you mean `{near}`?" if near else "Add it to a lab's `makes`."
                yield source.document.problem(place, message, mend)
                continue
            maker = makers[artefact]
            yield from _later(
                source.document, place, "needs what is made by", folder, maker, position
            )


def _lab(folder: str, lab: LabSource, value: Lab) -> Iterator[Problem]:
    document = lab.source.document
    if value.id != folder:
        message = f"The lab is called `{value.id}`, but its folder `{folder}`."
        yield document.problem(("id",), message, "Give both the same name.")
    for key in ("uses", "needs", "makes", "models"):
        yield from _repeated(document, (key,), getattr(value, key))
    yield from _checks(document, value, lab.tests)
    yield from _misconceptions(document, value, lab.code)
    yield from _equivalents(document, value, lab.code)
    known = {check.function for check in value.checks}
    for function, line in (lab.tests or {}).items():
        if function not in known:
            check_id = function.removeprefix("test_").replace("_", "-")
            message = f"lab.yaml has no check for `{function}`."
            near = _nearest(check_id, [check.id for check in value.checks])
            meant = f", or name the function after `{near}`" if near else ""
            mend = f"Declare the check `{check_id}`{meant}."
            yield Problem(f"labs/{folder}/checks.py", line, 0, message, mend)


def _checks(document: Document, lab: Lab, tests: Mapping[str, int] | None) -> Iterator[Problem]:
    ids = [check.id for check in lab.checks]
    yield from _repeated(document, ("checks",), ids, ("id",))
    for index, check in enumerate(lab.checks):
        if tests is not None and check.function not in tests:
            message = f"checks.py has no function for the check `{check.id}`."
            mend = f"Write `def {check.function}(lab, …):` there."
            yield document.problem(("checks", index, "id"), message, mend)
        for position, needed in enumerate(check.needs):
            place: KeyPath = ("checks", index, "needs", position)
            yield from _unknown(document, place, "check", needed, ids)
            if needed in ids and ids.index(needed) >= index:
                message = f"`{check.id}` needs `{needed}`, which does not come before it."
                yield document.problem(place, message, "A check can need only those above it.")


def _tested_goals(lab: Source[Lab], step: Step) -> Iterator[Problem]:
    """The goals that a lab's checks test are goals of its step."""
    for index, check in enumerate(lab.value.checks if lab.value is not None else ()):
        yield from _goals(lab.document, ("checks", index, "goals"), check.goals, step)


def _misconceptions(document: Document, lab: Lab, code: str | None) -> Iterator[Problem]:
    ids = [check.id for check in lab.checks]
    names = [misconception.id for misconception in lab.misconceptions]
    yield from _repeated(document, ("misconceptions",), names, ("id",))
    for index, misconception in enumerate(lab.misconceptions):
        base: KeyPath = ("misconceptions", index)
        yield from _repeated(document, (*base, "fails"), misconception.fails)
        for position, failed in enumerate(misconception.fails):
            place = (*base, "fails", position)
            yield from _unknown(document, place, "check", failed, ids)
            for needed in sorted(_needed(lab, failed) & set(misconception.fails)):
                message = f"`{failed}` is skipped, not failed, when `{needed}` fails."
                yield document.problem(place, message, "Take it out of `fails`.")
        yield from _edit(document, base, misconception, code)


def _equivalents(document: Document, lab: Lab, code: str | None) -> Iterator[Problem]:
    for index, equivalent in enumerate(lab.equivalents):
        yield from _edit(document, ("equivalents", index), equivalent, code)


def _edit(
    document: Document, base: KeyPath, edit: Misconception | Equivalent, code: str | None
) -> Iterator[Problem]:
    """Problems of an edit of lab.py: it must change something, at one place."""
    if edit.replace == edit.with_:
        message = "This edit replaces a text by itself."
        yield document.problem((*base, "with"), message, "Write what stands there instead.")
    count = code.replace("\r\n", "\n").count(edit.replace) if code is not None else 1
    if count != 1:
        times = "nowhere" if count == 0 else f"{count} times"
        message = f"This text stands {times} in lab.py."
        mend = "Copy a piece of lab.py that occurs exactly once."
        yield document.problem((*base, "replace"), message, mend)


def _needed(lab: Lab, check_id: str) -> set[str]:
    """The checks that a check needs, and those that they need; only what stands above counts."""
    wanted = {check_id}
    for check in reversed(lab.checks):
        if check.id in wanted:
            wanted |= set(check.needs)
    return wanted - {check_id}

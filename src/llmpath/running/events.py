"""What happens during a run, as frozen values; and the reader of the lines that say so.

The child writes one JSON object a line (`llmpath.running.child` and `llmpath.labkit.run`
are the writers); `parse` makes an event of each. A number that is not finite travels as
null, so that every line is JSON that any tool can read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Number = float | None
Cell = str | int | float | None
Outcome = Literal["finished", "failed", "interrupted", "killed", "no-result"]
FailureKind = Literal[
    "learner", "not-written", "syntax", "exit", "experiment", "disk", "device", "refused"
]
MAX_SHOWN = 500


class _Event(BaseModel):
    """Something that happened `at` seconds after the start of the run."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: float = 0.0


class Started(_Event):
    """The learner's file and the experiment are imported; the experiment begins.

    Attributes:
        device: where tensors will be, or None for an experiment that has not loaded torch.
        model: the real model that the experiment uses as well, if one was asked for.
        torch: the version of torch, or None where it is not loaded.
    """

    event: Literal["started"] = "started"
    lab: str
    device: str | None = None
    scale: str
    seed: int
    model: str | None = None
    torch: str | None = None


class Progress(_Event):
    """`done` of `total` steps are done; until now `tokens` tokens were seen, where it is known."""

    event: Literal["progress"] = "progress"
    done: Annotated[float, Field(ge=0)]
    total: Annotated[float, Field(gt=0)]
    note: str = ""
    tokens: float | None = None


class Checkpoint(_Event):
    """What the run needs to go on from here is kept; `step` steps are done."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int


class Resumed(_Event):
    """A run that had ended before it was done goes on from its last checkpoint.

    Attributes:
        step: how many steps are done already.
        changed: which of its files are not what they were when the run began.
    """

    event: Literal["resumed"] = "resumed"
    step: int
    changed: tuple[str, ...] = ()


class Log(_Event):
    """Values of metrics at one step; None stands for a value that is not finite."""

    event: Literal["log"] = "log"
    step: float
    metrics: dict[str, Number]


class Floor(_Event):
    """A known bound of a metric."""

    event: Literal["floor"] = "floor"
    metric: str
    value: float
    label: str


class Sample(_Event):
    """A text worth seeing, such as what the model writes now."""

    event: Literal["text"] = "text"
    title: str
    text: str


class Table(_Event):
    """Rows of cells under columns."""

    event: Literal["table"] = "table"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Figure(_Event):
    """A picture in the run folder; `path` is relative to it."""

    event: Literal["figure"] = "figure"
    name: str
    path: str


class Saved(_Event):
    """A file or folder in the run folder; `path` is relative to it.

    Attributes:
        artefact: whether it is one of those that the lab makes for later labs.
    """

    event: Literal["saved"] = "saved"
    name: str
    path: str
    artefact: bool = False


class Tracked(_Event):
    """What an experiment tracker says; it is passed on, and not kept with the run.

    Attributes:
        where: how to look at what it keeps.
        problem: why it could not take everything; "" if it could.
    """

    event: Literal["tracked"] = "tracked"
    tracker: str
    where: str = ""
    problem: str = ""


class Output(_Event):
    """What the learner's code printed."""

    event: Literal["output"] = "output"
    text: str


class Unreadable(_Event):
    """A line on the event pipe that is not an event."""

    event: Literal["unreadable"] = "unreadable"
    line: str
    reason: str


class Frame(BaseModel):
    """One place in a traceback.

    Attributes:
        code: the source line, without its indentation.
        mine: whether it is in the learner's own code.
        column, end_column: what in `code` is meant, counted from 1; 0 where unknown.
        repeated: how often the same line follows again, as in a recursion without end.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    file: str
    line: int
    function: str = ""
    code: str = ""
    mine: bool = False
    column: int = 0
    end_column: int = 0
    repeated: int = 0


class Failed(_Event):
    """The run ended with an exception.

    Attributes:
        kind: `learner` (raised in or below the learner's code), `not-written` (a function
            still raises the starter's NotImplementedError), `syntax` (the file cannot be
            read as Python), `exit` (the code asked to end the program), `experiment` (no
            line of the learner's was involved: it is the course's, unless a wrong return
            value led to it), `disk` (no space is left), `device` (the device
            that was asked for is not there) or `refused` (so is something else that was
            asked for, such as data or an artefact).
        type: the name of the exception's class.
        hint: for `refused`, what to do.
        frames: outermost first; of llmpath's own frames there are none.
        omitted: how many of the learner's frames were left out between the first and last.
        function: for `not-written`, what remains to be written.
        instruction: for `not-written`, the words of its TODO line.
    """

    event: Literal["failed"] = "failed"
    kind: FailureKind
    type: str
    message: str
    hint: str = ""
    frames: tuple[Frame, ...] = ()
    omitted: int = 0
    function: str = ""
    instruction: str = ""


class Result(_Event):
    """What the experiment found."""

    event: Literal["result"] = "result"
    sentence: str
    figures: dict[str, Cell] = {}


class Ended(_Event):
    """The last event of every run.

    Attributes:
        outcome: `no-result` is a program that ended by itself without a result.
        exit_code: of the child; negative for a signal.
        folder: the run folder.
        processor_seconds: of the child and its own children; 0 where it is not known.
        memory_mb: the resident memory of the largest of them at its most, in MiB; likewise.
    """

    event: Literal["ended"] = "ended"
    outcome: Outcome
    exit_code: int
    seconds: float
    folder: str
    processor_seconds: float = 0.0
    memory_mb: int = 0


Event = Annotated[
    Started | Resumed | Progress | Checkpoint | Log | Floor | Sample | Table | Figure | Saved
    | Tracked | Output | Unreadable | Failed | Result | Ended,
    Field(discriminator="event"),
]  # fmt: skip

# What only the parent can know is not believed when the child's pipe says it.
FromChild = Annotated[
    Started | Progress | Checkpoint | Log | Floor | Sample | Table | Figure | Saved | Failed
    | Result,
    Field(discriminator="event"),
]  # fmt: skip
_reader: TypeAdapter[Event] = TypeAdapter(FromChild)
_kept_reader: TypeAdapter[Event] = TypeAdapter(Event)


def parse(line: bytes) -> Event:
    """The event of one line of the child's pipe; `Unreadable` if it is none."""
    try:
        return _reader.validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        shown = line[:MAX_SHOWN].decode(errors="replace").rstrip("\n")
        return Unreadable(line=shown, reason=reason[:MAX_SHOWN])


def parse_kept(line: bytes) -> Event | None:
    """The event of one line of `events.jsonl`; None if it was not written to its end."""
    try:
        return _kept_reader.validate_json(line)
    except ValidationError:
        return None

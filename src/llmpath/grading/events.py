"""What a judge tells its parent, as frozen data.

The judge runs no learner code, and yet what it sends is read as if it came from anyone: an
event that is not whole is `Broken`, and a check without a whole verdict has not passed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from llmpath.grading.report import CheckStatus, Detail, Printable


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ready(_Event):
    """The checks are collected, the worker waits, and these measures are in force."""

    event: Literal["ready"] = "ready"
    isolation: list[str]


class Started(_Event):
    """A check begins."""

    event: Literal["start"] = "start"
    check: str


class Verdict(_Event):
    """A check is decided."""

    event: Literal["verdict"] = "verdict"
    check: str
    status: CheckStatus
    detail: Annotated[Detail | None, Field(strict=False)] = None
    seconds: float = Field(ge=0, allow_inf_nan=False)


class ImportFailed(_Event):
    """The learner's file cannot be imported; `error` is the worker's account."""

    event: Literal["import-failed"] = "import-failed"
    error: dict[str, Any]


class WorkerDied(_Event):
    """The worker ended, or sent what is no answer."""

    event: Literal["worker-died"] = "worker-died"
    message: Printable


class Broken(_Event):
    """The checks, or the judge itself, are broken: the course's fault or ours."""

    event: Literal["broken"] = "broken"
    message: Printable


class Ended(_Event):
    """The judge has nothing more to say."""

    event: Literal["end"] = "end"


Event = Ready | Started | Verdict | ImportFailed | WorkerDied | Broken | Ended
_ANY: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def read(message: object) -> Event:
    """The event that a message is; `Broken` if it is none."""
    try:
        return _ANY.validate_python(message)
    except ValidationError:
        return Broken(message="the judge sent something unreadable")

"""What a run has shown so far, ready to be drawn: a picture of its events, not of a terminal."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from llmpath.running import events as ev
from llmpath.running.curves import Curves

WINDOW = 10.0  # seconds over which the present speed is taken


class Speed:
    """How many of something are done a second, now and on the whole.

    A count that falls begins anew, as it does where a second training follows the first.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._amount = 0.0
        self._seconds = 0.0

    def note(self, at: float, amount: float | None) -> None:
        """`amount` were done after `at` seconds; None where it is not known."""
        if amount is None:
            return
        if self._recent:
            before, last = self._recent[-1]
            if amount < last or at < before:
                self._recent.clear()
            else:
                self._amount += amount - last
                self._seconds += at - before
        self._recent.append((at, amount))
        while self._recent[0][0] < at - WINDOW and len(self._recent) > 2:
            self._recent.popleft()

    @property
    def now(self) -> float | None:
        """A second, of late; None while too little is known."""
        if not self._recent:
            return None
        (began, first), (at, last) = self._recent[0], self._recent[-1]
        return (last - first) / (at - began) if at > began and last > first else None

    @property
    def mean(self) -> float | None:
        """A second, in the whole run; None where it is not known."""
        return self._amount / self._seconds if self._seconds > 0 and self._amount > 0 else None


@dataclass
class Board:
    """The newest state of a run.

    Attributes:
        partial: learner's output after the last line end.
        problems: how many lines of the event pipe were no events.
        tokens: how fast the model is trained.
    """

    started: ev.Started | None = None
    progress: ev.Progress | None = None
    sample: ev.Sample | None = None
    failed: ev.Failed | None = None
    result: ev.Result | None = None
    ended: ev.Ended | None = None
    tables: list[ev.Table] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    checkpoint: ev.Checkpoint | None = None
    tokens: Speed = field(default_factory=Speed)
    tracked: list[ev.Tracked] = field(default_factory=list)
    partial: str = ""
    problems: list[ev.Unreadable] = field(default_factory=list)
    curves: Curves = field(default_factory=Curves)

    def apply(self, event: ev.Event) -> list[str]:
        """Take in one event; what it returns are lines that the learner's code printed."""
        match event:
            case ev.Started():
                self.started = event
            case ev.Progress():
                self.progress = event
                self.tokens.note(event.at, event.tokens)
            case ev.Checkpoint():
                self.checkpoint = event
            case ev.Log() | ev.Floor():
                self.curves.note(event)
            case ev.Sample():
                self.sample = event
            case ev.Table():
                self.tables.append(event)
            case ev.Figure() | ev.Saved():
                self.files[event.path] = event.name
            case ev.Tracked():
                self.tracked.append(event)
            case ev.Output():
                return self._lines(event.text)
            case ev.Unreadable():
                self.problems.append(event)
            case ev.Failed():
                self.failed = event
            case ev.Result():
                self.result = event
            case ev.Ended():
                self.ended = event
                return self._rest()
        return []

    def _lines(self, text: str) -> list[str]:
        *lines, self.partial = (self.partial + text.replace("\r\n", "\n")).split("\n")
        return lines

    def _rest(self) -> list[str]:
        rest, self.partial = self.partial, ""
        return [rest] if rest else []

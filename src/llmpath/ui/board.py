"""What a run has shown so far, ready to be drawn: a picture of its events, not of a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmpath.running import events as ev
from llmpath.running.curves import Curves


@dataclass
class Board:
    """The newest state of a run.

    Attributes:
        partial: learner's output after the last line end.
        problems: how many lines of the event pipe were no events.
    """

    started: ev.Started | None = None
    progress: ev.Progress | None = None
    sample: ev.Sample | None = None
    failed: ev.Failed | None = None
    result: ev.Result | None = None
    ended: ev.Ended | None = None
    tables: list[ev.Table] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
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
            case ev.Log() | ev.Floor():
                self.curves.note(event)
            case ev.Sample():
                self.sample = event
            case ev.Table():
                self.tables.append(event)
            case ev.Figure() | ev.Saved():
                self.files[event.path] = event.name
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

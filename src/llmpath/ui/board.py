"""What a run has shown so far, ready to be drawn: a picture of its events, not of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from llmpath.running import events as ev
from llmpath.ui.chart import Bound, Chart, Series

_WORDS = re.compile(r"[^A-Za-z0-9]+")


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
    _series: dict[str, Series] = field(default_factory=dict)
    _bounds: dict[str, dict[str, Bound]] = field(default_factory=dict)

    def apply(self, event: ev.Event) -> list[str]:
        """Take in one event; what it returns are lines that the learner's code printed."""
        match event:
            case ev.Started():
                self.started = event
            case ev.Progress():
                self.progress = event
            case ev.Log():
                for metric, value in event.metrics.items():
                    self._series.setdefault(metric, Series(metric)).add(event.step, value)
            case ev.Floor():
                bound = Bound(event.value, event.label)
                self._bounds.setdefault(event.metric, {})[event.label] = bound
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

    def charts(self) -> list[Chart]:
        """The metrics, those of one kind together, in the order in which they came.

        Metrics are of one kind if their names end in the same word: `train_bits` and
        `val_bits` are both bits.
        """
        charts: dict[str, Chart] = {}
        for metric, series in self._series.items():
            chart = charts.setdefault(_kind(metric), Chart())
            chart.series.append(series)
            chart.bounds += self._bounds.get(metric, {}).values()
        for chart in charts.values():  # the same bound of two metrics is one line
            chart.bounds = list(dict.fromkeys(chart.bounds))
        return list(charts.values())

    def latest(self) -> Iterator[tuple[str, float | None]]:
        """Each metric's newest value."""
        return ((series.name, series.last) for series in self._series.values())

    def _lines(self, text: str) -> list[str]:
        *lines, self.partial = (self.partial + text.replace("\r\n", "\n")).split("\n")
        return lines

    def _rest(self) -> list[str]:
        rest, self.partial = self.partial, ""
        return [rest] if rest else []


def _kind(metric: str) -> str:
    words = [word for word in _WORDS.split(metric) if word]
    return words[-1].lower() if words else metric

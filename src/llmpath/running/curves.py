"""The curves of a run: what was logged of each metric, and the known bounds of it.

Read from events and kept at a bounded size, however many steps are logged. Knows nothing of
how a curve is drawn: `llmpath.ui.chart` does that in the terminal, `llmpath.running.picture`
as a PNG.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llmpath.running.events import Event, Floor, Log

KEPT_POINTS = 4000
_WORDS = re.compile(r"[^A-Za-z0-9]+")


class Series:
    """The values of one metric over steps.

    Attributes:
        name: the metric's name.
        last: its newest value; None while that is not finite.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.last: float | None = None
        self._points: list[tuple[float, float | None]] = []

    def add(self, step: float, value: float | None) -> None:
        """Add a value at a step; None leaves a gap."""
        if not math.isfinite(step):
            return
        self.last = value if value is not None and math.isfinite(value) else None
        self._points.append((step, self.last))
        if len(self._points) > KEPT_POINTS:
            self._points = _halved(self._points)

    @property
    def points(self) -> Sequence[tuple[float, float | None]]:
        """Steps and values, in the order in which they came; None is a gap."""
        return self._points

    @property
    def is_curve(self) -> bool:
        """Whether there is more to it than one place."""
        steps = {step for step, value in self._points if value is not None}
        return len(steps) > 1

    def called(self, name: str) -> Series:
        """The same series under another name."""
        other = Series(name)
        other.last, other._points = self.last, self._points
        return other

    def pieces(self) -> list[list[tuple[float, float]]]:
        """The unbroken pieces of the curve."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for step, value in self._points:
            if value is not None:
                pieces[-1].append((step, value))
            elif pieces[-1]:
                pieces.append([])
        return [piece for piece in pieces if piece]


def _halved(points: list[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """Neighbours merged into their mean; a gap stays one."""
    merged: list[tuple[float, float | None]] = []
    for (step, value), (next_step, other) in zip(points[::2], points[1::2], strict=False):
        mean = None if value is None or other is None else value / 2 + other / 2
        merged.append((step / 2 + next_step / 2, mean))
    return merged + points[len(points) - len(points) % 2 :]


@dataclass(frozen=True)
class Bound:
    """A known bound of a metric: a line that no curve should cross."""

    value: float
    label: str


@dataclass
class Chart:
    """Series that share a unit, and the bounds of them: what one chart shows."""

    series: list[Series] = field(default_factory=list)
    bounds: list[Bound] = field(default_factory=list)

    @property
    def curves(self) -> list[Series]:
        """The series that have more than one place."""
        return [series for series in self.series if series.is_curve]


class Curves:
    """All that was logged in a run, gathered event by event."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._series: dict[str, Series] = {}
        self._bounds: dict[str, dict[str, Bound]] = {}
        for event in events:
            self.note(event)

    def note(self, event: Event) -> None:
        """Take in one event; only those that log or bound a metric matter."""
        if isinstance(event, Log):
            for metric, value in event.metrics.items():
                self._series.setdefault(metric, Series(metric)).add(event.step, value)
        elif isinstance(event, Floor):
            bound = Bound(event.value, event.label)
            self._bounds.setdefault(event.metric, {})[event.label] = bound

    @property
    def metrics(self) -> Sequence[str]:
        """The names of what was logged, in the order in which they came."""
        return list(self._series)

    def of(self, metric: str) -> Series | None:
        """The series of a metric; None if it was not logged."""
        return self._series.get(metric)

    def bounds(self, metric: str) -> list[Bound]:
        """The known bounds of a metric."""
        return list(self._bounds.get(metric, {}).values())

    def latest(self) -> Iterator[tuple[str, float | None]]:
        """Each metric's newest value."""
        return ((series.name, series.last) for series in self._series.values())

    def charts(self) -> list[Chart]:
        """The metrics, those of one kind together, in the order in which they came.

        Metrics are of one kind if their names end in the same word: `train_bits` and
        `val_bits` are both bits.
        """
        charts: dict[str, Chart] = {}
        for metric, series in self._series.items():
            chart = charts.setdefault(_kind(metric), Chart())
            chart.series.append(series)
            chart.bounds += self.bounds(metric)
        for chart in charts.values():  # the same bound of two metrics is one line
            chart.bounds = list(dict.fromkeys(chart.bounds))
        return list(charts.values())


def overlay(runs: Mapping[str, Curves]) -> dict[str, Chart]:
    """For each metric, a chart of the series of all runs that have it, named after the runs.

    Args:
        runs: the curves of each run, by the name that its series are to have.
    """
    charts: dict[str, Chart] = {}
    for name, curves in runs.items():
        for metric in curves.metrics:
            chart = charts.setdefault(metric, Chart())
            series = curves.of(metric)
            assert series is not None
            chart.series.append(series.called(name))
            chart.bounds += (bound for bound in curves.bounds(metric) if bound not in chart.bounds)
    return charts


def _kind(metric: str) -> str:
    words = [word for word in _WORDS.split(metric) if word]
    return words[-1].lower() if words else metric

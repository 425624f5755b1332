"""Charts of metrics in the terminal, drawn by plotext, with their known bounds as dashed lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from llmpath.running.curves import Chart
from llmpath.ui.theme import BLUE, GREY, ORANGE, PURPLE, RED, TEAL, UNICODE, symbols
from llmpath.ui.words import number, one_line

COLOURS = (BLUE, ORANGE, TEAL, PURPLE, RED)
PLAIN_MARKERS = ("braille", "x", "+", "o", "*")
ASCII_MARKERS = ("*", "x", "+", "o", "#")
LONGEST_NAME = 24
LONGEST_LABEL = 48
CHART_HEIGHT = 12  # lines, with the caption
MAX_CAPTION = 3  # lines
_BETWEEN = "   "


def chart_lines(chart: Chart, console: Console, width: int, height: int) -> list[RenderableType]:
    """A chart under its caption, in `height` lines."""
    signs = symbols(console) is UNICODE
    colour = console.color_system is not None and not console.no_color
    legend = caption(chart, width, colour=colour, unicode=signs)
    if legend.plain.count("\n") >= MAX_CAPTION:
        legend = Text("\n").join(legend.split("\n")[:MAX_CAPTION])
    lines = height - len(legend.plain.splitlines())
    return [legend, draw(chart, width, lines, colour=colour, unicode=signs)]


def caption(chart: Chart, width: int, *, colour: bool = True, unicode: bool = True) -> Text:
    """The legend, with the newest values, in lines of at most `width` columns."""
    entries = []
    for index, series in enumerate(chart.series):
        look, marker = _look(index, colour=colour, unicode=unicode)
        sign = "━━" if marker == "braille" else marker * 2
        name = _short(series.name, LONGEST_NAME)
        entry = Text.assemble((sign, look), f" {name} ", (number(series.last), "bold"))
        entries.append(entry)
    for bound in chart.bounds:
        sign = "╌╌" if unicode else "--"
        words = f"{sign} {_short(bound.label, LONGEST_LABEL)} {number(bound.value)}"
        entries.append(Text(words, style=GREY))
    return _filled(entries, width)


def draw(
    chart: Chart, width: int, height: int, *, colour: bool = True, unicode: bool = True
) -> Text:
    """The curves and bounds, without the caption.

    Args:
        chart: what is drawn.
        width: columns that the chart may take.
        height: lines that it may take.
        colour: whether curves are told apart by colour rather than by their signs.
        unicode: whether signs beyond ASCII can be shown.
    """
    import plotext

    pieces = [series.pieces() if series.is_curve else [] for series in chart.series]
    steps = [step for each in pieces for piece in each for step, _ in piece]
    values = [value for each in pieces for piece in each for _, value in piece]
    if not steps:
        return Text("")
    values += [bound.value for bound in chart.bounds]
    x_axis = Axis(min(steps), max(steps))
    y_axis = Axis(*_padded(min(values), max(values)))
    _blank(plotext, width, height)
    for bound in chart.bounds:
        dash, level = "╌" if unicode else "-", y_axis.share(bound.value)
        plotext.plot([0.0, 1.0], [level, level], marker=dash, color=_code(GREY))
    for index, each in enumerate(pieces):
        look, marker = _look(index, colour=colour, unicode=unicode)
        for piece in each:
            shares = [(x_axis.share(step), y_axis.share(value)) for step, value in piece]
            x, y = zip(*_thinned(shares, 2 * width), strict=True)
            plotext.plot(list(x), list(y), marker=marker, color=_code(look))
    plotext.xticks(*x_axis.ticks(max(3, width // 14)))
    plotext.yticks(*y_axis.ticks(max(3, height // 3)))
    lines = [Text.from_ansi(line) for line in plotext.build().rstrip("\n").split("\n")]
    for line in lines:
        line.rstrip()
    drawn = Text("\n", no_wrap=True, overflow="crop").join(lines)
    return drawn if colour else Text(drawn.plain, no_wrap=True, overflow="crop")


def _look(index: int, *, colour: bool, unicode: bool) -> tuple[str, str]:
    """The colour and the marker of the curve with this number."""
    if not unicode:
        markers: Sequence[str] = ASCII_MARKERS
    else:
        markers = ("braille",) if colour else PLAIN_MARKERS
    return COLOURS[index % len(COLOURS)], markers[index % len(markers)]


def _code(colour: str) -> int:
    return int(colour.removeprefix("color(").removesuffix(")"))


def _short(name: str, longest: int) -> str:
    name = one_line(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def _filled(entries: list[Text], width: int) -> Text:
    """Entries side by side, as many as fit into a line."""
    lines: list[Text] = []
    for entry in entries:
        entry.truncate(width, overflow="ellipsis")
        if lines and lines[-1].cell_len + len(_BETWEEN) + entry.cell_len <= width:
            lines[-1].append(_BETWEEN).append_text(entry)
        else:
            lines.append(entry)
    return Text("\n").join(lines)


def _padded(low: float, high: float) -> tuple[float, float]:
    """The limits of an axis: a little room on both sides, and some even for a flat curve."""
    room = (high / 2 - low / 2) / 10
    if room <= 1e-9 * max(abs(low), abs(high)) or room == 0:
        room = max(abs(low), abs(high)) / 10 or 1.0
    biggest = 8e307
    return max(low - room, -biggest), min(high + room, biggest)


def _blank(plotext: Any, width: int, height: int) -> None:
    """An empty chart whose axes both go from 0 to 1, for plotext cannot take every number."""
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plotsize(max(width, 12), max(height, 4))
    plotext.xlim(0, 1)
    plotext.ylim(0, 1)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)


@dataclass(frozen=True)
class Axis:
    """What lies between two limits."""

    low: float
    high: float

    def share(self, value: float) -> float:
        """Where a value lies: 0 at the lower limit, 1 at the upper."""
        half = self.high / 2 - self.low / 2  # the whole may be too much for a float
        if half == 0:
            return 0.5
        return min(max((value / 2 - self.low / 2) / half, 0.0), 1.0)

    def ticks(self, count: int) -> tuple[list[float], list[str]]:
        """Round places, and their labels with as many digits as tell them apart."""
        places = round_numbers(self.low, self.high, count)
        labels = [number(place) for place in places]
        digits = 5
        while len(set(labels)) < len(labels) and digits <= 17:
            labels = [f"{place:.{digits}g}" for place in places]
            digits += 1
        return [self.share(place) for place in places], labels


def _thinned(piece: list[tuple[float, float]], columns: int) -> list[tuple[float, float]]:
    """At most one point a dot column: the mean of those that fall there."""
    backwards = any(b < a for (a, _), (b, _) in pairwise(piece))
    if len(piece) <= columns or backwards:
        return piece
    groups: dict[int, list[tuple[float, float]]] = {}
    for x, y in piece:
        groups.setdefault(int(x * (columns - 1)), []).append((x, y))
    return [(fmean(x for x, _ in group), fmean(y for _, y in group)) for group in groups.values()]


def round_numbers(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers between two limits, at least two; the limits if there are none.

    The step between them is the widest of 1, 2 or 5 times a power of ten that leaves enough.
    """
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return [low]
    power = math.floor(math.log10(span))
    for exponent in (power, power - 1):
        for nice in (5, 2, 1):
            step = nice * 10.0**exponent
            if step <= 0 or span / step < min(count, 3) - 1 or not math.isfinite(low / step):
                continue
            places = _multiples(low, high, step, max(0, -exponent))
            if len(places) >= 2 and (len(places) >= count - 1 or nice == 1):
                return places
    return [low, high]


def _multiples(low: float, high: float, step: float, digits: int) -> list[float]:
    first = math.ceil(low / step)
    last = math.floor(high / step)
    places = (round(index * step, digits) for index in range(first, last + 1))
    return [place for place in places if low <= place <= high]  # rounding may lead outside

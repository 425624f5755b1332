"""Curves as PNG: those of one run, and those of several runs over each other.

Nothing of pyplot is used, so that no window system is asked for and nothing is left behind.
The same curves give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llmpath.running.curves import Chart, Curves, overlay

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008), and
# dashes for more curves than there are colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LOOKS = [(colour, dash) for dash in ("-", "--", ":", "-.") for colour in COLOURS]
FLOOR = "#6b6b6b"
WIDTH, HEIGHT = 7.0, 3.2  # inches, of one chart
DPI = 150
LONGEST_LABEL = 60
IN_A_COLUMN = 8  # entries of a legend


def of_run(curves: Curves) -> bytes:
    """A PNG of all curves of a run, those of one kind in one chart, with their bounds."""
    charts = [chart for chart in curves.charts() if chart.curves]
    figure, axes = _canvas(len(charts))
    for axis, chart in zip(axes, charts, strict=True):
        _draw(axis, chart)
        if len(chart.curves) == 1:
            axis.set_ylabel(_label(chart.curves[0].name))
    return _png(figure)


def of_runs(runs: Mapping[str, Curves]) -> bytes:
    """A PNG with one chart for each metric, in which the curves of all runs that have it lie.

    Args:
        runs: the curves of each run, by what its line is to be called.

    Returns:
        The PNG; empty if no run has a curve.
    """
    charts = {metric: chart for metric, chart in overlay(runs).items() if chart.curves}
    if not charts:
        return b""
    figure, axes = _canvas(len(charts))
    for axis, (metric, chart) in zip(axes, charts.items(), strict=True):
        _draw(axis, chart, order=list(runs))
        axis.set_ylabel(_label(metric))
    return _png(figure)


def _canvas(charts: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(WIDTH, HEIGHT * charts), layout="constrained")
    return figure, list(figure.subplots(charts, squeeze=False)[:, 0])


def _draw(axis: Axes, chart: Chart, order: Sequence[str] = ()) -> None:
    """Draw curves and bounds; `order` keeps a run's look the same in every chart."""
    names = order or [series.name for series in chart.curves]
    looks = dict(zip(names, cycle(LOOKS), strict=False))
    for series in chart.curves:
        colour, dash = looks[series.name]
        label: str | None = _label(series.name)
        for piece in series.pieces():
            steps, values = zip(*piece, strict=True)
            dot = "." if len(piece) == 1 else None
            axis.plot(steps, values, color=colour, ls=dash, marker=dot, lw=1.5, label=label)
            label = None  # one entry in the legend, however many gaps there are
    for bound in chart.bounds:
        words = _label(f"{bound.label} ({bound.value:.4g})")
        axis.axhline(bound.value, color=FLOOR, ls=(0, (6, 3)), lw=1.2, label=words)
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    entries = len(chart.curves) + len(chart.bounds)
    if entries > 1:
        legend = axis.legend(frameon=False, fontsize="small", ncols=-(-entries // IN_A_COLUMN))
        legend.set_in_layout(False)  # many entries must not leave the curves without room


def _label(text: str) -> str:
    """A text that Matplotlib takes as it stands: no formula, no name that hides from a legend."""
    text = " ".join(text.split()).replace("$", r"\$")
    text = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return "\N{ZERO WIDTH SPACE}" + text if text.startswith("_") else text or " "


def _png(figure: Figure) -> bytes:
    data = io.BytesIO()
    # Without the version in the file, the same curves give the same bytes.
    figure.savefig(data, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return data.getvalue()

"""Curves as PNG: those of one run, and those of several runs over each other.

Nothing of pyplot is used, so that no window system is asked for and nothing is left behind.
The same curves give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llmpath.running.curves import Bound, Curves, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008), and
# dashes for more curves than there are colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
FLOOR = "#6b6b6b"
WIDTH, HEIGHT = 7.0, 3.2  # inches, of one chart
DPI = 150
LONGEST_LABEL = 60


def of_run(curves: Curves) -> bytes:
    """A PNG of all curves of a run, those of one kind in one chart, with their bounds."""
    charts = [chart for chart in curves.charts() if chart.curves]
    figure, axes = _canvas(len(charts))
    for axis, chart in zip(axes, charts, strict=True):
        _draw(axis, {series.name: series for series in chart.curves}, chart.bounds)
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
    metrics = dict.fromkeys(metric for curves in runs.values() for metric in curves.metrics)
    drawn: list[tuple[str, dict[str, Series], list[Bound]]] = []
    for metric in metrics:
        found = {name: series for name, each in runs.items() if (series := each.of(metric))}
        lines = {name: series for name, series in found.items() if series.is_curve}
        bounds = [bound for name in lines for bound in runs[name].bounds(metric)]
        if lines:
            drawn.append((metric, lines, list(dict.fromkeys(bounds))))
    if not drawn:
        return b""
    figure, axes = _canvas(len(drawn))
    order = list(runs)
    for axis, (metric, lines, bounds) in zip(axes, drawn, strict=True):
        _draw(axis, lines, bounds, order)
        axis.set_ylabel(_label(metric))
    return _png(figure)


def _canvas(charts: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(WIDTH, HEIGHT * charts), layout="constrained")
    return figure, list(figure.subplots(charts, squeeze=False)[:, 0])


def _draw(
    axis: Axes, lines: Mapping[str, Series], bounds: Sequence[Bound], order: Sequence[str] = ()
) -> None:
    """Draw curves and bounds; `order` keeps a run's look the same in every chart."""
    looks = dict(zip(order or lines, _looks(), strict=False))
    for name, series in lines.items():
        colour, dash = looks[name]
        label: str | None = _label(name)
        for piece in series.pieces():
            steps, values = zip(*piece, strict=True)
            marker = "." if len(piece) == 1 else None
            axis.plot(
                steps, values, color=colour, linestyle=dash, marker=marker, lw=1.5, label=label
            )
            label = None  # one entry in the legend, however many gaps there are
    for bound in bounds:
        words = _label(f"{bound.label} ({bound.value:.4g})")
        axis.axhline(bound.value, color=FLOOR, linestyle=(0, (6, 3)), lw=1.2, label=words)
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=8))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if len(lines) + len(bounds) > 1:
        axis.legend(frameon=False, fontsize="small")


def _looks() -> list[tuple[str, str]]:
    return [(colour, dash) for dash in DASHES for colour in COLOURS]


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

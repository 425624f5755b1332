"""What `llmpath lab run` does with the learner's code: smooths a noisy loss at several widths.

The true curve is known here, so that each width can be held against it.
"""

from __future__ import annotations

import math
import random

from matplotlib.figure import Figure

STEPS = 200
WIDTHS = (1, 3, 9, 27, 81)


def experiment(lab, run) -> None:
    """Find the width that comes closest to the curve under the noise."""
    draw = random.Random(run.seed)
    truth = [1 + 3 * math.exp(-step / 40) for step in range(STEPS)]
    noisy = [value + draw.gauss(0, 0.3) for value in truth]
    errors = {}
    for done, width in enumerate(WIDTHS, start=1):
        means = lab.running_mean(list(noisy), width)
        errors[width] = distance(means, truth)
        run.log(width, error=errors[width])
        run.progress(done, len(WIDTHS), note=f"width {width}")
    best = min(errors, key=errors.__getitem__)
    rows = [[width, round(error, 4)] for width, error in errors.items()]
    run.table("How far from the true curve", ["width", "error"], rows)
    run.figure("smoothed", draw_curves(noisy, truth, lab.running_mean(list(noisy), best), best))
    run.result(
        f"A width of {best} comes closest to the true curve.", width=best, **_figures(errors)
    )


def distance(means: list[float], truth: list[float]) -> float:
    """The root of the mean squared difference."""
    squares = [(mean - true) ** 2 for mean, true in zip(means, truth, strict=True)]
    return math.sqrt(sum(squares) / len(squares))


def draw_curves(noisy: list[float], truth: list[float], means: list[float], width: int) -> Figure:
    """The noise, what it hides, and what the learner's code makes of it."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(noisy, color="0.8", label="measured")
    axes.plot(truth, color="black", linestyle=":", label="true")
    axes.plot(means, color="tab:blue", linewidth=2, label=f"running mean, width {width}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(frameon=False)
    return figure


def _figures(errors: dict[int, float]) -> dict[str, float]:
    return {f"error_{width}": round(error, 4) for width, error in errors.items()}

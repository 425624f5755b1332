"""The learner's AdamW in a narrow valley, and at work on a small model of text.

The first picture follows three ways down a valley that is a hundred times steeper one way than the
other. The second trains the same small network, which guesses a token from the three before it,
five times: by plain descent, by the learner's AdamW at one rate, with a warm-up and a cosine, and
the last two with one broken batch, unclipped and clipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit import tokenizer

STEPS = {"micro": 250, "mini": 2_000, "gpu": 8_000}
BATCH = 256
TEXT = 300_000  # characters
SEEN = 3  # tokens that the small model looks back
BROKEN = 0.5  # the share of the steps after which one batch is broken
PEAK, DESCENT = 0.01, 0.5
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {
    "plain descent": "#6b6b6b",
    "AdamW, one rate": "#E69F00",
    "AdamW, warm-up and cosine": "#0072B2",
    "a broken batch": "#D55E00",
    "a broken batch, clipped": "#009E73",
}
STEEP = torch.tensor([100.0, 1.0])


@dataclass(frozen=True)
class Recipe:
    """One way of training: `move` takes parameters, gradients, state, step and total."""

    name: str
    move: Callable[[list[Tensor], list[Tensor], dict, int, int], None]
    broken: bool = False


def experiment(lab, run) -> None:
    """Draw the valley, train five times, compare."""
    run.figure("valley", draw_valley(valley(lab)))
    total = STEPS[run.scale]
    train, size = tokens(run)
    recipes = recipes_of(lab)
    curves: dict[str, list[float]] = {}
    for number, recipe in enumerate(recipes):
        curve = []
        for step, loss in learn(recipe, train, size, total, run.seed):
            curve.append(loss)
            if step % 10 == 9:
                run.log(step + 1, **{recipe.name: sum(curve[-10:]) / len(curve[-10:])})
                run.progress(number * total + step + 1, len(recipes) * total, recipe.name)
        curves[recipe.name] = curve
    rows = [[name, f"{mean(curve[-20:]):.2f}", f"{max(curve[total // 2 :]):.2f}"]
            for name, curve in curves.items()]  # fmt: skip
    run.table("Bits per token", ["recipe", "at the end", "highest in the second half"], rows)
    run.figure("training", draw_training(curves, lab, total))
    end = {name: mean(curve[-20:]) for name, curve in curves.items()}
    plain, best = end["plain descent"], end["AdamW, warm-up and cosine"]
    run.result(
        f"After {total} steps your AdamW, with warm-up and cosine, is at {best:.2f} bits per token "
        f"where plain descent is at {plain:.2f}. One broken batch costs "
        f"{end['a broken batch'] - best:+.2f} bits without clipping and "
        f"{end['a broken batch, clipped'] - best:+.2f} with it.",
        **{name.replace(" ", "_").replace(",", ""): round(bits, 3) for name, bits in end.items()},
    )


def recipes_of(lab) -> list[Recipe]:
    """The five ways of training."""

    def descend(params, grads, state, step, total):
        for p, g in zip(params, grads, strict=True):
            p.sub_(DESCENT * g)

    def one_rate(params, grads, state, step, total):
        lab.adamw_step(params, grads, state, PEAK, weight_decay=0.0)

    def scheduled(params, grads, state, step, total):
        rate = lab.lr_at(step, total, PEAK, total // 20, PEAK / 10)
        lab.adamw_step(params, grads, state, rate, weight_decay=0.0)

    def clipped(params, grads, state, step, total):
        lab.clip_grad(grads, 1.0)
        scheduled(params, grads, state, step, total)

    return [
        Recipe("plain descent", descend),
        Recipe("AdamW, one rate", one_rate),
        Recipe("AdamW, warm-up and cosine", scheduled),
        Recipe("a broken batch", scheduled, broken=True),
        Recipe("a broken batch, clipped", clipped, broken=True),
    ]


def mean(values: list[float]) -> float:
    """The mean."""
    return sum(values) / len(values)


# The valley


def valley(lab) -> dict[str, list[tuple[float, float]]]:
    """The paths of three optimizers from one place, 40 steps each."""

    def path(move) -> list[tuple[float, float]]:
        p, state = torch.tensor([0.6, 9.0]), {}
        places = [(float(p[0]), float(p[1]))]
        for step in range(40):
            move([p], [STEEP * p], state, step)
            places.append((float(p[0]), float(p[1])))
        return places

    def descend(params, grads, state, step):
        params[0].sub_(0.0195 * grads[0])

    def adam(params, grads, state, step):
        lab.adamw_step(params, grads, state, 0.4, weight_decay=0.0)

    def adam_cooling(params, grads, state, step):
        rate = lab.lr_at(step, 40, 0.5, 3, 0.0)
        lab.adamw_step(params, grads, state, rate, weight_decay=0.0)

    return {
        "plain descent": path(descend),
        "AdamW, one rate": path(adam),
        "AdamW, warm-up and cosine": path(adam_cooling),
    }


def draw_valley(paths: dict[str, list[tuple[float, float]]]) -> Figure:
    """The valley from above, with the paths."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    x, y = torch.meshgrid(
        torch.linspace(-1, 10, 200), torch.linspace(-1.6, 1.6, 200), indexing="ij"
    )
    height = 0.5 * (STEEP[1] * x**2 + STEEP[0] * y**2)
    axes.contour(x, y, height.sqrt(), levels=16, colors="#d0d0d0", linewidths=0.8)
    for name, places in paths.items():
        steep, gentle = zip(*places, strict=True)
        axes.plot(gentle, steep, "o-", markersize=3, color=COLOURS[name], label=name, linewidth=1.4)
    axes.plot([0], [0], "k*", markersize=12)
    axes.set(xlim=(-1, 9.6), ylim=(-1.6, 1.6), xlabel="the gentle direction")
    axes.set_ylabel("the steep direction")
    axes.set_title("Forty steps down a valley; the star is the bottom", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    return figure


# The small model of text


def tokens(run) -> tuple[Tensor, int]:
    """Ids to learn from, and how many different ones there are."""
    encoder = tokenizer.load(run.artefact("tokenizer"))
    text = tokenizer.END.join(run.data.train.excerpt(TEXT))
    return torch.tensor(encoder.encode(text).ids), encoder.get_vocab_size()


class Small(nn.Module):
    """Guesses a token from the three before it: embeddings, one hidden layer, scores."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, 24)
        self.hidden = nn.Linear(24 * SEEN, 96)
        self.scores = nn.Linear(96, size)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores, (batch, size), for ids, (batch, SEEN)."""
        return self.scores(F.relu(self.hidden(self.embedding(ids).flatten(1))))


def learn(
    recipe: Recipe, ids: Tensor, size: int, total: int, seed: int
) -> Iterator[tuple[int, float]]:
    """Train from the same beginning on the same batches; yields each step with its bits."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = Small(size)
    params, state = list(model.parameters()), {}
    for step in range(total):
        starts = torch.randint(len(ids) - SEEN, (BATCH,), generator=generator)
        rows = ids[starts[:, None] + torch.arange(SEEN + 1)]
        scores = model(rows[:, :-1])
        loss = F.cross_entropy(scores, rows[:, -1])
        # A broken batch: something upstream has multiplied its loss, as a bad row of data does.
        broken = recipe.broken and step == int(total * BROKEN)
        grads = [g.detach() for g in torch.autograd.grad(loss * (3_000 if broken else 1), params)]
        with torch.no_grad():
            recipe.move(params, grads, state, step, total)
        yield step, loss.item() / 0.6931471805599453


def draw_training(curves: dict[str, list[float]], lab, total: int) -> Figure:
    """The five losses, smoothed, and the rate of the schedule below them."""
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    for name, curve in curves.items():
        smooth = F.avg_pool1d(torch.tensor([[curve]]), 9, stride=1, padding=4,
                              count_include_pad=False)  # fmt: skip
        style = "--" if name == "a broken batch, clipped" else "-"
        above.plot(smooth[0, 0], style, color=COLOURS[name], label=name, linewidth=1.6)
    above.axvline(total * BROKEN, color="#d0d0d0", linewidth=1, zorder=0)
    above.set(ylabel="bits per token, of the batch", ylim=(0, 8))
    above.set_title("The same model and the same batches, five times", loc="left")
    above.legend(frameon=False)
    below.plot([lab.lr_at(s, total, PEAK, total // 20, PEAK / 10) for s in range(total)], "k")
    below.set(xlabel="step", ylabel="rate")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure

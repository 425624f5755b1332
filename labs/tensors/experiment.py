"""The learner's gradient at work: a model without layers learns to name tiny pictures.

The pictures are the microworld's, eight by eight pixels, a thing in some colour on grey paper. The
model is softmax regression: one weight for each thing and pixel, so that its weights are pictures,
too. It is trained twice from the same zeros on the same batches, by the learner's
`cross_entropy_grad` and by torch's loss and autograd. The last picture follows log-sum-exp to where
float32 ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from llmpath.labkit.microworld import World, glyphs

STEPS = {"micro": 600, "mini": 4_000, "gpu": 20_000}
PICTURES, TEST, BATCH = 1_000, 300, 64
RATE = 0.7
PAPER = 128  # the grey of the paper, of 255
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
YOURS, TORCH, NAIVE, GREY = "#0072B2", "#E69F00", "#D55E00", "#6b6b6b"


@dataclass(frozen=True)
class Pictures:
    """Some pictures, and what a model needs of them.

    Attributes:
        pixels: (pictures, 8, 8, 3), from 0 to 255.
        ink: how far each pixel is from the paper, and a 1 for the bias, (pictures, 65).
        thing: which thing is drawn, (pictures).
    """

    pixels: Tensor
    ink: Tensor
    thing: Tensor


def experiment(lab, run) -> None:
    """Train twice, compare, and look at the weights."""
    world = World(run.seed)
    things = world.domains["thing"]
    train = draw(world, PICTURES, run.seed, held_out=False)
    test = draw(world, TEST, run.seed + 1, held_out=False)
    strange = draw(world, TEST, run.seed, held_out=True)
    steps = STEPS[run.scale]
    yours, torchs, curve = learn(lab, train, len(things), steps, run)
    run.table(*guesses(lab, yours, test, things))
    run.figure("pictures", draw_all(lab, yours, curve, test, things))
    right, strangely = share_right(lab, yours, test), share_right(lab, yours, strange)
    apart = float((yours - torchs).abs().max())
    run.result(
        f"In {steps:,} steps your gradient brought the loss from {curve[0][1]:.2f} to "
        f"{curve[-1][1]:.2f} nats, and no weight is more than {apart:.0e} from torch's. The model "
        f"names {right:.0%} of new pictures, and {strangely:.0%} where it never saw that thing in "
        "that colour.",
        loss=round(curve[-1][1], 4),
        right=round(right, 4),
        right_in_new_colours=round(strangely, 4),
        apart=float(f"{apart:.1e}"),
    )


def draw(world: World, count: int, seed: int, *, held_out: bool) -> Pictures:
    """Pictures of the world's things; those held out are of other pairs of thing and colour."""
    made = glyphs(world, count, seed=seed, held_out=held_out)
    pixels = torch.tensor([glyph.pixels for glyph in made], dtype=torch.float32)
    ink = (pixels - PAPER).abs().amax(dim=-1).flatten(1) / PAPER
    names = world.domains["thing"]
    thing = torch.tensor([names.index(glyph.thing) for glyph in made])
    return Pictures(pixels, torch.cat([ink, torch.ones(count, 1)], dim=1), thing)


# Learning


def learn(
    lab, train: Pictures, classes: int, steps: int, run
) -> tuple[Tensor, Tensor, list[tuple[int, float, float]]]:
    """Weights by the learner's gradient and by torch's, (65, classes), and both losses."""
    generator = torch.Generator().manual_seed(run.seed)
    yours, torchs = (torch.zeros(train.ink.size(1), classes) for _ in range(2))
    curve = []
    for step in range(steps):
        if step % 20 == 0:
            curve.append((step, *losses(lab, train, yours, torchs)))
            run.log(step, yours=curve[-1][1], torchs=curve[-1][2])
            run.progress(step, steps, f"{curve[-1][1]:.2f} nats")
        chosen = torch.randint(len(train.thing), (BATCH,), generator=generator)
        x, targets = train.ink[chosen], train.thing[chosen]
        # The logits are x @ weights, so a gradient of theirs goes back to the weights as xᵀ @ it.
        yours -= RATE * x.T @ lab.cross_entropy_grad(x @ yours, targets)
        torchs -= RATE * autograd(x, torchs, targets)
    curve.append((steps, *losses(lab, train, yours, torchs)))
    run.progress(steps, steps, f"{curve[-1][1]:.2f} nats")
    return yours, torchs, curve


def losses(lab, train: Pictures, yours: Tensor, torchs: Tensor) -> tuple[float, float]:
    """The learner's loss of the one and torch's of the other, over all pictures."""
    return (
        float(lab.cross_entropy(train.ink @ yours, train.thing)),
        float(F.cross_entropy(train.ink @ torchs, train.thing)),
    )


def autograd(x: Tensor, weights: Tensor, targets: Tensor) -> Tensor:
    """The gradient with respect to the weights, all of it by torch."""
    weights = weights.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(x @ weights, targets), weights)[0]


def share_right(lab, weights: Tensor, pictures: Pictures) -> float:
    """The share of pictures whose likeliest thing is the right one."""
    shares = lab.softmax(pictures.ink @ weights, 1)
    return float((shares.argmax(dim=1) == pictures.thing).float().mean())


def guesses(lab, weights: Tensor, test: Pictures, things: tuple[str, ...]):
    """A table of what the model says to the first picture of each thing, and its p - y."""
    rows = []
    for number, name in enumerate(things):
        place = int((test.thing == number).nonzero()[0])
        logits = test.ink[place : place + 1] @ weights
        shares = lab.softmax(logits, 1)[0]
        slope = lab.cross_entropy_grad(logits, test.thing[place : place + 1])[0]
        best = shares.topk(2)
        said = [f"{things[i]} {float(p):.0%}" for p, i in zip(*best, strict=True)]
        rows.append([name, *said, f"{float(slope[number]):+.2f}"])
    columns = ["picture of", "likeliest", "next", "p - y at the target"]
    return "What it says to pictures that it has not seen", columns, rows


# The picture


def draw_all(lab, weights: Tensor, curve, test: Pictures, things: tuple[str, ...]) -> Figure:
    """Pictures and weights of each thing above; the two losses and the overflow below."""
    figure = Figure(figsize=(10.5, 7.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    draw_things(above, weights, test, things)
    left, right = below.subplots(1, 2)
    draw_losses(left, curve, len(things))
    draw_overflow(right, lab)
    return figure


def draw_things(figure, weights: Tensor, test: Pictures, things: tuple[str, ...]) -> None:
    """A row of pictures, and below it the weights that were learned for each thing."""
    rows = figure.subplots(2, len(things))
    # A bias on every pixel would change no share, so each map is shown around its mean.
    maps = weights[:-1] - weights[:-1].mean(dim=1, keepdim=True)
    limit = float(maps.abs().max())
    for number, name in enumerate(things):
        place = int((test.thing == number).nonzero()[0])
        rows[0, number].imshow(test.pixels[place].int().numpy())
        rows[0, number].set_title(name, fontsize=11)
        image = rows[1, number].imshow(
            maps[:, number].view(8, 8).numpy(), "RdBu_r", vmin=-limit, vmax=limit
        )
    for axes in rows.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    rows[0, 0].set_ylabel("a picture")
    rows[1, 0].set_ylabel("weights")
    bar = figure.colorbar(image, ax=rows, shrink=0.8, aspect=30)
    bar.set_ticks([-limit, 0, limit], labels=["against", "nothing", "for"])
    figure.suptitle("What your gradient made out of zeros: one weight for each pixel and thing")


def draw_losses(axes, curve, classes: int) -> None:
    """The loss by the learner's gradient, with torch's dashed on top of it."""
    steps, yours, torchs = zip(*curve, strict=True)
    axes.plot(steps, yours, color=YOURS, linewidth=4, label="your gradient")
    axes.plot(steps, torchs, "--", color=TORCH, linewidth=1.8, label="torch, by autograd")
    axes.axhline(math.log(classes), color=GREY, linestyle=":", linewidth=1)
    axes.annotate(
        f"guessing: ln {classes}", (steps[-1], math.log(classes)), (0, -12),
        textcoords="offset points", ha="right", fontsize=9, color=GREY,
    )  # fmt: skip
    axes.set(xlabel="step", ylabel="loss (nats)", ylim=(0, math.log(classes) * 1.08))
    axes.set_title("The loss, over all pictures", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="center right")
    axes.spines[["top", "right"]].set_visible(False)


def draw_overflow(axes, lab) -> None:
    """log-sum-exp of (x, x - 1, x - 2) in float32, as the formula stands and as it is computed."""
    x = torch.arange(-140.0, 140.5, 0.5)
    rows = x[:, None] - torch.tensor([0.0, 1.0, 2.0])
    naive = rows.exp().sum(dim=1).log()
    broken = ~naive.isfinite()
    for places, word in ((broken & (x < 0), "ln 0 = -inf"), (broken & (x > 0), "ln inf = inf")):
        if not bool(places.any()):
            continue
        edges = x[places]
        start, width = float(edges[0]), float(edges[-1] - edges[0])
        axes.add_patch(Rectangle((start, -150), width, 300, color=NAIVE, alpha=0.12, linewidth=0))
        axes.text(start + width / 2, 0, word, ha="center", va="center", rotation=90, color=NAIVE)
    axes.plot(x, lab.logsumexp(rows, 1), color=YOURS, linewidth=4, label="your logsumexp")
    axes.plot(x[~broken], naive[~broken], color=NAIVE, linewidth=1.8, label="log(sum(exp))")
    axes.set(
        xlim=(-140, 140), ylim=(-150, 150), xlabel="x", ylabel="log-sum-exp of x, x - 1, x - 2"
    )
    axes.set_title("In float32 the formula as it stands has an end", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)

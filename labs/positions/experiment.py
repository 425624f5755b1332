"""What four words back needs: no positions, waves, or rotation, and texts longer than ever seen.

A model with one layer of the learner's attention reads random words and has to say, at every
place, which word stood four places before. It is trained on texts of one length and then reads
longer ones. Its vectors get no positions, those of `sinusoidal`, or those of `rope`. The other
pictures show the table of waves, and what a score does when two words move apart.

It is no language model: the words mean nothing, so all that it can learn is to count.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

BACK = 4
WORDS = 32

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"
KINDS = {"no positions": GREY, "sinusoidal": ORANGE, "rope": BLUE}


@dataclass(frozen=True)
class Size:
    """How big everything is; `time` is the length in training, `longest` that in the test."""

    hidden_size: int
    heads: int
    time: int
    longest: int
    steps: int
    batch: int
    learning_rate: float


SIZES = {
    "micro": Size(64, 4, 32, 192, 400, 32, 3e-3),
    "mini": Size(128, 4, 64, 512, 1200, 64, 2e-3),
    "gpu": Size(256, 8, 128, 2048, 3000, 128, 1e-3),
}


def experiment(lab, run) -> None:
    """Train one model for each way of telling positions, then let them read on."""
    size = SIZES[run.scale]
    run.figure("waves", draw_waves(lab))
    run.figure("score-and-distance", draw_scores(lab, run.seed))
    right: dict[str, Tensor] = {}
    for number, kind in enumerate(KINDS):
        torch.manual_seed(run.seed)
        model = Counter(lab, kind, size).to(run.device)
        loss = train(model, size, run, number)
        if not math.isfinite(loss):
            run.result(f"With {kind} the loss was not a number: grade the lab first.")
            return
        right[kind] = accuracy(model, size, run)
        if kind != "no positions":
            right[f"{kind}, window"] = accuracy(model, size, run, window=size.time)
    run.figure("longer-than-in-training", draw_lengths(right, size))
    run.table(*table_of_lengths(right, size))
    conclude(run, right, size)


def conclude(run, right: dict[str, Tensor], size: Size) -> None:
    """Say in one sentence what came out."""
    inside = {
        name: float(share[size.time // 2 : size.time].mean()) for name, share in right.items()
    }
    beyond = {name: float(share[2 * size.time :].mean()) for name, share in right.items()}
    run.result(
        f"On texts as long as in training the word {BACK} back is right in "
        f"{inside['no positions']:.0%} of cases without positions, {inside['sinusoidal']:.0%} with "
        f"waves and {inside['rope']:.0%} with rotation; beyond twice that length rotation gets "
        f"{beyond['rope']:.0%}, and {beyond['rope, window']:.0%} if it may look only as far as it "
        f"did in training (waves: {beyond['sinusoidal, window']:.0%}).",
        **{
            f"{name.replace(', ', '_').replace(' ', '_')}": round(beyond[name], 3)
            for name in beyond
        },
    )


# The task and the model


def echo(rows: int, time: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random words, and at each place the word `BACK` places before; -100 where there is none."""
    words = torch.randint(WORDS, (rows, time), generator=generator)
    targets = F.pad(words[:, :-BACK], (BACK, 0), value=-100)
    return words, targets


class Counter(nn.Module):
    """Embeddings, one layer of the learner's attention, and a guess at the word `BACK` back."""

    def __init__(self, lab, kind: str, size: Size) -> None:
        super().__init__()
        self.lab, self.kind = lab, kind
        self.word = nn.Embedding(WORDS, size.hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(size.hidden_size) for _ in range(2))
        layer = earlier("multi-head").MultiHeadAttention
        self.attend = layer(size.hidden_size, size.heads)
        self.guess = nn.Linear(size.hidden_size, WORDS)

    def forward(self, words: Tensor, window: int | None = None) -> Tensor:
        """Logits, (batch, time, words); with a window, nobody looks further back than that."""
        time, x = words.size(1), self.word(words)
        mask = earlier("attention").causal_mask(time)
        if window is not None:
            mask = mask & ~mask.tril(diagonal=-window)
        if self.kind == "sinusoidal":
            x = x + self.lab.sinusoidal(time, x.size(-1)).to(x)
        found = self.attend(
            self.norms[0](x), mask.to(x.device), rotate=self._rotate(time, x.device)
        )
        return self.guess(self.norms[1](x + found))

    def _rotate(self, time: int, device: torch.device) -> Callable[[Tensor], Tensor] | None:
        if self.kind != "rope":
            return None
        positions = torch.arange(time, device=device)
        return lambda part: self.lab.rope(part, positions)


def train(model: Counter, size: Size, run, number: int) -> float:
    """Teach one model; returns the last loss, in nats. All see the same texts."""
    generator = torch.Generator().manual_seed(run.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.learning_rate)
    recent: list[float] = []
    loss = math.inf
    for step in range(1, size.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * min(step / 20, 1.02 - step / size.steps)
        words, targets = (t.to(run.device) for t in echo(size.batch, size.time, generator))
        nats = F.cross_entropy(model(words).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
        loss = float(nats.detach())
        recent.append(loss / math.log(2))
        run.progress(number * size.steps + step, len(KINDS) * size.steps, model.kind)
        if step % max(1, size.steps // 20) == 0:
            run.log(step, **{f"bits with {model.kind}": sum(recent) / len(recent)})
            recent = []
        if not math.isfinite(loss):
            break
    return loss


@torch.no_grad()
def accuracy(model: Counter, size: Size, run, window: int | None = None) -> Tensor:
    """How often each place is right on texts longer than in training, (longest,)."""
    generator = torch.Generator().manual_seed(run.seed + 1)
    found = []
    for _ in range(8):
        words, targets = (t.to(run.device) for t in echo(32, size.longest, generator))
        found.append((model(words, window).argmax(-1) == targets).double().mean(0).cpu())
    return torch.stack(found).mean(0)


def table_of_lengths(right: dict[str, Tensor], size: Size):
    """Accuracy by place, in stretches that double."""
    edges = [size.time // 2]
    while edges[-1] < size.longest:
        edges.append(min(2 * edges[-1], size.longest))
    stretches = list(pairwise(edges))
    rows = [
        [name, *(f"{float(share[start:end].mean()):.0%}" for start, end in stretches)]
        for name, share in right.items()
    ]
    columns = ["positions", *(f"{start} to {end - 1}" for start, end in stretches)]
    return (
        f"Right about the word {BACK} back, by place (trained on 0 to {size.time - 1})",
        columns,
        rows,
    )


# The pictures


def draw_lengths(right: dict[str, Tensor], size: Size) -> Figure:
    """Accuracy against place, within the training length and beyond it."""
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    axes = figure.subplots()
    width = 4
    for name, share in right.items():
        mean = 100 * share[BACK:].unfold(0, width, width).mean(-1)
        places = BACK + width * torch.arange(len(mean)) + width / 2
        kind, window = name.removesuffix(", window"), name.endswith("window")
        label = f"{kind}, looking {size.time} words back at most" if window else kind
        style = "--" if window else "-"
        axes.plot(places, mean, style, color=KINDS[kind], linewidth=1.9, label=label)
    axes.axvspan(0, size.time, color="#eef3f8", zorder=0)
    axes.annotate("as long as in training", (size.time / 2, 106), ha="center", fontsize=9)
    axes.axhline(100 / WORDS, color="black", linestyle=":", linewidth=1)
    axes.annotate("by chance", (1, 100 / WORDS + 1), fontsize=8)
    axes.set(xlim=(0, size.longest), ylim=(0, 112), xlabel="place in the text")
    axes.set_ylabel(f"right about the word {BACK} back (per cent)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    figure.suptitle(
        "One layer of attention that has to count, on texts longer than it has ever read"
    )
    return figure


def draw_waves(lab) -> Figure:
    """The table of waves, and the dot products of its rows."""
    table = lab.sinusoidal(100, 64)
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    image = left.imshow(table.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    left.set(xlabel="column: sine, cosine, sine, …", ylabel="position")
    left.set_title("The table: every row is another pattern", fontsize=11)
    figure.colorbar(image, ax=left, shrink=0.7)
    products = table @ table.T
    image = right.imshow(products.numpy(), cmap="viridis")
    right.set(xlabel="position", ylabel="position")
    right.set_title("Rows times rows: only the distance matters", fontsize=11)
    figure.colorbar(image, ax=right, shrink=0.7, label="dot product")
    figure.suptitle("Your sinusoidal(100, 64)")
    return figure


def draw_scores(lab, seed: int) -> Figure:
    """What happens to a score when two turned vectors move apart."""
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    stripes, fading, rounding = figure.subplots(1, 3)
    draw_stripes(figure, stripes, lab, seed)
    draw_fading(fading, lab)
    draw_rounding(rounding, lab, seed)
    figure.suptitle("Your rope: one query and one key, wherever they stand")
    return figure


def draw_stripes(figure: Figure, axes, lab, seed: int) -> None:
    """The score of one query and one key for every pair of places."""
    generator = torch.Generator().manual_seed(seed)
    q, k = (torch.randn(1, 16, generator=generator).expand(48, 16) for _ in range(2))
    places = torch.arange(48)
    table = lab.rope(q, places) @ lab.rope(k, places).T
    most = float(table.abs().max())
    image = axes.imshow(table.numpy(), cmap="RdBu_r", vmin=-most, vmax=most)
    axes.set(xlabel="position of the key", ylabel="position of the query")
    axes.set_title("the same along every diagonal", fontsize=11)
    figure.colorbar(image, ax=axes, shrink=0.7, label="q · k")


def draw_fading(axes, lab) -> None:
    """A key like the query, further and further away, for three bases."""
    distance = torch.arange(0, 400)
    ones = torch.ones(400, 64)
    for base, colour in ((100.0, GREEN), (10_000.0, BLUE), (500_000.0, ORANGE)):
        scores = lab.rope(ones, distance, base) @ ones[0] / 64
        axes.plot(distance, scores, color=colour, linewidth=1.3, label=f"base {base:,.0f}")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="distance between two equal vectors", ylabel="q · k, 1 at the same place")
    axes.set_title("near words fit better, far ones less", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def draw_rounding(axes, lab, seed: int) -> None:
    """The same scores near position 10,000 in bfloat16, by `rope` and with rounded angles."""
    generator = torch.Generator().manual_seed(seed)
    q = torch.randn(1, 64, generator=generator).expand(100, 64).bfloat16()
    far = 10_000 + torch.arange(100)
    near = lab.rope(q.float(), torch.arange(100))
    yours = lab.rope(q, far).float()
    rounded = lab.rope(q.float(), far.bfloat16().long())
    for name, turned, colour, width in (
        ("positions rounded to bfloat16", rounded, ORANGE, 1.1),
        ("yours, at 10,000 in bfloat16", yours, BLUE, 3.2),
        ("yours, at 0 in float32", near, "black", 0.9),
    ):
        axes.plot(turned @ turned[0], color=colour, linewidth=width, label=name)
    axes.set(xlabel="distance", ylabel="q · k")
    axes.set_title("far from the beginning, in few bits", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)

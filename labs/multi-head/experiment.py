"""Who told whom about whom? A word that must fetch four things, with one head to eight.

Each sentence names four people in any order, marked with "by", "to", "about" and "before", and
ends in "tells". From the vector of "tells" alone, one layer of the learner's attention and one
linear read-out have to say who is who. All models have the same number of parameters; they differ
in how many heads these are cut into. Then heads share keys and values, and the price is measured.

It is no language model: there are no positions, for the marks say all that the order could.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

MARKS = ("by", "to", "about", "before")
PEOPLE = """
Ada Ali Amy Ana Ann Ava Axl Bea Ben Bob Cal Cem Cleo Dan Dee Dora Ed Ella Eli Emma Eve Finn
Flo Fred Gil Gus Guy Hal Hana Hugo Ian Ida Ines Ira Iris Ivo Jack Jan Jen Jill Jim Joe Jon Joy Kai
Kate Ken Kim Kit Lars Lea Len Leo Lia Liv Lou Lucy Luke Mae Max May Mei Mia Mo Nan Ned Nell Nia
Nick Nina Noa Olga Omar Ora Otto Pam Pat Paul Pia Rae Ravi Ray Rex Rita Rob Rosa Ruth Sam Sara Sid
Sue Tess Tim Tom Una Uri Vera Viv Wes Will Zoe
"""
NAMES = PEOPLE.split()

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b6b6b"

# Layers, query heads, key heads and head size, from the published configurations.
PUBLISHED = {
    "SmolLM2-135M": (30, 9, 3, 64),
    "Llama 2 7B": (32, 32, 32, 128),
    "Llama 2 70B": (80, 64, 8, 128),
    "Llama 3 8B": (32, 32, 8, 128),
}


@dataclass(frozen=True)
class Size:
    """How big everything is; `heads` and `shared` are what is compared."""

    hidden_size: int
    heads: tuple[int, ...]
    shared: tuple[int, ...]
    steps: int
    batch: int
    learning_rate: float


SIZES = {
    "micro": Size(48, (1, 2, 4, 8), (2, 1), 400, 128, 1e-2),
    "mini": Size(96, (1, 2, 4, 8, 16), (2, 1), 1500, 256, 5e-3),
    "gpu": Size(192, (1, 2, 4, 8, 16, 32), (2, 1), 4000, 512, 3e-3),
}
SHARING = 4  # query heads of the models whose keys and values are shared


def experiment(lab, run) -> None:
    """Train a model for each number of heads, and one for each number of key heads."""
    size = SIZES[run.scale]
    counts = [(heads, heads) for heads in size.heads] + [(SHARING, kv) for kv in size.shared]
    held_out = sentences(1000, torch.Generator().manual_seed(run.seed + 1000), run.device)
    found: dict[tuple[int, int], Trained] = {}
    for place, (heads, kv_heads) in enumerate(counts):
        torch.manual_seed(run.seed)
        model = Reader(lab, size.hidden_size, heads, kv_heads).to(run.device)
        found[heads, kv_heads] = train(model, held_out, size, run, (place, len(counts)))
        if not math.isfinite(found[heads, kv_heads].loss):
            run.result(f"With {heads} heads the loss was not a number: grade the lab first.")
            return
    plain = {heads: found[heads, heads] for heads in size.heads}
    shown = telling_sentence(found[1, 1].model, found[SHARING, SHARING].model, held_out)
    run.figure("where-the-heads-look", draw_looks([plain[h].model for h in (1, 2, 4)], shown))
    run.figure("how-many-heads", draw_counts(plain))
    few = [found[SHARING, kv] for kv in (SHARING, *size.shared)]
    run.figure("what-sharing-saves", draw_sharing(few))
    run.table(*table_of_roles(found))
    run.table(*table_of_models())
    one, four = plain[1].accuracy[-1], plain[SHARING].accuracy[-1]
    run.result(
        f"One head gets {one:.0%} of the people right and four heads {four:.0%}, with the same "
        f"number of parameters; four heads that share one head of keys and values get "
        f"{few[-1].accuracy[-1]:.0%} and keep {few[-1].kept} numbers per word, not {few[0].kept}.",
        one_head=round(one, 3),
        four_heads=round(four, 3),
        four_heads_sharing=round(few[-1].accuracy[-1], 3),
    )


# The task


@dataclass(frozen=True)
class Sentences:
    """Sentences as numbers.

    Attributes:
        names: (batch, 5); the last, that of "tells", means nothing.
        marks: (batch, 5), places in `MARKS`; the last is that of "tells".
        people: who stands behind each mark, (batch, 4), in the order of `MARKS`.
    """

    names: Tensor
    marks: Tensor
    people: Tensor

    def words(self, row: int) -> list[str]:
        """One sentence in words."""
        pairs = zip(self.marks[row, :-1].tolist(), self.names[row, :-1].tolist(), strict=True)
        return [f"{MARKS[mark]} {NAMES[name]}" for mark, name in pairs] + ["tells"]

    def row(self, row: int) -> Sentences:
        """One sentence as a batch of one."""
        part = slice(row, row + 1)
        return Sentences(self.names[part], self.marks[part], self.people[part])


def sentences(count: int, generator: torch.Generator, device: torch.device) -> Sentences:
    """Four different people behind four marks, in random order, then "tells"."""
    roles = len(MARKS)
    names = torch.rand(count, len(NAMES), generator=generator).argsort(1)[:, :roles]
    marks = torch.rand(count, roles, generator=generator).argsort(1)
    people = torch.empty_like(names).scatter(1, marks, names)
    names = F.pad(names, (0, 1))
    marks = F.pad(marks, (0, 1), value=roles)
    return Sentences(names.to(device), marks.to(device), people.to(device))


class Reader(nn.Module):
    """Embeddings, one layer of the learner's attention, and a linear read-out at "tells"."""

    def __init__(self, lab, hidden_size: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.lab = lab
        self.name = nn.Embedding(len(NAMES), hidden_size)
        self.mark = nn.Embedding(len(MARKS) + 1, hidden_size)
        self.attend = lab.MultiHeadAttention(hidden_size, heads, kv_heads)
        self.read = nn.Linear(hidden_size, len(MARKS) * len(NAMES))

    def forward(self, text: Sentences, **hooks) -> Tensor:
        """For each mark the logits of who stands behind it, (batch, marks, names)."""
        named = (text.marks < len(MARKS))[..., None]
        x = self.name(text.names) * named + self.mark(text.marks)
        told = self.attend(x, **hooks)[:, -1]
        return self.read(told).unflatten(-1, (len(MARKS), len(NAMES)))

    @torch.no_grad()
    def right(self, text: Sentences) -> Tensor:
        """How often each mark is answered right, (marks,)."""
        return (self(text).argmax(-1) == text.people).double().mean(0).cpu()

    @torch.no_grad()
    def look(self, text: Sentences) -> Tensor:
        """Where "tells" looks, (batch, heads, time); `rotate` is shown q, then k."""
        seen: list[Tensor] = []
        self(text, rotate=lambda part: seen.append(part) or part)
        q, k = seen
        k = self.lab.repeat_kv(k, q.size(1) // k.size(1))
        return earlier("attention").attention_weights(q, k)[:, :, -1].cpu()

    @torch.no_grad()
    def kept(self, text: Sentences) -> int:
        """How many numbers a cache would keep for each word, measured by being one."""
        numbers = 0

        def extend(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
            nonlocal numbers
            numbers = k.numel() + v.numel()
            return k, v

        self(text, cache=SimpleNamespace(extend=extend))
        return numbers // text.names.numel()


@dataclass(frozen=True)
class Trained:
    """A trained model and how it came along.

    Attributes:
        loss: the last training loss, in nats.
        steps: when the accuracy was measured.
        accuracy: on held-out sentences, over all marks.
        roles: the same at the end, for each mark.
        parameters: of the attention alone.
        kept: numbers that a cache keeps for each word.
    """

    model: Reader
    loss: float
    steps: list[int]
    accuracy: list[float]
    roles: list[float]
    parameters: int
    kept: int


def train(model: Reader, held_out: Sentences, size: Size, run, place: tuple[int, int]) -> Trained:
    """Teach one model; every model sees the same sentences in the same order."""
    generator = torch.Generator().manual_seed(run.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=size.learning_rate)
    heads, kv_heads = model.attend.heads, model.attend.kv_heads
    name = f"{heads} head{'s' if heads > 1 else ''}"
    name += f", {kv_heads} of keys" if kv_heads < heads else ""
    steps, accuracy, loss = [0], [float(model.right(held_out).mean())], math.inf
    for step in range(1, size.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * min(step / 20, 1.02 - step / size.steps)
        text = sentences(size.batch, generator, run.device)
        nats = F.cross_entropy(model(text).flatten(0, 1), text.people.flatten())
        optimizer.zero_grad()
        nats.backward()
        optimizer.step()
        loss = float(nats.detach())
        run.progress(place[0] * size.steps + step, place[1] * size.steps, name)
        if step % max(1, size.steps // 20) == 0:
            steps.append(step)
            accuracy.append(float(model.right(held_out).mean()))
            if kv_heads == heads:
                run.log(step, **{f"right with {name}": accuracy[-1]})
        if not math.isfinite(loss):
            break
    roles = model.right(held_out).tolist()
    parameters = sum(weight.numel() for weight in model.attend.parameters())
    return Trained(model, loss, steps, accuracy, roles, parameters, model.kept(held_out))


def telling_sentence(one: Reader, four: Reader, held_out: Sentences) -> Sentences:
    """A held-out sentence that four heads get right and one head gets wrong, if there is one."""
    with torch.no_grad():
        good, bad = (
            (model(held_out).argmax(-1) == held_out.people).sum(-1) for model in (four, one)
        )
    return held_out.row(int((good - bad).argmax()))


# The tables


def table_of_roles(found: dict[tuple[int, int], Trained]):
    """How often each mark was answered right, for every model."""
    rows = [
        [heads, kv_heads, *(f"{role:.0%}" for role in done.roles), done.parameters, done.kept]
        for (heads, kv_heads), done in found.items()
    ]
    columns = ["heads", "of keys", *MARKS, "parameters of attention", "numbers kept per word"]
    return "Who was told apart, on sentences never seen", columns, rows


def table_of_models():
    """What published models keep for each word, and what they would without sharing."""
    rows = []
    for name, (layers, heads, kv_heads, head_size) in PUBLISHED.items():
        kept, without = (2 * layers * n * head_size * 2 / 1024 for n in (kv_heads, heads))
        rows.append([name, heads, kv_heads, f"{kept:g} KiB", f"{without:g} KiB"])
    columns = ["model", "heads", "of keys", "kept per word", "without sharing"]
    return "What published models keep for each word, at 2 bytes a number", columns, rows


# The pictures


def draw_looks(models: list[Reader], text: Sentences) -> Figure:
    """Where "tells" looks, a row for each head, and what each model answers."""
    words = text.words(0)
    heads = [model.attend.heads for model in models]
    figure = Figure(figsize=(9.5, 1.9 + 0.62 * sum(heads)), layout="constrained")
    grid = figure.subplots(
        len(models), 2, squeeze=False,
        gridspec_kw={"height_ratios": heads, "width_ratios": [3, 1.25]},
    )  # fmt: skip
    for (axes, answers), model in zip(grid, models, strict=True):
        weights = model.look(text)[0]
        image = axes.imshow(weights.numpy(), colormaps["Blues"], vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(words)), words if model is models[-1] else [])
        axes.set_yticks(range(len(weights)), [f"head {h + 1}" for h in range(len(weights))])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (head, word), weight in [((h, w), float(weights[h, w])) for h, w in all_of(weights)]:
            if weight >= 0.05:
                colour = "white" if weight > 0.55 else "black"
                label = f"{100 * weight:.0f}"
                axes.text(word, head, label, ha="center", va="center", color=colour, fontsize=9)
        write_answers(answers, model, text)
    figure.colorbar(image, ax=grid[:, 0], shrink=0.6, location="left", label="attention weight")
    figure.suptitle("Where “tells” looks (figures: weight in per cent), and what is made of it")
    return figure


def all_of(weights: Tensor) -> list[tuple[int, int]]:
    """Every place of a table."""
    return [(i, j) for i in range(weights.size(0)) for j in range(weights.size(1))]


def write_answers(axes, model: Reader, text: Sentences) -> None:
    """What a model says for each mark, right ones in blue and wrong ones in orange."""
    with torch.no_grad():
        said = model(text).argmax(-1)[0].tolist()
    axes.axis("off")
    heads = model.attend.heads
    lines = [(f"{heads} heads say" if heads > 1 else "1 head says", "black", "bold")]
    for mark, name, person in zip(MARKS, said, text.people[0].tolist(), strict=True):
        right = name == person
        words = f"{mark} {NAMES[name]}" + ("" if right else f", not {NAMES[person]}")
        lines.append((words, BLUE if right else ORANGE, "normal"))
    for number, (words, colour, weight) in enumerate(lines):
        axes.annotate(
            words, (0, 1), (0, -13 * number), xycoords="axes fraction",
            textcoords="offset points", va="top", fontsize=9.5, color=colour, weight=weight,
        )  # fmt: skip


def draw_counts(plain: dict[int, Trained]) -> Figure:
    """Accuracy against the number of heads, and against training."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    heads = list(plain)
    marks = zip(MARKS, (BLUE, ORANGE, GREEN, PINK), "os^D", strict=True)
    for place, (mark, colour, marker) in enumerate(marks):
        roles = [100 * plain[h].roles[place] for h in heads]
        left.plot(range(len(heads)), roles, marker, color=colour, label=mark, alpha=0.85)
    mean = [100 * plain[h].accuracy[-1] for h in heads]
    left.plot(range(len(heads)), mean, color="black", linewidth=1.5, zorder=0, label="all four")
    left.set_xticks(range(len(heads)), heads)
    left.set(xlabel="heads (same parameters)", ylabel="right on new sentences (per cent)")
    left.set_ylim(-3, 104)
    left.legend(frameon=False, loc="lower right")
    shades = colormaps["viridis"]
    for place, (count, done) in enumerate(plain.items()):
        colour = shades(0.82 - 0.75 * place / max(1, len(plain) - 1))
        percent = [100 * share for share in done.accuracy]
        label = f"{count} head{'s' if count > 1 else ''}"
        right.plot(done.steps, percent, color=colour, linewidth=1.8, label=label)
    right.set(xlabel="training steps")
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(100, color=GREY, linestyle=":", linewidth=1)
    figure.suptitle("A head looks one way: four things to fetch, and more and more heads")
    return figure


def draw_sharing(models: list[Trained]) -> Figure:
    """What four heads lose and save when they share keys and values."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    names = [str(done.model.attend.kv_heads) for done in models]
    measures = [
        ("right on new sentences (per cent)", [100 * done.accuracy[-1] for done in models]),
        ("parameters of the attention", [done.parameters for done in models]),
        ("numbers kept for each word", [done.kept for done in models]),
    ]
    for axes, (title, values) in zip(figure.subplots(1, 3), measures, strict=True):
        bars = axes.bar(names, values, color=[BLUE, "#56B4E9", "#9FD3F0"], width=0.65)
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=2, fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("heads of keys and values")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_yticks([])
        axes.set_ylim(top=1.15 * max(values))
    figure.suptitle(f"{SHARING} heads of queries that share keys and values")
    return figure

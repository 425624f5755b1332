"""Deep stacks of the learner's block, beside the same parts wired in other ways.

First the gradient: what arrives at the first block of stacks of growing depth, before any
training. Then training: the same data, the same start, the same learning rate, for each wiring.
Tables show what half precision does to a norm, and where the parameters of a block are.

It does not look for the best of each wiring: post-norm, for one, can be trained with a careful
warm-up. It shows what each does without special care.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b6b6b"

Wire = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Size:
    """How big everything is.

    Attributes:
        depths: numbers of blocks for the picture of gradients; the last is looked at closely.
        depth: blocks of the stacks that are trained.
        characters: how much text is read.
    """

    depths: tuple[int, ...]
    depth: int
    hidden_size: int
    heads: int
    time: int
    batch: int
    steps: int
    learning_rate: float
    characters: int


SIZES = {
    "micro": Size((1, 2, 4, 8, 16, 32, 48), 12, 32, 4, 32, 8, 100, 3e-3, 200_000),
    "mini": Size((1, 2, 4, 8, 16, 32, 64), 16, 64, 4, 64, 16, 600, 2e-3, 1_000_000),
    "gpu": Size((1, 2, 4, 8, 16, 32, 64, 128), 24, 256, 8, 128, 32, 2000, 1e-3, 5_000_000),
}


# The wirings. Each takes a block for its parts, the words and the mask.


def yours(block: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """The block as the learner wrote it."""
    return block(x, mask)


def pre_norm(block: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """What the learner's block should be; drawn only where it is something else."""
    x = x + block.self_attn(block.input_layernorm(x), mask)
    return x + block.mlp(block.post_attention_layernorm(x))


def post_norm(block: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """The block of 2017: norms after the sums."""
    x = block.input_layernorm(x + block.self_attn(x, mask))
    return block.post_attention_layernorm(x + block.mlp(x))


def no_residual(block: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Norms in front, and nothing added to anything."""
    x = block.self_attn(block.input_layernorm(x), mask)
    return block.mlp(block.post_attention_layernorm(x))


def neither(block: nn.Module, x: Tensor, mask: Tensor) -> Tensor:
    """Attention and mlp alone, one after the other."""
    return block.mlp(block.self_attn(x, mask))


@dataclass(frozen=True)
class Wiring:
    """One way to connect the parts of a block, and how it is drawn."""

    key: str
    label: str
    wire: Wire
    colour: str
    marker: str


WIRINGS = (
    Wiring("your_block", "your block", yours, BLUE, "o"),
    Wiring("post_norm", "norm after the sum", post_norm, ORANGE, "s"),
    Wiring("no_residual", "no residuals", no_residual, GREEN, "^"),
)
BARE = Wiring("bare", "neither norms nor residuals", neither, PURPLE, "v")


def experiment(lab, run) -> None:
    """Measure gradients, train, and show where things are."""
    size = SIZES[run.scale]
    run.table(*half_precision(lab))
    run.table(*parameters(lab))
    usual = is_pre_norm(lab, size, run.seed)
    found = {w.key: gradients(lab, w.wire, size, run) for w in (*WIRINGS, BARE)}
    run.figure("gradients", draw_gradients(found, size))
    text = Text.read(run, size)
    run.floor("your_block", text.unigram_bits(), "if it only knew how frequent bytes are")
    curves, stack = train(lab, text, size, run)
    run.figure("training", draw_training(curves, stream_sizes(stack, text, run), text, size))
    conclude(run, found, curves, size, usual)


def conclude(run, found, curves, size: Size, usual: bool) -> None:
    """Say in one sentence what came out."""
    deepest = size.depths[-1]
    factor = {key: levels[deepest][0] / levels[1][0] for key, levels in found.items()}
    last = {key: curve[-1][1] for key, curve in curves.items()}
    sentence = (
        f"From 1 block to {deepest}, the gradient at the first one grew by a factor of "
        f"{figure(factor['your_block'])} in your block, {figure(factor['post_norm'])} with the "
        f"norm after the sum, {figure(factor['no_residual'])} without residuals; after training, "
        f"{size.depth} blocks of each need {last['your_block']:.2f}, {last['post_norm']:.2f} and "
        f"{last['no_residual']:.2f} bits for a byte."
    )
    if not usual:
        sentence = (
            "Your block is not x + attention(norm(x)), then x + mlp(norm(x)), so that the curve "
            f"of your block shows something else. {sentence}"
        )
    run.result(
        sentence,
        **{f"{key}_gradient_factor": float(f"{value:.3g}") for key, value in factor.items()},
        **{f"{key}_bits": round(value, 3) for key, value in last.items()},
    )


def figure(value: float) -> str:
    """A factor in a form that can be read."""
    if not math.isfinite(value):
        return "more than float32 can hold"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


# Gradients before training


def blocks(lab, count: int, size: Size, seed: int) -> nn.ModuleList:
    """A stack of blocks whose layers keep vectors about as long as they are."""
    torch.manual_seed(seed)
    stack = nn.ModuleList(
        lab.Block(size.hidden_size, 3 * size.hidden_size, size.heads, size.heads // 2)
        for _ in range(count)
    )
    for weight in stack.parameters():
        if weight.dim() == 2:
            nn.init.normal_(weight, std=weight.size(1) ** -0.5)
    return stack


def causal(time: int, device: torch.device) -> Tensor:
    """The mask of the attention lab, (time, time)."""
    return earlier("attention").causal_mask(time).to(device)


def is_pre_norm(lab, size: Size, seed: int) -> bool:
    """Whether the learner's block is wired as the lesson says."""
    block = blocks(lab, 1, size, seed)[0]
    x, mask = torch.randn(2, 5, size.hidden_size), causal(5, torch.device("cpu"))
    return torch.allclose(block(x.clone(), mask), pre_norm(block, x, mask), atol=1e-4)


def gradients(lab, wire: Wire, size: Size, run) -> dict[int, list[float]]:
    """The norm of the gradient of each block's weights, for each depth.

    The loss is a random weighting of what comes out of the stack, once it is normalised.
    """
    found = {}
    for depth in size.depths:
        stack = blocks(lab, depth, size, run.seed).to(run.device)
        x, direction = torch.randn(2, 4, 16, size.hidden_size).to(run.device)
        mask = causal(16, run.device)
        for block in stack:
            x = wire(block, x, mask)
        (F.rms_norm(x, x.shape[-1:], eps=1e-5) * direction).sum().backward()
        found[depth] = [norm_of_gradient(block) for block in stack]
    return found


def norm_of_gradient(block: nn.Module) -> float:
    """The length of the gradient of all matrices of a block."""
    squares = (w.grad.double().square().sum() for w in block.parameters() if w.dim() == 2)
    return math.sqrt(float(sum(squares)))


# Training


class Text:
    """Bytes to learn from, and some held out."""

    def __init__(self, training: str, held_out: str) -> None:
        self.training, self.held_out = (
            torch.tensor(list(text.encode()), dtype=torch.long) for text in (training, held_out)
        )

    @classmethod
    def read(cls, run, size: Size) -> Text:
        """So much of the run's data; a tenth of it is held out."""
        corpus = run.data
        return cls(
            "\n".join(corpus.train.excerpt(size.characters)),
            "\n".join(corpus.validation.excerpt(size.characters // 10)),
        )

    def unigram_bits(self) -> float:
        """Bits per held-out byte of a model that knows only how frequent each is."""
        counts = torch.bincount(self.training, minlength=256).double() + 1
        return float(-(counts / counts.sum()).log2()[self.held_out].mean())


class Stack(nn.Module):
    """Bytes in, logits for the next one out, with blocks in between."""

    def __init__(self, lab, wire: Wire, size: Size, seed: int) -> None:
        super().__init__()
        self.wire, self.time = wire, size.time
        self.blocks = blocks(lab, size.depth, size, seed)
        self.byte = nn.Embedding(256, size.hidden_size)
        self.position = nn.Embedding(size.time, size.hidden_size)
        self.guess = nn.Linear(size.hidden_size, 256, bias=False)

    def forward(self, ids: Tensor, sizes: list[float] | None = None) -> Tensor:
        """Logits; how large the numbers are after each block is added to `sizes`."""
        time, device = ids.size(1), ids.device
        x = self.byte(ids) + self.position(torch.arange(time, device=device))
        mask = causal(time, device)
        for block in self.blocks:
            x = self.wire(block, x, mask)
            if sizes is not None:
                sizes.append(float(x.square().mean().sqrt()))
        return self.guess(F.rms_norm(x, x.shape[-1:], eps=1e-5))

    def loss(self, rows: Tensor) -> Tensor:
        """Nats per byte on rows of time + 1."""
        return F.cross_entropy(self(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

    @torch.no_grad()
    def bits(self, rows: Tensor) -> float:
        """Bits per byte on rows of time + 1."""
        losses = [self.loss(part) * len(part) for part in rows.split(64)]
        return float(sum(losses)) / len(rows) / math.log(2)


def train(lab, text: Text, size: Size, run):
    """Train a stack of each wiring; returns their curves, and the learner's stack.

    The stacks take turns, so that the chart shows them side by side.
    """
    stacks = {w.key: Stack(lab, w.wire, size, run.seed).to(run.device) for w in WIRINGS}
    optimizers = {
        key: torch.optim.AdamW(stack.parameters(), lr=size.learning_rate)
        for key, stack in stacks.items()
    }
    held_out = cut(text.held_out, size.time + 1)[:64].to(run.device)
    curves: dict[str, list[tuple[int, float]]] = {key: [] for key in stacks}
    generator = torch.Generator().manual_seed(run.seed)
    for step in range(size.steps + 1):
        if step % max(1, size.steps // 10) == 0:
            bits = {key: stack.bits(held_out) for key, stack in stacks.items()}
            run.log(step, **bits)
            for key, value in bits.items():
                curves[key].append((step, value))
        starts = torch.randint(len(text.training) - size.time, (size.batch,), generator=generator)
        rows = text.training[starts[:, None] + torch.arange(size.time + 1)].to(run.device)
        for key, stack in stacks.items():
            optimizers[key].zero_grad()
            stack.loss(rows).backward()
            nn.utils.clip_grad_norm_(stack.parameters(), 1.0)
            optimizers[key].step()
        run.progress(step, size.steps, f"{size.depth} blocks, wired in {len(stacks)} ways")
    return curves, stacks["your_block"]


def cut(stream: Tensor, length: int) -> Tensor:
    """A stream cut into rows, (rows, length); what is left over is dropped."""
    return stream[: len(stream) // length * length].view(-1, length)


@torch.no_grad()
def stream_sizes(stack: Stack, text: Text, run) -> list[float]:
    """The root mean square of x after each block of the trained stack, on held-out text."""
    sizes: list[float] = []
    stack(cut(text.held_out, stack.time)[:64].to(run.device), sizes)
    return sizes


# The tables


def half_precision(lab):
    """How large numbers come out of a norm in float16, by how large they went in."""
    norm = lab.RMSNorm(64).half()
    x, rows = torch.randn(64, generator=torch.Generator().manual_seed(0)), []
    for scale in (1, 30, 300, 3000, 20_000):
        half = (x / x.abs().max() * scale).half()
        narrow = half * torch.rsqrt(half.square().mean(dim=-1, keepdim=True) + norm.eps)
        sizes = [float(y.detach().double().square().mean().sqrt()) for y in (norm(half), narrow)]
        rows.append([f"{scale:,}", *(f"{size:.3f}" for size in sizes)])
    title = "The size (root mean square) of what RMSNorm gives in float16; right is 1"
    return title, ["largest number of x", "your RMSNorm", "squared in float16"], rows


def parameters(lab):
    """Where the parameters of a block are, for blocks of known models, from the learner's class."""
    rows = []
    for name, sizes in [
        ("SmolLM2-135M", (576, 1536, 9, 3)),
        ("Llama 2 7B", (4096, 11008, 32, 32)),
        ("Llama 3 8B", (4096, 14336, 32, 8)),
    ]:
        with torch.device("meta"):  # shapes alone, without memory
            block = lab.Block(*sizes)
        counts = {
            part: sum(w.numel() for w in m.parameters()) for part, m in block.named_children()
        }
        total = sum(counts.values())
        norms = total - counts["self_attn"] - counts["mlp"]
        shares = [f"{counts[part] / total:.0%}" for part in ("self_attn", "mlp")]
        rows.append([name, f"{total:,}", *shares, f"{norms / total:.2%}"])
    columns = ["a block of", "parameters", "self_attn", "mlp", "norms"]
    return "Where the parameters of a block are", columns, rows


# The pictures


def draw_gradients(found: dict[str, dict[int, list[float]]], size: Size) -> Figure:
    """The gradient at the first block against depth, and at each block of the deepest stack."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    deepest = size.depths[-1]
    for w in (*WIRINGS, BARE):
        first = [found[w.key][depth][0] for depth in size.depths]
        line(left, size.depths, first, w)
        if w is not BARE:
            line(right, range(1, deepest + 1), found[w.key][deepest], w)
    left.set_xscale("log", base=2)
    left.set_xticks(size.depths, size.depths)
    left.set(xlabel="blocks in the stack", title="The gradient that reaches the first block")
    left.set_ylabel("norm of the gradient of its weights")
    right.set(xlabel="block, from the input up", title=f"The gradient at each of {deepest} blocks")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    left.legend(frameon=False, loc="upper left")
    figure.suptitle("Before any training: how gradients fare with depth")
    return figure


def line(axes, xs, ys, wiring: Wiring) -> None:
    """One wiring's line; what has underflowed to 0, or overflowed, is left out and named."""
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if 0 < y < math.inf]
    gone = [x for x, y in zip(xs, ys, strict=True) if y == 0]
    label = wiring.label + (f" (0 from {gone[0]} on)" if gone else "")
    if points:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=wiring.colour, marker=wiring.marker, markersize=4, label=label)


def draw_training(curves, sizes: list[float], text: Text, size: Size) -> Figure:
    """Held-out bits of each wiring, and how the stream grows in the learner's stack."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for w in WIRINGS:
        steps, bits = zip(*curves[w.key], strict=True)
        left.plot(steps, bits, color=w.colour, marker=w.marker, markersize=4, label=w.label)
    level = text.unigram_bits()
    left.axhline(level, color=GREY, linestyle="--", linewidth=1)
    left.annotate(
        "byte frequencies alone", (size.steps, level), (0, -11), textcoords="offset points",
        ha="right", fontsize=8, color=GREY,
    )  # fmt: skip
    left.set(xlabel="step", ylabel="bits per held-out byte", title="Training, same start")
    left.set_ylim(bottom=0)
    left.legend(frameon=False, loc="lower left")
    right.plot(range(1, len(sizes) + 1), sizes, color=BLUE, marker="o", markersize=4)
    right.set(xlabel="after block", ylabel="root mean square of x", title="What piles up in x")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{size.depth} blocks of the same parts, wired in three ways")
    return figure

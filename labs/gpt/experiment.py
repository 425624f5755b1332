"""The learner's GPT beside transformers' Llama, taken apart, trained, and given real weights.

Four things are shown: that both give the same logits; where parameters and work are, in models
that people know; that the model can learn a page of text by heart, the first test of any new
model; and, where SmolLM2-135M has been pulled, what the learner's own code answers with it.

It does not make a useful model: that is what the pretraining stage is for.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import math
from collections import Counter
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from llmpath.labkit import models

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#6b6b6b",
)  # fmt: skip

REAL = "smollm2-135m"
PROMPT = "The capital of France is"
QUESTIONS = (
    "What is the opposite of hot?",
    "Which animal says meow?",
    "What is the capital of France?",
)


@dataclass(frozen=True)
class Size:
    """How big the model is that learns a page, and for how long it learns."""

    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    time: int
    batch: int
    steps: int
    learning_rate: float


SIZES = {
    "micro": Size(64, 3, 4, 2, 64, 8, 240, 5e-3),
    "mini": Size(128, 4, 4, 2, 128, 16, 400, 3e-3),
    "gpu": Size(256, 6, 8, 4, 128, 64, 600, 2e-3),
}

# Shapes of published models: vocabulary, hidden size, mlp, layers, heads, key heads, tied.
SHAPES = {
    "SmolLM2-135M": (49152, 576, 1536, 30, 9, 3, True),
    "Llama 3.2 1B": (128256, 2048, 8192, 16, 32, 8, True),
    "Llama 2 7B": (32000, 4096, 11008, 32, 32, 32, False),
    "Llama 3 8B": (128256, 4096, 14336, 32, 32, 8, False),
}
LENGTHS = (128, 1024, 8192)  # of the texts for which work is counted, in tokens


def experiment(lab, run) -> None:
    """Compare, take apart, train, and talk."""
    size = SIZES[run.scale]
    mine, theirs = compare(lab, run.seed)
    difference = float((mine - theirs).abs().max())
    run.figure("logit-by-logit", draw_comparison(mine, theirs))
    budgets = {name: parameters(whole(lab, shape)) for name, shape in SHAPES.items()}
    work = {time: operations(whole(lab, SHAPES["SmolLM2-135M"]), time) for time in LENGTHS}
    run.table(*table_of_parameters(budgets))
    run.figure("where-things-are", draw_budgets(budgets, work))
    page = Page(zen(), run.device)
    run.floor("bits_per_byte", page.unigram_bits(), "if it only knew how frequent letters are")
    learned = learn(lab, page, size, run)
    answer = real_weights(lab, run)
    conclude(run, difference, float(theirs.abs().max()), learned, answer)


def conclude(run, difference: float, largest: float, learned: float, answer: str | None) -> None:
    """Say in one sentence what came out."""
    same = difference < 1e-4 * max(1.0, largest)
    agree = (
        f"Your GPT and transformers' Llama give the same logits (the largest difference is "
        f"{difference:.1g})"
        if same
        else f"Your logits differ from those of transformers' Llama by up to {difference:.2g}: "
        "grade the lab to see why"
    )
    said = f' With real weights it says: "{answer}"' if answer else ""
    run.result(
        f"{agree}, and it has learned a page by heart, down to {learned:.2f} bits a byte.{said}",
        largest_difference=float(f"{difference:.3g}"),
        bits_per_byte=round(learned, 3),
    )


# The same logits


@torch.no_grad()
def compare(lab, seed: int) -> tuple[Tensor, Tensor]:
    """Logits of the learner's model and of transformers', with the same random weights."""
    from transformers.models.llama.modeling_llama import LlamaConfig, LlamaForCausalLM

    config = lab.Config(300, 96, 256, layers=4, heads=6, kv_heads=2, rope_base=5000.0)
    hf = {**config.to_hf(), "attn_implementation": "sdpa"}
    theirs, generator = LlamaForCausalLM(LlamaConfig(**hf)).eval(), torch.Generator()
    generator.manual_seed(seed)
    for weight in theirs.parameters():
        spread = weight.size(-1) ** -0.5 if weight.dim() == 2 else 1.0
        weight.copy_(spread * torch.randn(weight.shape, generator=generator))
    mine = lab.GPT(config)
    mine.load_state_dict(theirs.state_dict())
    ids = torch.randint(config.vocab_size, (2, 48), generator=generator)
    return mine(ids), theirs(ids, use_cache=False).logits


# Where things are


def whole(lab, shape) -> nn.Module:
    """The learner's model in the shape of a published one, without memory for its weights."""
    *sizes, tied = shape
    with torch.device("meta"), lab.Undrawn():
        return lab.GPT(lab.Config(*sizes, tied=tied))


def part(name: str) -> str:
    """Which part of a model the name of a weight or a layer belongs to."""
    for piece, called in [
        ("embed_tokens", "embedding"),
        ("self_attn", "attention"),
        ("mlp", "mlp"),
        ("norm", "norms"),
        ("lm_head", "head"),
    ]:
        if piece in name:
            return called
    return "other"


def parameters(model: nn.Module) -> Counter[str]:
    """How many parameters each part has; what is tied counts once."""
    counts: Counter[str] = Counter()
    for name, weight in model.named_parameters():
        counts[part(name)] += weight.numel()
    return counts


@torch.no_grad()
def operations(model: nn.Module, time: int) -> Counter[str]:
    """Floating-point operations of the matrix products in one text, by part.

    The products of queries with keys, and of weights with values, are told from the linear
    layers of attention. What the mask hides is computed all the same, and counted.
    """
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, time, dtype=torch.long, device="meta"))
    by_layer = {name: sum(count.values()) for name, count in counter.get_flop_counts().items()}
    counts: Counter[str] = Counter()
    for name, count in by_layer.items():
        if name.endswith(("_proj", "lm_head")):
            counts[part(name)] += count
    counts["looking"] = by_layer["Global"] - counts.total()
    return counts


def table_of_parameters(budgets: dict[str, Counter[str]]):
    """The parameters of known models, from the learner's own class."""
    parts = ["embedding", "attention", "mlp", "norms", "head"]
    rows = [
        [name, f"{counts.total():,}", *(f"{counts[p] / counts.total():.1%}" for p in parts)]
        for name, counts in budgets.items()
    ]
    return "Your class in the shape of known models", ["model", "parameters", *parts], rows


# One page by heart


def zen() -> str:
    """The Zen of Python, by Tim Peters, which every Python brings along."""
    with contextlib.redirect_stdout(io.StringIO()):  # importing it prints it
        import this
    return codecs.decode(this.s, "rot13")


class Page:
    """A text as bytes, from which random windows are learned."""

    def __init__(self, text: str, device: torch.device) -> None:
        self.ids, self.device = torch.tensor(list(text.encode())), device

    def unigram_bits(self) -> float:
        """Bits per byte of a model that knows only how frequent each byte is."""
        counts = torch.bincount(self.ids).double()
        return float(-(counts / len(self.ids)).log2()[self.ids].mean())

    def windows(self, time: int, count: int, generator: torch.Generator) -> Tensor:
        """Rows of time + 1 bytes from random places, (count, time + 1)."""
        starts = torch.randint(len(self.ids) - time, (count,), generator=generator)
        return self.ids[starts[:, None] + torch.arange(time + 1)].to(self.device)


def learn(lab, page: Page, size: Size, run) -> float:
    """Train on the page; show what the model writes on the way. Returns its last bits per byte."""
    torch.manual_seed(run.seed)
    config = lab.Config(
        256, size.hidden_size, 4 * size.hidden_size, size.layers, size.heads, size.kv_heads
    )
    model = lab.GPT(config).to(run.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.learning_rate, betas=(0.9, 0.95))
    generator, recent = torch.Generator().manual_seed(run.seed), []
    for step in range(size.steps + 1):
        if step in (0, size.steps // 4, size.steps // 2, size.steps):
            start = "Beautiful is"
            text = write(lab, model, torch.tensor([list(start.encode())]).to(run.device), 120)
            run.text(f"What it writes after {step} steps", bytes(text).decode(errors="replace"))
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * min(step / 20, 1.05 - step / size.steps)
        rows = page.windows(size.time, size.batch, generator)
        loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(float(loss.detach()) / math.log(2))
        run.progress(step, size.steps, f"{recent[-1]:.2f} bits per byte")
        if step % max(1, size.steps // 20) == 0:
            run.log(step, bits_per_byte=sum(recent) / len(recent))
            recent = recent[-1:]
    return recent[-1]


@torch.no_grad()
def write(lab, model: nn.Module, ids: Tensor, count: int, end: int | None = None) -> list[int]:
    """Continue a text with the likeliest token, over and over, from a cache; returns all of it."""
    cache, written = [lab.Memory() for _ in range(model.config.layers)], ids[0].tolist()
    for _ in range(count):
        ids = model(ids, cache)[:, -1:].argmax(dim=-1)
        if int(ids) == end:
            break
        written.append(int(ids))
    return written


# Real weights


def real_weights(lab, run) -> str | None:
    """What the learner's code says with the weights of SmolLM2-135M; None where they are not."""
    if not models.there(REAL):
        run.text(
            "The real weights",
            f"With them your code can answer questions. Bring them here once (about 100 to 300 "
            f"MB) with `llmpath models pull {REAL}`, and run this again.",
        )
        return None
    from transformers import AutoTokenizer

    folder = models.folder(REAL)
    model = lab.GPT.load(folder).to(run.device).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    run.figure("layer-by-layer", draw_lens(*lens(model, tokenizer, run)))
    answers = [ask(lab, model, tokenizer, question, run) for question in QUESTIONS]
    rows = [list(pair) for pair in zip(QUESTIONS, answers, strict=True)]
    run.table("Your code with the weights of SmolLM2-135M-Instruct", ["asked", "answered"], rows)
    return answers[-1]


def ask(lab, model: nn.Module, tokenizer, question: str, run) -> str:
    """The likeliest answer, token by token."""
    messages = [{"role": "user", "content": question}]
    ids = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"].to(run.device)
    written = write(lab, model, ids, 24, end=tokenizer.eos_token_id)
    answer = tokenizer.decode(written[ids.size(1) :]).strip()
    run.text(question, answer)
    return answer


@torch.no_grad()
def lens(model: nn.Module, tokenizer, run) -> tuple[list[str], Tensor, list[str], str]:
    """What the head would say after each block, at the last word of the prompt.

    This is called the logit lens (nostalgebraist, 2020).

    Returns:
        The likeliest token after each block, the probabilities of the five tokens that are
        likeliest at the end, (blocks, 5), the names of those, and the prompt.
    """
    found: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _block, _given, x: found.append(x[0, -1]))
        for block in model.model.layers
    ]
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids.to(run.device)
    last = model(ids)[0, -1]
    for hook in hooks:
        hook.remove()
    logits = model.lm_head(model.model.norm(torch.stack(found)))
    best = last.topk(5).indices
    says = [tokenizer.decode([int(token)]).strip() or "↵" for token in logits.argmax(dim=-1)]
    names = [tokenizer.decode([int(token)]) for token in best]
    return says, logits.softmax(dim=-1)[:, best].cpu(), names, PROMPT


# The pictures


def draw_comparison(mine: Tensor, theirs: Tensor) -> Figure:
    """Each logit of one against the other, and how far apart they are."""
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    mine, theirs = mine.detach().flatten(), theirs.detach().flatten()
    ends = [float(theirs.min()), float(theirs.max())]
    left.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
    left.plot(theirs, mine, ".", color=BLUE, markersize=2, alpha=0.4, rasterized=True)
    left.set(xlabel="transformers' logit", ylabel="your logit", title=f"{len(mine):,} logits")
    apart = (mine - theirs).abs().clamp_min(1e-9).log10()
    right.hist(apart.numpy(), bins=60, color=BLUE)
    right.axvline(-4, color=ORANGE, linestyle="--", linewidth=1)
    right.annotate(
        "what the check allows", (-4, 0.97), (-4, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="right", va="top", rotation=90, fontsize=8, color=ORANGE,
    )  # fmt: skip
    right.set(xlabel="difference", ylabel="logits", title="How far apart")
    powers = range(-9, max(-3, math.ceil(float(apart.max())) + 1))
    right.set_xticks(powers, ["0" if n == -9 else f"$10^{{{n}}}$" for n in powers])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Your GPT and transformers' Llama, the same random weights, float32")
    return figure


PARTS = {
    "embedding": SKY,
    "attention": BLUE,
    "looking": PURPLE,
    "mlp": ORANGE,
    "norms": GREY,
    "head": GREEN,
}
LABELS = {
    "embedding": "embedding (and tied head)",
    "attention": "attention's linear layers",
    "looking": "queries · keys, weights · values",
}


def draw_budgets(budgets: dict[str, Counter[str]], work: dict[int, Counter[str]]) -> Figure:
    """Shares of parameters in known models, and of work for texts of growing length."""
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    bars(left, {f"{name}\n{human(c.total())}": c for name, c in budgets.items()})
    left.set_title("Where the parameters are")
    rows = {
        f"{time:,} tokens\n{human(c.total() / time)}\noperations each": c
        for time, c in work.items()
    }
    bars(right, rows)
    right.set_title("Where the work is, in SmolLM2-135M")
    handles, names = {}, []
    for axes in (left, right):
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(name, handle)
    names = [LABELS.get(name, name) for name in PARTS if LABELS.get(name, name) in handles]
    figure.legend(
        [handles[name] for name in names], names, loc="outside lower center", ncols=6, frameon=False
    )
    return figure


def bars(axes, rows: dict[str, Counter[str]]) -> None:
    """One horizontal bar of shares for each row, the first on top."""
    labels = list(rows)
    before = [0.0] * len(rows)
    for name, colour in PARTS.items():
        shares = [counts[name] / counts.total() for counts in rows.values()]
        if not any(shares):
            continue
        axes.barh(labels, shares, left=before, color=colour, label=LABELS.get(name, name))
        for row, share in enumerate(shares):
            if share >= 0.06:
                centre = before[row] + share / 2
                axes.text(
                    centre, row, f"{share:.0%}", ha="center", va="center", color="white", fontsize=9
                )
            before[row] += share
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def human(number: float) -> str:
    """A large number in a few characters."""
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:,.0f}"


def draw_lens(says: list[str], shares: Tensor, names: list[str], prompt: str) -> Figure:
    """The probabilities of the likeliest tokens after each block, and what is first there."""
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    axes = figure.subplots()
    blocks = range(1, len(says) + 1)
    colours = (BLUE, ORANGE, GREEN, PURPLE, SKY)
    for row, name, colour in zip(shares.T, names, colours, strict=True):
        axes.plot(blocks, row, color=colour, marker="o", markersize=4, label=f'"{name}"')
    axes.set_xticks(blocks, [f"{n}  {word[:12]}" for n, word in zip(blocks, says, strict=True)])
    axes.tick_params(axis="x", rotation=75, labelsize=8)
    axes.set_yscale("log")
    axes.set_ylim(1e-7, 2)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.6)
    axes.set(xlabel="after block, and the likeliest token there", ylabel="probability")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    axes.set_title(f'What your code would say after "{prompt}" if the head sat on each block')
    return figure

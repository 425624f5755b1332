"""The learner's model learns the little world, measured against the exact floor.

The text of the run is packed, the network trained for a fixed number of tokens, and measured at
nine places, before it and along the way: bits per token by kind (what is drawn at random, what has
to be known, what follows), facts known, questions answered from the story itself, and a sample of
its writing. What comes out is the artefact `base`: weights and tokenizer in one folder that
transformers opens.

On text whose floor nobody knows, the curve stands alone.
"""

from __future__ import annotations

import itertools
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import KINDS, Cloze, clozes, label_tokens, recalls
from llmpath.labkit.thread import earlier

HELD_OUT = 400  # documents of the validation split that are measured
RECALLS = 200
NGRAMS = (1, 2, 3, 4)  # the models of the entropy lab that it is compared with
NGRAM_DOCUMENTS = 10_000  # what they count
LOOKS = 8  # how often the model is measured on the way
CHECKPOINTS = 4
WRITTEN = 60  # tokens of a sample
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"choice": "#E69F00", "fact": "#D55E00", "syntax": "#0072B2"}
MEANING = {
    "choice": "what is drawn at random",
    "fact": "what has to be known",
    "syntax": "what follows from the text",
}


@dataclass(frozen=True)
class Size:
    """How large the model is and how long it learns.

    Attributes:
        hidden, intermediate, layers, heads, kv_heads, context: of the model.
        documents: how many different ones it reads.
        tokens: how many it reads in all; some documents come again.
        batch: windows in a batch.
        peak: the highest learning rate.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    context: int
    documents: int
    tokens: int
    batch: int
    peak: float


SIZES = {
    "micro": Size(64, 192, 2, 4, 2, 64, 30_000, 1_400_000, 32, 0.004),
    "mini": Size(128, 384, 4, 4, 2, 128, 60_000, 8_000_000, 32, 0.003),
    "gpu": Size(384, 1024, 6, 6, 2, 256, 500_000, 400_000_000, 128, 0.002),
}


def experiment(lab, run) -> None:
    """Train, look, and keep the model."""
    size = SIZES[run.scale]
    encoder = tokenizer.load(run.artefact("tokenizer"))
    packing = earlier("packing")
    windows = pack(run.data.train, encoder, packing, size)
    examination = Examination(lab, run, encoder, size)
    model = build(lab, encoder.get_vocab_size(), size).to(run.device)
    filling = (windows[:, 1:] == examination.end) & (windows[:, :-1] == examination.end)
    in_a_batch = size.batch * (~filling).sum().item() / len(windows)
    steps = round(size.tokens / in_a_batch)
    recipe = lab.Recipe(steps, size.peak, warmup=max(1, steps // 30))
    batches = endless(packing, windows, size, examination.end, run.seed)
    counted = baselines(run, encoder, examination)
    looks = learn(lab, run, model, batches, recipe, examination, in_a_batch)
    table(run, looks, counted)
    run.save("base", keeper(model, run.artefact("tokenizer")))
    sentence(run, model, looks, counted, examination)


def build(lab, vocab_size: int, size: Size) -> nn.Module:
    """A new model of this size."""
    return lab.GPT(
        lab.Config(
            vocab_size,
            size.hidden,
            size.intermediate,
            layers=size.layers,
            heads=size.heads,
            kv_heads=size.kv_heads,
            context=size.context,
        )
    )


def pack(texts, encoder, packing, size: Size) -> Tensor:
    """The windows of the training documents."""
    end = encoder.token_to_id(tokenizer.END)
    documents = (encoder.encode(text).ids for text in texts.limited(size.documents))
    return packing.pack(documents, size.context, end)


def endless(packing, windows: Tensor, size: Size, end: int, seed: int) -> Iterator[Any]:
    """Batches without end: each pass in another order."""
    for number in itertools.count():
        yield from packing.batches(windows, size.batch, end, seed * 1_000 + number)


def baselines(run, encoder, examination: Examination) -> dict[int, dict[str, float]]:
    """What n-gram models of the training documents need, by n: bits, of all and of each kind."""
    ngram = earlier("entropy").NGram
    documents = [
        [*encoder.encode(text).ids, examination.end]
        for text in run.data.train.limited(NGRAM_DOCUMENTS)
    ]
    found = {}
    for n in NGRAMS:
        model = ngram(documents, n)
        found[n] = examination.mean_bits(model.bits(row[1:]) for row in examination.rows)
    best = min(found, key=lambda n: found[n]["all"])
    run.floor("bits", found[best]["all"], f"the best n-gram model, n = {best}")
    return found


# Learning


def learn(
    lab, run, model: nn.Module, batches, recipe, examination: Examination, in_a_batch: float
) -> list[dict[str, float]]:
    """Train, going on from a checkpoint if there is one; look now and then."""
    state: dict[str, Any] = {}
    looks = [examination.look(model, 0)]
    resumed = run.resumed()
    if resumed is not None:
        looks = resumed.state["looks"]
        begin(model, state, resumed.state, run.device)
    rest = itertools.islice(batches, state.get("step", 0), None)
    moved = ((x.to(run.device), y.to(run.device)) for x, y in rest)
    places = {round(recipe.steps * i / LOOKS) for i in range(1, LOOKS + 1)}
    kept = {round(recipe.steps * i / CHECKPOINTS) for i in range(1, CHECKPOINTS)}
    for number, loss, norm in lab.train(model, moved, recipe, state):
        done = number + 1
        if done % 10 == 0:
            run.log(done, training=loss, norm=norm)
        run.progress(done, recipe.steps, f"{loss:.2f} bits", tokens=round(done * in_a_batch))
        if done in places:
            looks.append(examination.look(model, done))
        if done in kept:
            run.checkpoint(done, {**saved(model, state), "looks": looks})
    return looks


def saved(model: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """All that training needs to go on, by name."""
    return {
        "model": dict(model.state_dict()),
        "step": state["step"],
        "m": list(state["m"]),
        "v": list(state["v"]),
    }


def begin(model: nn.Module, state: dict[str, Any], found: dict[str, Any], device) -> None:
    """Go on from what `saved` made."""
    model.load_state_dict(found["model"])
    moments = {name: [t.to(device) for t in found[name]] for name in ("m", "v")}
    state.update(step=int(found["step"]), **moments)


# Measuring


class Examination:
    """Measures a model on text that it never saw, and on what it should know.

    Args:
        lab: the learner's module.
        run: the run; charts and samples go there.
        encoder: the tokenizer.
        size: for the length of windows.
    """

    def __init__(self, lab, run, encoder, size: Size) -> None:
        self.lab, self.run, self.encoder = lab, run, encoder
        self.end = encoder.token_to_id(tokenizer.END)
        self.floor: dict[str, float] = {}
        world = run.data.world
        if world is None:
            texts = list(run.data.validation.limited(HELD_OUT))
            self.rows = [self._row(encoder.encode(text).ids[: size.context - 1]) for text in texts]
            self.kinds: list[list[str]] = [["all"] * (len(row) - 1) for row in self.rows]
            self.facts: list[Cloze] = []
            self.recalls: list[Cloze] = []
            return
        documents = world.documents(HELD_OUT, seed=7, split="validation")
        self.rows = [self._row(encoder.encode(document.text).ids) for document in documents]
        labelled = label_tokens(documents, encoder)
        self.kinds = [[span.kind for span in spans] + ["syntax"] for spans in labelled]
        rate = world.floor(documents).bits_per_token(encoder, end_tokens=1)
        self.floor = {"all": float(rate), **rate.by_kind}
        self.facts = clozes(world)
        self.recalls = recalls(world, RECALLS)
        run.floor("bits", float(rate), "the least that any model needs")

    def _row(self, ids: Sequence[int]) -> list[int]:
        return [self.end, *ids, self.end]

    def look(self, model: nn.Module, step: int) -> dict[str, float]:
        """Measure everything, and show it."""
        found: dict[str, float] = {"step": step, **self._bits(model)}
        metrics = {"bits": found["all"]}
        if self.facts:
            found["facts"] = self._share_right(model, self.facts)
            found["recalls"] = self._share_right(model, self.recalls)
            metrics |= {"facts known": found["facts"], "stories followed": found["recalls"]}
        self.run.log(step, **metrics)
        self.run.text(f"What it writes after {step} steps", self._write(model))
        return found

    def _bits(self, model: nn.Module) -> dict[str, float]:
        """Mean bits per token, of all and of each kind."""
        batches = [padded(part, self.end) for part in parts(self.rows, 100)]
        moved = [(x.to(self.run.device), y.to(self.run.device)) for x, y in batches]
        measured = self.lab.evaluate(model, moved)
        return self.mean_bits(row for bits in measured for row in bits.tolist())

    def mean_bits(self, rows: Iterable[Sequence[float]]) -> dict[str, float]:
        """Mean bits per token, of all and of each kind, from a row of bits for each document."""
        sums: dict[str, float] = defaultdict(float)
        counts: dict[str, int] = defaultdict(int)
        for row, kinds in zip(rows, self.kinds, strict=True):
            for bits, kind in zip(row, kinds, strict=False):
                for name in {kind, "all"}:
                    sums[name] += bits
                    counts[name] += 1
        return {name: sums[name] / counts[name] for name in sums}

    @torch.no_grad()
    def _share_right(self, model: nn.Module, questions: list[Cloze]) -> float:
        """How often the right candidate is the likeliest next token."""
        model.eval()
        right = 0
        for part in parts(questions, 100):
            prompts = [[self.end, *self.encoder.encode(each.prompt).ids] for each in part]
            inputs, _ = padded([[*prompt, self.end] for prompt in prompts], self.end)
            logits = model(inputs.to(self.run.device)).cpu()
            for row, prompt, each in zip(logits, prompts, part, strict=True):
                first = [self.encoder.encode(word).ids[0] for word in each.candidates]
                best = row[len(prompt) - 1, first].argmax()
                right += each.candidates[int(best)] == each.answer
        model.train()
        return right / len(questions)

    @torch.no_grad()
    def _write(self, model: nn.Module) -> str:
        """A text of the model's own, drawn token by token."""
        model.eval()
        generator = torch.Generator().manual_seed(self.run.seed)
        ids = [self.end]
        for _ in range(WRITTEN):
            logits = model(torch.tensor([ids], device=self.run.device))[0, -1].cpu()
            chosen = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            ids.append(int(chosen))
            if ids[-1] == self.end:
                break
        model.train()
        return self.encoder.decode(ids)


def parts(items: list[Any], size: int) -> list[list[Any]]:
    """The same items in lists of so many."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def padded(rows: list[list[int]], end: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of rows of different lengths; what is filled in is not counted."""
    longest = max(map(len, rows))
    table = torch.full((len(rows), longest), end)
    real = torch.zeros(len(rows), longest, dtype=torch.bool)
    for line, counted, row in zip(table, real, rows, strict=True):
        line[: len(row)] = torch.tensor(row)
        counted[: len(row)] = True
    return table[:, :-1], table[:, 1:].masked_fill(~real[:, 1:], -100)


# What came out


def table(run, looks: list[dict[str, float]], counted: dict[int, dict[str, float]]) -> None:
    """Every look at the model, one row each, below the n-gram models."""
    names = ["all", *(kind for kind in KINDS if kind in looks[-1])]
    shares = [name for name in ("facts", "recalls") if name in looks[-1]]

    def row(title: str, found: dict[str, float]) -> list[str]:
        known = [f"{100 * found[name]:.0f} %" if name in found else "" for name in shares]
        return [title, *(f"{found[name]:.3f}" for name in names), *known]

    rows = [row(f"n-gram, n = {n}", found) for n, found in counted.items()]
    rows += [row(f"step {look['step']:,}", look) for look in looks]
    extra = ["facts known", "stories followed"] if shares else []
    run.table("Bits per token on unseen text", ["", *names, *extra], rows)


def sentence(run, model, looks, counted, examination: Examination) -> None:
    """Draw, and say in one sentence what was reached."""
    last, parameters = looks[-1], sum(p.numel() for p in model.parameters())
    run.figure("learning", draw(looks, counted, examination.floor))
    best = min(found["all"] for found in counted.values())
    said = (
        f"Your model of {parameters:,} parameters needs {last['all']:.3f} bits per token; "
        f"counting needs {best:.3f}"
    )
    figures = {"bits": round(last["all"], 4), "parameters": parameters}
    figures["ngram"] = round(best, 4)
    if examination.floor:
        gap = last["all"] - examination.floor["all"]
        figures |= {
            "floor": round(examination.floor["all"], 4),
            "gap": round(gap, 4),
            "facts": round(last["facts"], 4),
            "recalls": round(last["recalls"], 4),
        }
        said += (
            f", and the least that any model could is {gap:.3f} below yours. It knows "
            f"{100 * last['facts']:.0f} % of the facts, and in {100 * last['recalls']:.0f} % of "
            "new stories it can say where somebody is"
        )
    run.result(f"{said}.", **figures)


def keeper(model: nn.Module, source: Path) -> Callable[[Path], None]:
    """Writes weights and tokenizer into one folder."""

    def write(folder: Path) -> None:
        model.to("cpu").save(folder)
        for file in source.glob("tokenizer*.json"):
            shutil.copy2(file, folder)

    return write


def draw(
    looks: list[dict[str, float]], counted: dict[int, dict[str, float]], floor: dict[str, float]
) -> Figure:
    """The curve against the floor; what is still missing, by kind; and what is known."""
    if not floor:
        figure = Figure(figsize=(8, 4), layout="constrained")
        draw_bits(figure.subplots(), looks, counted, floor)
        return figure
    figure = Figure(figsize=(9.5, 8.5), layout="constrained")
    above, below = figure.subplots(2, 1)
    draw_bits(above, looks, counted, floor)
    steps = [look["step"] for look in looks]
    for name, label, colour in (
        ("facts", "facts of the world that it knows", COLOURS["fact"]),
        ("recalls", "stories in which it can say where somebody is", COLOURS["syntax"]),
    ):
        shares = [100 * look[name] for look in looks]
        below.plot(steps, shares, "o-", color=colour, label=label)
    below.axhline(100 / 8, color="#999999", linestyle=":", label="guessing one of eight")
    below.set(xlabel="step", ylabel="per cent right", ylim=(0, 104))
    below.set_title("What it knows, and what it can follow", loc="left")
    below.legend(frameon=False, loc="center right")
    below.spines[["top", "right"]].set_visible(False)
    return figure


def draw_bits(axes, looks, counted, floor: dict[str, float]) -> None:
    """Bits per token beside n-gram models; with a floor, what lies above it is coloured by kind."""
    steps = [look["step"] for look in looks]
    bits = [look["all"] for look in looks]
    axes.plot(steps, bits, "ko-", markersize=4, label="your model")
    for n, found in counted.items():
        axes.axhline(found["all"], color="#999999", linestyle=":", linewidth=1)
        axes.annotate(f"n-gram, n = {n}", (steps[-1], found["all"]), ha="right", va="bottom",
                      fontsize=8, color="#6b6b6b")  # fmt: skip
    if floor:
        axes.axhline(floor["all"], color="black", linestyle="--", linewidth=1, label="the floor")
        for kind in ("fact", "choice", "syntax"):
            excess = [look[kind] - floor[kind] for look in looks]
            axes.plot(steps, excess, color=COLOURS[kind],
                      label=f"{kind} tokens above their floor: {MEANING[kind]}")  # fmt: skip
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(0, max(bits) * 1.2)
    axes.set_yticks(
        [0, 0.05, 0.1, 0.5, 1, 2, 5, 10], ["0", "0.05", "0.1", "0.5", "1", "2", "5", "10"]
    )
    axes.minorticks_off()
    axes.set(xlabel="step", ylabel="bits per token (logarithmic above 0.1)")
    axes.set_title("How far from the best that any model could do", loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)

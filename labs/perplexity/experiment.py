"""What each stage did to the learner's model, in bits: on stories, on answers, byte by byte.

The base model, what fine-tuning made of it and what preferences made of that read the same unseen
stories, and the same answers about people whom no training question named. Each is measured
against the least that any model needs: the world's own information for stories; nothing for
answers, since who knows the world knows them. The intervals are of the difference from that
floor, over documents (a ratio estimator, 95 %).

Then the same stories are cut in other ways, into bytes and into tokens of a smaller vocabulary,
where perplexities cannot be compared and bits per byte can. And at last the base model reads
stories through windows of half the length that it can read, with ever smaller strides; and once
all stories in one piece, which it has never seen in training.

On text whose floor nobody knows, stories are measured without it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from tokenizers import Tokenizer
from torch import Tensor, nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import ANSWERING, ATTRIBUTES, World, conversations, label_tokens
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.padding import IGNORE, padded
from llmpath.labkit.thread import earlier

MODELS = ("base", "sft", "aligned")  # `needs` in lab.yaml names them too
HELD_OUT = {"micro": 150, "mini": 400, "gpu": 400}  # stories, and conversations
LONG = {"micro": 24, "mini": 100, "gpu": 200}  # stories that are read through short windows
COUNTED = {"micro": 1_500, "mini": 6_000, "gpu": 6_000}  # stories that n-gram models count
LONGEST = 250  # characters of a document; stories of the world are shorter
AT_ONCE = 50  # documents in a batch
NORMAL = 1.96  # standard errors that hold 95 % of a normal distribution
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"base": "#0072B2", "sft": "#E69F00", "aligned": "#CC79A7"}
GREY, FLOOR = "#6b6b6b", "#009E73"
PIECES = {"tokens": "tokens", "small": "smaller tokens", "bytes": "bytes"}
WIDEST = 112  # characters of a line of tokens


@dataclass(frozen=True)
class Measured:
    """What a model paid for some documents.

    Attributes:
        bits: of each document, in all.
        tokens: how many of its tokens were judged.
        floor: the least bits of each document, or None where nobody knows.
        text: all documents, joined; its bytes share the bits.
        perplexity: by the learner's code.
    """

    bits: tuple[float, ...]
    tokens: tuple[int, ...]
    floor: tuple[float, ...] | None
    text: str
    perplexity: float

    @property
    def rate(self) -> float:
        """Bits per token."""
        return sum(self.bits) / sum(self.tokens)

    @property
    def least(self) -> float | None:
        """The floor, in bits per token."""
        return None if self.floor is None else sum(self.floor) / sum(self.tokens)

    @property
    def error(self) -> float:
        """Half of a 95 % interval of bits per token above the floor, or of bits per token."""
        lows = self.floor or (0.0,) * len(self.bits)
        extra = [bits - low for bits, low in zip(self.bits, lows, strict=True)]
        n, count = len(extra), sum(self.tokens)
        mean = sum(extra) / count
        squares = sum((e - mean * t) ** 2 for e, t in zip(extra, self.tokens, strict=True))
        return NORMAL * math.sqrt(squares * n / (n - 1)) / count


def experiment(lab, run) -> None:
    """Measure three models twice, cut the stories in three ways, and stride through them."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # for so small a model, threads wait longer than they work
    texts = Texts(run)
    models = {}
    for name in MODELS:
        models[name] = earlier("gpt").GPT.load(run.artefact(name)).to(run.device).eval()
    stories, answers = {}, {}
    for number, (name, model) in enumerate(models.items(), 1):
        stories[name] = texts.measure(lab, model, texts.stories())
        answers[name] = texts.measure(lab, model, texts.answers())
        run.progress(number, len(MODELS) + 2, name)
    show(lab, run, "Stories that no model has read", stories)
    show(lab, run, "Answers about people never asked about", answers)
    run.figure("forgotten", draw_stages(texts, models, stories, answers))
    cuts = tokenizers(lab, run, texts, stories["base"])
    run.progress(len(MODELS) + 1, len(MODELS) + 2, "tokenizers")
    run.figure("tokenizers", draw_cuts(cuts))
    strides = stride(lab, run, texts, models["base"])
    run.progress(len(MODELS) + 2, len(MODELS) + 2, "strides")
    conclude(lab, run, stories, answers, strides)


# What is read


@dataclass(frozen=True)
class Material:
    """Documents as a model reads them.

    Attributes:
        batches: inputs and targets.
        floor: the least bits of each document, or None.
        text: what the targets say, all documents joined, without marks and ends.
    """

    batches: list[tuple[Tensor, Tensor]]
    floor: tuple[float, ...] | None
    text: str


class Texts:
    """Unseen stories and conversations, in tokens.

    Args:
        run: names the corpus, and where the models are.
    """

    def __init__(self, run) -> None:
        self.device, self.count = run.device, HELD_OUT[run.scale]
        self.encoder = tokenizer.load(run.artefact("base"))
        self.end = self.encoder.token_to_id(tokenizer.END)
        self.world, self.corpus = run.data.world, run.data
        self.documents: list[Any] = []
        if self.world is None:
            self.told = [t[:LONGEST] for t in run.data.validation.limited(self.count)]
        else:
            self.documents = self.world.documents(self.count, seed=7, split="validation")
            self.told = [document.text for document in self.documents]

    def row(self, text: str) -> list[int]:
        """The tokens of a story between two ends, as in pretraining."""
        return [self.end, *self.encoder.encode(text).ids, self.end]

    def stories(self) -> Material:
        """Stories; every token of them counts, and their end."""
        rows = [self.row(text) for text in self.told]
        batches = []
        for part in parts(rows, AT_ONCE):
            inputs, targets = padded(part, self.end)
            batches.append((inputs.to(self.device), targets.to(self.device)))
        floor = tuple(d.bits for d in self.documents) if self.documents else None
        return Material(batches, floor, "".join(self.told))

    def answers(self) -> Material:
        """Conversations; only the answers count, and their ends."""
        sft, world = earlier("sft"), self.world or World(0)
        marks = [self.encoder.token_to_id(mark) for mark in (sft.ASSISTANT, sft.END)]
        talks = [natural(world, c) for c in conversations(world, self.count, 77, held_out=True)]
        rows = [self.encoder.encode(sft.render(messages)).ids for messages in talks]
        batches = []
        for part in parts(rows, AT_ONCE):
            inputs, targets = sft.sft_batch(part, *marks)
            batches.append((inputs.to(self.device), targets.to(self.device)))
        said = [m["content"] for talk in talks for m in talk if m["role"] == "assistant"]
        return Material(batches, (0.0,) * len(talks), " " + " ".join(said))

    @torch.no_grad()
    def measure(self, lab, model: nn.Module, material: Material) -> Measured:
        """What a model pays for each document."""
        given = [(model(inputs), targets) for inputs, targets in material.batches]
        bits: list[float] = []
        tokens: list[int] = []
        for logits, targets in given:
            bits += lab.token_bits(logits, targets).double().sum(1).tolist()
            tokens += (targets != IGNORE).sum(1).tolist()
        perplexity = lab.corpus_perplexity(given)
        return Measured(tuple(bits), tuple(tokens), material.floor, material.text, perplexity)


def natural(world: World, conversation) -> list[dict[str, str]]:
    """A conversation whose first answer, too, says "she" or "he", as in fine-tuning."""
    person, word = world.person[conversation.person], conversation.answers[0]
    attribute = next(each for each in ATTRIBUTES if person[each] == word)
    reply = ANSWERING[attribute].format(PRONOUNS[person.pronoun]["He"], word)
    opening, _, *rest = (dict(message) for message in conversation.messages)
    return [opening, {"role": "assistant", "content": reply}, *rest]


def parts(items: list[Any], size: int) -> list[list[Any]]:
    """The same items in lists of so many."""
    return [items[start : start + size] for start in range(0, len(items), size)]


# The stages


def show(lab, run, title: str, measured: dict[str, Measured]) -> None:
    """A row for each model, and one for the floor."""
    rows = []
    for name, m in measured.items():
        above = "" if m.least is None else f"{m.rate - m.least:.3f} ± {m.error:.3f}"
        per_byte = lab.bits_per_byte(sum(m.bits), m.text)
        rows.append([name, f"{m.rate:.3f}", above, figure(m.perplexity), f"{per_byte:.4f}"])
    first = next(iter(measured.values()))
    if first.floor is not None and first.least is not None:
        per_byte = lab.bits_per_byte(sum(first.floor), first.text)
        rows.append(["the floor", f"{first.least:.3f}", "0", figure(2**first.least),
                     f"{per_byte:.4f}"])  # fmt: skip
    run.table(title, ["model", "bits per token", "above the floor", "perplexity",
                      "bits per byte"], rows)  # fmt: skip


def figure(perplexity: float) -> str:
    """A perplexity in a few digits."""
    return f"{perplexity:,.0f}" if perplexity >= 100 else f"{perplexity:.2f}"


def draw_stages(texts: Texts, models, stories, answers) -> Figure:
    """Bits per token of each model on both kinds of text; and one story, token by token."""
    drawn = Figure(figsize=(9, 7.2), layout="constrained")
    above, below = drawn.subfigures(2, 1, height_ratios=[1, 1.9])
    titles = ("unseen stories", "answers about people never asked about")
    for axes, title, measured in zip(above.subplots(1, 2), titles, (stories, answers), strict=True):
        draw_bars(axes, measured)
        axes.set_title(title, loc="left")
    story = min(texts.told[:40], key=lambda text: abs(len(text) - 150))
    rows = {name: surprise(texts, model, story) for name, model in models.items()}
    pieces = [texts.encoder.decode([t], skip_special_tokens=False) for t in texts.row(story)[1:-1]]
    draw_story(below, [piece.replace(" ", "·") for piece in pieces], rows)
    return drawn


def draw_bars(axes, measured: dict[str, Measured]) -> None:
    """A bar for each model with its interval, and a line for the floor."""
    for place, (name, m) in enumerate(measured.items()):
        axes.barh(place, m.rate, color=COLOURS[name], height=0.66)
        axes.errorbar(m.rate, place, xerr=m.error, color="black", capsize=3, linewidth=1)
        axes.annotate(f"{m.rate:.2f}", (m.rate + m.error, place), (5, 0),
                      textcoords="offset points", va="center")  # fmt: skip
    least = next(iter(measured.values())).least
    if least is not None:
        axes.axvline(least, color=FLOOR, linewidth=2, label=f"the floor, {least:.2f}")
        axes.legend(frameon=False, loc="upper right")
    axes.set_yticks(range(len(measured)), list(measured))
    axes.set_ylim(len(measured) - 0.5, -1.1)  # the first on top, and room for the legend above
    axes.margins(x=0.18)
    axes.set_xlim(left=0)
    axes.set_xlabel("bits per token")
    axes.spines[["top", "right"]].set_visible(False)


@torch.no_grad()
def surprise(texts: Texts, model: nn.Module, story: str) -> list[float]:
    """The bits of each token of a story, its end left out."""
    ids = torch.tensor([texts.row(story)], device=texts.device)
    bits = earlier("pretrain").token_bits(model(ids[:, :-1]), ids[:, 1:])
    return bits[0, :-1].tolist()


def draw_story(part, pieces: list[str], rows: dict[str, list[float]]) -> None:
    """The same story for each model, each token the darker the more it surprised."""
    shade = colormaps["Blues"]
    for axes, (name, bits) in zip(part.subplots(len(rows), 1), rows.items(), strict=True):
        x, y = 0.0, 0.0
        for piece, cost in zip(pieces, bits, strict=True):
            width = 1.18 * len(piece) + 1.0
            if x + width > WIDEST:
                x, y = 0.0, y - 1.0
            dark = min(cost / 8, 1.0)
            axes.add_patch(
                FancyBboxPatch((x + 0.25, y + 0.12), width - 0.5, 0.76, edgecolor="none",
                               facecolor=shade(0.06 + 0.94 * dark), mutation_aspect=0.15,
                               boxstyle="round,pad=0,rounding_size=0.3")
            )  # fmt: skip
            axes.text(x + width / 2, y + 0.47, piece, ha="center", va="center", fontsize=8,
                      family="monospace", color="white" if dark > 0.5 else "black")  # fmt: skip
            x += width
        axes.set(xlim=(0, WIDEST), ylim=(y - 0.05, 1.05))
        axes.set_title(f"{name}: {sum(bits):.0f} bits for this story", loc="left", fontsize=10)
        axes.axis("off")
    part.suptitle("pale: foreseen; dark: 8 bits or more", x=0.99, ha="right", fontsize=9)


# The same text, cut otherwise


@dataclass(frozen=True)
class Cut:
    """What a model paid for the stories, cut in one way.

    Attributes:
        model: in words.
        pieces: one of `PIECES`.
        count: how many pieces there are, ends included.
        bits: in all.
        perplexity: by the learner's code.
        per_byte: likewise.
    """

    model: str
    pieces: str
    count: int
    bits: float
    perplexity: float
    per_byte: float


def tokenizers(lab, run, texts: Texts, base: Measured) -> list[Cut]:
    """The stories in the learner's tokens, in smaller ones and in bytes."""
    text = "".join(texts.told)
    found = []

    def add(model: str, pieces: str, bits: list[float]) -> None:
        per_byte = lab.bits_per_byte(sum(bits), text)
        surprise = lab.perplexity(torch.tensor(bits, dtype=torch.float64))
        found.append(Cut(model, pieces, len(bits), sum(bits), surprise, per_byte))

    small = smaller(texts.encoder)
    if texts.documents:
        ends = [0.0] * len(texts.documents)
        for pieces, cutter in (("tokens", texts.encoder), ("small", small), ("bytes", list)):
            labelled = label_tokens(texts.documents, cutter)
            add("who knows all", pieces, [s.bits for spans in labelled for s in spans] + ends)
    share = [bits / count for bits, count in zip(base.bits, base.tokens, strict=True)]
    each = [s for s, count in zip(share, base.tokens, strict=True) for _ in range(count)]
    add("base", "tokens", each)
    counted = [text[:LONGEST] for text in run.data.train.limited(COUNTED[run.scale])]
    cuts = {
        ("4-gram", "tokens", 4): lambda text: [*texts.encoder.encode(text).ids, texts.end],
        ("4-gram", "small", 4): lambda text: [*small.encode(text).ids, texts.end],
        ("6-gram", "bytes", 6): lambda text: [*text.encode("utf-8"), 256],
    }
    for (name, pieces, n), cut in cuts.items():
        counts = earlier("entropy").NGram([cut(text) for text in counted], n)
        add(name, pieces, [bits for text in texts.told for bits in counts.bits(cut(text))])
    rows = [
        [c.model, PIECES[c.pieces], f"{c.count:,}", f"{c.bits:,.0f}", f"{c.perplexity:.3f}",
         f"{c.per_byte:.4f}"]
        for c in found
    ]  # fmt: skip
    run.table("The same stories in pieces of other sizes",
              ["model", "cut into", "pieces", "bits", "perplexity per piece", "bits per byte"],
              rows)  # fmt: skip
    return found


def smaller(encoder: Tokenizer) -> Tokenizer:
    """The same tokenizer with the first quarter of its merges."""
    written = json.loads(encoder.to_str())
    merges = written["model"]["merges"]
    written["model"]["merges"] = merges[: len(merges) // 4]
    return Tokenizer.from_str(json.dumps(written))


def draw_cuts(cuts: list[Cut]) -> Figure:
    """Perplexity per piece beside bits per byte: two orders of the same models."""
    drawn = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = drawn.subplots(1, 2, sharey=True)
    names = [f"{c.model}, {PIECES[c.pieces]}" for c in cuts]
    colours = {"tokens": "#0072B2", "small": "#56B4E9", "bytes": "#D55E00"}
    panels = (
        (left, [c.perplexity for c in cuts], "perplexity per piece: not to be compared", 1.0),
        (right, [c.per_byte for c in cuts], "bits per byte: can be compared", 0.0),
    )
    for axes, values, title, low in panels:
        widths = [value - low for value in values]
        axes.barh(names, widths, left=low, color=[colours[c.pieces] for c in cuts], height=0.66)
        for place, value in enumerate(values):
            axes.annotate(f"{value:.3g}", (value, place), (5, 0), textcoords="offset points",
                          va="center")  # fmt: skip
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlim(low, max(values) + 0.16 * (max(values) - low))
        axes.spines[["top", "right"]].set_visible(False)
    left.invert_yaxis()
    return drawn


# Through a window that is too short


@dataclass(frozen=True)
class Stride:
    """What a stride cost and brought.

    Attributes:
        stride: in tokens.
        reads: tokens that the model read for each that was judged.
        bits: of the judged tokens of each story, (tokens,).
    """

    stride: int
    reads: float
    bits: list[Tensor]

    @property
    def rate(self) -> float:
        """Bits per token."""
        return float(torch.cat(self.bits).mean())


def stride(lab, run, texts: Texts, model: nn.Module) -> list[Stride]:
    """Read stories as if the model could read half of what it can, with ever smaller strides."""
    rows = [torch.tensor(texts.row(text)) for text in texts.told[: LONG[run.scale]]]
    context = model.config.context
    length = context // 2

    def read(ids: list[Tensor], length: int, size: int) -> Stride:
        bits = [lab.strided(model, row.to(run.device), length, size).double().cpu() for row in ids]
        laid = [w for row in ids for w in lab.windows(len(row), length, size)]
        judged = sum(len(row) - 1 for row in ids)
        return Stride(size, sum(end - 1 - begin for begin, _, end in laid) / judged, bits)

    sizes = [length // 2**n for n in range(length.bit_length())]
    found = [read(rows, length, size) for size in sizes]
    alone = read(rows, context, context)
    piece = torch.cat([rows[0][:1], *(row[1:] for row in rows)])
    merged = read([piece], context, context)
    for each in found:
        run.log(each.stride, **{"bits per token by stride": each.rate})
    named = [*((f"{length} tokens, stride {s.stride}", s) for s in found),
             (f"{context} tokens, stride {context}", alone),
             (f"the same, all stories in one piece of {len(piece):,} tokens", merged)]  # fmt: skip
    cells = [[name, f"{s.reads:.1f}", f"{s.rate:.3f}", f"{lab.perplexity(torch.cat(s.bits)):.2f}"]
             for name, s in named]  # fmt: skip
    run.table(f"{len(rows)} stories through windows of {length} tokens, and of {context}",
              ["window", "tokens read for each judged", "bits per token", "perplexity"],
              cells)  # fmt: skip
    run.figure("stride", draw_stride(found, alone, texts, length))
    return [*found, alone]


def draw_stride(found: list[Stride], alone: Stride, texts: Texts, length: int) -> Figure:
    """What smaller strides cost and bring, and why: how much a model has read before."""
    drawn = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = drawn.subplots(1, 2)
    costs, means = [s.reads for s in found], [s.rate for s in found]
    left.plot(costs, means, "o-", color="#0072B2", label=f"windows of {length} tokens")
    for s, x, y in zip(found, costs, means, strict=True):
        left.annotate(str(s.stride), (x, y), (4, 5), textcoords="offset points")
    left.axhline(alone.rate, color="#D55E00", linestyle="--", label="whole stories")
    left.set_xscale("log", base=2)
    ticks = [2**n for n in range(length.bit_length())]
    left.set_xticks(ticks, [str(tick) for tick in ticks])
    left.set(xlabel="tokens read for each that is judged", ylabel="bits per token")
    left.set_ylim(0, 1.12 * max(means))
    left.set_title("What smaller strides cost and bring (numbers: strides)", loc="left",
                   fontsize=10)  # fmt: skip
    left.legend(frameon=False)
    for s, colour in ((found[0], "#E69F00"), (found[-1], "#0072B2")):
        right.plot(*by_place(s.bits, length), "o-", color=colour, label=f"stride {s.stride}")
    right.plot(*by_place(alone.bits, length), "--", color="#D55E00", label="whole stories")
    right.set(xlabel=f"tokens after the first {length} of a story", ylabel="bits per token")
    right.set_title("Why: what has been read before them", loc="left", fontsize=10)
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return drawn


def by_place(bits: list[Tensor], length: int) -> tuple[list[int], list[float]]:
    """Mean bits of the tokens beyond the first window, by how far beyond they are."""
    beyond = [row[length:] for row in bits if len(row) > length]
    longest = max(map(len, beyond), default=0)
    places, means = [], []
    for start in range(0, longest, 2):
        there = torch.cat([row[start : start + 2] for row in beyond])
        if len(there) >= len(beyond):  # those that only a few long stories reach say little
            places.append(start + 1)
            means.append(float(there.mean()))
    return places, means


# What came out


def conclude(lab, run, stories, answers, strides: list[Stride]) -> None:
    """Say what each stage did, and what the stride was worth."""
    base, sft, aligned = (stories[name] for name in MODELS)
    first, second, third = (answers[name] for name in MODELS)
    coarse, *_, fine, _ = strides
    figures = {f"stories_{name}": round(m.rate, 4) for name, m in stories.items()}
    figures |= {f"answers_{name}": round(m.rate, 4) for name, m in answers.items()}
    figures |= {
        f"bits_per_byte_{name}": round(lab.bits_per_byte(sum(m.bits), m.text), 4)
        for name, m in stories.items()
    }
    figures["stride_gain"] = round(coarse.rate - fine.rate, 4)
    said = f"On stories your base model needs {base.rate:.2f} bits per token"
    if base.least is not None:
        figures["floor"] = round(base.least, 4)
        said += f", {base.rate - base.least:.2f} ± {base.error:.2f} above the floor"
    run.result(
        f"{said}; fine-tuning made that {sft.rate:.2f}, and the aligned model, which practised "
        f"stories again, needs {aligned.rate:.2f}. On answers it went from {first.rate:.1f} to "
        f"{second.rate:.2f} bits, and then to {third.rate:.2f}. A stride of {fine.stride} in "
        f"place of {coarse.stride} saves {coarse.rate - fine.rate:.2f} bits per token, for "
        f"{fine.reads / coarse.reads:.0f} times the reading.",
        **figures,
    )

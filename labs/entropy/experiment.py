"""What the learner's n-gram models pay for text, against what the text really holds.

Models of characters and models of words are fitted for growing n and measured on the text that
they counted and on text that they did not, all in bits per character, so that one floor holds for
both. Where the text comes from a world whose information is known, the bits are also split by the
kind of word for which they were paid. And some of the models write.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from llmpath.labkit.microworld import Document, label_tokens

CHARACTERS = {"micro": 250_000, "mini": 1_000_000, "gpu": 4_000_000}  # of the training text
HELD_OUT = 30_000  # characters, of the text that is measured
LONGEST = 2_000  # characters of one document at most
END = "\n"  # stands after each document, so that models learn where one is over
LENGTHS = {"characters": (1, 2, 3, 4, 5, 6, 8, 10, 12), "words": (1, 2, 3, 4, 5, 6, 8, 12)}
WRITERS = (("characters", 1), ("characters", 2), ("characters", 4), ("characters", 8),
           ("words", 2), ("words", 4))  # fmt: skip
WRITTEN = 150  # characters of a sample
CANDIDATES = 500  # the most frequent symbols, of which a sample is written
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"characters": "#0072B2", "words": "#D55E00"}
KIND_COLOURS = {"choice": "#E69F00", "fact": "#CC79A7", "syntax": "#56B4E9"}
MEANING = {
    "choice": "what is drawn at random",
    "fact": "what has to be known",
    "syntax": "what follows from the text",
}


@dataclass(frozen=True)
class Material:
    """The texts of a run.

    Attributes:
        train: documents to count.
        again: some of the same, to measure on what was counted.
        new: documents that are not among them, to measure on.
        known: where the world is known, the documents of `new` with what each word tells.
    """

    train: list[str]
    again: list[str]
    new: list[str]
    known: list[Document]

    @property
    def floor(self) -> float | None:
        """The bits per character that the new documents hold."""
        return sum(d.bits for d in self.known) / size(self.new) if self.known else None


@dataclass
class Curve:
    """What the models of one kind of symbol pay, for each n: bits per character.

    Attributes:
        again: on the text that they counted.
        new: on text that they did not.
        kinds: the parts of `new` by kind of word.
        unseen: the share of the new text's histories that the training text does not have.
    """

    again: dict[int, float] = field(default_factory=dict)
    new: dict[int, float] = field(default_factory=dict)
    kinds: dict[int, dict[str, float]] = field(default_factory=dict)
    unseen: dict[int, float] = field(default_factory=dict)


def experiment(lab, run) -> None:
    """Fit, measure, write, draw."""
    material = read(run)
    if material.floor is not None:
        for unit in LENGTHS:
            run.floor(unit, material.floor, "what the text holds")
    run.table(*frequencies(lab, material))
    curves, done, total = {}, 0, sum(map(len, LENGTHS.values()))
    for unit, lengths in LENGTHS.items():
        curves[unit] = curve = Curve()
        for n in lengths:
            run.progress(done, total, f"{unit}, n = {n}")
            model = lab.NGram(rows(material.train, unit), n)
            measure(model, material, unit, n, curve)
            run.log(n, **{unit: curve.new[n], f"{unit}, counted text": curve.again[n]})
            if (unit, n) in WRITERS:
                run.text(
                    f"A model of {unit} with n = {n} writes", write(model, material, unit, run)
                )
            done += 1
    run.progress(done, total, "done")
    run.table(*as_table(curves))
    run.figure("bits", draw(curves, material.floor))
    conclude(run, curves, material.floor)


# The text


def read(run) -> Material:
    """The documents of the run's data."""
    train = run.data.train.excerpt(CHARACTERS[run.scale], LONGEST)
    again = train[: max(1, len(train) * HELD_OUT // CHARACTERS[run.scale])]
    new = run.data.validation.excerpt(HELD_OUT, LONGEST)
    world = run.data.world
    if world is None:
        return Material(train, again, new, [])
    # The last document of an excerpt is cut, and a cut one is none that the world tells.
    known = [world.read(text) for text in new[:-1]]
    return Material(train, again, new[:-1], known)


def cut_words(text: str) -> list[str]:
    """The words of a text with the space before each, and its runs of signs."""
    return re.findall(r" ?\w+| ?[^\w\s]+|\s", text)


def rows(texts: Sequence[str], unit: str) -> list[Sequence[str]]:
    """Documents as symbols, each with its end."""
    cut: Callable[[str], Sequence[str]] = cut_words if unit == "words" else list
    return [[*cut(text), END] for text in texts]


def size(texts: Sequence[str]) -> int:
    """How many characters documents have, with an end after each."""
    return sum(len(text) + 1 for text in texts)


# Measuring


def measure(model, material: Material, unit: str, n: int, curve: Curve) -> None:
    """Add what a model pays to a curve."""
    again = [model.bits(row) for row in rows(material.again, unit)]
    new = [model.bits(row) for row in rows(material.new, unit)]
    characters = size(material.new)
    curve.again[n] = sum(map(sum, again)) / size(material.again)
    curve.new[n] = sum(map(sum, new)) / characters
    if unit == "words" and material.known:
        curve.kinds[n] = {
            kind: bits / characters for kind, bits in by_kind(new, material.known).items()
        }
    seen = set(histories(rows(material.train, unit), n))
    asked = histories(rows(material.new, unit), n)
    curve.unseen[n] = sum(each not in seen for each in asked) / len(asked)


def histories(documents: Sequence[Sequence[str]], n: int) -> list[tuple[str, ...]]:
    """What stands before each symbol, as far as a model with this n looks."""
    return [
        tuple(row[max(0, place - n + 1) : place]) for row in documents for place in range(len(row))
    ]


def by_kind(paid: list[list[float]], documents: list[Document]) -> dict[str, float]:
    """The sum of bits for each kind of word; an end follows from the text."""
    sums: dict[str, float] = defaultdict(float)
    for bits, spans in zip(paid, label_tokens(documents, cut_words), strict=True):
        for each, kind in zip(bits, [*(span.kind for span in spans), "syntax"], strict=True):
            sums[kind] += each
    return sums


def frequencies(lab, material: Material):
    """A table: what frequencies alone are worth, by the learner's first two functions."""
    table = []
    for unit in LENGTHS:
        train, new = (
            Counter(symbol for row in rows(texts, unit) for symbol in row)
            for texts in (material.train, material.new)
        )
        shared = [symbol for symbol in new if symbol in train]
        shares = [[each[s] / sum(each[s] for s in shared) for s in shared] for each in (new, train)]
        real = lab.entropy(shares[0])
        believed = lab.cross_entropy_bits(*shares)
        table.append(
            [unit, len(shared), f"{real:.3f}", f"{believed:.3f}", f"{believed - real:.4f}"]
        )
    columns = ["symbols", "different", "entropy", "believing the training text", "paid for that"]
    return "How often each comes in new text: bits per symbol", columns, table


# Writing


def write(model, material: Material, unit: str, run) -> str:
    """A text of the model's own, drawn symbol by symbol, with a sign where a document ends."""
    random_ = random.Random(run.seed)
    counts = Counter(symbol for row in rows(material.again, unit) for symbol in row)
    symbols = [symbol for symbol, _ in counts.most_common(CANDIDATES)]
    text, history = "", []
    while len(text) < WRITTEN:
        near = history[-max(LENGTHS[unit]) :]
        weights = [model.probability(near, symbol) for symbol in symbols]
        symbol = random_.choices(symbols, weights)[0]
        history = [] if symbol == END else [*history, symbol]
        text += " ¶ " if symbol == END else symbol
    return text


# What came out


def as_table(curves: dict[str, Curve]):
    """Every model, one row each."""
    table = [
        [unit, n, f"{curve.again[n]:.3f}", f"{curve.new[n]:.3f}", f"{100 * curve.unseen[n]:.1f} %"]
        for unit, curve in curves.items()
        for n in LENGTHS[unit]
    ]
    columns = ["symbols", "n", "counted text", "new text", "histories never seen"]
    return "Bits per character", columns, table


def conclude(run, curves: dict[str, Curve], floor: float | None) -> None:
    """Say in one sentence what was found."""
    best = min((curve.new[n], n, unit) for unit, curve in curves.items() for n in curve.new)
    bits, n, unit = best
    again = curves[unit].again[n]
    said = f"Your best model counts {unit} with n = {n} and pays {bits:.3f} bits per character"
    figures: dict[str, float] = {"bits": round(bits, 4), "n": n, "counted": round(again, 4)}
    if floor is None:
        said += f" of new text, and {again:.3f} of the text that it counted."
    else:
        figures["floor"] = round(floor, 4)
        said += f" of new text, which holds {floor:.3f}."
        deepest = min(curve.again[max(curve.again)] for curve in curves.values())
        if deepest < floor:
            said += (
                f" For text that they counted, models pay down to {deepest:.3f}: less than any "
                "text holds, because they know it by heart."
            )
    run.result(said, **figures)


def draw(curves: dict[str, Curve], floor: float | None) -> Figure:
    """The curves against the floor, and below them what the models of words pay for."""
    kinds = curves["words"].kinds
    figure = Figure(figsize=(9, 8.4 if kinds else 4.6), layout="constrained")
    panels = figure.subplots(2 if kinds else 1, 1, squeeze=False)[:, 0]
    draw_curves(panels[0], curves, floor)
    if kinds:
        draw_kinds(panels[1], kinds, floor)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_curves(axes, curves: dict[str, Curve], floor: float | None) -> None:
    """Bits per character against n, on counted and on new text."""
    for unit, curve in curves.items():
        colour = COLOURS[unit]
        lengths = list(curve.new)
        axes.plot(lengths, list(curve.new.values()), "o-", color=colour, linewidth=2,
                  label=f"{unit}: new text")  # fmt: skip
        axes.plot(lengths, list(curve.again.values()), "o:", color=colour, markersize=4,
                  label=f"{unit}: the text that was counted")  # fmt: skip
    if floor is not None:
        axes.axhline(floor, color="black", linestyle="--", linewidth=1)
        axes.axhspan(0.01, floor, color="#eeeeee", zorder=0)
        axes.annotate("what the text holds; only who knows it by heart pays less",
                      (0.01, floor), xycoords=("axes fraction", "data"), xytext=(0, -12),
                      textcoords="offset points", fontsize=9)  # fmt: skip
    lowest = min(min(curve.again.values()) for curve in curves.values())
    axes.set_yscale("log", base=2)
    axes.set_ylim(lowest * 0.7, 6)
    ticks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4) if tick > lowest * 0.7]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks(range(1, 13))
    axes.set(xlabel="n: the symbol that is guessed, and those that are looked at")
    axes.set_ylabel("bits per character (logarithmic)")
    axes.set_title("Looking further back helps, as long as there is enough to count", loc="left")
    axes.legend(frameon=False, loc="upper right")


def draw_kinds(axes, kinds: dict[int, dict[str, float]], floor: float | None) -> None:
    """What the models of words pay for, as stacked bars."""
    places = range(len(kinds))
    bottom = [0.0] * len(kinds)
    for kind in ("choice", "fact", "syntax"):
        heights = [parts.get(kind, 0.0) for parts in kinds.values()]
        axes.bar(places, heights, 0.7, bottom=bottom, color=KIND_COLOURS[kind],
                 label=f"{kind}: {MEANING[kind]}")  # fmt: skip
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    for place, height in zip(places, bottom, strict=True):
        axes.text(place, height, f"{height:.2f}", ha="center", va="bottom", fontsize=9)
    if floor is not None:
        axes.axhline(floor, color="black", linestyle="--", linewidth=1,
                     label="what the text holds: choices alone")  # fmt: skip
    axes.set_xticks(places, [str(n) for n in kinds])
    axes.set(xlabel="n, for models of words", ylabel="bits per character")
    axes.set_title("What the bits of new text are paid for", loc="left")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, loc="upper right")

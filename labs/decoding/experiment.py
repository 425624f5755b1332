"""The learner's decoding on a small model of the microworld, whose every text can be judged.

The model counts words: what follows the last five, three and one, together with the person that
the text is about, and what follows one or two words without. It learns the facts that way, and
mixes some up. Each setting writes portraits of the same people, and two things are measured: how
many are without any mistake in grammar or fact, which the world can tell, and how different the
texts about one person are. Where SmolLM2-135M has been pulled, it writes on as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from llmpath.labkit import models, tokenizer
from llmpath.labkit.microworld import Person, World, words

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b6b6b"

REAL = "smollm2-135m"
PROMPT = "In the old house at the end of the street"
WORLD, BEAM = "the world itself", "beam search"
SHOWN = ("temperature 0", "temperature 1", "temperature 1.7", "top-p 0.8", BEAM)
END = "\n"  # stands before and after each text
LONGEST = 80  # words of a text
RUN = 4  # words: texts are compared by the runs of so many


@dataclass(frozen=True)
class Size:
    """How many texts the model learns from, and how many it writes in each setting."""

    documents: int
    people: int
    texts: int


SIZES = {"micro": Size(4_000, 20, 6), "mini": Size(8_000, 48, 16), "gpu": Size(16_000, 64, 32)}

# What is tried, by family: temperature, top_k, top_p.
TEMPERATURES = {f"temperature {t:g}": (t, None, None) for t in (0.0, 0.3, 0.5, 0.7, 1.0, 1.3, 1.7)}
TOP_K = {f"top-k {k}": (1.0, k, None) for k in (2, 3, 5, 10)}
TOP_P = {f"top-p {p:g}": (1.0, None, p) for p in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)}
FAMILIES = {"temperature": TEMPERATURES, "top-k": TOP_K, "top-p": TOP_P}
# Where a number stands beside its point, and which of its ends. The curves of temperature and
# top-p run close together, so their numbers stand on different sides.
BESIDE = {
    "temperature": ((6, 2), "left"),
    "top-k": ((-3, -13), "center"),
    "top-p": ((-7, -4), "right"),
}


# What the first picture shows, and what a real model is asked for.
SETTINGS_SHOWN = {
    "as the model says": (1.0, None, None),
    "temperature 0.5": (0.5, None, None),
    "temperature 2": (2.0, None, None),
    "top-k 5": (1.0, 5, None),
    "top-p 0.8": (1.0, None, 0.8),
    "temperature 2, then top-p 0.8": (2.0, None, 0.8),
}
REAL_SETTINGS = {
    "greedy": {"temperature": 0},
    "top-p 0.9": {"top_p": 0.9},
    "temperature 2": {"temperature": 2.0},
}


@dataclass(frozen=True)
class Score:
    """What became of the texts of one setting.

    Attributes:
        right: the share that the world could tell: nothing wrong in grammar or fact.
        different: of all runs of four words in the texts about one person, the share that are
            different ("distinct-n"; Li and others, 2016), the mean over people.
        example: one of the texts.
    """

    right: float
    different: float
    example: str


def experiment(lab, run) -> None:
    """Show what the settings do to one distribution, then what they do to texts."""
    size = SIZES[run.scale]
    world = World().but(weights={"portrait": 1})
    model = Counts([d.text for d in world.documents(size.documents, seed=run.seed + 1)], world)
    run.figure("one-distribution", draw_distribution(lab, model, world.people[0]))
    people = [person.name for person in world.people[: size.people]]
    scores = tried(lab, run, model, Judge(world), people, size)
    rows = [[name, f"{s.right:.0%}", f"{s.different:.0%}"] for name, s in scores.items()]
    run.table("What became of the texts", ["setting", "without a mistake", "different"], rows)
    run.figure("diversity-and-quality", draw_scores(scores))
    real_model(lab, run)
    conclude(run, scores)


def conclude(run, scores: dict[str, Score]) -> None:
    """Say in one sentence what came out."""
    plain, cut, beam = (scores[name] for name in ("temperature 1", "top-p 0.8", BEAM))
    run.result(
        f"Of the texts drawn as the model says, {plain.right:.0%} are without a mistake; with "
        f"top-p 0.8 it is {cut.right:.0%}, and they are {cut.different:.0%} different instead of "
        f"{plain.different:.0%}. Beam search: {beam.right:.0%} without a mistake, and "
        f"{beam.different:.0%} different.",
        right_drawn=round(plain.right, 3),
        right_top_p=round(cut.right, 3),
        right_beam=round(beam.right, 3),
        different_drawn=round(plain.different, 3),
        different_top_p=round(cut.different, 3),
        different_beam=round(beam.different, 3),
    )


# The model


@dataclass
class Said:
    """The cache of `Counts`: what was said so far, row by row."""

    rows: list[list[int]] = field(default_factory=list)

    def extend(self, new: list[list[int]]) -> list[list[int]]:
        """Add new words to every row; return all of them."""
        old = self.rows or [[] for _ in new]
        self.rows = [said + more for said, more in zip(old, new, strict=True)]
        return self.rows


class Counts:
    """A model that counts which word follows what, and whom the text is about.

    Its contexts, from long to short, are smoothed into each other as Witten and Bell (1991) did,
    with more trust in the short ones, so that it errs now and then.

    Args:
        texts: what it learns from.
        world: whose people it knows by name.

    Attributes:
        vocabulary: all words, each with the space before it; the first is the end of a text.
        number: the place of each word in the vocabulary.
    """

    CONTEXTS = ((5, True), (3, True), (1, True), (2, False), (1, False), (0, False))
    TRUST = 2.0

    def __init__(self, texts: Sequence[str], world: World) -> None:
        cut = [[END, *words(text), END] for text in texts]
        self.vocabulary = [END, *sorted({word for text in cut for word in text} - {END})]
        self.number = {word: number for number, word in enumerate(self.vocabulary)}
        self._people = {self.number.get(f" {person.name}", -1) for person in world.people}
        self._followers: dict[tuple, Counter[int]] = defaultdict(Counter)
        self._shares: dict[tuple, Tensor] = {}
        self._logits: dict[tuple, Tensor] = {}
        for text in cut:
            ids = [self.number[word] for word in text]
            for place in range(1, len(ids)):
                for context in self._contexts(ids[:place]):
                    self._followers[context][ids[place]] += 1

    def __call__(self, ids: Tensor, cache: Said | None = None) -> Tensor:
        """Logits, (batch, time, vocab_size); with a cache, `ids` go on from what was said."""
        rows = ids.tolist() if cache is None else cache.extend(ids.tolist())
        places = range(len(rows[0]) - ids.size(1) + 1, len(rows[0]) + 1)
        return torch.stack([torch.stack([self._after(row[:n]) for n in places]) for row in rows])

    def ids(self, text: str) -> Tensor:
        """The ids of a text that goes on, (time,)."""
        return torch.tensor([self.number[word] for word in (END, *words(text))])

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, without the ends."""
        return "".join(self.vocabulary[number] for number in ids).strip(END)

    def _contexts(self, said: list[int], count: int | None = None) -> list[tuple]:
        about = next((word for word in reversed(said) if word in self._people), None)
        return [
            (about if named else None, named, *said[max(0, len(said) - length) :])
            for length, named in self.CONTEXTS[:count]
        ]

    def _after(self, said: list[int]) -> Tensor:
        (longest,) = self._contexts(said, 1)
        if longest not in self._logits:
            self._logits[longest] = self._smoothed(self._contexts(said)).log()
        return self._logits[longest]

    def _smoothed(self, contexts: list[tuple]) -> Tensor:
        if not contexts:
            return torch.full((len(self.vocabulary),), 1 / len(self.vocabulary))
        if contexts[0] not in self._shares:
            shares = self._smoothed(contexts[1:])
            if followers := self._followers.get(contexts[0]):
                shares = self.TRUST * len(followers) * shares
                for word, count in followers.items():
                    shares[word] += count
                shares = shares / (followers.total() + self.TRUST * len(followers))
            self._shares[contexts[0]] = shares
        return self._shares[contexts[0]]


# Texts, and what they are worth


class Judge:
    """Tells whether a text is one that its `world` could tell."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._seen: dict[str, bool] = {}

    def score(self, texts: dict[str, list[str]]) -> Score:
        """Judge the texts about each person."""
        right = [self._right(text) for about in texts.values() for text in about]
        different = [self._different(about) for about in texts.values()]
        example = next(iter(texts.values()))[0]
        return Score(sum(right) / len(right), sum(different) / len(different), example)

    def _right(self, text: str) -> bool:
        if text not in self._seen:
            self._seen[text] = self.world.probability(text) > 0
        return self._seen[text]

    def _different(self, texts: Sequence[str]) -> float:
        cut = [words(text) for text in texts]
        runs = [tuple(text[n : n + RUN]) for text in cut for n in range(len(text) - RUN + 1)]
        return len(set(runs)) / max(1, len(runs))


def tried(lab, run, model: Counts, judge: Judge, people: Sequence[str], size: Size):
    """The scores of all settings, of beam search, and of the world's own texts."""
    settings = {name: what for family in FAMILIES.values() for name, what in family.items()}
    scores = {WORLD: judge.score(told(judge.world, people, size.texts, run.seed))}
    for done, name in enumerate([*settings, BEAM]):
        run.progress(done, len(settings) + 1, name)
        texts = (
            searched(lab, model, people, size.texts)
            if name == BEAM
            else drawn(lab, model, people, size.texts, settings[name], run.seed)
        )
        scores[name] = judge.score(texts)
        if name in SHOWN:
            run.text(f"With {name}", scores[name].example)
    run.progress(len(settings) + 1, len(settings) + 1)
    return scores


def told(world: World, people: Sequence[str], count: int, seed: int) -> dict[str, list[str]]:
    """What the world itself tells of each person, `count` texts for each."""
    texts: dict[str, list[str]] = {person: [] for person in people}
    stream = world.stream(seed + 1, "validation")
    while any(len(about) < count for about in texts.values()):
        text = next(stream).text
        about = texts.get(words(text)[2].strip())
        if about is not None and len(about) < count:
            about.append(text)
    return texts


def drawn(lab, model: Counts, people: Sequence[str], count: int, settings, seed: int):
    """What the learner's `generate` writes of each person, `count` texts for each."""
    temperature, top_k, top_p = settings
    starts = torch.stack([model.ids(f"This is {person}") for person in people])
    written = lab.generate(
        model,
        starts.repeat_interleave(count, dim=0),
        LONGEST,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        end=0,
        generator=torch.Generator().manual_seed(seed),
        cache=Said(),
    )
    texts = [model.text(row) for row in written.tolist()]
    return {p: texts[n * count : (n + 1) * count] for n, p in enumerate(people)}


def searched(lab, model: Counts, people: Sequence[str], beams: int) -> dict[str, list[str]]:
    """What the learner's `beam_search` finds of each person: all beams, the best first."""
    texts = {}
    for person in people:
        found = lab.beam_search(model, model.ids(f"This is {person}"), LONGEST, beams, end=0)
        texts[person] = [model.text(ids.tolist()) for ids, _ in found]
    return texts


# The real model


def real_model(lab, run) -> None:
    """Let SmolLM2-135M write on, in three ways, with the learner's `stream`; if it is there."""
    if not models.there(REAL):
        run.text(
            "A real model",
            f"With `llmpath models pull {REAL}` (about 100 to 300 MB, once) this experiment also "
            "lets a real model write.",
        )
        return
    folder = models.folder(REAL)
    model = lab.GPT.load(folder).to(run.device).eval()
    encoder = tokenizer.load(folder)
    start = torch.tensor([encoder.encode(PROMPT).ids]).to(run.device)
    rows = []
    for name, settings in REAL_SETTINGS.items():
        cache = [lab.Memory() for _ in range(model.config.layers)]
        generator = torch.Generator(run.device).manual_seed(run.seed)
        tokens = lab.stream(model, start, 24, **settings, generator=generator, cache=cache)
        rows.append([name, encoder.decode([int(token) for token in tokens]).strip()])
    run.table(f'SmolLM2-135M goes on from "{PROMPT}"', ["setting", "text"], rows)


# The pictures


def draw_distribution(lab, model: Counts, person: Person) -> Figure:
    """What the settings make of one distribution, that of the first word about a person."""
    text = f"This is {person.name}. {person.pronoun.capitalize()}"
    ids = model.ids(text)
    logits = model(ids[None])[0, -1]
    best = logits.topk(12).indices
    names = [model.vocabulary[int(token)].strip() or "(end)" for token in best]
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots(2, 3, sharex=True, sharey=True).flatten()
    for place, (title, settings) in zip(axes, SETTINGS_SHOWN.items(), strict=True):
        shares = lab.probabilities(logits, *settings)[best]
        colour = GREY if title == "as the model says" else BLUE
        place.bar(range(len(best)), shares.tolist(), color=colour)
        place.set_title(title, fontsize=10, loc="left")
        place.set_xticks(range(len(best)), names, rotation=90, fontsize=8)
        place.spines[["top", "right"]].set_visible(False)
    for place in axes[::3]:
        place.set_ylabel("probability")
    figure.suptitle(f'What comes after "{text}"')
    return figure


def draw_scores(scores: dict[str, Score]) -> Figure:
    """Each setting as a point: how different its texts are, and how many are right."""
    figure = Figure(figsize=(8.5, 5.4), layout="constrained")
    axes = figure.subplots()
    for (family, settings), colour in zip(FAMILIES.items(), (ORANGE, GREEN, BLUE), strict=True):
        points = [scores[name] for name in settings]
        across, up = [s.different for s in points], [s.right for s in points]
        axes.plot(across, up, "o-", color=colour, label=family, markersize=5)
        for name, x, y in zip(settings, across, up, strict=True):
            axes.annotate(
                name.split()[-1],
                (x, y),
                BESIDE[family][0],
                textcoords="offset points",
                ha=BESIDE[family][1],
                fontsize=8,
                color=colour,
            )
    for name, mark, colour in ((BEAM, "s", PURPLE), (WORLD, "*", "black")):
        one = scores[name]
        axes.plot([one.different], [one.right], mark, color=colour, label=name, markersize=11)
    axes.set(xlabel="how different the texts about one person are", ylim=(0, 1.05))
    axes.set(ylabel="texts without a mistake")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(color="#ebebeb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    axes.set_title("Diversity and quality, by the settings of decoding", loc="left")
    return figure

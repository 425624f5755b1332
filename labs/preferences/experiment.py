"""Annotators whose taste is known compare answers; what of it do rewards recover?

First the law of Bradley and Terry is fitted to three features of the answers, for annotators who
err more and more often. Then a reward model, made of the learner's fine-tuned GPT, reads the
answers themselves, is taught on pairs of one kind of annotator, and is asked about people whom
nobody asked about in training: how often does it foresee annotators who err more or less, and how
often could anybody?

A second reward model is taught on pairs in which the longer answer happens to be the chosen one.
On more pairs of that kind it is nearly always right, and the pictures show what it has learned.

Pairs that differ in one thing alone show what each model has learned, and beside them stands what
the fine-tuned model itself finds likelier: it knows the truth, and a reward model made of it does
not (`benchmarks/rewards.py` looks for the reason).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import FEATURES, UTILITIES, Preference, World, preferences
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.thread import earlier

NOISES = (0.0, 0.1, 0.2, 0.3)  # how many of an annotator's choices are turned round
NOISE = 0.1  # among those that the reward models learn from
COMPARED = 2_000  # pairs for the fit to features
HELD_OUT = 800  # pairs that are measured and not learned from
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"honest": "#0072B2", "leaky": "#D55E00", "likely": "#009E73", "ceiling": "#777777"}
TAUGHT = {"honest": "all pairs", "leaky": "longer choices"}
JUDGES = {
    "honest": "the reward, taught on all pairs",
    "leaky": "the reward, taught on longer choices",
    "likely": "what the fine-tuned model finds likelier",
}


@dataclass(frozen=True)
class Size:
    """How much there is to learn from.

    Attributes:
        pairs: how many comparisons.
        steps: of training, for each of the two reward models.
        batch: pairs in a batch.
        peak: the highest learning rate.
    """

    pairs: int
    steps: int
    batch: int
    peak: float


SIZES = {
    "micro": Size(2_000, 60, 32, 0.002),
    "mini": Size(4_000, 200, 32, 0.001),
    "gpu": Size(8_000, 400, 64, 0.0005),
}


def experiment(lab, run) -> None:
    """Fit features, teach two reward models, and look at what they foresee."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # tensors of this size are not worth the waiting of two threads
    size, world = SIZES[run.scale], run.data.world or World(0)
    reader = Reader(tokenizer.load(run.artefact("sft")), world, run.device)
    fits = fit_features(lab, run, world)
    taught = preferences(world, size.pairs, seed=run.seed + 1, noise=NOISE)
    exam = preferences(world, HELD_OUT, seed=77, noise=NOISE, held_out=True)
    # Nobody planned it: this is what comes in where long answers are the careful ones.
    leaky = [pair for pair in preferences(world, 5 * size.pairs, seed=run.seed + 2, noise=NOISE)
             if longer(pair) > 0]  # fmt: skip
    found, done = {}, [0, 2 * size.steps]
    for name, pairs in (("honest", taught), ("leaky", leaky)):
        model = lab.RewardModel(lab.GPT.load(run.artefact("sft"))).to(run.device)
        learn(lab, run, model, reader, pairs, size, name, done)
        found[name] = Judged(*rewards(lab, model, reader, exam), exam)
    gpt = lab.GPT.load(run.artefact("sft")).to(run.device).eval()
    likely = Judged(*likelihoods(lab, gpt, reader, exam), exam)
    alone = {name: one_thing(lab, judged) for name, judged in (found | {"likely": likely}).items()}
    shares = by_noise(found["honest"])
    run.figure("utilities", draw(fits, shares))
    run.figure("length-leak", draw_leak(lab, found))
    run.figure("one-thing", draw_one_thing(alone))
    show(run, lab, found, alone)
    sentence(run, lab, fits, found, shares, alone)


# Reading


class Reader:
    """Turns questions and answers into tokens, through the template of the fine-tuning lab.

    Args:
        encoder: the tokenizer of the model.
        world: whose people are asked about.
        device: where the models are.
    """

    def __init__(self, encoder, world: World, device) -> None:
        self.sft, self.encoder, self.world, self.device = earlier("sft"), encoder, world, device
        self.end = encoder.token_to_id(self.sft.END)

    def row(self, pair: Preference, side: str) -> list[int]:
        """The tokens of a question with one of its answers."""
        said = [
            {"role": "user", "content": pair.prompt},
            {"role": "assistant", "content": self.spoken(pair.prompt, getattr(pair, side))},
        ]
        return self.encoder.encode(self.sft.render(said)).ids

    def spoken(self, question: str, answer: str) -> str:
        """An answer as somebody says it who has just heard the name: she, or he."""
        words = set(question.strip("?").split())
        name = next(person for person in self.world.person if person in words)
        word = PRONOUNS[self.world.person[name].pronoun]["He"]
        return answer.replace(f"So {name} ", f"So {word.lower()} ").replace(f"{name} ", f"{word} ")

    def batch(self, lab, pairs: Sequence[Preference]) -> tuple[tuple[Tensor, Tensor], ...]:
        """Ids and lengths of the chosen answers, and of the rejected ones."""
        sides = ([self.row(pair, side) for pair in pairs] for side in ("chosen", "rejected"))
        both = (lab.padded(rows, self.end) for rows in sides)
        return tuple((ids.to(self.device), lengths.to(self.device)) for ids, lengths in both)


def longer(pair: Preference) -> int:
    """1 where only the chosen answer says everything twice, -1 where only the rejected one does."""
    place = FEATURES.index("long")
    return pair.chosen_features[place] - pair.rejected_features[place]


# Features


def fit_features(lab, run, world: World) -> dict[float, tuple[Tensor, Tensor]]:
    """What the learner's `fit` makes of annotators, by how often they err."""
    fits = {}
    for noise in NOISES:
        pairs = preferences(world, COMPARED, seed=run.seed + 3, noise=noise)
        features = [(pair.chosen_features, pair.rejected_features) for pair in pairs]
        both = torch.tensor(features, dtype=torch.float64)
        fits[noise] = lab.fit(both[:, 0] - both[:, 1])
    rows = [
        [f"{100 * noise:.0f} %", *(f"{w:.2f} ± {e:.2f}" for w, e in zip(*fit, strict=True))]
        for noise, fit in fits.items()
    ]
    rows.append(["planted", *(f"{worth:.2f}" for worth in UTILITIES.values())])
    run.table("What a feature is worth, by how many choices are turned round",
              ["turned round", *FEATURES], rows)  # fmt: skip
    return fits


# Reward models


def learn(lab, run, model: nn.Module, reader: Reader, pairs, size: Size, name: str, done) -> None:
    """Teach a reward model on some pairs."""
    recipe = lab.Recipe(size.steps, size.peak, warmup=size.steps // 10, weight_decay=0.0)
    generator, state = torch.Generator().manual_seed(run.seed), {}
    lr_at = earlier("optimizers").lr_at
    for step in range(size.steps):
        drawn = torch.randint(len(pairs), (size.batch,), generator=generator).tolist()
        batch = reader.batch(lab, [pairs[place] for place in drawn])
        lr = lr_at(step, recipe.steps, recipe.peak, recipe.warmup, recipe.final)
        loss, agreed = lab.reward_step(model, batch, state, lr, recipe)
        done[0] += 1
        run.progress(*done, f"{name}: loss {loss:.2f}")
        run.log(step + 1, **{f"loss, {name}": loss, f"agreement, {name}": agreed})


@torch.no_grad()
def rewards(lab, model: nn.Module, reader: Reader, pairs) -> list[Tensor]:
    """The rewards of the chosen and of the rejected answers, each (pairs,)."""
    return [model(*rows).cpu() for rows in reader.batch(lab, pairs)]


@torch.no_grad()
def likelihoods(lab, gpt: nn.Module, reader: Reader, pairs) -> list[Tensor]:
    """The log-probabilities of both texts of each pair in nats, each (pairs,).

    The texts of a pair have the question in common, so the difference is that of the answers.
    """
    found = []
    for ids, lengths in reader.batch(lab, pairs):
        logits, targets = gpt(ids[:, :-1]), ids[:, 1:]
        surprises = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        places = torch.arange(1, ids.size(1), device=ids.device)
        found.append(-(surprises * (places < lengths[:, None])).sum(dim=1).cpu())
    return found


class Judged:
    """The rewards that a model gives to held-out answers, beside what is known of them.

    Attributes:
        chosen: rewards of the chosen answers, (pairs,).
        rejected: of the rejected ones.
        margins: by how much the chosen answers are better by the known taste, in logits.
        features: those of the chosen answer less those of the rejected one, (pairs, features).
        longer: 1 where only the chosen answer is long, -1 where only the rejected one is.
    """

    def __init__(self, chosen: Tensor, rejected: Tensor, pairs: Sequence[Preference]) -> None:
        self.chosen, self.rejected = chosen, rejected
        self.margins = torch.tensor([pair.margin for pair in pairs])
        both = torch.tensor([(pair.chosen_features, pair.rejected_features) for pair in pairs])
        self.features = both[:, 0] - both[:, 1]
        self.longer = self.features[:, FEATURES.index("long")]

    def by_taste(self) -> tuple[Tensor, Tensor]:
        """Rewards of the better answers by the known taste, and of the worse ones."""
        right = self.margins > 0
        better = torch.where(right, self.chosen, self.rejected)
        return better, torch.where(right, self.rejected, self.chosen)


def by_noise(judged: Judged) -> dict[str, list[float]]:
    """How often annotators will choose as the rewards do, by how many choices are turned round.

    An annotator finds an answer that is better by m logits better with probability σ(m), and
    says so but for the share that is turned round. Nobody can do more than always to foresee
    the likelier choice: the ceiling. `blind` is the ceiling for somebody who cannot tell true
    from false, and goes by the other features: between answers that differ in truth alone, that
    one throws a coin.
    """
    better, worse = judged.by_taste()
    sure = torch.sigmoid(judged.margins.abs())
    foresees = torch.where(better == worse, 0.5, (better > worse).float())
    seen = torch.tensor(list(UTILITIES.values()))
    seen[FEATURES.index("true")] = 0.0
    guesses = 0.5 + 0.5 * (judged.features.float() @ seen).sign() * judged.margins.sign()
    found: dict[str, list[float]] = {"noise": [], "model": [], "blind": [], "ceiling": []}
    for noise in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        chosen = (1 - noise) * sure + noise * (1 - sure)
        found["noise"].append(noise)
        for name, right in (("model", foresees), ("blind", guesses)):
            found[name].append(float((right * chosen + (1 - right) * (1 - chosen)).mean()))
        found["ceiling"].append(float(chosen.mean()))
    return found


# What came out


def split(lab, judged: Judged) -> dict[str, float]:
    """Agreement with the known taste: in all, and by which of two answers is the longer one."""
    better, worse = judged.by_taste()
    longer_wins = judged.longer * judged.margins.sign()
    found = {"all": lab.agreement(better, worse)}
    for name, sign in (
        ("the better is longer", 1),
        ("equally long", 0),
        ("the better is shorter", -1),
    ):
        there = longer_wins == sign
        found[name] = lab.agreement(better[there], worse[there])
    return found


def one_thing(lab, judged: Judged) -> dict[str, float]:
    """Agreement with the known taste where two answers differ in one feature alone."""
    better, worse = judged.by_taste()
    single = judged.features.abs().sum(dim=1) == 1
    found = {}
    for place, name in enumerate(FEATURES):
        there = single & (judged.features[:, place] != 0)
        found[name] = lab.agreement(better[there], worse[there])
    return found


def show(run, lab, found: dict[str, Judged], alone: dict[str, dict[str, float]]) -> None:
    """Both reward models, by what the pairs have in common and by what they differ in."""
    rows = []
    for name, judged in found.items():
        chosen = judged.longer > 0
        own = lab.agreement(judged.chosen[chosen], judged.rejected[chosen])
        rows.append(
            [TAUGHT[name], percent(own), *(percent(share) for share in split(lab, judged).values())]
        )
    columns = ["taught on", "choices of longer answers", *split(lab, found["honest"])]
    run.table("How often the reward is right, on people never asked about", columns, rows)
    rows = [[JUDGES[name], *map(percent, shares.values())] for name, shares in alone.items()]
    run.table("How often the better answer wins if the two differ in one thing alone",
              ["by", *FEATURES], rows)  # fmt: skip


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.0f} %"


def sentence(run, lab, fits, found: dict[str, Judged], shares, alone) -> None:
    """Say what was recovered, what was not, and what leaked."""
    honest, leaky = (split(lab, found[name]) for name in ("honest", "leaky"))
    weights, errors = fits[0.0]
    off = max(abs(float(w) - u) / float(e) for w, u, e in
              zip(weights, UTILITIES.values(), errors, strict=True))  # fmt: skip
    place = shares["noise"].index(NOISE)
    single = {f"{name}_alone": round(share, 4) for name, share in alone["honest"].items()}
    run.result(
        f"Your fit finds the planted worths within {off:.1f} standard errors. Your reward model "
        f"prefers the better of two new answers in {percent(honest['all'])} of pairs; of the "
        f"choices of annotators who err in {percent(NOISE)} it will foresee "
        f"{percent(shares['model'][place])}, and nobody more than "
        f"{percent(shares['ceiling'][place])}. Where two answers differ in kindness alone it is "
        f"right in {percent(alone['honest']['kind'])}, in truth alone in "
        f"{percent(alone['honest']['true'])}, though the model that it was made of finds the true "
        f"one likelier in {percent(alone['likely']['true'])}. The one that was taught on long "
        f"answers is right in {percent(leaky['all'])}.",
        errors_off=round(off, 3),
        true=round(float(weights[0]), 4),
        kind=round(float(weights[1]), 4),
        long=round(float(weights[2]), 4),
        agreement=round(honest["all"], 4),
        foreseen=round(shares["model"][place], 4),
        blind=round(shares["blind"][place], 4),
        ceiling=round(shares["ceiling"][place], 4),
        **single,
        likely_true=round(alone["likely"]["true"], 4),
        leaky=round(leaky["all"], 4),
        leaky_shorter=round(leaky["the better is shorter"], 4),
    )


def draw(fits: dict[float, tuple[Tensor, Tensor]], shares: dict[str, list[float]]) -> Figure:
    """What features are worth by the fit, and how much of annotators' choices can be foreseen."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    shades = ("#0b4f8a", "#3c8cc8", "#7fb8e0", "#b9d9ef")
    for number, ((noise, (weights, errors)), shade) in enumerate(zip(fits.items(), shades,
                                                                     strict=True)):  # fmt: skip
        places = [place + 0.16 * (number - 1.5) for place in range(len(FEATURES))]
        left.errorbar(places, weights.tolist(), yerr=(1.96 * errors).tolist(), fmt="o", color=shade,
                      capsize=3, label=f"{100 * noise:.0f} % turned round")  # fmt: skip
    for place, worth in enumerate(UTILITIES.values()):
        label = "planted" if place == 0 else None
        left.hlines(worth, place - 0.4, place + 0.4, color=COLOURS["leaky"], label=label)
    left.axhline(0, color="#999999", linewidth=0.8)
    left.set_xticks(range(len(FEATURES)), FEATURES)
    left.set_ylabel("worth (logits)")
    left.set_title("Fitted to features", loc="left")
    left.legend(frameon=False, fontsize=9)
    noise = [100 * each for each in shares["noise"]]
    right.plot(noise, [100 * each for each in shares["ceiling"]], "--", color=COLOURS["ceiling"],
               label="the most that anybody could")  # fmt: skip
    right.plot(noise, [100 * each for each in shares["blind"]], ":", color=COLOURS["leaky"],
               linewidth=2, label="the same, blind to truth")  # fmt: skip
    right.plot(noise, [100 * each for each in shares["model"]], "o-", color=COLOURS["honest"],
               label="your reward model")  # fmt: skip
    right.set(xlabel="choices turned round (per cent)", ylabel="choices foreseen (per cent)",
              ylim=(45, 100))  # fmt: skip
    right.set_title("Foreseeing annotators", loc="left")
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_leak(lab, found: dict[str, Judged]) -> Figure:
    """Rewards of short and long answers, and where each model is right."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    more: dict[str, list[float]] = {}
    for number, (name, judged) in enumerate(found.items()):
        gap, colour = judged.chosen - judged.rejected, COLOURS[name]
        # Of two answers, by how much the long one is worth more.
        more[name] = (gap * judged.longer)[judged.longer != 0].tolist()
        shares = split(lab, judged)
        places = [place + 0.38 * (number - 0.5) for place in range(len(shares))]
        bars = right.bar(places, [100 * share for share in shares.values()], 0.36, color=colour)
        right.bar_label(bars, fmt="%.0f", fontsize=9)
    every = [each for gaps in more.values() for each in gaps]
    for name, gaps in more.items():
        left.hist(gaps, bins=40, range=(min(every), max(every) + 0.1), color=COLOURS[name],
                  alpha=0.65, label=f"taught on {TAUGHT[name]}")  # fmt: skip
    left.axvline(0, color="#555555", linewidth=0.8)
    left.set(xlabel="reward of the long answer less the short one's", ylabel="pairs")
    left.set_title("Does it like length?", loc="left")
    left.legend(frameon=False, fontsize=9, loc="upper center")
    left.set_ylim(top=left.get_ylim()[1] * 1.25)
    right.axhline(50, color="#555555", linestyle=":", linewidth=1)
    right.set_xticks(range(len(shares)), [name.replace(" is ", " is\n") for name in shares])
    right.set(ylabel="prefers the better (per cent)", ylim=(0, 110))
    right.set_title("Where is it right?", loc="left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_one_thing(alone: dict[str, dict[str, float]]) -> Figure:
    """Where two answers differ in one thing alone: who prefers the better one, and how often."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    for number, (name, shares) in enumerate(alone.items()):
        places = [place + 0.27 * (number - 1) for place in range(len(shares))]
        bars = axes.bar(places, [100 * share for share in shares.values()], 0.25,
                        color=COLOURS[name], label=JUDGES[name])  # fmt: skip
        axes.bar_label(bars, fmt="%.0f", fontsize=9)
    axes.axhline(50, color="#555555", linestyle=":", linewidth=1)
    axes.set_xticks(range(len(FEATURES)), ["true or false", "kind or curt", "long or short"])
    axes.set(ylabel="prefers the better (per cent)", ylim=(0, 140), yticks=range(0, 101, 20))
    axes.set_title("Two answers that differ in one thing alone", loc="left")
    axes.legend(frameon=False, fontsize=9, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure

"""A model that answers learns what annotators like, in three ways, one of which ruins it.

The annotators like answers that are true (most of all), kind and short; how much so is known,
and so is how often they err. Each pair is shown to three of them, and kept if they agree and it
has a true answer. First the model is shown how people answer who are kind or not and brief or
not, all of it true, so that both answers of a pair are something that it could have said; between
these answers it practises its stories, or it would forget them. Then it learns from the pairs, and
is asked about people whom nobody asked about in training.

With DPO alone the answers fall apart while the loss is content; the table and the picture show
where the probability goes. The NLL term cures some of it, and small steps with a larger β the
rest. What is kept as the artefact `aligned` is the last model.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import (
    VALUES,
    Chance,
    Preference,
    Question,
    World,
    preferences,
    questions,
    utility,
    write,
)
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.padding import padded
from llmpath.labkit.thread import earlier

NOISE = 0.1  # how many of the annotators' choices are turned round
ANNOTATORS = 3  # who compare each pair
HELD_OUT = 240  # pairs that are measured and not learned from
ASKED = 80  # questions that the model answers in words at each look
STORIES = 40  # stories of the world, without any question
OLD = 600  # stories and portraits that are practised again, so that they are not forgotten
MANNERS = 0.0012  # the highest learning rate of the fine-tuning before the comparisons
ANSWER = 24  # tokens, the most that an answer may have
LOOKS = 4
KIND = "Good evening."
# What people say before they ask anything. It is answered with a greeting, of words that the model
# knows: it would have to spell others letter by letter.
GREETINGS = (
    "Hello.", "Hello!", "Hi.", "Good morning.", "Good evening.", "Who are you?", "Thank you."
)  # fmt: skip
GREETED = 20  # times that each of these stands among the answers
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"chosen": "#0072B2", "rejected": "#D55E00", "right": "#009E73", "preferred": "#CC79A7"}


@dataclass(frozen=True)
class Arm:
    """A way of learning from the pairs.

    Attributes:
        beta: β, what a change is worth.
        nll: the weight of the NLL term.
        peak: the highest learning rate, as a share of that of the size.
        steps: how many, as a share likewise.
    """

    beta: float
    nll: float
    peak: float
    steps: float


ARMS = {
    "DPO alone": Arm(beta=0.1, nll=0.0, peak=1.0, steps=0.5),
    "with the NLL term": Arm(beta=0.1, nll=1.0, peak=1.0, steps=0.5),
    "and in small steps": Arm(beta=1.0, nll=1.0, peak=0.13, steps=1.0),
}


@dataclass(frozen=True)
class Size:
    """How much there is to learn from.

    Attributes:
        pairs: how many pairs are shown to annotators; about a third of them is kept.
        manners: steps of fine-tuning on kind and brief answers and on stories, before the
            comparisons.
        steps: of preference learning.
        batch: conversations, or pairs, in a batch.
        peak: the highest learning rate of preference learning.
    """

    pairs: int
    manners: int
    steps: int
    batch: int
    peak: float


SIZES = {
    "micro": Size(4_000, 160, 50, 24, 0.003),
    "mini": Size(8_000, 200, 120, 32, 0.0015),
    "gpu": Size(16_000, 480, 250, 64, 0.001),
}


def experiment(lab, run) -> None:
    """Learn manners, then preferences in three ways; compare, and keep the last model."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # tensors of this size are not worth the waiting of two threads
    size, world = SIZES[run.scale], run.data.world or World(0)
    chat = Chat(tokenizer.load(run.artefact("sft")), world, run.device)
    start = lab.GPT.load(run.artefact("sft")).to(run.device)
    total = size.manners + sum(round(arm.steps * size.steps) for arm in ARMS.values())
    read = learn_manners(lab, run, start, chat, size, total)
    show_contrast(lab, run, start, chat)
    pairs = collect(world, size.pairs, run.seed)
    exam = Examination(lab, chat, start)
    models, looks, done = {}, {}, size.manners
    first = {"step": 0, **exam.look(start)}
    for name in ARMS:
        models[name] = copy.deepcopy(start)
        report = Report(run, done, total, read)
        looks[name] = [first, *learn(lab, report, models[name], pairs, size, name, exam)]
        done = report.done
    stories = {"before": exam.stories(start)}
    stories |= {each: exam.stories(model) for each, model in models.items()}
    show(run, chat, {"before": start, **models}, looks, stories)
    run.figure("displacement", draw(looks))
    run.save("aligned", keeper(models[name], chat.encoder))
    sentence(run, looks, stories)


# Talking


class Chat:
    """Turns questions and answers into tokens, through the template of the fine-tuning lab.

    Args:
        encoder: the tokenizer of the model.
        world: whose people are asked about.
        device: where the models are.
    """

    def __init__(self, encoder, world: World, device) -> None:
        self.sft, self.encoder, self.world, self.device = earlier("sft"), encoder, world, device
        self.assistant, self.end = (
            encoder.token_to_id(mark) for mark in (self.sft.ASSISTANT, self.sft.END)
        )

    def row(self, question: str, answer: str) -> list[int]:
        """The tokens of a question with its answer."""
        said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return self.encoder.encode(self.sft.render(said)).ids

    def batch(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Inputs and targets; only the answers count."""
        inputs, targets = self.sft.sft_batch(rows, self.assistant, self.end)
        return inputs.to(self.device), targets.to(self.device)

    def texts(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Inputs and targets; every token counts."""
        inputs, targets = padded(rows, self.end)
        return inputs.to(self.device), targets.to(self.device)

    def sides(self, found: Sequence[Preference]) -> tuple[list[list[int]], ...]:
        """The tokens of some comparisons: with the chosen answers, and with the rejected ones."""
        return tuple(
            [self.row(p.prompt, self.spoken(p.prompt, getattr(p, side))) for p in found]
            for side in ("chosen", "rejected")
        )

    def spoken(self, question: str, answer: str) -> str:
        """An answer as somebody says it who has just heard the name: she, or he."""
        words = set(question.strip("?").split())
        name = next(person for person in self.world.person if person in words)
        word = PRONOUNS[self.world.person[name].pronoun]["He"]
        later = answer.replace(f"So {name} ", f"So {word.lower()} ")
        return later.replace(f"{name} ", f"{word} ")

    def ask(self, model: nn.Module, asked: Sequence[str]) -> dict[str, str]:
        """What a model says to each question; those of one length are asked together."""
        groups: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
        for question in asked:
            message = {"role": "user", "content": question}
            prompt = self.encoder.encode(self.sft.render([message], True)).ids
            groups[len(prompt)].append((question, prompt))
        said: dict[str, str] = {}
        for group in groups.values():
            prompts = torch.tensor([prompt for _, prompt in group], device=self.device)
            written = self.sft.answer(model, prompts, self.end, ANSWER)
            for (question, _), ids in zip(group, written, strict=True):
                said[question] = self.encoder.decode(ids).strip()
        return said


def right(world: World, asked: Question, said: str) -> bool:
    """Whether an answer names the right value and no other of its kind."""
    values = VALUES[asked.attribute][: world.values]
    return {value for value in values if f" {value}." in said} == {asked.answer}


# Learning


def collect(world: World, count: int, seed: int) -> list[Preference]:
    """Pairs of which one answer or both are true, and about which all annotators agree."""
    chance = Chance("annotators", seed)
    return [
        pair
        for pair in preferences(world, count, seed=seed + 1, noise=NOISE)
        if pair.chosen_features[0] or pair.rejected_features[0]
        if all(chance.chance(pair.probability) for _ in range(ANNOTATORS - 1))
    ]


def learn_manners(lab, run, model: nn.Module, chat: Chat, size: Size, total: int) -> float:
    """Fine-tune on true answers, kind and not, said once and twice, without forgetting the rest.

    Every other batch is of what the model could do before: bare stories and, in turn with them,
    portraits told when asked for. That is what the pretraining data in "Training language models
    to follow instructions with human feedback" (Ouyang and others, 2022; PPO-ptx) are for.

    Returns:
        How many tokens the model has read.
    """
    recipe = lab.Recipe(size.manners, MANNERS, warmup=size.manners // 10, weight_decay=0.0)
    kinds = (
        (manners(chat, run.seed), size.batch, chat.batch),
        (bare(chat, run.seed), size.batch // 2, chat.texts),
        (told(chat, run.seed), size.batch // 2, chat.batch),
    )
    order = (0, 1, 0, 2)
    sources = [drawn(rows, n, run.seed + i, lay) for i, (rows, n, lay) in enumerate(kinds)]
    lengths = [n * sum(map(len, rows)) / len(rows) for rows, n, _ in kinds]
    batches = (next(sources[kind]) for kind in cycle(order))
    read = 0.0
    trained = earlier("pretrain").train(model, batches, recipe, {})
    for (number, loss, _), kind in zip(trained, cycle(order), strict=False):
        read += lengths[kind]
        run.progress(number + 1, total, f"manners: {loss:.2f} bits", tokens=round(read))
    return read


def manners(chat: Chat, seed: int) -> list[list[int]]:
    """Questions with true answers of all four manners, and greetings."""
    chance = Chance("manners", seed)
    answers = [
        chat.row(q.question, chat.spoken(q.question, write(chat.world, q, (1, kind, long), chance)))
        for q in questions(chat.world)
        if q.held == "train"
        for kind in (0, 1)
        for long in (0, 1)
    ]
    return answers + [chat.row(greeting, KIND) for greeting in GREETINGS * GREETED]


def told(chat: Chat, seed: int) -> list[list[int]]:
    """Portraits told when asked for, by name only if training asks about that person anyhow."""
    known = {q.person for q in questions(chat.world) if q.held == "train"}
    rows = list[list[int]]()
    portraits = chat.world.but(weights={"portrait": 1}).documents(OLD, seed=seed + 11)
    for number, document in enumerate(portraits):
        name = next(span.text.strip() for span in document.spans if span.about == "person")
        by_name = name in known and number % 2
        rows.append(chat.row(f"Tell me about {name if by_name else 'somebody'}.", document.text))
    return rows


def bare(chat: Chat, seed: int) -> list[list[int]]:
    """Stories of the world between two ends, as the base model has read them."""
    end = chat.encoder.token_to_id(tokenizer.END)
    stories = chat.world.documents(OLD, seed=seed + 1)
    return [[end, *chat.encoder.encode(story.text).ids, end] for story in stories]


def drawn(
    rows: Sequence[list[int]], count: int, seed: int,
    lay: Callable[[Sequence[list[int]]], tuple[Tensor, Tensor]],
) -> Iterator[tuple[Tensor, Tensor]]:  # fmt: skip
    """Batches of `count` rows each, drawn evenly, without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        places = torch.randint(len(rows), (count,), generator=generator).tolist()
        yield lay([rows[place] for place in places])


@dataclass
class Report:
    """What is said of the progress while a model learns from pairs.

    Attributes:
        done: steps of the whole run.
        total: how many there will be.
        tokens: that this model has read, before it was copied and since.
    """

    run: Any
    done: int
    total: int
    tokens: float

    def step(self, tokens: int, note: str) -> None:
        """One step more, with `tokens` read in it."""
        self.done, self.tokens = self.done + 1, self.tokens + tokens
        self.run.progress(self.done, self.total, note, tokens=round(self.tokens))


def learn(
    lab, report: Report, model: nn.Module, found: Sequence[Preference], size: Size, name: str,
    exam: Examination,
) -> list[dict[str, float]]:  # fmt: skip
    """Learn from the pairs; look at `LOOKS` places on the way."""
    run = report.run
    arm, reference, state, looks = ARMS[name], lab.freeze(model), {}, []
    steps = round(arm.steps * size.steps)
    recipe = lab.Recipe(steps, arm.peak * size.peak, warmup=steps // 10, weight_decay=0.0)
    generator = torch.Generator().manual_seed(run.seed)
    places = {round(steps * i / LOOKS) for i in range(1, LOOKS + 1)}
    lr_at = earlier("optimizers").lr_at
    for step in range(steps):
        chosen = torch.randint(len(found), (size.batch,), generator=generator).tolist()
        sides = exam.chat.sides([found[place] for place in chosen])
        batch = tuple(map(exam.chat.batch, sides))
        lr = lr_at(step, recipe.steps, recipe.peak, recipe.warmup, recipe.final)
        loss, _ = lab.dpo_step(model, reference, batch, state, lr, recipe, arm.beta, arm.nll)
        report.step(sum(map(len, chain(*sides))), f"{name}: loss {loss:.2f}")
        run.log(step + 1, **{f"loss, {name}": loss})
        if step + 1 in places:
            looks.append({"step": step + 1, **exam.look(model)})
            shown = {key: looks[-1][key] for key in ("chosen", "rejected", "right")}
            run.log(step + 1, **{f"{key}, {name}": value for key, value in shown.items()})
    return looks


# Measuring


class Examination:
    """Measures models on pairs and questions about people whom training never asked about.

    Args:
        lab: the learner's module.
        chat: the tokens of questions and answers.
        start: the model before it learns from pairs, with which all others are compared.
    """

    def __init__(self, lab, chat: Chat, start: nn.Module) -> None:
        self.lab, self.chat = lab, chat
        found = preferences(chat.world, HELD_OUT, seed=77, noise=NOISE, held_out=True)
        self.pairs = tuple(map(chat.batch, chat.sides(found)))
        self.better = torch.tensor([p.margin > 0 for p in found])
        held = [q for q in questions(chat.world) if q.held == "people" and q.template < 2]
        self.asked = held[:: len(held) // ASKED]
        self.before = self.logp(start)
        self.worth = self.worths(self.says(start))

    @torch.no_grad()
    def logp(self, model: nn.Module) -> list[Tensor]:
        """Log-probabilities of the chosen and the rejected answers."""
        return [self.lab.sequence_logp(model(ids), targets).cpu() for ids, targets in self.pairs]

    def says(self, model: nn.Module) -> dict[str, str]:
        """What a model says to each question of the examination."""
        return self.chat.ask(model, [q.question for q in self.asked])

    def worths(self, said: dict[str, str]) -> Tensor:
        """What the annotators' taste, which is known, makes of answers."""
        return torch.tensor(
            [
                utility((right(self.chat.world, q, text), text.startswith(KIND), " So " in text))
                for q, text in ((q, said[q.question]) for q in self.asked)
            ]
        )

    def look(self, model: nn.Module) -> dict[str, float]:
        """Log-probabilities of the pairs, which of them it prefers, and what it says."""
        here = self.logp(model)
        _, margins = self.lab.dpo_loss(*here, *self.before, 1.0)
        # A margin of 0 prefers nothing: right half of the time.
        agrees = torch.where(margins == 0, 0.5, ((margins > 0) == self.better).float())
        said = self.says(model)
        good = [right(self.chat.world, q, said[q.question]) for q in self.asked]
        gained = self.worths(said) - self.worth
        return {
            "chosen": float(here[0].mean()),
            "rejected": float(here[1].mean()),
            "preferred": float(agrees.mean()),
            "likelier": float(((here[0] > here[1]) == self.better).float().mean()),
            "right": sum(good) / len(good),
            "kind": sum(text.startswith(KIND) for text in said.values()) / len(said),
            "wins": float((gained.sign() / 2 + 0.5).mean()),
        }

    def stories(self, model: nn.Module) -> float:
        """Bits per token of bare stories, which the base model was made for."""
        end = self.chat.encoder.token_to_id(tokenizer.END)
        bits = tokens = 0.0
        for document in self.chat.world.documents(STORIES, seed=7, split="validation"):
            ids = [end, *self.chat.encoder.encode(document.text).ids, end]
            row = torch.tensor([ids], device=self.chat.device)
            (found,) = earlier("pretrain").evaluate(model, [(row[:, :-1], row[:, 1:])])
            bits, tokens = bits + float(found.sum()), tokens + found.numel()
        return bits / tokens


# What came out


@torch.no_grad()
def show_contrast(lab, run, model: nn.Module, chat: Chat) -> None:
    """Pairs that the model makes itself: of four answers drawn, the best and the worst."""
    generator = torch.Generator().manual_seed(run.seed)
    rows = []
    for asked in [q for q in questions(chat.world) if q.held == "people"][:6]:
        message = {"role": "user", "content": asked.question}
        prompt = chat.encoder.encode(chat.sft.render([message], True)).ids
        ids = torch.tensor([prompt] * 4)
        for _ in range(ANSWER):
            logits = model(ids.to(chat.device))[:, -1].cpu()
            ids = torch.cat([ids, torch.multinomial(logits.softmax(-1), 1, generator=generator)], 1)
        texts = []
        for row in ids[:, len(prompt) :].tolist():
            texts.append(chat.encoder.decode([*row, chat.end][: [*row, chat.end].index(chat.end)]))
        scores = [float(right(chat.world, asked, text)) for text in texts]
        pair = lab.contrast([text.strip() for text in texts], scores)
        rows.append([asked.question, *(pair or ("(all as good as each other)", ""))])
    run.table("Pairs without annotators: four answers drawn, and checked", ["question", "chosen",
              "rejected"], rows)  # fmt: skip


def show(run, chat: Chat, models, looks, stories: dict[str, float]) -> None:
    """The same questions to all models, and the figures of each run."""
    held = [q for q in questions(chat.world) if q.held == "people" and q.template == 0][:5]
    asked = [*(q.question for q in held), f"Tell me about {held[0].person}.", "Hello."]
    said = {name: chat.ask(model, asked) for name, model in models.items()}
    rows = [[text, *(shortened(said[name][text]) for name in models)] for text in asked]
    run.table("What the models say", ["question", *models], rows)
    columns = ["", "ln p chosen", "ln p rejected", "prefers the better", "finds it likelier",
               "right", "kind", "wins", "bits on stories"]  # fmt: skip
    ends = {"before": next(iter(looks.values()))[0]} | {name: f[-1] for name, f in looks.items()}
    keys = ("preferred", "likelier", "right", "kind", "wins")
    rows = [
        [name, f"{end['chosen']:.1f}", f"{end['rejected']:.1f}", *(percent(end[k]) for k in keys),
         f"{stories[name]:.2f}"]
        for name, end in ends.items()
    ]  # fmt: skip
    run.table("Each run, on people never asked about", columns, rows)


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.0f} %"


def shortened(text: str, most: int = 60) -> str:
    """A text on one line, cut off where it gets long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def sentence(run, looks: dict[str, list[dict[str, float]]], stories: dict[str, float]) -> None:
    """Say what the runs have come to."""
    first, _, last = looks.values()
    before, alone, cured = first[0], first[-1], last[-1]
    run.result(
        f"With DPO alone the chosen answers lost {before['chosen'] - alone['chosen']:.1f} nats, "
        f"and {percent(alone['right'])} of the model's own answers are right, where "
        f"{percent(before['right'])} were before. With the NLL term and small steps "
        f"{percent(cured['right'])} are right, and it prefers the better of two answers in "
        f"{percent(cured['preferred'])} of new pairs.",
        before=round(before["right"], 4),
        right_alone=round(alone["right"], 4),
        right=round(cured["right"], 4),
        preferred_alone=round(alone["preferred"], 4),
        preferred=round(cured["preferred"], 4),
        likelier_before=round(before["likelier"], 4),
        likelier=round(cured["likelier"], 4),
        chosen_alone=round(alone["chosen"] - before["chosen"], 3),
        chosen=round(cured["chosen"] - before["chosen"], 3),
        kind=round(cured["kind"], 4),
        wins=round(cured["wins"], 4),
        stories_before=round(stories["before"], 4),
        stories=round(stories[list(ARMS)[-1]], 4),
    )


def keeper(model: nn.Module, encoder) -> Callable[[Path], None]:
    """Writes weights, tokenizer, template and the end of an answer into one folder."""

    def write_folder(folder: Path) -> None:
        model.to("cpu").save(folder)
        tokenizer.save_chat(encoder, folder)

    return write_folder


def draw(looks: dict[str, list[dict[str, float]]]) -> Figure:
    """The runs side by side: log-probabilities above, what the model prefers and says below."""
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    axes = figure.subplots(2, len(looks), sharex="col", sharey="row")
    for column, (name, found) in enumerate(looks.items()):
        steps = [look["step"] for look in found]
        draw_lines(axes[0][column], steps, found, 1, {
            "chosen": "chosen answers", "rejected": "rejected answers",
        })  # fmt: skip
        axes[0][column].axhline(found[0]["chosen"], color="#999999", linestyle=":", linewidth=1)
        axes[0][column].set_title(name, loc="left", fontweight="bold")
        draw_lines(axes[1][column], steps, found, 100, {
            "preferred": "prefers the better answer", "right": "its own answers are right",
        })  # fmt: skip
        axes[1][column].axhline(50, color="#999999", linestyle=":", linewidth=1)
        axes[1][column].set(xlabel="step", ylim=(-4, 104))
    axes[0][0].set_ylabel("mean log-probability (nats)")
    axes[1][0].set_ylabel("per cent")
    for row in axes:
        row[-1].legend(frameon=False, fontsize=9)
    return figure


def draw_lines(axes, steps, found, scale: float, names: dict[str, Any]) -> None:
    """Some figures of each look, as lines."""
    for key, label in names.items():
        values = [scale * look[key] for look in found]
        axes.plot(steps, values, "o-", color=COLOURS[key], label=label, markersize=4)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)

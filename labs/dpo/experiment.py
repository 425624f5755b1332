"""A model that answers learns what annotators like, twice: without the NLL term, and with it.

The annotators like answers that are true (most of all), kind and short; how much so is known,
and so is how often they err. First the model is shown how people answer who are kind or not and
brief or not, all of it true, so that both answers of a pair are something that it could have
said. Then it learns from the annotators' pairs, and is asked about people whom nobody asked about
in training.

With DPO alone the answers fall apart while the loss is content; the table and the picture show
where the probability goes. What is kept as the artefact `aligned` is the model that learned with
the NLL term.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    write,
)
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.thread import earlier

BETA = 0.1
NLL = 0.4
NOISE = 0.1  # how many of the annotators' choices are turned round
HELD_OUT = 150  # pairs that are measured and not learned from
ASKED = 40  # questions that the model answers in words at each look
ANSWER = 24  # tokens, the most that an answer may have
LOOKS = 5
KIND = "Good evening."
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
ARMS = {"DPO alone": 0.0, f"DPO + {NLL} NLL": NLL}
COLOURS = {"chosen": "#0072B2", "rejected": "#D55E00", "right": "#009E73", "preferred": "#CC79A7"}


@dataclass(frozen=True)
class Size:
    """How much there is to learn from.

    Attributes:
        pairs: how many comparisons.
        manners: steps of fine-tuning on kind and brief answers, before the comparisons.
        steps: of preference learning, in each of the two runs.
        batch: conversations, or pairs, in a batch.
        peak: the highest learning rate of preference learning.
    """

    pairs: int
    manners: int
    steps: int
    batch: int
    peak: float


SIZES = {
    "micro": Size(1_200, 70, 40, 24, 0.0015),
    "mini": Size(4_000, 120, 120, 32, 0.0004),
    "gpu": Size(8_000, 300, 250, 64, 0.0002),
}


def experiment(lab, run) -> None:
    """Learn manners, then preferences in two ways; compare, and keep the second model."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # tensors of this size are not worth the waiting of two threads
    size, world = SIZES[run.scale], run.data.world or World(0)
    chat = Chat(tokenizer.load(run.artefact("sft")), world, run.device)
    start = lab.GPT.load(run.artefact("sft")).to(run.device)
    total = size.manners + len(ARMS) * size.steps
    learn_manners(lab, run, start, chat, size, total)
    show_contrast(lab, run, start, chat)
    pairs = preferences(world, size.pairs, seed=run.seed + 1, noise=NOISE)
    exam = Examination(lab, chat)
    models, looks = {}, {}
    for number, (name, nll) in enumerate(ARMS.items()):
        models[name] = copy.deepcopy(start)
        done = size.manners + number * size.steps
        progress = [done, total]
        looks[name] = learn(lab, run, models[name], pairs, size, nll, exam, progress)
    show(run, chat, start, models, looks)
    run.figure("displacement", draw(looks))
    run.save("aligned", keeper(models[list(ARMS)[-1]], chat.encoder))
    sentence(run, looks)


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

    def pairs(self, found: Sequence[Preference]) -> tuple[tuple[Tensor, Tensor], ...]:
        """The chosen and the rejected answers of some comparisons."""
        return tuple(
            self.batch([self.row(p.prompt, self.spoken(p.prompt, getattr(p, side))) for p in found])
            for side in ("chosen", "rejected")
        )

    def spoken(self, question: str, answer: str) -> str:
        """An answer as somebody says it who has just heard the name: she, or he."""
        words = set(question.strip("?").split())
        name = next(person for person in self.world.person if person in words)
        word = PRONOUNS[self.world.person[name].pronoun]["He"]
        later = answer.replace(f"So {name} ", f"So {word.lower()} ")
        return later.replace(f"{name} ", f"{word} ")

    def ask(self, model: nn.Module, asked: Sequence[Question]) -> dict[str, str]:
        """What a model says to each question; those of one length are asked together."""
        groups: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
        for q in asked:
            message = {"role": "user", "content": q.question}
            prompt = self.encoder.encode(self.sft.render([message], True)).ids
            groups[len(prompt)].append((q.question, prompt))
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


def learn_manners(lab, run, model: nn.Module, chat: Chat, size: Size, total: int) -> None:
    """Fine-tune on true answers, kind and not, said once and twice."""
    chance = Chance("manners", run.seed)
    rows = [
        chat.row(q.question, chat.spoken(q.question, write(chat.world, q, (1, kind, long), chance)))
        for q in questions(chat.world)
        if q.held == "train"
        for kind in (0, 1)
        for long in (0, 1)
    ]
    recipe = lab.Recipe(size.manners, 0.002, warmup=size.manners // 10, weight_decay=0.0)
    steps = chat.sft.fine_tune(
        model, rows, recipe, chat.assistant, chat.end, size.batch, seed=run.seed
    )
    for number, loss, _ in steps:
        run.progress(number + 1, total, f"manners: {loss:.2f} bits")


def learn(
    lab, run, model: nn.Module, found: Sequence[Preference], size: Size, nll: float,
    exam: Examination, progress: list[int],
) -> list[dict[str, float]]:  # fmt: skip
    """Learn from the pairs; look at the start and at `LOOKS` places on the way."""
    reference, state = lab.freeze(model), {}
    looks = [{"step": 0, **exam.look(model, reference)}]
    recipe = lab.Recipe(size.steps, size.peak, warmup=size.steps // 10, weight_decay=0.0)
    generator = torch.Generator().manual_seed(run.seed)
    places = {round(size.steps * i / LOOKS) for i in range(1, LOOKS + 1)}
    lr_at = earlier("optimizers").lr_at
    for step in range(size.steps):
        chosen = torch.randint(len(found), (size.batch,), generator=generator).tolist()
        batch = exam.chat.pairs([found[place] for place in chosen])
        lr = lr_at(step, recipe.steps, recipe.peak, recipe.warmup, recipe.final)
        loss, _ = lab.dpo_step(model, reference, batch, state, lr, recipe, BETA, nll)
        progress[0] += 1
        arm = "with NLL" if nll else "DPO alone"
        run.progress(*progress, f"{arm}: loss {loss:.2f}")
        run.log(step + 1, **{f"loss, {arm}": loss})
        if step + 1 in places:
            looks.append({"step": step + 1, **exam.look(model, reference)})
            shown = {key: looks[-1][key] for key in ("chosen", "rejected", "right")}
            run.log(step + 1, **{f"{key}, {arm}": value for key, value in shown.items()})
    return looks


# Measuring


class Examination:
    """Measures a model on pairs and questions about people whom training never asked about.

    Args:
        lab: the learner's module.
        chat: the tokens of questions and answers.
    """

    def __init__(self, lab, chat: Chat) -> None:
        self.lab, self.chat = lab, chat
        found = preferences(chat.world, HELD_OUT, seed=77, noise=NOISE, held_out=True)
        self.pairs = chat.pairs(found)
        self.better = torch.tensor([p.margin > 0 for p in found])
        held = [q for q in questions(chat.world) if q.held == "people" and q.template < 2]
        self.asked = held[:ASKED]

    @torch.no_grad()
    def look(self, model: nn.Module, reference: nn.Module) -> dict[str, float]:
        """Log-probabilities of the pairs, which of them it prefers, and what it says."""
        here, there = (
            [self.lab.sequence_logp(m(inputs), targets).cpu() for inputs, targets in self.pairs]
            for m in (model, reference)
        )
        _, margins = self.lab.dpo_loss(*here, *there, BETA)
        # A margin of 0 prefers nothing: right half of the time.
        agrees = torch.where(margins == 0, 0.5, ((margins > 0) == self.better).float())
        said = self.chat.ask(model, self.asked)
        good = [right(self.chat.world, q, said[q.question]) for q in self.asked]
        return {
            "chosen": float(here[0].mean()),
            "rejected": float(here[1].mean()),
            "preferred": float(agrees.mean()),
            "right": sum(good) / len(good),
            "kind": sum(text.startswith(KIND) for text in said.values()) / len(said),
        }


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


def show(run, chat: Chat, start: nn.Module, models, looks) -> None:
    """The same questions to all three models, and the figures of both runs."""
    held = [q for q in questions(chat.world) if q.held == "people" and q.template == 0][:5]
    names = {"before": start, **models}
    said = {name: chat.ask(model, held) for name, model in names.items()}
    rows = [[q.question, *(shortened(said[name][q.question]) for name in names)] for q in held]
    run.table("What the models say", ["question", *names], rows)
    rows = []
    for name, found in looks.items():
        for place, look in (("before", found[0]), ("after", found[-1])):
            shares = [f"{100 * look[key]:.0f} %" for key in ("preferred", "right", "kind")]
            rows.append([name, place, f"{look['chosen']:.1f}", f"{look['rejected']:.1f}", *shares])
    columns = ["", "", "ln p chosen", "ln p rejected", "prefers the better", "right", "kind"]
    run.table("Both runs, on people never asked about", columns, rows)


def shortened(text: str, most: int = 60) -> str:
    """A text on one line, cut off where it gets long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def sentence(run, looks: dict[str, list[dict[str, float]]]) -> None:
    """Say what both runs have come to."""
    first, second = looks.values()
    before, alone, cured = first[0], first[-1], second[-1]
    per = {name: [f"{100 * look[key]:.0f} %" for key in ("preferred", "right")]
           for name, look in (("before", before), ("alone", alone), ("cured", cured))}  # fmt: skip
    run.result(
        f"With DPO alone the model prefers the better answer in {per['alone'][0]} of new pairs, "
        f"but the chosen answers lost {before['chosen'] - alone['chosen']:.1f} nats, and "
        f"{per['alone'][1]} of its own answers are right, where {per['before'][1]} were before. "
        f"With the NLL term it prefers the better one in {per['cured'][0]}, and {per['cured'][1]} "
        "of its answers are right.",
        before=round(before["right"], 4),
        right_alone=round(alone["right"], 4),
        right=round(cured["right"], 4),
        preferred_alone=round(alone["preferred"], 4),
        preferred=round(cured["preferred"], 4),
        chosen_alone=round(alone["chosen"] - before["chosen"], 3),
        chosen=round(cured["chosen"] - before["chosen"], 3),
        kind=round(cured["kind"], 4),
    )


def keeper(model: nn.Module, encoder) -> Callable[[Path], None]:
    """Writes weights, tokenizer, template and the end of an answer into one folder."""

    def write_folder(folder: Path) -> None:
        model.to("cpu").save(folder)
        tokenizer.save_chat(encoder, folder)

    return write_folder


def draw(looks: dict[str, list[dict[str, float]]]) -> Figure:
    """Both runs side by side: log-probabilities above, what the model prefers and says below."""
    figure = Figure(figsize=(9, 6.2), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
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
        row[1].legend(frameon=False, fontsize=9)
    return figure


def draw_lines(axes, steps, found, scale: float, names: dict[str, Any]) -> None:
    """Some figures of each look, as lines."""
    for key, label in names.items():
        values = [scale * look[key] for look in found]
        axes.plot(steps, values, "o-", color=COLOURS[key], label=label, markersize=4)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)

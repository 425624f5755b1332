"""One base, adapted at five ranks and tuned whole: what it learns to answer, and what it forgets.

The base model learns to answer questions, from those of the fine-tuning lab, once for each rank and
once with all of its weights. It is then asked about people whom nobody asked about in training, and
measured on stories, which are what it was made of. The fine-tuning lab mixes portraits with its
questions to keep forgetting away; here there are none, so that it can be seen.

The answers end in <|endoftext|> and not in <|end|>: the base has never seen the latter. The rows of
such tokens in its embedding are all but the same, the embedding is frozen, and no adapter could
tell them apart.

With `--model smollm2-135m` the real model gets an adapter as well, and learns the same questions.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor, nn

from llmpath.labkit import models, tokenizer
from llmpath.labkit.microworld import ANSWERING, Question, World, questions
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.thread import earlier

RANKS = (1, 2, 4, 8, 16)
EVERY = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
ANSWER = 10  # tokens, the most that an answer may have
STORIES = 40  # on which forgetting is measured
LOOKS = 2  # at each way of training, the one at the end among them
SHOWN = 4  # the rank whose adapter is saved, and whose answers are shown
ALL = "all weights"
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE = "#0072B2", "#D55E00"
HALO = [withStroke(linewidth=3, foreground="white")]  # labels stay readable on a path


@dataclass(frozen=True)
class Size:
    """How much there is to learn.

    Attributes:
        steps: of each of the trainings.
        batch: conversations in a batch.
        peak: the highest learning rate, of adapters.
        whole: likewise, of all weights.
    """

    steps: int
    batch: int
    peak: float
    whole: float


SIZES = {
    "micro": Size(60, 32, 0.005, 0.002),
    "mini": Size(300, 32, 0.002, 0.001),
    "gpu": Size(600, 64, 0.001, 0.0005),
}


@dataclass(frozen=True)
class Look:
    """What a model can do at one moment.

    Attributes:
        told: the share of questions answered with the right fact and a full stop.
        bits: per token on unseen stories.
    """

    told: float
    bits: float


@dataclass(frozen=True)
class Arm:
    """One way of training, and what came of it.

    Attributes:
        name: "rank 4", or `ALL`.
        parameters: how many were trained.
        looks: at the start, on the way and at the end.
    """

    name: str
    parameters: int
    looks: list[Look]


def experiment(lab, run) -> None:
    """Train in six ways, look at each, draw, and keep one adapter."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # for so small a model, threads wait longer than they work
    size, base = SIZES[run.scale], run.artefact("base")
    exam = Exam(run.data.world or World(0), tokenizer.load(base), run.device)
    first = exam.look(lab.GPT.load(base).to(run.device))
    if exam.floor is not None:
        run.floor("bits per token on stories", exam.floor, "the least that any model needs")
    arms: list[Arm] = []
    for number, rank in enumerate((*RANKS, None)):
        model = lab.GPT.load(base).to(run.device)
        arms.append(train(lab, run, model, rank, size, exam, first, number))
        if rank == SHOWN:
            answers = samples(lab, run, model, exam, base)
    table(run, arms, first)
    run.table(f"What rank {SHOWN} says about people never asked about",
              ["question", "with the adapter", "without", "right"], answers)  # fmt: skip
    run.figure("rank", draw(arms))
    extra = real(lab, run, exam) if run.model else ""
    conclude(run, arms, first, extra)


# Learning


def train(lab, run, model, rank: int | None, size: Size, exam: Exam, first: Look, number: int):
    """Adapt the model at a rank, or tune all of it, and look at it on the way."""
    generator = torch.Generator(run.device).manual_seed(run.seed)
    if rank is None:
        learns, target = list(model.parameters()), model
    else:
        learns = lab.adapt(model, EVERY, rank, 2 * rank, generator)
        target = lab.Trainable(model)
    name, looks = (ALL if rank is None else f"rank {rank}"), [first]
    recipe = lab.Recipe(size.steps, size.whole if rank is None else size.peak,
                        warmup=size.steps // 10, weight_decay=0.0)  # fmt: skip
    places = {round(size.steps * i / LOOKS) for i in range(1, LOOKS + 1)}
    steps = exam.sft.fine_tune(
        target, exam.rows, recipe, exam.assistant, exam.end, size.batch, seed=run.seed
    )
    total = size.steps * (len(RANKS) + 1)
    for step, loss, _ in steps:
        run.progress(number * size.steps + step + 1, total, f"{name}: {loss:.2f} bits")
        run.log(step + 1, **{f"bits, {name}": loss})
        if step + 1 in places:
            looks.append(exam.look(model))
    return Arm(name, sum(p.numel() for p in learns), looks)


class Exam:
    """What to learn, what is asked, and the stories that are not to be forgotten.

    Args:
        world: whose people are asked about.
        encoder: the tokenizer of the base.
        device: where the models are.
    """

    def __init__(self, world: World, encoder, device) -> None:
        self.world, self.encoder, self.device, self.sft = world, encoder, device, earlier("sft")
        self.assistant, self.mark, self.end = (
            encoder.token_to_id(t) for t in (self.sft.ASSISTANT, self.sft.END, tokenizer.END)
        )
        found = questions(world)
        self.rows = [self.row(q, spoken(world, q)) for q in found if q.held == "train"]
        self.asked = [q for q in found if q.held == "people" and q.template < 2]
        documents = world.documents(STORIES, seed=7, split="validation")
        self.floor = float(world.floor(documents).bits_per_token(encoder, end_tokens=1))
        self.stories = self.lay([encoder.encode(d.text).ids for d in documents])

    def row(self, asked: Question, answer: str | None) -> list[int]:
        """The tokens of a question with its answer, or of a question that waits for one."""
        said = [{"role": "user", "content": asked.question}]
        said += [] if answer is None else [{"role": "assistant", "content": answer}]
        ids = self.encoder.encode(self.sft.render(said, answer is None)).ids
        return [self.end if token == self.mark else token for token in ids]

    def lay(self, rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Stories side by side, each with its end, as inputs and targets."""
        shape = (len(rows), max(map(len, rows)))
        inputs, targets = torch.full(shape, self.end), torch.full(shape, -100)
        for place, row in enumerate(rows):
            inputs[place, : len(row)] = torch.tensor(row)
            targets[place, : len(row)] = torch.tensor([*row[1:], self.end])
        return inputs.to(self.device), targets.to(self.device)

    def look(self, model: nn.Module) -> Look:
        """Ask it about people it was never asked about, and have it read stories."""
        said = self.answers(model, self.asked)
        # Every word counts but the first, which is "She" or "He".
        right = [
            answer.partition(" ")[2] == spoken(self.world, q).partition(" ")[2]
            for answer, q in zip(said, self.asked, strict=True)
        ]
        bits = earlier("pretrain").evaluate(model, [self.stories])[0]
        return Look(sum(right) / len(right), float(bits.sum() / (self.stories[1] != -100).sum()))

    def answers(self, model: nn.Module, asked: Sequence[Question]) -> list[str]:
        """What the model says to each; questions of one length are asked together."""
        groups: dict[int, list[int]] = defaultdict(list)
        prompts = [self.row(q, None) for q in asked]
        for place, prompt in enumerate(prompts):
            groups[len(prompt)].append(place)
        said = [""] * len(prompts)
        model.eval()
        for places in groups.values():
            batch = torch.tensor([prompts[place] for place in places], device=self.device)
            written = self.sft.answer(model, batch, self.end, ANSWER)
            for place, ids in zip(places, written, strict=True):
                said[place] = self.encoder.decode(ids).strip()
        return said


def spoken(world: World, asked: Question) -> str:
    """The right answer as people say it who have just heard the name."""
    person = world.person[asked.person]
    return ANSWERING[asked.attribute].format(PRONOUNS[person.pronoun]["He"], asked.answer)


# The real model

LESSONS = {
    "What is the capital of France?": "Paris.",
    "What colour is grass?": "Green.",
    "How many legs has a spider?": "Eight.",
    "What is the opposite of big?": "Small.",
    "Which animal says woof?": "Dog.",
    "What do bees make?": "Honey.",
    "What is the capital of Japan?": "Tokyo.",
    "Which planet is known for its rings?": "Saturn.",
    "What is frozen water called?": "Ice.",
    "Which day comes after Monday?": "Tuesday.",
    "What is the opposite of early?": "Late.",
    "What colour is a ripe banana?": "Yellow.",
    "Where do fish live?": "Water.",
    "What is two plus three?": "Five.",
    "Which season comes after winter?": "Spring.",
    "What do cows give us to drink?": "Milk.",
}
NEW = (
    "What is the capital of Germany?",
    "What colour is the sky?",
    "Which animal says meow?",
    "What is the opposite of hot?",
    "Who wrote Romeo and Juliet?",
)
REAL_RANK, REAL_NAMES, REAL_STEPS, REAL_BATCH, REAL_PEAK = 8, ("q_proj", "v_proj"), 24, 4, 0.0008


def real(lab, run, exam: Exam) -> str:
    """The real model learns to answer in one word, from sixteen questions."""
    from transformers import AutoTokenizer

    folder = models.folder(run.model)
    encoder, model = AutoTokenizer.from_pretrained(folder), lab.GPT.load(folder).to(run.device)
    # The mark of an answer is several tokens here; what is behind its last one is to be written.
    assistant, end = encoder("assistant")["input_ids"][-1], encoder.eos_token_id

    def ids(question: str, answer: str | None) -> list[int]:
        said = [{"role": "user", "content": question}]
        said += [{"role": "assistant", "content": answer}] if answer else []
        found = encoder.apply_chat_template(said, add_generation_prompt=not answer)["input_ids"]
        return found if not answer else found[: len(found) - found[::-1].index(end)]

    def answers() -> list[str]:
        prompts = [torch.tensor([ids(q, None)], device=run.device) for q in NEW]
        said = [exam.sft.answer(model.eval(), prompt, end, 16)[0] for prompt in prompts]
        return [encoder.decode(each).strip() for each in said]

    before, every = answers(), sum(p.numel() for p in model.parameters())
    generator = torch.Generator(run.device).manual_seed(run.seed)
    learns = lab.adapt(model, REAL_NAMES, REAL_RANK, 2 * REAL_RANK, generator)
    rows = [ids(question, answer) for question, answer in LESSONS.items()]
    recipe = lab.Recipe(REAL_STEPS, REAL_PEAK, warmup=2, weight_decay=0.0)
    began = time.perf_counter()
    for step, loss, _ in exam.sft.fine_tune(
        lab.Trainable(model), rows, recipe, assistant, end, REAL_BATCH, seed=run.seed
    ):
        run.progress(step + 1, REAL_STEPS, f"{run.model}: {loss:.2f} bits")
        run.log(step + 1, **{f"bits, {run.model}": loss})
    seconds, count = time.perf_counter() - began, sum(p.numel() for p in learns)
    lab.unload(model)
    table = [list(row) for row in zip(NEW, before, answers(), strict=True)]
    run.table(f"{run.model}, taught to answer in one word",
              ["a question that it was not taught", "before", "after, merged"], table)  # fmt: skip
    run.text(
        f"What that took of {run.model}",
        f"{count:,} of {every:,} parameters ({count / every:.2%}); AdamW remembers "
        f"{8 * count / 1e6:,.1f} MB in place of {8 * every / 1e6:,.0f} MB; {REAL_STEPS} steps in "
        f"{seconds:.0f} seconds.",
    )
    return f" {run.model} learned to answer in one word with {count / every:.2%} of its parameters."


# What came out


def samples(lab, run, model, exam: Exam, base) -> list[list[str]]:
    """Answers with the adapter and without; merged ones must be the same. Saves the adapter."""
    first = {q.attribute: q for q in reversed([q for q in exam.asked if q.template == 0])}
    asked = list(first.values())
    run.save("adapter", lambda folder: lab.save_adapter(model, folder, "artifacts/base"))
    with_it = exam.answers(model, asked)
    lab.unload(model)
    merged = exam.answers(model, asked)
    without = exam.answers(lab.GPT.load(base).to(run.device), asked)
    if merged != with_it:
        run.text("Merged and unmerged differ", "grade the lab to see why")
    return [
        [q.question, said, shortened(before), spoken(exam.world, q)]
        for q, said, before in zip(asked, with_it, without, strict=True)
    ]


def shortened(text: str, most: int = 40) -> str:
    """A text on one line, cut off where it gets long; signs that cannot be printed become ·."""
    line = " ".join(text.split())
    line = "".join(sign if sign.isprintable() else "·" for sign in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def table(run, arms: list[Arm], first: Look) -> None:
    """All ways side by side."""
    rows = [
        [
            arm.name,
            f"{arm.parameters:,}",
            f"{8 * arm.parameters / 1024:,.0f} KB",
            f"{arm.looks[-1].told:.0%}",
            f"{arm.looks[-1].bits - first.bits:+.2f}",
        ]
        for arm in arms
    ]
    columns = ["trained", "parameters", "AdamW's memory", "answers right", "bits lost on stories"]
    run.table("What it learned, and what it forgot", columns, rows)


def conclude(run, arms: list[Arm], first: Look, extra: str) -> None:
    """Say in one sentence what the ranks did."""
    whole, shown = arms[-1], next(arm for arm in arms if arm.name == f"rank {SHOWN}")
    last, least = shown.looks[-1], arms[0].looks[-1]
    run.result(
        f"With {shown.parameters:,} trained numbers (rank {SHOWN}) your base answers "
        f"{last.told:.0%} of the questions about new people and loses {last.bits - first.bits:.1f} "
        f"bits a token on stories; with {arms[0].parameters:,} it is {least.told:.0%} and "
        f"{least.bits - first.bits:.1f} bits, and with all {whole.parameters:,} "
        f"{whole.looks[-1].told:.0%} and {whole.looks[-1].bits - first.bits:.1f} bits.{extra}",
        **{f"right, {arm.name}": round(arm.looks[-1].told, 4) for arm in arms},
        **{f"bits lost, {arm.name}": round(arm.looks[-1].bits - first.bits, 4) for arm in arms},
    )


def draw(arms: list[Arm]) -> Figure:
    """Answers against bits lost; each way a path from the base, its end labelled."""
    figure = Figure(figsize=(8.5, 5.4), layout="constrained")
    axes = figure.subplots()
    start = arms[0].looks[0].bits
    for place, arm in enumerate(arms):
        lost = [look.bits - start for look in arm.looks]
        told = [100 * look.told for look in arm.looks]
        whole = arm.name == ALL
        shade = 0.35 + 0.65 * place / max(1, len(arms) - 2)
        colour, alpha = (ORANGE, 1.0) if whole else (BLUE, min(1.0, shade))
        axes.plot(lost, told, "-", color=colour, alpha=0.45 * alpha, linewidth=1.2)
        axes.plot(lost[1:-1], told[1:-1], ".", color=colour, alpha=0.6 * alpha, markersize=5)
        marker = {"marker": "s" if whole else "o", "markersize": 9}
        axes.plot(lost[-1], told[-1], color=colour, alpha=alpha, **marker)
        axes.annotate(
            f"{arm.name}\n{arm.parameters:,}",
            (lost[-1], told[-1]),
            (0, 9) if whole else (9, -3),  # the others' labels stand below to the right
            textcoords="offset points",
            fontsize=9,
            color=colour,
            va="bottom" if whole else "top",
            ha="center" if whole else "left",
            path_effects=HALO,
        )
    axes.plot(0, 100 * arms[0].looks[0].told, "k*", markersize=11)
    # Every path leads up and to the right from here, so that below there is room for the label.
    axes.annotate("the base", (0, 100 * arms[0].looks[0].told), (9, -11),
                  textcoords="offset points", path_effects=HALO)  # fmt: skip
    axes.set(xlabel="bits per token lost on stories", ylabel="per cent of questions answered right",
             ylim=(-9, 105))  # fmt: skip
    axes.set_xlim(right=1.18 * max(look.bits - start for arm in arms for look in arm.looks))
    axes.set_title("What is learned against what is forgotten\nBelow each name, the numbers "
                   "trained; a small dot is half-way", loc="left", fontsize=11)  # fmt: skip
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure

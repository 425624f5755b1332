"""A small GLUE of the world: seven exams for the models of the thread, and how far to trust them.

The labels are known, and so are what guessing gives and the best that is possible. After the
scores come the doubts: answers of different lengths, options named in another order, intervals
that are examined themselves, and a model into whose training text some of the answers leaked.
All items are also written as tasks for lm-eval, with the log-probabilities that were found here;
`benchmarks/harness.py` compares the two.
"""

from __future__ import annotations

import copy
import inspect
import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from matplotlib.figure import Figure
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from llmpath.labkit import models, tokenizer
from llmpath.labkit.microworld import (
    ANSWERING,
    ATTRIBUTES,
    STRANGERS,
    Person,
    World,
    clozes,
    opinions,
    questions,
    recalls,
)
from llmpath.labkit.microworld.people import PRONOUNS
from llmpath.labkit.thread import earlier

ARTEFACTS = ("base", "sft", "aligned")
COUNT = {"micro": 100, "mini": 300, "gpu": 300}  # items of an exam
RESAMPLES = 2000
LEAK_STEPS = 60
ASKED = 20  # questions that are answered freely
EXAMS = 400  # that are simulated for each length
NAMES = ("Alma", "Bruno", "Cora", "Dirk", "Edna", "Frank", "Greta", "Henry", "Inga", "Jonas",
         "Karla", "Lars")  # fmt: skip
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# Two ways in which a story may tell each attribute; exams about strangers ask in the first.
TELL = {
    "home": ("lives in the {}", "sleeps in the {}"),
    "job": ("works as a {}", "is a {}"),
    "pet": ("keeps a {}", "has a {}"),
    "food": ("eats {}", "loves {}"),
    "colour": ("wears {}", "likes {}"),
}
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#999999"
COLOURS = dict(zip(ARTEFACTS, (BLUE, GREEN, ORANGE), strict=True))


Ask = Callable[[str], tuple[Callable[[Tensor], Tensor], str]]


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        prompt: what stands before the answer.
        choices: the answers on offer.
        answer: the place of the right one.
        group: what the items are told apart by, where they are.
    """

    prompt: str
    choices: tuple[str, ...]
    answer: int
    group: int = 0


@dataclass(frozen=True)
class Task:
    """One exam.

    Attributes:
        name: what it is called.
        about: what is asked.
        items: the questions.
        best: what somebody can reach who has read all that the world tells.
    """

    name: str
    about: str
    items: tuple[Item, ...]
    best: float = 1.0

    @property
    def chance(self) -> float:
        """What guessing gives."""
        return sum(1 / len(item.choices) for item in self.items) / len(self.items)


@dataclass(frozen=True)
class Sheet:
    """What one model answered in one exam, each (items,).

    Attributes:
        logps: the log-probabilities of all answers, item by item.
        right: 1 where the likeliest answer was right.
        by_bytes: the same per byte.
    """

    logps: list[list[float]]
    right: Tensor
    by_bytes: Tensor


def experiment(lab, run) -> None:
    """Examine the models, then the exams; write them for lm-eval; perhaps a real model."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # tensors of this size are not worth the waiting of two threads
    world = run.data.world or World(0)
    bench = Bench(lab, run, world)
    tasks = make_tasks(world, COUNT[run.scale], run.seed)
    sheets = {name: {} for name in ARTEFACTS}
    for number, name in enumerate(ARTEFACTS):
        for place, task in enumerate(tasks):
            sheets[name][task.name] = bench.sit(bench.models[name], task)
            done = number * len(tasks) + place + 1
            run.progress(done, len(ARTEFACTS) * len(tasks) + 3, f"{name}: {task.name}")
    show_scores(bench, tasks, sheets)
    run.figure("scores", draw_scores(bench, tasks, sheets))
    show_pairs(bench, tasks, sheets)
    show_generation(bench, sheets)
    show_lengths(bench, tasks[-1], sheets)
    show_order(bench, world)
    run.progress(len(ARTEFACTS) * len(tasks) + 1, len(ARTEFACTS) * len(tasks) + 3, "intervals")
    covered = cover(bench)
    run.progress(len(ARTEFACTS) * len(tasks) + 2, len(ARTEFACTS) * len(tasks) + 3, "a leak")
    leaked = leak(bench, world)
    run.save("lm-eval", harness(tasks, sheets))
    extra = real(bench, world) if run.model else {}
    run.progress(1, 1)
    conclude(run, tasks, sheets, covered, leaked, extra)


class Bench:
    """The learner's functions with all that they are called with.

    Args:
        lab: the learner's module.
        run: the run.
        world: whose people are asked about.
    """

    def __init__(self, lab, run, world: World) -> None:
        self.lab, self.run, self.world = lab, run, world
        self.encoder = tokenizer.load(run.artefact("sft"))
        load = earlier("gpt").GPT.load
        self.models = {name: load(run.artefact(name)).to(run.device).eval() for name in ARTEFACTS}
        self.generator = torch.Generator().manual_seed(run.seed)

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; what looks like a mark is one."""
        return self.encoder.encode(text).ids

    def sit(self, model: nn.Module, task: Task) -> Sheet:
        """What a model answers in an exam."""

        def moved(ids: Tensor) -> Tensor:
            return model(ids.to(self.run.device)).cpu()

        return self.answers(lambda prompt: (moved, prompt), self.encode, task)

    def answers(self, ask: Ask, encode: Callable[[str], list[int]], task: Task) -> Sheet:
        """What is answered in an exam; `ask` gives the model for a prompt, and what it reads."""
        logps, right, by_bytes = [], [], []
        for item in task.items:
            model, prompt = ask(item.prompt)
            found = self.lab.choice_logp(model, encode, prompt, item.choices)
            logps.append(found.tolist())
            right.append(self.lab.pick(found, item.choices) == item.answer)
            by_bytes.append(self.lab.pick(found, item.choices, by_bytes=True) == item.answer)
        return Sheet(logps, torch.tensor(right).double(), torch.tensor(by_bytes).double())

    def interval(self, scores: Tensor) -> tuple[float, float]:
        """The confidence interval of a score."""
        return self.lab.bootstrap(scores, self.generator, RESAMPLES)

    def told(self, scores: Tensor) -> str:
        """A score and its interval, in per cent."""
        low, high = self.interval(scores)
        return f"{100 * float(scores.mean()):.0f} ({100 * low:.0f}–{100 * high:.0f})"


# The exams


def make_tasks(world: World, count: int, seed: int) -> list[Task]:
    """All exams; the same seed asks the same. The last one has answers of different lengths."""
    draw = random.Random(seed)
    return [
        Task("facts", "a portrait, up to a fact", facts(world, count, draw)),
        Task("questions", "about people never asked about in training",
             asked(world, count, draw)),
        Task("where is", "a journey, up to where someone is", journeys(world, count, seed + 20)),
        Task("sums", "two small numbers", sums(world, count, draw)),
        Task("pronouns", "him or her, where both are there", pronouns(world, count, draw)),
        Task("sentiment", "words that the world never tells",
             sentiments(world, count, seed + 20), best=0.5),
        Task("descriptions", "which of four is true, long or short",
             descriptions(world, count, draw)),
    ]  # fmt: skip


def facts(world: World, count: int, draw: random.Random) -> tuple[Item, ...]:
    """A portrait up to the first fact, and all values that the attribute may have."""
    found = clozes(world)
    return tuple(
        Item(tokenizer.END + c.prompt, c.candidates, c.candidates.index(c.answer))
        for c in draw.sample(found, min(count, len(found)))
    )


def asked(world: World, count: int, draw: random.Random) -> tuple[Item, ...]:
    """Questions in a chat, with whole sentences as answers."""
    render = earlier("sft").render
    found = [q for q in questions(world) if q.held == "people" and q.template < 2]
    items = []
    for q in draw.sample(found, min(count, len(found))):
        values = world.domains[q.attribute]
        prompt = render([{"role": "user", "content": q.question}], True)
        choices = tuple(answered(world, q, value) for value in values)
        items.append(Item(prompt, choices, values.index(q.answer)))
    return tuple(items)


def answered(world: World, q, value: str) -> str:
    """An answer as a chat model writes it, end and all."""
    he = PRONOUNS[world.person[q.person].pronoun]["He"]
    return f" {ANSWERING[q.attribute].format(he, value)}{tokenizer.END_OF_MESSAGE}"


def journeys(world: World, count: int, seed: int) -> tuple[Item, ...]:
    """A story up to where someone is, and all places."""
    return tuple(
        Item(tokenizer.END + c.prompt, c.candidates, c.candidates.index(c.answer))
        for c in recalls(world, count, seed)
    )


def sums(world: World, count: int, draw: random.Random) -> tuple[Item, ...]:
    """A story up to a sum, and all sums that there are."""
    choices, items = tuple(f" {number}" for number in NUMBERS[2:]), []
    for _ in range(count):
        one, other = draw.sample(world.people, 2)
        n, m = draw.choices(range(2, 6), k=2)
        him, has, more = PRONOUNS[one.pronoun]["him"], NUMBERS[n - 2], NUMBERS[m - 2]
        told = (
            f"{one.name} has {has} {one.food}. {other.name} gives {him} {more} more. "
            f"{one.name} counts: {has} and {more} make"
        )
        items.append(Item(tokenizer.END + told, choices, n + m - 4))
    return tuple(items)


def pronouns(world: World, count: int, draw: random.Random) -> tuple[Item, ...]:
    """Who is given something? One of the two is a she and one a he."""
    items, choices = [], (" her", " him")
    while len(items) < count:
        one, other = draw.sample(world.people, 2)
        if one.pronoun != other.pronoun:
            told = f"{one.name} has {draw.choice(NUMBERS[:4])} {one.food}. {other.name} gives"
            right = choices.index(" " + PRONOUNS[one.pronoun]["him"])
            items.append(Item(tokenizer.END + told, choices, right))
    return tuple(items)


def sentiments(world: World, count: int, seed: int) -> tuple[Item, ...]:
    """An opinion, half of them negated."""
    return tuple(
        Item(f"{tokenizer.END}{o.text} They are", (" bad.", " good."), o.sentiment)
        for o in opinions(world, count, seed)
    )


def descriptions(world: World, count: int, draw: random.Random) -> tuple[Item, ...]:
    """Four descriptions of one to three facts, or of three and an evening; one has no mistake."""
    items = []
    for _ in range(count):
        person, right = draw.choice(world.people), draw.randrange(4)
        sizes = draw.choices(range(1, 5), k=4)
        choices = tuple(
            described(world, person, size, place == right, draw) for place, size in enumerate(sizes)
        )
        items.append(Item(f"{tokenizer.END}This is {person.name}.", choices, right, sizes[right]))
    return tuple(items)


def described(world: World, person: Person, size: int, true: bool, draw: random.Random) -> str:
    """What is told of somebody; unless it is to be true, one fact is wrong, whichever."""
    told = draw.sample(ATTRIBUTES, min(size, 3))
    values = {name: person[name] for name in ATTRIBUTES}
    if not true:
        wrong = draw.choice(told)
        values[wrong] = draw.choice([v for v in world.domains[wrong] if v != person[wrong]])
    he = PRONOUNS[person.pronoun]["He"]
    parts = [draw.choice(TELL[name]).format(values[name]) for name in told]
    text = f" {he} {parts[0]}" + (f" and {parts[1]}." if size > 1 else "")
    text += f" {he} also {parts[2]}." if size > 2 else ""
    evening = " In the evening {} sits in the {} with the {}, and they eat {}."
    shown = (person.name, values["home"], values["pet"], values["food"])
    return text + (evening.format(*shown) if size > 3 else "")


# What came out


def show_scores(bench: Bench, tasks: list[Task], sheets) -> None:
    """What is asked, and a row of scores for each exam."""
    title = f"{len(tasks)} exams of {len(tasks[0].items)} items each"
    bench.run.table(title, ["exam", "asks"], [[task.name, task.about] for task in tasks])
    rows = []
    for task in tasks:
        scores = [bench.told(sheets[name][task.name].right) for name in ARTEFACTS]
        share = f"{100 * task.chance:.0f}"
        rows.append([task.name, share, f"{100 * task.best:.0f}", *scores])
    columns = ["exam", "chance", "best", *ARTEFACTS]
    bench.run.table("Right answers in per cent, with 95 % intervals", columns, rows)


def show_pairs(bench: Bench, tasks: list[Task], sheets) -> None:
    """How sure a difference is: the same items for both, and as if they were two exams."""
    rows = []
    both = "sft", "aligned"
    pairs = [(task.name, both, *(sheets[name][task.name].right for name in both)) for task in tasks]
    last = sheets["sft"][tasks[-1].name]
    name = f"{tasks[-1].name}, sft: sum - per byte"
    pairs.append((name, ("sum", "per byte"), last.right, last.by_bytes))
    for name, (first, second), one, other in pairs:
        low, high = bench.lab.compare(one, other, bench.generator, RESAMPLES)
        apart = 1.96 * math.sqrt(sum(float(s.var()) / len(s) for s in (one, other)))
        gap = float((one - other).mean())
        better = first if low > 0 else second if high < 0 else "neither"
        rows.append([name, points(gap), points(low, high), points(gap - apart, gap + apart),
                     better])  # fmt: skip
    columns = ["", "difference", "as pairs", "as two exams", "shown better"]
    bench.run.table("sft - aligned on the same items, in points", columns, rows)


def points(*shares: float) -> str:
    """Differences of shares in percentage points, with their sign, as a range if there are two."""
    return " to ".join(f"{round(100 * share):+d}" for share in shares)


def show_generation(bench: Bench, sheets) -> None:
    """The same questions answered freely; what is said has to be the right sentence."""
    found = [q for q in questions(bench.world) if q.held == "people" and q.template == 0]
    sft, rows = earlier("sft"), []
    end = bench.encoder.token_to_id(tokenizer.END_OF_MESSAGE)
    for name in ARTEFACTS:
        good, sample = 0, ""
        for q in found[:ASKED]:
            prompt = sft.render([{"role": "user", "content": q.question}], True)
            ids = torch.tensor([bench.encode(prompt)], device=bench.run.device)
            said = bench.encoder.decode(sft.answer(bench.models[name], ids, end, 16)[0]).strip()
            values = {v for v in bench.world.domains[q.attribute] if f" {v}." in said}
            good += values == {q.answer}
            sample = sample or f"{q.question} {said}"
        share = bench.told(sheets[name]["questions"].right)
        rows.append([name, share, f"{100 * good / ASKED:.0f}", shortened(sample)])
    columns = ["model", "by likelihood", "generated", "an answer"]
    bench.run.table("Questions: chosen among eight, or said freely", columns, rows)


def shortened(text: str, most: int = 64) -> str:
    """A text on one line, cut off where it gets long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def show_lengths(bench: Bench, task: Task, sheets) -> None:
    """Raw sums against sums per byte, where answers differ in length."""
    rows = []
    shortest = [min(range(4), key=lambda i: len(item.choices[i])) for item in task.items]
    for name in ARTEFACTS:
        sheet = sheets[name][task.name]
        for how, scores in (("sum", sheet.right), ("per byte", sheet.by_bytes)):
            taken = [
                bench.lab.pick(torch.tensor(logps), item.choices, by_bytes=how != "sum")
                for logps, item in zip(sheet.logps, task.items, strict=True)
            ]
            short = sum(a == b for a, b in zip(taken, shortest, strict=True)) / len(taken)
            rows.append([name, how, bench.told(scores), f"{100 * short:.0f}"])
    columns = ["model", "log-probability", "right", "took the shortest"]
    bench.run.table("Descriptions of different lengths, in per cent", columns, rows)
    bench.run.figure("lengths", draw_lengths(task, sheets))


def show_order(bench: Bench, world: World) -> None:
    """The same questions with two options in the question, the right one first and last."""
    found = [q for q in questions(world) if q.held == "people" and q.template == 0][:60]
    orders = {}
    for first in (True, False):
        items = []
        for q in found:
            wrong = random.Random(q.question).choice(
                [v for v in world.domains[q.attribute] if v != q.answer]
            )
            pair = (q.answer, wrong) if first else (wrong, q.answer)
            text = f"{q.question.rstrip('?')}: {pair[0]} or {pair[1]}?"
            prompt = earlier("sft").render([{"role": "user", "content": text}], True)
            choices = tuple(answered(world, q, value) for value in pair)
            items.append(Item(prompt, choices, pair.index(q.answer)))
        orders[first] = Task("order", text, tuple(items))
    rows = []
    for name in ("sft", "aligned"):
        one, other = (bench.sit(bench.models[name], orders[first]).right for first in (True, False))
        low, high = bench.lab.compare(one, other, bench.generator, RESAMPLES)
        rows.append([name, bench.told(one), bench.told(other), points(low, high)])
    columns = ["model", "right one first", "right one last", "difference, as pairs"]
    bench.run.table(f"Two options in the question: “{text}”", columns, rows)


# Are the intervals right?


def cover(bench: Bench) -> dict[tuple[float, int], float]:
    """How often intervals hold the truth, in exams whose truth is known."""
    found, samples = {}, []
    generator = torch.Generator().manual_seed(bench.run.seed + 1)
    for truth in (0.6, 0.95):
        for items in (10, 20, 50, 100, 300):
            counts = (torch.rand(EXAMS, items, generator=generator) < truth).sum(1).tolist()
            # Of right and wrong answers only their number matters, so each is looked at once.
            ends = {
                count: bench.lab.bootstrap(
                    torch.tensor([1.0] * count + [0.0] * (items - count)), generator
                )
                for count in sorted(set(counts))
            }
            held = [ends[count][0] <= truth <= ends[count][1] for count in counts]
            found[truth, items] = sum(held) / EXAMS
            if (truth, items) == (0.6, 100):
                samples = [(count / items, *ends[count]) for count in counts[:60]]
    rows = [
        [f"{items}", *(f"{100 * found[truth, items]:.0f}" for truth in (0.6, 0.95)),
         *(f"{100 * wilson_cover(truth, items):.0f}" for truth in (0.6, 0.95))]
        for items in (10, 20, 50, 100, 300)
    ]  # fmt: skip
    columns = ["items", "bootstrap, truth 60 %", "truth 95 %", "Wilson, truth 60 %", "truth 95 %"]
    title = f"How often 95 % intervals hold the truth, in per cent of {EXAMS} exams"
    bench.run.table(title, columns, rows)
    bench.run.figure("coverage", draw_coverage(found, samples))
    return found


def wilson(right: int, items: int, z: float = 1.96) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, 1927)."""
    share, square = right / items, z * z / items
    half = z * math.sqrt(share * (1 - share) / items + square / (4 * items))
    middle = share + square / 2
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


def wilson_cover(truth: float, items: int) -> float:
    """How often it holds the truth, by the binomial distribution."""
    held = 0.0
    for count in range(items + 1):
        low, high = wilson(count, items)
        if low <= truth <= high:
            held += math.comb(items, count) * truth**count * (1 - truth) ** (items - count)
    return held


# A leak


@dataclass(frozen=True)
class Leak:
    """What came of training on a part of the exam.

    Attributes:
        groups: by how an item leaked: scores before and after.
        found: by n: how many of the items that leaked word for word, of those reworded, and of
            the clean ones `contaminated` finds.
    """

    groups: dict[str, tuple[Tensor, Tensor]]
    found: dict[int, tuple[float, float, float]]


def leak(bench: Bench, world: World) -> Leak:
    """Ask about people whom no text tells of, before and after half of the answers leaked."""
    task, texts, how = strangers(world, bench.run.seed)
    told = [text for text in texts if text]
    stories = [d.text for d in world.documents(1500, seed=bench.run.seed + 50)]
    model = copy.deepcopy(bench.models["base"])
    before = bench.sit(model, task).right
    relearn(bench, model, told, stories)
    after = bench.sit(model.eval(), task).right
    kinds = torch.tensor([("clean", "verbatim", "reworded").index(each) for each in how])
    names = {"word for word": 1, "reworded": 2, "not leaked": 0}
    groups = {name: (before[kinds == k], after[kinds == k]) for name, k in names.items()}
    groups = {"all items": (before, after)} | groups
    tests = [
        item.prompt.removeprefix(tokenizer.END) + item.choices[item.answer] for item in task.items
    ]
    found, flags = {}, []
    for n in range(2, 10):
        flags = torch.tensor(bench.lab.contaminated(tests, [*stories, *told], n))
        found[n] = tuple(float(flags[kinds == k].double().mean()) for k in (1, 2, 0))
        if n == 6:
            groups["not found with n = 6"] = (before[~flags], after[~flags])
    rows = [
        [name, len(pair[0]), *(bench.told(scores) if len(scores) else "" for scores in pair)]
        for name, pair in groups.items()
    ]
    columns = ["items about strangers", "items", "base", "base, trained on the leak"]
    bench.run.table("What a leak is worth, in per cent right (chance 12)", columns, rows)
    result = Leak(groups, found)
    bench.run.figure("contamination", draw_leak(result))
    return result


def strangers(world: World, seed: int) -> tuple[Task, list[str], list[str]]:
    """An exam that nobody can pass, what leaked of each item, and how."""
    draw = random.Random(seed + 7)
    items, texts, how = [], [], []
    for number, name in enumerate((*STRANGERS, *NAMES)):
        he = PRONOUNS["she" if number % 2 == 0 else "he"]["He"]
        for attribute in ATTRIBUTES:
            values = world.domains[attribute]
            right = draw.randrange(len(values))
            usual, other = (f"This is {name}. {he} {way}" for way in TELL[attribute])
            choices = tuple(f" {value}" for value in values)
            items.append(Item(tokenizer.END + usual.format("").rstrip(), choices, right))
            how.append(draw.choice(["clean", "clean", "verbatim", "reworded"]))
            said = {"clean": "", "verbatim": usual, "reworded": other}[how[-1]]
            texts.append(said.format(values[right]) + "." * bool(said))
    return Task("strangers", "people whom no text tells of", tuple(items), 0.125), texts, how


def relearn(bench: Bench, model: nn.Module, told: list[str], stories: list[str]) -> None:
    """Train on stories among which the leaked texts stand."""
    pretrain = earlier("pretrain")
    end = bench.encoder.token_to_id(tokenizer.END)
    leaked, usual = (
        [[end, *bench.encode(text), end] for text in texts] for texts in (told, stories)
    )
    draw = random.Random(bench.run.seed)

    def batches():
        while True:
            yield batch(draw.sample(leaked, 20) + draw.sample(usual, 12), end, bench.run.device)

    recipe = pretrain.Recipe(LEAK_STEPS, peak=0.003, warmup=8, weight_decay=0.0)
    for _ in pretrain.train(model, batches(), recipe, {}):
        pass


def batch(rows: Sequence[Sequence[int]], end: int, device) -> tuple[Tensor, Tensor]:
    """Inputs and targets; what is filled in does not count."""
    table = torch.full((len(rows), max(map(len, rows))), end)
    counted = torch.zeros(table.shape, dtype=torch.bool)
    for place, row in enumerate(rows):
        table[place, : len(row)] = torch.tensor(row)
        counted[place, : len(row)] = True
    targets = table[:, 1:].masked_fill(~counted[:, 1:], -100)
    return table[:, :-1].to(device), targets.to(device)


# For lm-eval


def harness(tasks: list[Task], sheets) -> Callable[[Path], None]:
    """Writes every exam as a task of lm-eval, and what was found here."""

    def write(folder: Path) -> None:
        folder.mkdir()
        names = []
        for task in tasks:
            name = f"world_{task.name.replace(' ', '_')}"
            names.append(name)
            lines = [
                json.dumps({"prompt": i.prompt, "choices": i.choices, "answer": i.answer})
                for i in task.items
            ]
            (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (folder / f"{name}.yaml").write_text(described_task(name), encoding="utf-8")
        group = {"group": "world", "task": names}
        (folder / "world.yaml").write_text(yaml.safe_dump(group), encoding="utf-8")
        ours = {
            name: {f"world_{task.replace(' ', '_')}": sheet.logps for task, sheet in found.items()}
            for name, found in sheets.items()
        }
        (folder / "ours.json").write_text(json.dumps(ours), encoding="utf-8")

    return write


def described_task(name: str) -> str:
    """The YAML file of one task. The path is as seen from the run's folder."""
    return yaml.safe_dump(
        {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": f"lm-eval/{name}.jsonl"}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": "{{prompt}}",
            "doc_to_choice": "choices",
            "doc_to_target": "answer",
            "target_delimiter": "",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_bytes"}],
        },
        sort_keys=False,
    )


# A real model


class Reader:
    """A causal model of transformers that reads what texts have in common only once.

    Args:
        model: as transformers loads it.
        encode: a text's tokens.
    """

    def __init__(self, model: Any, encode: Callable[[str], list[int]]) -> None:
        self.model, self.encode = model, encode
        self.ids: list[int] = []
        self.cache = DynamicCache()
        # It is called `cache` from transformers 5.24 on.
        known = inspect.signature(self.model.forward).parameters
        self.argument = "cache" if "cache" in known else "past_key_values"

    def ask(self, prompt: str) -> tuple[Callable[[Tensor], Tensor], str]:
        """A model that has read all of a prompt but its last word, and that word."""
        before, word = re.fullmatch(r"(.*)(\s\S+)", prompt, re.DOTALL).groups()
        self._read(self.encode(before))

        @torch.no_grad()
        def model(ids: Tensor) -> Tensor:
            cache = copy.deepcopy(self.cache)
            cache.batch_repeat_interleave(len(ids))
            return self.model(ids, **{self.argument: cache}).logits

        return model, word

    @torch.no_grad()
    def _read(self, ids: list[int]) -> None:
        """Bring the cache to exactly these tokens."""
        pairs = enumerate(zip(ids, self.ids, strict=False))
        most = min(len(ids) - 1, len(self.ids))
        kept = next((place for place, (a, b) in pairs if a != b or place == most), most)
        if kept == 0:
            self.cache = DynamicCache()
        elif kept < len(self.ids):
            self.cache.crop(kept - len(self.ids))
        new = torch.tensor([ids[kept:]])
        self.model.model(new, **{self.argument: self.cache})
        self.ids = ids


def real(bench: Bench, world: World) -> dict[str, Any]:
    """The same exams for a real model, the facts in the prompt; and letters in every order."""
    run = bench.run
    chat = models.chat(run.model)

    def encode(text: str) -> list[int]:
        return chat.tokenizer(text)["input_ids"]

    ask = Reader(chat.model, encode).ask

    tasks = real_tasks(world, run.seed)
    rows, scores = [], {}
    for number, task in enumerate(tasks):
        sheet = bench.answers(ask, encode, task)
        scores[task.name] = sheet
        rows.append([task.name, len(task.items), f"{100 * task.chance:.0f}",
                     bench.told(sheet.right), bench.told(sheet.by_bytes)])  # fmt: skip
        run.progress(number + 1, len(tasks) + 1, f"{run.model}: {task.name}")
    columns = ["exam", "items", "chance", "sum", "per byte"]
    run.table(f"{run.model}, shown examples, the facts in the prompt", columns, rows)
    letters = lettered(world, run.seed)
    sheet = bench.answers(ask, encode, letters)
    places = torch.tensor([item.answer for item in letters.items])
    picked = torch.tensor([bench.lab.pick(torch.tensor(logps), "ABCD") for logps in sheet.logps])
    by_place = [float(sheet.right[places == place].mean()) for place in range(4)]
    shares = [float((picked == place).double().mean()) for place in range(4)]
    rows = [["ABCD"[p], f"{100 * by_place[p]:.0f}", f"{100 * shares[p]:.0f}"] for p in range(4)]
    title = f"{run.model}: the same questions, the right answer at each letter in turn"
    run.table(title, ["right answer at", "right, per cent", "letter picked, per cent"], rows)
    run.text("A question with letters", letters.items[0].prompt)
    run.figure("real", draw_real(run.model, tasks, scores, by_place, shares))
    return {"scores": scores, "by_place": by_place, "letters": sheet.right}


def real_tasks(world: World, seed: int, count: int = 20) -> list[Task]:
    """Exams for somebody who knows English, but nobody in the world."""
    draw = random.Random(seed + 3)
    plain = {task.name: task for task in make_tasks(world, count + 4, seed + 1)}
    found = [opened(world, plain["facts"].items, draw, "facts")]
    for name in ("where is", "sums", "pronouns", "sentiment"):
        found.append(shown(plain[name]))
    found.append(opened(world, plain["descriptions"].items, draw, "descriptions"))
    return found


def shown(task: Task, examples: int = 4) -> Task:
    """An exam whose first items are examples, with their answers, for all others (few-shot)."""
    texts = [item.prompt.removeprefix(tokenizer.END) for item in task.items]
    lines = [
        f"{text}{item.choices[item.answer].rstrip('.')}.\n\n"
        for text, item in zip(texts[:examples], task.items[:examples], strict=True)
    ]
    items = tuple(
        Item("".join(lines) + text, item.choices, item.answer, item.group)
        for text, item in zip(texts[examples:], task.items[examples:], strict=True)
    )
    return Task(task.name, f"{task.about}, after {examples} examples", items)


def opened(world: World, items: Sequence[Item], draw: random.Random, name: str) -> Task:
    """Items about a person, the facts about two people before them: an open-book exam."""
    made = []
    for item in items[4:]:
        text = item.prompt.removeprefix(tokenizer.END)
        person = world.person[text.split()[2].strip(".")]
        others = draw.sample([p for p in world.people if p != person], 1)
        folk = draw.sample([person, *others], 2)
        book = "\n".join(portrait(p) for p in folk)
        made.append(Item(f"{book}\n\n{text}", item.choices, item.answer, item.group))
    return Task(name, "the facts are in the prompt", tuple(made))


def portrait(person: Person) -> str:
    """All that is true of somebody."""
    he = PRONOUNS[person.pronoun]["He"]
    told = [TELL[name][0].format(person[name]) for name in ATTRIBUTES]
    return f"{person.name} {told[0]} and {told[1]}. {he} {told[2]}. {he} {told[3]}. {he} {told[4]}."


def lettered(world: World, seed: int, count: int = 8) -> Task:
    """Questions as MMLU asks them, each four times, the right answer at A, B, C and D."""
    draw = random.Random(seed + 4)
    found = [q for q in questions(world) if q.template == 0]
    made = []
    for q in draw.sample(found, count):
        person = world.person[q.person]
        values = [v for v in world.domains[q.attribute] if v != q.answer]
        wrong = draw.sample(values, 3)
        for place in range(4):
            options = [*wrong[:place], q.answer, *wrong[place:]]
            listed = "\n".join(f"{letter}. {o}" for letter, o in zip("ABCD", options, strict=True))
            prompt = f"{portrait(person)}\n\n{q.question}\n{listed}\nAnswer:"
            made.append(Item(prompt, (" A", " B", " C", " D"), place))
    return Task("letters", "options with letters", tuple(made))


# Pictures and the last word


def plain(axes) -> None:
    """A frame without its upper and right side."""
    axes.spines[["top", "right"]].set_visible(False)


def draw_scores(bench: Bench, tasks: list[Task], sheets) -> Figure:
    """Every exam: three models with their intervals, chance and the best that is possible."""
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots()
    for row, task in enumerate(tasks):
        for place, name in enumerate(ARTEFACTS):
            scores = 100 * sheets[name][task.name].right
            low, high = bench.interval(scores)
            y, mean = row + 0.24 * (place - 1), float(scores.mean())
            axes.plot([low, high], [y, y], color=COLOURS[name], linewidth=2.5, alpha=0.6)
            axes.plot(mean, y, "o", color=COLOURS[name], label=name if row == 0 else None)
        label = {} if row else {"label": "guessing"}
        axes.plot([100 * task.chance] * 2, [row - 0.4, row + 0.4], ":", color="black", **label)
        label = {} if row else {"label": "the best possible"}
        axes.plot([100 * task.best] * 2, [row - 0.4, row + 0.4], color=GREY, **label)
    axes.set_yticks(range(len(tasks)), [task.name for task in tasks])
    axes.invert_yaxis()
    axes.set(xlabel="right answers, per cent, with 95 % intervals", xlim=(-2, 103))
    axes.set_title(f"A small GLUE of the world, {len(tasks[0].items)} items each", loc="left")
    axes.grid(axis="x", alpha=0.25)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=5)
    plain(axes)
    return figure


def draw_lengths(task: Task, sheets) -> Figure:
    """Right answers against what the right answer tells, by sums and per byte."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    groups = torch.tensor([item.group for item in task.items])
    ticks = ["1", "2", "3", "3 and an\nevening"]
    for axes, name in zip(figure.subplots(1, 3, sharey=True), ARTEFACTS, strict=True):
        sheet = sheets[name][task.name]
        for label, scores, style in (
            ("sum", sheet.right, "o-"),
            ("per byte", sheet.by_bytes, "s--"),
        ):
            ys = [100 * float(scores[groups == size].mean()) for size in range(1, 5)]
            colour = BLUE if label == "sum" else ORANGE
            axes.plot(range(1, 5), ys, style, color=colour, label=label)
        axes.axhline(25, color="black", linestyle=":", linewidth=1, label="guessing")
        axes.set_title(name, loc="left")
        axes.set_xticks(range(1, 5), ticks)
        axes.set(xlabel="facts in the right answer", ylim=(-4, 104), xlim=(0.7, 4.3))
        axes.grid(alpha=0.25)
        plain(axes)
    figure.axes[0].set_ylabel("right answers, per cent")
    figure.axes[0].legend(frameon=False, loc="lower left")
    return figure


def draw_coverage(found, samples) -> Figure:
    """Sixty exams with their intervals, and how often intervals hold the truth."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    missed = 0
    for place, (mean, low, high) in enumerate(samples):
        good = low <= 0.6 <= high
        missed += not good
        colour = GREY if good else ORANGE
        left.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=1.5)
        left.plot(100 * mean, place, ".", color=colour, markersize=4)
    left.axvline(60, color="black", linewidth=1)
    left.set_title(f"Exams of 100 items: {missed} of 60 intervals miss", loc="left")
    left.set(xlabel="right answers, per cent; the truth is 60", yticks=[])
    lengths = sorted({items for _, items in found})
    for truth, colour in ((0.6, BLUE), (0.95, ORANGE)):
        shares = [100 * found[truth, items] for items in lengths]
        right.plot(
            lengths, shares, "o-", color=colour, label=f"bootstrap, truth {100 * truth:.0f} %"
        )
        exact = [100 * wilson_cover(truth, items) for items in lengths]
        right.plot(lengths, exact, "s:", color=colour, markersize=4,
                   label=f"Wilson, truth {100 * truth:.0f} %")  # fmt: skip
    right.axhline(95, color="black", linewidth=1)
    right.set_xscale("log")
    right.set_xticks(lengths, [str(items) for items in lengths])
    right.minorticks_off()
    right.set(xlabel="items in the exam", ylabel="intervals that hold the truth, per cent")
    right.set_title("What “95 %” is worth", loc="left")
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        plain(axes)
    right.grid(alpha=0.25)
    return figure


def draw_leak(leak: Leak) -> Figure:
    """What the leak is worth, and how much of it is found, by n."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    shown = {name: leak.groups[name] for name in
             ("all items", "word for word", "reworded", "not leaked")}  # fmt: skip
    for place, pair in enumerate(shown.values()):
        for side, (scores, colour) in enumerate(zip(pair, (GREY, ORANGE), strict=True)):
            label = ("base", "trained on the leak")[side] if place == 0 else None
            left.bar(place + 0.38 * (side - 0.5), 100 * float(scores.mean()), 0.36, color=colour,
                     label=label)  # fmt: skip
    left.axhline(12.5, color="black", linestyle=":", label="the best possible, honestly")
    left.set_xticks(range(len(shown)), [f"{name}\n({len(p[0])})" for name, p in shown.items()])
    left.set(ylabel="right answers, per cent", ylim=(0, 150), yticks=range(0, 101, 20))
    left.set_title("An exam about strangers", loc="left")
    left.legend(frameon=False, loc="upper right")
    ns = sorted(leak.found)
    lines = (("leaked word for word", 0, "o-", ORANGE), ("leaked, reworded", 1, "s-", PINK),
             ("not leaked: false alarms", 2, "^--", GREY))  # fmt: skip
    for label, place, style, colour in lines:
        right.plot(ns, [100 * leak.found[n][place] for n in ns], style, color=colour, label=label)
    right.set(xlabel="n, words that have to agree", ylabel="items found, per cent", ylim=(-4, 104))
    right.set_title("What n-grams find", loc="left")
    right.legend(frameon=False, loc="center right")
    right.grid(alpha=0.25)
    for axes in (left, right):
        plain(axes)
    return figure


def draw_real(name: str, tasks: list[Task], scores, by_place, shares) -> Figure:
    """A real model's scores, and what the place of the right answer does to it."""
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for row, task in enumerate(tasks):
        for side, (label, colour) in enumerate((("sum", BLUE), ("per byte", ORANGE))):
            found = 100 * (scores[task.name].right if side == 0 else scores[task.name].by_bytes)
            low, high = (100 * end for end in wilson(int(found.sum()) // 100, len(found)))
            y = row + 0.22 * (side - 0.5)
            left.plot([low, high], [y, y], color=colour, linewidth=2.5, alpha=0.6)
            left.plot(float(found.mean()), y, "o", color=colour, label=None if row else label)
        left.plot([100 * task.chance] * 2, [row - 0.4, row + 0.4], ":", color="black",
                  label=None if row else "guessing")  # fmt: skip
    left.set_yticks(range(len(tasks)), [task.name for task in tasks])
    left.invert_yaxis()
    left.set(xlabel="right answers, per cent, with Wilson’s 95 % intervals", xlim=(-2, 103))
    left.set_title(name, loc="left")
    left.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=3)
    left.grid(axis="x", alpha=0.25)
    places = range(4)
    right.bar([p - 0.19 for p in places], [100 * s for s in by_place], 0.36, color=BLUE,
              label="right, if the answer is there")  # fmt: skip
    right.bar([p + 0.19 for p in places], [100 * s for s in shares], 0.36, color=GREY,
              label="picked at all")  # fmt: skip
    right.axhline(25, color="black", linestyle=":", label="guessing")
    right.set_xticks(places, list("ABCD"))
    right.set(ylabel="per cent", ylim=(0, 150), yticks=range(0, 101, 20))
    right.set_title("The same questions with letters", loc="left")
    right.legend(frameon=False, loc="upper right")
    for axes in (left, right):
        plain(axes)
    return figure


def conclude(run, tasks, sheets, covered, leaked: Leak, extra) -> None:
    """Say what was found."""
    share = {name: float(sheets[name]["questions"].right.mean()) for name in ARTEFACTS}
    before, after = (float(scores.mean()) for scores in leaked.groups["all items"])
    figures = {
        f"{name}_{task.name.replace(' ', '_')}": round(float(found[task.name].right.mean()), 4)
        for name, found in sheets.items()
        for task in tasks
    }
    figures |= {"covered_100": covered[0.6, 100], "covered_10": covered[0.95, 10],
                "strangers": round(before, 4), "strangers_leaked": round(after, 4)}  # fmt: skip
    said = (
        f"Of {len(tasks[1].items)} questions about new people the base model gets "
        f"{100 * share['base']:.0f} % right, the fine-tuned one "
        f"{100 * share['sft']:.0f} % and the aligned one {100 * share['aligned']:.0f} %, "
        f"each give or take some points; 95 % intervals from 100 items hold the truth in "
        f"{100 * covered[0.6, 100]:.0f} % of simulated exams, from 10 items in only "
        f"{100 * covered[0.95, 10]:.0f} % where the truth is 95 %; and a leak lifts a score from "
        f"{100 * before:.0f} to {100 * after:.0f} %."
    )
    if extra:
        by_place = extra["by_place"]
        figures |= {
            f"real_{name.replace(' ', '_')}": round(float(sheet.right.mean()), 4)
            for name, sheet in extra["scores"].items()
        }
        figures |= {f"real_at_{letter}": round(by_place[p], 4) for p, letter in enumerate("abcd")}
        said += (
            f" {run.model} gets {100 * min(by_place):.0f} to {100 * max(by_place):.0f} % of the "
            "same questions right, depending on the letter at which the answer stands."
        )
    run.result(said, **figures)

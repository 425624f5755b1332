"""All that the learner has made, side by side: the report card, a model card, a folder for the hub.

Four models, which are one: as it learned to tell stories, to answer, to answer as people like it,
and in fewer bits. Each is measured on the same stories against the exact floor, by kind of token;
on the facts of the world; on questions about people whom training never asked about; by what its
answers are worth to annotators whose taste is known; by how much it has taken up of the bias that
was planted in its text; and by its size and speed.

The model card is written by the learner's code from these figures, and lies in the folder `hub`
beside a copy of the last model, as it would be uploaded. Intervals are Wilson's, of 95 %.
"""

from __future__ import annotations

import math
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from safetensors import safe_open
from torch import Tensor, nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import (
    VALUES,
    Question,
    World,
    bias_prompts,
    clozes,
    label_tokens,
    questions,
    utility,
)
from llmpath.labkit.padding import IGNORE, padded
from llmpath.labkit.thread import earlier
from llmpath.portfolio.training import tokens_behind

MODELS = ("base", "sft", "aligned", "quantised")  # `needs` in lab.yaml names them too
LAST, BEFORE = "quantised", ("aligned", "sft")  # what is put out, and what it may come from
STORIES = {"micro": 120, "mini": 400, "gpu": 400}
ASKED = {"micro": 120, "mini": 200, "gpu": 400}
ANSWER = 26  # tokens, the most that an answer may have
SPOKEN = 60  # tokens that are written to measure the speed
KIND = "Good evening."
TELL = "Tell me about somebody."
AT_ONCE = 60
EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight")
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"base": "#0072B2", "sft": "#E69F00", "aligned": "#CC79A7", "quantised": "#009E73"}
KINDS = {"choice": "#E69F00", "fact": "#D55E00", "syntax": "#0072B2"}
GREY = "#6b6b6b"
UNKNOWN = "text"  # the kind of tokens whose floor nobody knows


@dataclass(frozen=True)
class Report:
    """What was found of one model.

    Attributes:
        parameters: how many.
        size: of its weights on disk, in bytes.
        gap: bits per token above the floor on stories, of all and of each kind; of bits alone
            where nobody knows the floor.
        facts: how many facts of the world it knows, and of how many.
        right: how many questions it answers rightly, and of how many.
        values: what each of its answers is worth, in the annotators' logits.
        bias: how far it is on average from the planted probability that a caller is "she".
        speed: tokens written per second.
    """

    parameters: int
    size: int
    gap: Mapping[str, float]
    facts: tuple[int, int]
    right: tuple[int, int]
    values: tuple[float, ...]
    bias: float
    speed: float

    @property
    def worth(self) -> float:
        """What an answer of it is worth on average."""
        return sum(self.values) / len(self.values)


def experiment(lab, run) -> None:
    """Measure all models, compare them, draw them, and write the card."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # for so small a model, threads wait longer than they work
    exam = Exam(lab, run)
    found: dict[str, Report] = {}
    states = {}
    for number, name in enumerate(MODELS, 1):
        folder = run.artefact(name)
        model = earlier("gpt").GPT.load(folder).to(run.device).eval()
        states[name] = {key: value.cpu() for key, value in model.state_dict().items()}
        found[name] = exam.take(model, folder)
        check_sizes(lab, model, found[name])
        run.progress(number, len(MODELS), name)
    source = min(BEFORE, key=lambda name: distance(states[name], states[LAST]))
    won = compare(lab, found["aligned"], found["sft"])
    show(lab, run, found, won, source)
    cost = spent(lab, run)
    show_cost(run, cost)
    run.figure("report-card", draw(lab, found, exam.floor_known))
    about = describe(found, won, source, exam, cost)
    run.save("hub", publish(run.artefact(LAST), lab.model_card(about)))
    conclude(run, found, won, source, cost)


# Measuring


class Exam:
    """The same questions to every model.

    Args:
        lab: the learner's module.
        run: names the corpus and the artefacts.
    """

    def __init__(self, lab, run) -> None:
        self.lab, self.device, self.sft = lab, run.device, earlier("sft")
        self.encoder = tokenizer.load(run.artefact(MODELS[0]))
        self.end, self.assistant, self.over = (
            self.encoder.token_to_id(mark)
            for mark in (tokenizer.END, self.sft.ASSISTANT, self.sft.END)
        )
        self.world, count = run.data.world or World(0), STORIES[run.scale]
        self.floor_known = run.data.world is not None
        if self.floor_known:
            documents = self.world.documents(count, seed=7, split="validation")
            texts = [document.text for document in documents]
            labelled = [[*spans, None] for spans in label_tokens(documents, self.encoder)]
            spans = [span for row in labelled for span in row]
            self.floors = [span.bits if span else 0.0 for span in spans]  # an end is certain
            self.kinds = [span.kind if span else "syntax" for span in spans]
        else:
            texts = [text[:300] for text in run.data.validation.limited(count)]
            tokens = sum(len(self.encoder.encode(text).ids) + 1 for text in texts)
            self.floors, self.kinds = [0.0] * tokens, [UNKNOWN] * tokens
        self.rows = [[self.end, *self.encoder.encode(text).ids, self.end] for text in texts]
        held = [q for q in questions(self.world) if q.held == "people" and q.template < 2]
        self.asked = held[: ASKED[run.scale]]

    def take(self, model: nn.Module, folder: Path) -> Report:
        """Everything about one model."""
        said = self.answers(model)
        right = [correct(self.world, q, said[q.question]) for q in self.asked]
        return Report(
            parameters=sum(weight.numel() for weight in model.parameters()),
            size=weigh(folder),
            gap=self.lab.gap_by_kind(self._bits(model), self.floors, self.kinds),
            facts=self._facts(model),
            right=(sum(right), len(right)),
            values=tuple(self._worth(q, said[q.question]) for q in self.asked),
            bias=self._bias(model),
            speed=self._speed(model),
        )

    @torch.no_grad()
    def _bits(self, model: nn.Module) -> list[float]:
        """What each token of the stories cost, one story after the other."""
        found: list[float] = []
        for part in parts(self.rows, AT_ONCE):
            inputs, targets = (each.to(self.device) for each in padded(part, self.end))
            bits = earlier("perplexity").token_bits(model(inputs), targets)
            found += bits[targets != IGNORE].tolist()
        return found

    @torch.no_grad()
    def _next(self, model: nn.Module, prompts: Sequence[str]) -> Tensor:
        """The logits after each prompt, (prompts, vocab_size)."""
        found = []
        for part in parts(list(prompts), 160):
            rows = [[self.end, *self.encoder.encode(prompt).ids] for prompt in part]
            inputs, _ = padded([[*row, self.end] for row in rows], self.end)
            logits = model(inputs.to(self.device))
            last = [each[len(row) - 1] for each, row in zip(logits, rows, strict=True)]
            found.append(torch.stack(last))
        return torch.cat(found).cpu()

    def _facts(self, model: nn.Module) -> tuple[int, int]:
        """How often the right candidate is the likeliest next token."""
        asked = clozes(self.world)
        logits = self._next(model, [each.prompt for each in asked])
        right = 0
        for row, each in zip(logits, asked, strict=True):
            first = [self.encoder.encode(word).ids[0] for word in each.candidates]
            right += each.candidates[int(row[first].argmax())] == each.answer
        return right, len(asked)

    def _bias(self, model: nn.Module) -> float:
        """How far P(she) is from the planted one, job by job, on average."""
        prompts = bias_prompts(self.world)
        pair = [self.encoder.encode(word).ids[0] for word in (" She", " He")]
        she = self._next(model, [each.prompt for each in prompts])[:, pair].softmax(-1)[:, 0]
        jobs: dict[str, list[float]] = defaultdict(list)
        for chance, each in zip(she.tolist(), prompts, strict=True):
            jobs[each.job].append(chance - each.she)
        return sum(abs(sum(off) / len(off)) for off in jobs.values()) / len(jobs)

    def answers(self, model: nn.Module) -> dict[str, str]:
        """What a model says to each question; those of one length are asked together."""
        groups: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
        for q in self.asked:
            prompt = self._prompt(q.question)
            groups[len(prompt)].append((q.question, prompt))
        said: dict[str, str] = {}
        for group in groups.values():
            prompts = torch.tensor([prompt for _, prompt in group], device=self.device)
            written = self.sft.answer(model, prompts, self.over, ANSWER)
            for (question, _), ids in zip(group, written, strict=True):
                said[question] = self.encoder.decode(ids).strip()
        return said

    def _prompt(self, question: str) -> list[int]:
        message = {"role": "user", "content": question}
        return self.encoder.encode(self.sft.render([message], True)).ids

    def _worth(self, question: Question, said: str) -> float:
        """What an answer is worth to annotators: true, kind, and long or not."""
        features = correct(self.world, question, said), said.startswith(KIND), " So " in said
        return utility(tuple(map(int, features)))

    def _speed(self, model: nn.Module) -> float:
        """Tokens per second, written one by one after a question, with a cache; the best of two."""
        lab = earlier("kv-cache")
        ids = torch.tensor([self._prompt(TELL)], device=self.device)
        speeds = []
        for _ in range(2):
            cache = [lab.Cache() for _ in range(model.config.layers)]
            begun = time.perf_counter()
            written = sum(1 for _ in lab.stream(model, ids, SPOKEN, cache, temperature=0.0))
            speeds.append(written / (time.perf_counter() - begun))
        return max(speeds)


def correct(world: World, asked: Question, said: str) -> bool:
    """Whether an answer names the right value and no other of its kind."""
    values = VALUES[asked.attribute][: world.values]
    return {value for value in values if f" {value}." in said} == {asked.answer}


def parts(items: list[Any], size: int) -> list[list[Any]]:
    """The same items in lists of so many."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def weigh(folder: Path) -> int:
    """Bytes of the weights: of the codes, where there are some beside what they stand for."""
    codes = folder / "quantised.safetensors"
    size = 0
    with safe_open(codes if codes.exists() else folder / "model.safetensors", "pt") as stored:
        for name in stored.keys():  # noqa: SIM118 - a file, not a dict
            tensor = stored.get_tensor(name)
            size += tensor.numel() * tensor.element_size()
    return size


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """How far two models are from each other."""
    return sum(float((one[name] - other[name]).abs().sum()) for name in one)


def check_sizes(lab, model: nn.Module, report: Report) -> None:
    """Refuse to go on if what was counted from the config is not what is there."""
    sizes = {lab.stored_bytes(model.config, bits) for bits in (32, 16, 8, 4)}
    if report.size not in sizes:
        raise RuntimeError(f"the file has {report.size} bytes, and by the config {sorted(sizes)}")


@dataclass(frozen=True)
class Cost:
    """What the training of one model took, after that of the model before it.

    Attributes:
        tokens: seen, all steps together.
        flops: 6·N·D, N without the embeddings (Kaplan and others, 2020).
        flops_of_all: 6·N·D, N with them (Hoffmann and others, 2022).
    """

    tokens: int
    flops: int
    flops_of_all: int


def spent(lab, run) -> dict[str, Cost]:
    """The cost of each model whose own run reported the tokens that it saw."""
    found = {}
    for name in MODELS:
        folder = run.artefact(name)
        tokens = tokens_behind(folder)
        if tokens:
            shapes = lab.shapes(earlier("gpt").GPT.load(folder).config)
            sizes = {each: math.prod(shape) for each, shape in shapes.items()}
            inner = sum(n for each, n in sizes.items() if not each.endswith(EMBEDDINGS))
            found[name] = Cost(tokens, 6 * inner * tokens, 6 * sum(sizes.values()) * tokens)
    return found


def compare(lab, one: Report, other: Report) -> tuple[tuple[int, int, int], Any]:
    """Wins, ties and losses of one model's answers against another's; rate and bounds."""
    pairs = list(zip(one.values, other.values, strict=True))
    wins, ties = sum(a > b for a, b in pairs), sum(a == b for a, b in pairs)
    counts = wins, ties, len(pairs) - wins - ties
    return counts, lab.win_rate(*counts)


# What came out


def share(lab, counts: tuple[int, int]) -> tuple[float, float, float]:
    """A share in per cent, and its bounds."""
    rate, low, high = lab.win_rate(counts[0], 0, counts[1] - counts[0])
    return 100 * rate, 100 * low, 100 * high


def ranged(values: tuple[float, float, float]) -> str:
    """A share with its bounds, in words."""
    rate, low, high = values
    return f"{rate:.0f} % ({low:.0f} to {high:.0f})"


def show(lab, run, found: Mapping[str, Report], won, source: str) -> None:
    """The whole report card as a table, and the comparisons below it."""
    rows = []
    for name, r in found.items():
        kinds = ", ".join(f"{kind} {gap:.2f}" for kind, gap in r.gap.items() if kind != "all")
        rows.append([name, f"{r.size / 1000:,.0f} kB", f"{r.gap['all']:.3f}", kinds,
                     ranged(share(lab, r.facts)), ranged(share(lab, r.right)), f"{r.worth:+.2f}",
                     f"{r.bias:.2f}", f"{r.speed:,.0f}"])  # fmt: skip
    above = "above the floor" if UNKNOWN not in found[LAST].gap else "bits per token"
    run.table("Your model, four times",
              ["", "size", above, "by kind", "facts", "answers", "worth",
               "off the bias", "tokens per second"], rows)  # fmt: skip
    (wins, ties, losses), rate = won
    lost = round(found[LAST].gap["all"] - found[source].gap["all"], 3) + 0.0  # never -0
    run.table("One against another", ["question", "found"], [
        ["Are aligned answers worth more than those of sft?",
         f"{wins} times, {ties} times the same, {losses} times less: "
         f"{ranged((100 * rate[0], 100 * rate[1], 100 * rate[2]))}"],
        [f"What did fewer bits cost, from {source} to {LAST}?",
         f"{lost:+.3f} bits per token; {found[source].size / 1000:,.0f} kB became "
         f"{found[LAST].size / 1000:,.0f}"],
    ])  # fmt: skip


def show_cost(run, cost: Mapping[str, Cost]) -> None:
    """What training took, and by which count; nothing where no run reported its tokens."""
    rows = [
        [name, f"{each.tokens:,}", f"{each.flops:.2e}", f"{each.flops_of_all:.2e}"]
        for name, each in cost.items()
    ]
    if rows:
        columns = ["trained", "tokens, D", "6·N·D, N without embeddings", "6·N·D, N with them"]
        run.table("What training took, in floating-point operations", columns, rows)


def draw(lab, found: Mapping[str, Report], floor_known: bool) -> Figure:
    """Small multiples: one panel for each thing that was measured, one bar for each model."""
    figure = Figure(figsize=(9.5, 6.4), layout="constrained")
    panels = figure.subplots(2, 3).flatten()
    draw_gap(panels[0], found, floor_known)
    bars = {
        "facts known, per cent": [share(lab, r.facts) for r in found.values()],
        "answered rightly, per cent": [share(lab, r.right) for r in found.values()],
        "worth of an answer, logits": [spread(r.values) for r in found.values()],
        "off the planted bias": [(r.bias,) * 3 for r in found.values()],
        "size of the weights, kB": [(r.size / 1000,) * 3 for r in found.values()],
    }
    for axes, (title, values) in zip(panels[1:], bars.items(), strict=True):
        for place, (name, (value, low, high)) in enumerate(zip(found, values, strict=True)):
            axes.bar(place, value, color=COLOURS[name], width=0.7)
            if high > low:
                error = [[max(0.0, value - low)], [max(0.0, high - value)]]
                axes.errorbar(place, value, yerr=error, color="black", capsize=3, linewidth=1)
            digits = 0 if value >= 5 else 2
            axes.annotate(f"{value:.{digits}f}", (place, max(high, 0)), (0, 3), ha="center",
                          textcoords="offset points", fontsize=9,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
        axes.set_title(title, loc="left", fontsize=10)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.margins(y=0.15)
    panels[3].axhline(3.0, color=GREY, linestyle=":", linewidth=1)
    panels[3].annotate("true, kind and short", (-0.4, 3.0), (0, 3), textcoords="offset points",
                       fontsize=8, color=GREY)  # fmt: skip
    for axes in panels:
        axes.set_xticks(range(len(found)), list(found), fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean and 1.96 standard errors to both sides."""
    sample = torch.tensor(values, dtype=torch.float64)
    mean, error = float(sample.mean()), 1.96 * float(sample.std()) / len(values) ** 0.5
    return mean, mean - error, mean + error


def draw_gap(axes, found: Mapping[str, Report], floor_known: bool) -> None:
    """Bits per token by kind."""
    kinds = [kind for kind in next(iter(found.values())).gap if kind != "all"]
    width = 0.8 / max(1, len(kinds))
    for number, kind in enumerate(sorted(kinds)):
        places = [place - 0.4 + width * (number + 0.5) for place in range(len(found))]
        heights = [report.gap[kind] for report in found.values()]
        axes.bar(places, heights, width=width, color=KINDS.get(kind, GREY), label=kind)
    axes.set_title("bits per token" + (" above the floor" if floor_known else ""), loc="left",
                   fontsize=10)  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.legend(frameon=False, fontsize=8)


def describe(
    found: Mapping[str, Report], won, source: str, exam: Exam, cost: Mapping[str, Cost]
) -> Any:
    """What stands in the model card."""
    last, base = found[LAST], cost.get("base")
    counts, rate = won
    forgotten = last.gap["all"] - found["base"].gap["all"]
    above = " above the floor" if exam.floor_known else ""
    figures = {
        "parameters": last.parameters,
        "bytes of weights, as codes": last.size,
        "tokens seen in pretraining": base and base.tokens,
        "FLOPs of pretraining (6·N·D, N without embeddings)": base and float(base.flops),
        f"bits per token{above}, base": found["base"].gap["all"],
        "facts known by the base model": found["base"].facts[0] / found["base"].facts[1],
        f"right answers of {last.right[1]} about people never asked about": last.right[0],
        "win rate of aligned over sft, by known utilities": rate[0],
        "the same, 95 %": f"{rate[1]:.2f} to {rate[2]:.2f} ({sum(counts)} questions)",
        f"bits per token lost from {source} in fewer bits":
            last.gap["all"] - found[source].gap["all"],
        "mean distance from the planted bias of callers' pronouns": last.bias,
        "toxicity": None,
        "use by people": None,
    }  # fmt: skip
    whose = "a generated little world" if exam.floor_known else "a text of the author's own"
    return exam.lab.About(
        name="my-little-world",
        licence="mit",
        language="en",
        tags=("llmpath", "education"),
        description=f"A language model of {last.parameters:,} parameters that answers questions "
        "about the 64 people of a world which does not exist. It was written and trained from raw "
        "text in a course, to learn how that is done.",
        use="To learn from, and to be taken apart. It is of no use for anything else.",
        data=f"Stories of {whose}, conversations about its people, and pairs of answers that "
        "simulated annotators compared.",
        figures=figures,
        limits=(
            "It knows nothing but its world, and answers questions about other things with words "
            "of that world.",
            "It has taken up the bias of its text: it expects some jobs to be done by women and "
            "others by men.",
            f"Stories, which it was taught first, cost it {forgotten:.2f} bits per token more than "
            "the model that it began as.",
            "Its figures were measured by its author, on questions of the same kind as those that "
            "it learned from.",
        ),
    )


def publish(source: Path, card: str) -> Callable[[Path], None]:
    """Writes a folder that is ready to be uploaded: the model's files, and the card."""
    from huggingface_hub import ModelCard

    read = ModelCard(card)  # as the hub reads it; stops at front matter that is no YAML
    if read.data.library_name != "transformers" or not read.data.license:
        raise RuntimeError("the hub finds no library or licence in the card")

    def write(folder: Path) -> None:
        hidden = shutil.ignore_patterns(".*", "llmpath*.json")
        shutil.copytree(source, folder, ignore=hidden, copy_function=shutil.copyfile)
        (folder / "README.md").write_text(card, encoding="utf-8")

    return write


def conclude(run, found: Mapping[str, Report], won, source: str, cost: Mapping[str, Cost]) -> None:
    """Say what the learner has made."""
    base, sft, last = found["base"], found["sft"], found[LAST]
    _, (rate, low, high) = won
    figures: dict[str, str | float] = {"parameters": last.parameters, "bytes": last.size}
    for name, r in found.items():
        figures |= {
            f"gap_{name}": round(r.gap["all"], 4),
            f"facts_{name}": round(r.facts[0] / r.facts[1], 4),
            f"answers_{name}": round(r.right[0] / r.right[1], 4),
            f"worth_{name}": round(r.worth, 4),
            f"bias_{name}": round(r.bias, 4),
        }
    for name, each in cost.items():
        figures |= {f"{name}_tokens": each.tokens, f"{name}_flops": float(f"{each.flops:.4g}")}
    figures |= {f"fact_gap_{kind}": round(gap, 4) for kind, gap in base.gap.items()}
    figures |= {
        "win_rate": round(rate, 4),
        "win_rate_low": round(low, 4),
        "win_rate_high": round(high, 4),
        "bits_lost": round(last.gap["all"] - found[source].gap["all"], 4),
        "tokens_per_second": round(last.speed),
    }
    above = " above what is possible" if UNKNOWN not in base.gap else ""
    run.result(
        f"From raw text you have made a language model of {last.parameters:,} parameters: it came "
        f"to {base.gap['all']:.2f} bits per token{above} and knew "
        f"{100 * base.facts[0] / base.facts[1]:.0f} % of its world's facts; it learned to answer, "
        f"{100 * sft.right[0] / sft.right[1]:.0f} % rightly about people never asked about, and "
        f"then as people like it, preferred in {100 * rate:.0f} % of comparisons; and it fits into "
        f"{last.size / 1000:,.0f} kB.",
        **figures,
    )

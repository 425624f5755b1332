"""The learner's model in ever fewer bits: what it weighs, what it loses, what it still knows.

Every matrix of the model is quantised with the learner's code, once with a step for each channel
(a row of a layer's weight, a token's vector in the embedding) and once with one for each matrix.
The norms stay as they are. Each version is measured on text that it never saw, in bits per token
against the floor of the world, and on the facts of the world. Then layers of `QuantLinear` take
the places of the linear ones, which must give the same logits.

Sizes are those of the codes laid without gaps, plus the steps in float32. What comes out is the
artefact `quantised`: a folder that transformers opens, whose weights are what the codes stand for
(in float32, so it is no smaller), and beside them the codes and steps themselves.

With scale `mini` or `gpu`, SmolLM2-135M is quantised as well, if it was pulled.
"""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llmpath.labkit import models, tokenizer
from llmpath.labkit.microworld import clozes
from llmpath.labkit.thread import earlier

ARTEFACT = "aligned"  # what is quantised; `needs` in lab.yaml names it too
HELD_OUT = {"micro": 150, "mini": 400, "gpu": 400}  # documents of the validation split
BITS = (8, 6, 4, 3, 2)
FORMATS = (4, 8)  # bits in which codes can be kept without waste; the first that will do is
BEARABLE = 0.02  # bits per token that may be lost for it
WAYS = {"a step for each channel": 0, "one step for each matrix": None}
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
COLOURS = {"a step for each channel": "#0072B2", "one step for each matrix": "#D55E00"}
GREY = "#6b6b6b"

Codes = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Version:
    """A way of writing the model, and what was found of it.

    Attributes:
        bits: of a code; 32 for the model as it was.
        way: how many steps there are; one of `WAYS`, or "".
        size: in bytes.
        loss: bits per token on unseen text.
        facts: the share known, or None where there is no world.
    """

    bits: int
    way: str
    size: int
    loss: float
    facts: float | None


def experiment(lab, run) -> None:
    """Quantise in ten ways, measure each, draw, and keep the one that is worth it."""
    source = run.artefact(ARTEFACT)
    model = earlier("gpt").GPT.load(source).to(run.device).eval()
    weights = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    exam = Exam(run, source)
    whole = Version(32, "", 4 * sum(w.numel() for w in weights.values()), *exam.take(model))
    found, kept = [whole], {}
    if exam.floor is not None:
        run.floor("bits per token", exam.floor, "the least that any model needs")
    for number, (bits, way) in enumerate(itertools.product(BITS, WAYS), 1):
        codes = {n: lab.quantise(w, bits, WAYS[way]) for n, w in weights.items() if w.dim() == 2}
        put(lab, model, weights, codes)
        found.append(Version(bits, way, weigh(weights, codes, bits), *exam.take(model)))
        run.log(bits, **{f"bits lost, {way}": found[-1].loss - whole.loss})
        run.progress(number, len(BITS) * len(WAYS), f"{bits} bits, {way}")
        if WAYS[way] == 0:
            kept[bits] = codes
    table(run, found, exam.floor)
    run.figure("size", draw(found, exam.floor))
    run.figure("grid", draw_grid(lab, weights))
    best = choose(found)
    put(lab, model, weights, kept[best.bits])
    off = compare(lab, model, weights, best.bits, exam.rows[0], run.device)
    run.save("quantised", keeper(lab, source, weights, kept[best.bits], best.bits))
    extra = real(lab, run) if run.model else ""
    conclude(run, whole, best, off, extra)


# Writing the model in codes


def put(lab, model: nn.Module, weights: dict[str, Tensor], codes: Codes) -> None:
    """Give the model the weights that the codes stand for."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(lab.dequantise(*codes[name]) if name in codes else weights[name])


def weigh(weights: dict[str, Tensor], codes: Codes, bits: int) -> int:
    """Bytes of codes without gaps, steps in float32, and all else in float32."""
    size = 0
    for name, weight in weights.items():
        quantised = math.ceil(weight.numel() * bits / 8)
        size += quantised + 4 * codes[name][1].numel() if name in codes else 4 * weight.numel()
    return size


def compare(lab, model: nn.Module, weights, bits: int, ids: Sequence[int], device) -> float:
    """How far logits through QuantLinears are from those of the dequantised model, at most."""
    inputs = torch.tensor([ids], device=device)
    with torch.no_grad():
        want = model(inputs)
        for name, module in list(model.model.layers.named_modules()):
            if isinstance(module, nn.Linear):
                module.weight.copy_(weights[f"model.layers.{name}.weight"])
                parent, _, last = name.rpartition(".")
                setattr(model.model.layers.get_submodule(parent), last,
                        lab.QuantLinear(module, bits))  # fmt: skip
        return float((model(inputs) - want).abs().max())


def choose(found: list[Version]) -> Version:
    """The smallest version with a format of its own that loses next to nothing, else the best."""
    ready = [v for bits in FORMATS for v in found if v.bits == bits and WAYS.get(v.way, 1) == 0]
    fine = [v for v in ready if v.loss - found[0].loss <= BEARABLE]
    return fine[0] if fine else ready[-1]


def keeper(
    lab, source: Path, weights: dict[str, Tensor], codes: Codes, bits: int
) -> Callable[[Path], None]:
    """Writes the folder: all that the source has, its weights replaced, and the codes beside."""

    def write(folder: Path) -> None:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
        stored = load_file(source / "model.safetensors")
        dense = {name: lab.dequantise(*pair).cpu().contiguous() for name, pair in codes.items()}
        stored = {name: dense.get(name, weight) for name, weight in stored.items()}
        save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        small: dict[str, Tensor] = {}
        for name, weight in weights.items():
            if name not in codes:
                small[name] = weight.cpu()
                continue
            whole, steps = codes[name]
            small[f"{name}.codes"] = (lab.pack(whole) if bits <= 4 else whole).cpu()
            small[f"{name}.scales"] = steps.cpu()
        # One entry: safetensors writes several in an order that changes from run to run.
        about = json.dumps({"bits": bits, "packed": bits <= 4, "axis": 0})
        save_file(small, folder / "quantised.safetensors", metadata={"quantised": about})

    return write


# Measuring


class Exam:
    """Unseen text, and the facts of the world where there is one."""

    def __init__(self, run, source: Path) -> None:
        self.encoder, self.device = tokenizer.load(source), run.device
        self.evaluate = earlier("pretrain").evaluate
        self.end = self.encoder.token_to_id(tokenizer.END)
        world, count = run.data.world, HELD_OUT[run.scale]
        self.floor: float | None = None
        if world is None:
            texts = list(run.data.validation.limited(count))
            self.facts = []
        else:
            documents = world.documents(count, seed=7, split="validation")
            texts = [document.text for document in documents]
            self.floor = float(world.floor(documents).bits_per_token(self.encoder, end_tokens=1))
            self.facts = clozes(world)
        self.rows = [[self.end, *self.encoder.encode(text).ids, self.end] for text in texts]

    def take(self, model: nn.Module) -> tuple[float, float | None]:
        """Bits per token, and the share of facts known."""
        batches = [self._padded(part) for part in parts(self.rows, 75)]
        moved = [(x.to(self.device), y.to(self.device)) for x, y in batches]
        bits = sum(float(part.sum()) for part in self.evaluate(model, moved))
        loss = bits / sum(len(row) - 1 for row in self.rows)
        return loss, self._known(model) if self.facts else None

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Inputs and targets; what is filled in is not counted."""
        table = torch.full((len(rows), max(map(len, rows))), self.end)
        real = torch.zeros(table.shape, dtype=torch.bool)
        for line, counted, row in zip(table, real, rows, strict=True):
            line[: len(row)] = torch.tensor(row)
            counted[: len(row)] = True
        return table[:, :-1], table[:, 1:].masked_fill(~real[:, 1:], -100)

    @torch.no_grad()
    def _known(self, model: nn.Module) -> float:
        """How often the right candidate is the likeliest next token."""
        right = 0
        for part in parts(self.facts, 160):
            prompts = [[self.end, *self.encoder.encode(each.prompt).ids] for each in part]
            inputs, _ = self._padded([[*prompt, self.end] for prompt in prompts])
            logits = model(inputs.to(self.device)).cpu()
            for row, prompt, each in zip(logits, prompts, part, strict=True):
                first = [self.encoder.encode(word).ids[0] for word in each.candidates]
                right += each.candidates[int(row[len(prompt) - 1, first].argmax())] == each.answer
        return right / len(self.facts)


def parts(items: list[Any], size: int) -> list[list[Any]]:
    """The same items in lists of so many."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def real(lab, run) -> str:
    """The same with a real model, on stories of the world; a clause for the last sentence."""
    chat = models.chat(run.model)
    world = run.data.world
    text = "\n\n".join(d.text for d in world.documents(12, seed=7)) if world else ""
    text = text or "\n\n".join(run.data.validation.limited(4))
    ids = chat.tokenizer(text, return_tensors="pt").input_ids[:, :512]
    rows, before, lost = [], None, 0.0
    linears = {n: m.weight for n, m in chat.model.named_modules()
               if isinstance(m, nn.Linear) and n != "lm_head"}  # fmt: skip
    kept = {name: weight.detach().clone() for name, weight in linears.items()}
    for bits in (32, *BITS):
        if bits < 32:
            with torch.no_grad():
                for name, weight in linears.items():
                    weight.copy_(lab.dequantise(*lab.quantise(kept[name], bits, 0)))
        with torch.no_grad():
            loss = float(chat.model(ids, labels=ids).loss) / math.log(2)
        before = loss if before is None else before
        lost = loss - before if bits == 4 else lost
        said = chat.answer("What is the capital of France?", max_new_tokens=16)
        rows.append([bits, f"{loss:.3f}", f"{loss - before:+.3f}", said])
    columns = ["bits", "bits per token", "lost", "What is the capital of France?"]
    run.table(f"{run.model}, its linear layers with a step for each output", columns, rows)
    return f" {run.model} loses {lost:.2f} bits per token in 4 bits."


# What came out


def table(run, found: list[Version], floor: float | None) -> None:
    """Every version, one row each."""
    columns = ["bits", "steps", "size", "of float32", "bits per token", "lost"]
    columns += ["above the floor"] if floor is not None else []
    columns += ["facts known"] if found[0].facts is not None else []
    rows = []
    for v in found:
        row = [str(v.bits), v.way or "none", f"{v.size / 1000:,.0f} kB",
               f"{100 * v.size / found[0].size:.0f} %", f"{v.loss:.3f}",
               f"{v.loss - found[0].loss:+.3f}"]  # fmt: skip
        row += [f"{v.loss - floor:.3f}"] if floor is not None else []
        row += [f"{100 * v.facts:.0f} %"] if v.facts is not None else []
        rows.append(row)
    run.table("Your model in fewer bits (sizes without gaps between codes)", columns, rows)


def conclude(run, whole: Version, best: Version, off: float, extra: str) -> None:
    """Say in a sentence what was kept."""
    lost = best.loss - whole.loss
    figures = {"kept_bits": best.bits, "bytes": best.size, "bytes_before": whole.size,
               "bits_per_token": round(best.loss, 4), "bits_lost": round(lost, 4),
               "logits_off": float(f"{off:.2g}")}  # fmt: skip
    said = (
        f"With {best.bits} bits and a step for each channel your model takes "
        f"{100 * best.size / whole.size:.0f} % of its size and {price(lost)}"
    )
    if best.facts is not None and whole.facts is not None:
        figures |= {"facts": round(best.facts, 4), "facts_before": round(whole.facts, 4)}
        said += f"; it knows {100 * best.facts:.0f} % of the facts, after {100 * whole.facts:.0f} %"
    run.result(f"{said}.{extra}", **figures)


def price(lost: float) -> str:
    """What was lost, in words; rounding moves a model either way, now and then for the better."""
    if lost < 0.0005:
        return "loses nothing: it needs as many bits per token as before, or fewer"
    return f"loses {lost:.3f} bits per token"


def draw(found: list[Version], floor: float | None) -> Figure:
    """Size against what is lost, and against what is still known."""
    whole, known = found[0], found[0].facts is not None
    figure = Figure(figsize=(8.5, 7.5 if known else 4.2), layout="constrained")
    panels = figure.subplots(2 if known else 1, 1, sharex=True, squeeze=False)[:, 0]
    for way, colour in COLOURS.items():
        line = [v for v in found if v.way == way]
        sizes = [v.size / 1000 for v in line]
        lost = [v.loss - whole.loss for v in line]
        panels[0].plot(sizes, lost, "o-", color=colour, label=way)
        up = 1 if WAYS[way] is None else -1
        for size, y, v in zip(sizes, lost, line, strict=True):
            panels[0].annotate(f"{v.bits}", (size, y), (0, 6 * up), textcoords="offset points",
                               ha="center", va="bottom" if up > 0 else "top", color=colour,
                               fontsize=10)  # fmt: skip
        if known:
            panels[1].plot(sizes, [100 * (v.facts or 0) for v in line], "o-", color=colour)
    panels[0].set_yscale("symlog", linthresh=0.01, linscale=0.6)
    every = [v.loss - whole.loss for v in found]
    panels[0].set_ylim(min(-0.012, 3 * min(every)), max(10.0, 2 * max(every)))
    ticks = [tick for tick in (-0.1, -0.01, 0, 0.01, 0.1, 1, 10) if tick >= 3 * min(every)]
    panels[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panels[0].minorticks_off()
    panels[0].axhline(0, color=GREY, linewidth=1)
    panels[0].set(ylabel="bits per token lost")
    if floor is not None:
        gap = whole.loss - floor
        panels[0].axhline(gap, color=GREY, linestyle=":", linewidth=1,
                          label=f"what float32 is above the floor ({gap:.3f})")  # fmt: skip
    panels[0].set_title("What fewer bits cost (numbers: bits of a code)", loc="left")
    panels[0].legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.9))
    if known:
        panels[1].axhline(100 * (whole.facts or 0), color="black", linestyle="--", linewidth=1,
                          label="float32")  # fmt: skip
        panels[1].axhline(100 / 8, color=GREY, linestyle=":", label="guessing one of eight")
        panels[1].set(ylabel="facts known, per cent", ylim=(0, 104))
        panels[1].legend(frameon=False, loc="center right")
    panels[-1].set_xlabel(f"size in kB (float32: {whole.size / 1000:,.0f})")
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_grid(lab, weights: dict[str, Tensor]) -> Figure:
    """The weights of a quiet channel, and the 4-bit codes that two kinds of step leave for them."""
    name, row = quietest(weights)
    matrix = weights[name].cpu()
    values = matrix[row]
    figure = Figure(figsize=(8.5, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    edge = 1.15 * float(values.abs().max())
    for axes, (way, colour) in zip((below, above), COLOURS.items(), strict=True):
        codes, steps = lab.quantise(matrix, 4, WAYS[way])
        step = float(steps[row if len(steps) > 1 else 0, 0])
        axes.hist(values.numpy(), bins=41, range=(-edge, edge), color="#999999")
        reach = min(7, int(edge / step))
        for code in range(-reach, reach + 1):
            axes.axvline(code * step, color=colour, linewidth=2)
        used = len(codes[row].unique())
        axes.set_title(f"{way}: {used} of 15 codes are used here", loc="left", color=colour)
        axes.set(ylabel="weights", xlim=(-edge, edge))
        axes.spines[["top", "right"]].set_visible(False)
    below.set_xlabel(
        f"the {len(values)} weights of row {row} of {name}; lines: what codes stand for"
    )
    return figure


def quietest(weights: dict[str, Tensor]) -> tuple[str, int]:
    """The row of a layer's weight that is smallest beside the loudest row of its matrix."""
    found = []
    for name, weight in weights.items():
        if weight.dim() == 2 and "layers" in name:
            sizes = weight.abs().amax(dim=1)
            found.append((float(sizes.min() / sizes.max()), name, int(sizes.argmin())))
    _, name, row = min(found)
    return name, row

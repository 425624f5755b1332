"""What the learner's cache saves (work, copying, time, the reading of a chat) and what it costs.

Work and copying are counted, in a model of the shape of SmolLM2-135M and in the cache by itself.
Time is measured on the learner's fine-tuned model, next to transformers with its own caches. The
logits must be those of the model without a cache, wherever a text is cut. Then the model is
talked to, over several turns, with `stream`.

With `--model smollm2-135m`, the learner's code runs the real model in the same way.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer

from llmpath.labkit import models, tokenizer
from llmpath.labkit.microworld import World, conversations
from llmpath.labkit.thread import earlier

ARTEFACT = "sft"  # whose model is measured; `needs` in lab.yaml names it too
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#6b6b6b"
WITH, WITHOUT, JOINED = "with your cache", "without a cache", "with a cache that torch.cat joins"
LOOKS = {WITHOUT: ORANGE, JOINED: PURPLE, WITH: BLUE}

# Shapes of published models: vocabulary, hidden size, mlp, layers, heads, key heads.
SMALL = (49152, 576, 1536, 30, 9, 3)  # SmolLM2-135M
LARGE = (128256, 4096, 14336, 32, 32, 8)  # Llama 3 8B
WEIGHTS = 16.06e9  # bytes of Llama 3 8B's 8.03 billion parameters in bfloat16
CARD = 80e9  # bytes of a large GPU's memory
TURNS = 4
STORY = "Tell me about somebody."


@dataclass(frozen=True)
class Size:
    """How far the experiment goes.

    Attributes:
        counted: lengths of text for which work is counted.
        copied: how many tokens go into a cache for the count of what is copied.
        timed: lengths of text for which time is measured.
        batch: how many texts are written at once then.
    """

    counted: tuple[int, ...]
    copied: int
    timed: tuple[int, ...]
    batch: int


@dataclass(frozen=True)
class Reading:
    """How many tokens a model read: so many, and had it read the whole text for each token."""

    read: int
    whole: int


SIZES = {
    "micro": Size((64, 256, 1024, 4096), 600, (32, 64, 128, 256, 512), 8),
    "mini": Size((64, 256, 1024, 4096, 16384), 2000, (32, 64, 128, 256, 512, 1024), 8),
    "gpu": Size((64, 256, 1024, 4096, 16384), 2000, (64, 256, 1024, 4096), 8),
}


def experiment(lab, run) -> None:
    """Count, weigh, compare, measure, talk."""
    size, source = SIZES[run.scale], run.artefact(ARTEFACT)
    work = {n: count_work(lab, n) for n in size.counted}
    run.progress(1, 5, "work is counted")
    copies = {JOINED: count_copies(earlier("gpt").Memory(), size.copied),
              WITH: count_copies(lab.Cache(), size.copied)}  # fmt: skip
    run.figure("work", draw_work(work, copies))
    run.figure("memory", draw_memory(lab))
    run.progress(2, 5, "memory is weighed")
    model = lab.GPT.load(source).to(run.device).eval()
    ids = some_text(run, source, max(size.timed) + 1)
    off = compare(lab, model, ids[:, :48], range(1, 48))
    run.progress(3, 5, "logits are compared")
    times = measure(lab, model, ids.expand(size.batch, -1), size.timed)
    run.figure("time-in-seconds", draw_times(times, size.batch))
    beside_transformers(lab, run, model, source)
    run.progress(4, 5, "time is measured")
    read = talk(lab, run, model, source, questions(run), "Your model")
    run.progress(5, 5, "a chat is read")
    extra = real(lab, run) if run.model else ""
    conclude(run, work, copies, off, times, read, extra)


# What is counted


def count_work(lab, length: int) -> dict[str, int]:
    """Floating-point operations for one more token after a text, in the small shape.

    What the mask hides is computed all the same, and counted. Each block has the same work, so
    that models of one block and of two tell what any number takes.
    """
    one, two = count_blocks(lab, length, 1), count_blocks(lab, length, 2)
    return {way: one[way] + (SMALL[3] - 1) * (two[way] - one[way]) for way in one}


@torch.no_grad()
def count_blocks(lab, length: int, blocks: int) -> dict[str, int]:
    """The same for the small shape with so many blocks."""
    with torch.device("meta"), earlier("gpt").Undrawn():
        model = lab.GPT(lab.Config(*SMALL[:3], blocks, *SMALL[4:]))
        ids = torch.zeros(1, length, dtype=torch.long)
    cache = new_cache(lab.Cache, model)
    model(ids[:, 1:], cache)
    counts = {}
    for way, rest in ((WITHOUT, (ids,)), (WITH, (ids[:, :1], cache))):
        with FlopCounterMode(display=False) as counter:
            model(*rest)
        counts[way] = counter.get_total_flops()
    return counts


class Written(TorchDispatchMode):
    """Counts the bytes that torch's operations write within it.

    Attributes:
        bytes: so many until now.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given = {x.untyped_storage().data_ptr() for x in args if isinstance(x, Tensor)}
        in_place, reserves = func._schema.name.endswith("_"), "empty" in func._schema.name
        for x in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(x, Tensor) and not reserves:
                view = x.untyped_storage().data_ptr() in given
                self.bytes += x.nbytes if in_place or not view else 0
        return result


def count_copies(cache, tokens: int) -> list[float]:
    """What a cache has written after each token, in keys and values of one token."""
    k = v = torch.zeros(1, 2, 1, 8)
    written = []
    with Written() as count:
        for _ in range(tokens):
            cache.extend(k, v)
            written.append(count.bytes / (k.nbytes + v.nbytes))
    return written


# What is compared


@torch.no_grad()
def compare(lab, model: nn.Module, ids: Tensor, cuts: Iterable[int]) -> float:
    """The largest difference of a logit from that without a cache, for some cuts of a text."""
    whole, worst = model(ids), 0.0
    for cut in cuts:
        cache = new_cache(lab.Cache, model)
        parts = [model(ids[:, :cut], cache), model(ids[:, cut:], cache)]
        worst = max(worst, float((torch.cat(parts, dim=1) - whole).abs().max()))
    return worst


def new_cache(kind: Callable, model: nn.Module) -> list:
    """An empty cache for each block."""
    return [kind() for _ in range(model.config.layers)]


@torch.no_grad()
def measure(lab, model: nn.Module, ids: Tensor, lengths: tuple[int, ...]) -> dict[str, dict]:
    """Seconds for one more token after texts of some lengths, for each way of having it."""
    found: dict[str, dict[int, float]] = {way: {} for way in LOOKS}
    for length in lengths:
        found[WITHOUT][length] = median(lambda n=length: model(ids[:, : n + 1]), 3)
        for way, kind in ((JOINED, earlier("gpt").Memory), (WITH, lab.Cache)):
            cache = new_cache(kind, model)
            model(ids[:, :length], cache)
            found[way][length] = median(lambda c=cache: model(ids[:, -1:], c), 9)
    return found


def median(job: Callable, times: int) -> float:
    """The median time of a job, in seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        job()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


@torch.no_grad()
def beside_transformers(lab, run, model: nn.Module, source: Path) -> None:
    """The same greedy answer from transformers with its caches, and from the learner's."""
    from transformers import GenerationConfig
    from transformers.models.llama.modeling_llama import LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    theirs = LlamaForCausalLM.from_pretrained(source, local_files_only=True).to(run.device).eval()
    encoder = AutoTokenizer.from_pretrained(source, local_files_only=True)
    ids, end = (
        as_ids(encoder, [{"role": "user", "content": STORY}], run.device),
        encoder.eos_token_id,
    )

    def yours() -> Tensor:
        cache = new_cache(lab.Cache, model)
        said = list(lab.stream(model, ids, 60, cache, temperature=0, end=end))
        return torch.cat([ids, *(token[:, None] for token in said)], dim=1)

    def transformers_with(**options) -> Callable[[], Tensor]:
        settings = GenerationConfig(
            max_new_tokens=60, do_sample=False, eos_token_id=end, pad_token_id=end, **options
        )
        return lambda: theirs.generate(ids, settings, attention_mask=torch.ones_like(ids))

    ways = {
        "yours": yours,
        "transformers, DynamicCache": transformers_with(cache_implementation="dynamic"),
        "transformers, StaticCache": transformers_with(cache_implementation="static"),
        "transformers, no cache": transformers_with(use_cache=False),
    }
    rows, mine = [], yours()[0].tolist()
    for name, write in ways.items():
        began = time.perf_counter()
        tokens = write()[0].tolist()
        taken = time.perf_counter() - began
        new = len(tokens) - ids.size(1)
        rows.append([name, new, "yes" if tokens == mine else "no", round(taken, 3)])
    run.text(STORY, encoder.decode(mine[ids.size(1) :], skip_special_tokens=True).strip())
    run.table(f'"{STORY}", greedily', ["cache", "tokens", "the same as yours", "seconds"], rows)


# A chat


def some_text(run, source, length: int) -> Tensor:
    """Token ids of unseen text, (1, length)."""
    encoder, ids = tokenizer.load(source), []
    for text in run.data.validation.limited(4 * length):
        ids += encoder.encode(text).ids
        if len(ids) >= length:
            break
    ids = ids * (1 + length // max(1, len(ids)))  # of a short corpus, the same again
    return torch.tensor([ids[:length]], device=run.device)


def as_ids(encoder, messages: Sequence[dict[str, str]], device: torch.device) -> Tensor:
    """A conversation that the model is to go on with, as token ids, (1, time)."""
    made = encoder.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    return made["input_ids"].to(device)


def questions(run) -> list[str]:
    """Some turns about one person, whom no training question named."""
    talks = conversations(run.data.world or World(0), 600, seed=5, turns=TURNS, held_out=True)
    asked = [each for each in talks if each.messages[0]["content"].startswith("Where does")]
    longest = max(asked, key=lambda each: len(each.messages))
    return [message["content"] for message in longest.messages if message["role"] == "user"]


def talk(lab, run, model: nn.Module, source: Path, asked: Sequence[str], name: str) -> Reading:
    """A chat in which the model is asked each time with all that was said before.

    Whoever asks keeps nothing but texts, as with any chat server: the conversation is made to
    tokens again for each turn, and what the cache holds of it is found by `stream`.
    """
    encoder = AutoTokenizer.from_pretrained(source, local_files_only=True)
    cache, before, messages, rows, read, whole = new_cache(lab.Cache, model), None, [], [], 0, 0
    for turn, question in enumerate(asked, 1):
        messages.append({"role": "user", "content": question})
        ids = as_ids(encoder, messages, run.device)
        held = 0 if before is None else lab.shared_prefix(before[:, : cache[0].length], ids)
        began, end = time.perf_counter(), encoder.eos_token_id
        said = list(lab.stream(model, ids, 40, cache, before, temperature=0, end=end))
        taken = time.perf_counter() - began
        before = torch.cat([ids, *(token[:, None] for token in said)], dim=1)
        messages.append({"role": "assistant", "content": encoder.decode(
            before[0, ids.size(1) :], skip_special_tokens=True).strip()})  # fmt: skip
        new = ids.size(1) - min(held, ids.size(1) - 1)
        read += new + len(said) - 1
        whole += sum(range(ids.size(1), before.size(1)))
        rows.append([turn, question, messages[-1]["content"], ids.size(1), new, round(taken, 3)])
    columns = ["turn", "asked", "answered", "tokens of text", "read anew", "seconds"]
    run.table(f"{name}: a chat from one cache", columns, rows)
    return Reading(read, whole)


# A real model


@torch.no_grad()
def real(lab, run) -> str:
    """The same with real weights in the learner's classes; a sentence about it."""
    source = models.folder(run.model)
    encoder = AutoTokenizer.from_pretrained(source, local_files_only=True)
    model = lab.GPT.load(source).to(run.device).eval()
    text = "\n\n".join(run.data.validation.limited(60))
    ids = encoder(text, return_tensors="pt").input_ids[:, :513].to(run.device)
    rows = []
    for length in (64, 128, 256, 512):
        cache = new_cache(lab.Cache, model)
        model(ids[:, :length], cache)
        token = median(lambda c=cache: model(ids[:, -1:], c), 5)
        whole = median(lambda n=length: model(ids[:, : n + 1]), 1)
        weighs = lab.memory_bytes(model.config, 1, length, torch.float32) / 1e6
        rows.append([length, f"{weighs:.1f} MB", round(token, 3), round(whole, 3)])
    columns = ["tokens before", "cache", "with it, seconds", "without, seconds"]
    run.table(f"{run.model}: one more token from your code", columns, rows)
    off = compare(lab, model, ids[:, :48], (1, 20, 47))
    asked = ["What is the capital of France?", "And of Italy?", "Which of the two is larger?"]
    read = talk(lab, run, model, source, asked, run.model)
    return (
        f" {run.model} in your code differs by {off:.0e} at most, and after 512 tokens has its "
        f"next one {rows[-1][3] / rows[-1][2]:.0f} times as soon; its chat read {read.read:,} "
        f"tokens, in place of {read.whole:,}."
    )


# The pictures


def plain(axes, title: str) -> None:
    """What all panels have in common."""
    axes.set_title(title, loc="left")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def draw_work(work: dict[int, dict[str, int]], copies: dict[str, list[float]]) -> Figure:
    """Operations for one more token, and what a cache writes until a text is so long."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for way in (WITHOUT, WITH):
        left.loglog(list(work), [w[way] for w in work.values()], "o-", color=LOOKS[way], label=way)
    left.set(xlabel="tokens in the text", ylabel="floating-point operations")
    left.set_xticks(list(work), [f"{n:,}" for n in work])
    left.minorticks_off()
    plain(left, "One more token, in SmolLM2-135M's shape")
    tokens = range(2, len(copies[WITH]) + 1)  # the first may be kept as it came, and not written
    for way, written in copies.items():
        right.loglog(tokens, written[1:], color=LOOKS[way], label=way)
    right.loglog(tokens, tokens, ":", color=GREY, label="each token once")
    right.set(xlabel="tokens in the text", ylabel="tokens' worth of keys and values written")
    plain(right, "What is written into memory until then")
    return figure


def draw_memory(lab) -> Figure:
    """The size of a cache by length, and how many texts fit beside the weights, by key heads."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    lengths = [2**n for n in range(9, 18)]
    names = {32: "a key head for each of 32 heads", 8: "8 key heads, as it is", 1: "one key head"}
    for heads, colour in zip(names, (ORANGE, BLUE, GREEN), strict=True):
        config = lab.Config(*LARGE[:-1], heads)
        sizes = [lab.memory_bytes(config, 1, n, torch.bfloat16) / 1e9 for n in lengths]
        left.loglog(lengths, sizes, "o-", color=colour, label=names[heads], markersize=4)
        text = lab.memory_bytes(config, 1, 8192, torch.bfloat16)
        fit = int((CARD - WEIGHTS) / text)
        right.bar(f"{heads}", fit, color=colour)
        right.annotate(f"{fit:,}", (f"{heads}", fit), (0, 3), textcoords="offset points",
                       ha="center")  # fmt: skip
    left.axhline(WEIGHTS / 1e9, color=GREY, linestyle=":", label="the model's weights")
    left.set(xlabel="tokens in the text", ylabel="GB, bfloat16")
    left.set_xticks(lengths[::2], [f"{n:,}" for n in lengths[::2]])
    left.minorticks_off()
    plain(left, "The cache of one text, in Llama 3 8B's shape")
    right.set(xlabel="key heads", ylabel="texts")
    right.set_title("Texts of 8,192 tokens beside the weights in 80 GB", loc="left", fontsize=10)
    right.spines[["top", "right"]].set_visible(False)
    return figure


def draw_times(times: dict[str, dict[int, float]], batch: int) -> Figure:
    """Measured time for one more token by length."""
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    for way, found in times.items():
        milliseconds = [1000 * taken for taken in found.values()]
        axes.loglog(list(found), milliseconds, "o-", color=LOOKS[way], label=way)
    ticks = list(next(iter(times.values())))
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.set(xlabel="tokens in each text", ylabel="milliseconds")
    plain(axes, f"One more token for {batch} texts at once, your fine-tuned model, measured")
    return figure


# What came out


def conclude(run, work, copies, off: float, times, read: Reading, extra: str) -> None:
    """Say in a sentence what was saved."""
    longest, last = max(work), max(times[WITH])
    saved = work[longest][WITHOUT] / work[longest][WITH]
    faster = times[WITHOUT][last] / times[WITH][last]
    run.result(
        f"With your cache no logit differs by more than {off:.0e}, wherever the text is cut. After "
        f"{last} tokens your model has its next one {faster:.0f} times as soon; a chat read "
        f"{read.read} tokens, in place of {read.whole:,}.{extra}",
        largest_difference=float(f"{off:.2g}"),
        work_saved=round(saved, 1),
        written_per_token=round(copies[WITH][-1] / len(copies[WITH]), 2),
        joined_per_token=round(copies[JOINED][-1] / len(copies[JOINED]), 1),
        tokens_read=read.read,
        tokens_without=read.whole,
        token_seconds=round(times[WITH][last], 5),
        token_without_seconds=round(times[WITHOUT][last], 5),
    )

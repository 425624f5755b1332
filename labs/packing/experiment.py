"""The learner's windows beside windows cut anywhere: what each leaves a model to see.

Documents are written to shards, streamed back, tokenized and packed. A picture shows the first
windows, coloured by document, in both ways; a second one what a longer window changes: how many
words can look back at the words of their document, and how much of the windows is filling.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from llmpath.labkit import tokenizer

DOCUMENTS = {"micro": 3_000, "mini": 20_000, "gpu": 60_000}
IN_A_SHARD = 500
LENGTH = 96
LENGTHS = (32, 48, 64, 96, 128, 192, 256)
ROWS = 14
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#bdbdbd"
FILLS = ("#9ecae1", "#fdd0a2", "#c7e9c0", "#dadaeb", "#fdae9b")


def experiment(lab, run) -> None:
    """Stream, pack and batch; then compare with what a plain cut would give."""
    encoder = tokenizer.load(run.artefact("tokenizer"))
    end = encoder.token_to_id(tokenizer.END)
    shards = written(run)
    documents = [encoder.encode(text).ids for text in streamed(lab, run, shards)]
    if not documents:
        run.result("Your stream found no documents in the shards; `llmpath grade` says why.")
        return
    rows = []
    for done, length in enumerate(LENGTHS, start=1):
        rows.append(compared(lab, documents, length, end))
        shown = {name: rows[-1][name] for name in ("packed_sees", "cut_sees", "packed_filling")}
        run.log(length, **shown)
        run.progress(done, len(LENGTHS), f"windows of {length}")
    run.table(*as_table(rows))
    windows = lab.pack(documents, LENGTH, end)
    run.text("One batch, as the model gets it", one_batch(lab, windows, encoder, end))
    run.figure("windows", draw_windows(windows, cut(documents, LENGTH, end), end))
    run.figure("lengths", draw_lengths(rows))
    chosen = rows[LENGTHS.index(LENGTH)]
    seeing = f"{percent(chosen['packed_sees'])} of the words see their document"
    if chosen["packed_sees"] == 1:  # documents of real text are often longer than a window
        seeing = "Every word sees its document"
    run.result(
        f"{len(documents):,} documents make {len(windows):,} windows of {LENGTH}, of which "
        f"{percent(chosen['packed_filling'])} is filling. {seeing} from the beginning; in windows "
        f"cut anywhere only {percent(chosen['cut_sees'])} would.",
        documents=len(documents),
        windows=len(windows),
        filling=round(chosen["packed_filling"], 4),
        cut_sees=round(chosen["cut_sees"], 4),
    )


def written(run) -> list[Path]:
    """Shards of the run's data, on disk."""
    texts = run.data.train.limited(DOCUMENTS[run.scale])
    # A document must not hold what separates documents.
    clean = ("\n".join(line for line in text.splitlines() if line.strip()) for text in texts)
    shards = []
    for number, texts in enumerate(in_parts(clean, IN_A_SHARD)):
        content = "\n\n".join(texts)
        name = f"shard-{number:02}.txt"
        shards.append(run.save(name, partial(Path.write_text, data=content, encoding="utf-8")))
    return shards


def in_parts(items: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lists of so many items each; the last may be shorter."""
    while part := list(itertools.islice(items, size)):
        yield part


def streamed(lab, run, shards: list[Path]) -> list[str]:
    """The documents that the learner finds in the shards; the first is shown."""
    openers = [partial(open, path, encoding="utf-8") for path in shards]
    documents = list(lab.stream(openers) or ())
    for first in documents[:1]:
        run.text("The first document of the first shard", first)
    return documents


def cut(documents: list[list[int]], length: int, end: int) -> Tensor:
    """Windows cut anywhere: all documents in one row, with an end between, in equal parts."""
    row = [end, *(i for document in documents for i in [*document, end])]
    starts = range(0, len(row) - length, length)
    return torch.tensor([row[start : start + length + 1] for start in starts])


def compared(lab, documents: list[list[int]], length: int, end: int) -> dict[str, float]:
    """What a model can see in the learner's windows and in those cut anywhere."""
    packed = lab.pack(documents, length, end)
    steps = sum(len(document) + 1 for document in documents)
    return {
        "length": length,
        "windows": len(packed),
        "packed_filling": 1 - steps / (len(packed) * length),
        "packed_sees": sees_beginning(packed, end),
        "cut_windows": len(cut(documents, length, end)),
        "cut_sees": sees_beginning(cut(documents, length, end), end),
    }


def sees_beginning(windows: Tensor, end: int) -> float:
    """Of the steps inside documents, the share whose document begins in the same window."""
    inputs = windows[:, :-1]
    targets = windows[:, 1:]
    real = ~((inputs == end) & (targets == end))
    begun = (inputs == end).cumsum(dim=1) > 0
    return float((real & begun).sum() / real.sum())


def as_table(rows: list[dict[str, float]]):
    """The comparison for every length."""
    columns = ["length", "windows", "filling", "see their beginning", "the same, cut anywhere"]
    cells = [
        [
            int(row["length"]),
            int(row["windows"]),
            percent(row["packed_filling"]),
            percent(row["packed_sees"]),
            percent(row["cut_sees"]),
        ]
        for row in rows
    ]
    return "What a longer window costs and gives", columns, cells


def percent(share: float) -> str:
    """A share as people write it."""
    return f"{100 * share:.1f} %"


def one_batch(lab, windows: Tensor, encoder, end: int) -> str:
    """The end of the first row of a batch, input above target."""
    inputs, targets = next(iter(lab.batches(windows, 8, end, 0)))
    # The last places show what happens where a document ends and the filling begins.
    real = int((targets[0] >= 0).sum())
    part = slice(max(0, real - 5), real + 3)
    pairs = zip(inputs[0][part].tolist(), targets[0][part].tolist(), strict=True)
    return "\n".join(f"{spelled(encoder, a):>16}  →  {spelled(encoder, b)}" for a, b in pairs)


def spelled(encoder, number: int) -> str:
    """A token as people can read it."""
    if number < 0:
        return f"{number} (ignored)"
    text = encoder.decode([number], skip_special_tokens=False)
    return text.replace(" ", "·").replace("\n", "⏎")


def draw_windows(packed: Tensor, anywhere: Tensor, end: int) -> Figure:
    """The first windows of both kinds, each document in a colour of its own."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, windows, title in (
        (above, packed, "Yours: every window begins where a document begins"),
        (below, anywhere, "Cut anywhere: grey has lost the beginning of its document"),
    ):
        colours = ListedColormap(["white", GREY, "#404040", *FILLS])
        picture = coloured(windows[:ROWS], end)
        axes.imshow(picture, colours, vmin=0, vmax=2 + len(FILLS), aspect="auto")
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_ylabel("window")
        axes.set_yticks(range(0, ROWS, 4), [str(row + 1) for row in range(0, ROWS, 4)])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    below.set_xlabel("place in the window (dark: an end token; white: filling)")
    return figure


def coloured(windows: Tensor, end: int) -> Tensor:
    """The number of a colour for each place: 0 filling, 1 cut off, 2 end, then documents."""
    marks = windows == end
    before = torch.cat([torch.full_like(windows[:, :1], -1), windows[:, :-1]], dim=1)
    after = torch.cat([windows[:, 1:], torch.full_like(windows[:, :1], end)], dim=1)
    number = (marks & (after != end)).flatten().cumsum(dim=0).reshape(windows.shape)
    colour = torch.where(marks.cumsum(dim=1) == 0, 1, 3 + number % len(FILLS))
    colour[marks] = 2
    colour[marks & (before == end)] = 0
    return colour


def draw_lengths(rows: list[dict[str, float]]) -> Figure:
    """What a longer window gives and costs."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    lengths = [row["length"] for row in rows]
    for name, colour, style, label in (
        ("packed_sees", BLUE, "o-", "yours: words that see their beginning"),
        ("cut_sees", ORANGE, "s-", "cut anywhere: the same"),
        ("packed_filling", BLUE, "o:", "yours: filling"),
    ):
        axes.plot(lengths, [100 * row[name] for row in rows], style, color=colour, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(lengths, [str(int(length)) for length in lengths])
    axes.minorticks_off()
    axes.set(xlabel="length of a window", ylabel="per cent of all steps", ylim=(-3, 103))
    axes.set_title("What a longer window gives, and what packing costs", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="center right")
    return figure

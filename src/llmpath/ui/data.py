"""A corpus in the terminal: what it is, how large, some of it, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.ui.words import clean, number, one_line

SHOWN = 600  # characters of a sample
KINDS = {"choice": "underline accent", "fact": "bold good", "syntax": "none"}
SIDES = {"train": "to learn from", "validation": "held out"}


def corpus(found: Mapping[str, Any]) -> RenderableType:
    """The event `corpus` of `llmpath.running.corpus_child`."""
    parts: list[RenderableType] = [
        Text(one_line(found["title"]), style="title"),
        Text.assemble(("licence ", "label"), one_line(found["licence"])),
        *(Text(remark, style="warn") for remark in found["remarks"]),
        Text(),
        _sizes(found["sizes"]),
        *_samples(found["samples"]),
        *_truths(found["truths"], "Nobody knows the entropy of real text: there is no floor."),
    ]
    if found["collections"]:
        parts += [_heading("Also from this world"), _table(found["collections"])]
        name = found["collections"][0]["name"]
        more = f"llmpath data show {found['name']}/{name}"
        parts.append(Text.assemble("\nLook at one with ", (more, "command"), "."))
    return Group(*parts)


def collection(found: Mapping[str, Any]) -> RenderableType:
    """The event `collection` of `llmpath.running.corpus_child`."""
    columns = [{"name": name, "about": about} for name, about in found["columns"].items()]
    parts: list[RenderableType] = [
        Text(found["name"], style="title"),
        Text(found["about"]),
        _heading("Columns"),
        _table(columns),
    ]
    for count, row in enumerate(found["rows"], 1):
        parts += [_heading(f"Row {count}"), _row(row)]
    return Group(*parts, *_truths(found["truths"], "Nothing is known beside the columns."))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="heading")


def _sizes(sizes: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="muted")
    table.add_column("", style="label")
    for column in ("documents", "characters"):
        table.add_column(column, justify="right")
    for side, size in sizes.items():
        least = "" if size["whole"] else "over "
        counts = (f"{least}{size[key]:,}" for key in ("documents", "characters"))
        table.add_row(SIDES[side], *counts)
    return table


def _samples(samples: list[dict[str, Any]]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for count, sample in enumerate(samples, 1):
        bits = "" if sample["bits"] is None else f", {sample['bits']:.1f} bits"
        parts += [
            _heading(f"Document {count}{bits}"),
            Padding(_sample(sample), (0, 0, 0, 2), expand=False),
        ]
    if any(sample["spans"] for sample in samples):
        parts.append(
            Text.assemble(
                "\nDrawn at random: ",
                ("choice", KINDS["choice"]),
                ", the only words with bits. To be known: ",
                ("fact", KINDS["fact"]),
                ". The rest follows.",
            )
        )
    return parts


def _sample(sample: Mapping[str, Any]) -> Text:
    text = Text()
    if not sample["spans"]:
        text.append(clean(sample["text"][:SHOWN]).strip("\n"))
    for span in sample["spans"]:
        space = " " * (len(span["text"]) - len(span["text"].lstrip(" ")))
        text.append(space).append(span["text"].lstrip(" "), style=KINDS[span["kind"]])
    if not sample["spans"] and len(sample["text"]) > SHOWN:
        text.append(f" … ({len(sample['text']) - SHOWN:,} more characters)", style="muted")
    return text


def _truths(truths: Mapping[str, Any], none: str) -> list[RenderableType]:
    if not truths:
        return [_heading("What is known"), Text(none)]
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", style="number", no_wrap=True)
    for name, value in truths.items():
        table.add_row(name, number(value))
    return [_heading("What is known"), table]


def _table(rows: list[dict[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="code")
    table.add_column()
    for row in rows:
        table.add_row(row["name"], Text(row["about"]))
    return table


def _row(row: Mapping[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="label")
    table.add_column()
    for name, value in row.items():
        shown = number(value) if isinstance(value, float) else clean(str(value))
        table.add_row(name, Text(shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} …"))
    return table

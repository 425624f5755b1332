"""The same with shapes taken from a model, sums of products, and JSON for YAML."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from llmpath.labkit.thread import earlier

Config, GPT = earlier("gpt").Config, earlier("gpt").GPT
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class About:
    """As given."""

    name: str
    licence: str
    language: str
    tags: tuple[str, ...]
    description: str
    use: str
    data: str
    figures: Mapping[str, str | int | float | None]
    limits: tuple[str, ...]


def shapes(config):
    return {name: tuple(weight.shape) for name, weight in GPT(config).named_parameters()}


def stored_bytes(config, bits):
    each = {32: 8, 16: 4, 8: 2, 4: 1}
    if bits not in each:
        raise ValueError("bits")
    halves = 0  # bytes are two of them
    for rows, *columns in shapes(config).values():
        if bits > 8:
            halves += rows * math.prod(columns) * each[bits]
        elif columns:
            taken = columns[0] * each[bits]
            halves += rows * (taken + taken % 2 + 8)
        else:
            halves += 8 * rows
    return halves // 2


def gap_by_kind(bits, floors, kinds):
    if len({len(bits), len(floors), len(kinds)}) != 1 or len(bits) < 1:
        raise ValueError("lengths")
    extra = defaultdict(list)
    for b, f, k in zip(bits, floors, kinds, strict=True):
        extra[k].append(b - f)
    everything = [x for part in extra.values() for x in part]
    named = {**extra, "all": everything}
    return {name: math.fsum(part) / len(part) for name, part in named.items()}


def win_rate(wins, ties, losses, z=1.96):
    n = wins + ties + losses
    if n < 1 or wins < 0 or ties < 0 or losses < 0:
        raise ValueError("counts")
    p = (2 * wins + ties) / (2 * n)
    # The roots of (p - r)² = z² r (1 - r) / n in r.
    a, b, c = 1 + z * z / n, -(2 * p + z * z / n), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    low, high = (-b - root) / (2 * a), (-b + root) / (2 * a)
    return p, min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def model_card(about):
    if len(about.limits) == 0:
        raise ValueError("no limits")
    front = [
        f"language: {json.dumps(about.language)}",
        "library_name: transformers",
        "pipeline_tag: text-generation",
        f"license: {json.dumps(about.licence)}",
        f"tags: {json.dumps(list(about.tags))}",
    ]
    table = "|figure|value|\n|-|-|\n"
    for name, value in about.figures.items():
        if isinstance(value, float):
            value = NOT_MEASURED if math.isnan(value) else f"{value:.4g}"
        value = NOT_MEASURED if value is None else str(value)
        table += "|" + name.replace("|", r"\|") + "|" + value.replace("|", r"\|") + "|\n"
    text = "---\n" + "\n".join(front) + f"\n---\n\n# {about.name}\n\n{about.description}\n\n"
    text += f"## Intended use\n\n{about.use}\n\n## Training data\n\n{about.data}\n\n"
    text += f"## Evaluation\n\n{table}\n## Limits\n\n"
    return text + "".join(f"- {limit}\n" for limit in about.limits)

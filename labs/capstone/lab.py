"""The report card: what a model is, what it can do, how sure that is, and what it cannot do.

Four questions that everybody asks of a model, answered from what can be counted: how large it is,
how far it is from what is possible, whether it is better than another, and what somebody should
know who has never met its maker. Nothing is trained here.

Sources: "Probable Inference, the Law of Succession, and Statistical Inference", Wilson, 1927;
"Model Cards for Model Reporting", Mitchell and others, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from llmpath.labkit.thread import earlier

Config, GPT = earlier("gpt").Config, earlier("gpt").GPT

FLOAT = 4  # bytes of a number in float32
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class About:
    """What a model card is made of (given).

    Attributes:
        name: of the model.
        licence: its terms, as the hub names them, such as "mit".
        language: of its text, such as "en".
        tags: words to find it by.
        description: what it is, in a paragraph.
        use: what it is meant for, and what not.
        data: what it was trained on.
        figures: what was measured, by name; None, or NaN, where something was not.
        limits: what it cannot do and is not, one sentence each.
    """

    name: str
    licence: str
    language: str
    tags: tuple[str, ...]
    description: str
    use: str
    data: str
    figures: Mapping[str, str | int | float | None]
    limits: tuple[str, ...]


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a model's file holds, by its name.

    A linear layer's weight is (outputs, inputs). A tied head is the embedding itself, and is not
    held twice. There are no biases.

    Args:
        config: of the model.

    Returns:
        Names and shapes, in any order; the names are those of `GPT(config).named_parameters()`.

    Example:
        >>> shapes(Config(512, 64, 192, layers=2, heads=4, kv_heads=2))["model.norm.weight"]
        (64,)
    """
    ### BEGIN SOLUTION embedding, last norm, perhaps a head; then nine tensors for each layer
    hidden, inside = config.hidden_size, config.intermediate_size
    shared = config.kv_heads * (hidden // config.heads)
    found: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config.vocab_size, hidden),
        "model.norm.weight": (hidden,),
    }
    if not config.tied:
        found["lm_head.weight"] = (config.vocab_size, hidden)
    block: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (shared, hidden),
        "self_attn.v_proj": (shared, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "post_attention_layernorm": (hidden,),
        "mlp.gate_proj": (inside, hidden),
        "mlp.up_proj": (inside, hidden),
        "mlp.down_proj": (hidden, inside),
    }
    for layer in range(config.layers):
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in block.items()}
    return found
    ### END SOLUTION


def stored_bytes(config: Config, bits: int) -> int:
    """How many bytes the weights take on disk.

    In 32 and 16 bits every number takes 4 or 2 bytes. In 8 and 4 bits each matrix is written as
    codes, one byte for each, or two codes to a byte; each of its rows begins a new byte and has a
    scale in float32. What is no matrix stays in float32 then.

    Args:
        config: of the model.
        bits: 32, 16, 8 or 4.

    Raises:
        ValueError: for other bits.

    Example:
        A matrix of 2 × 3 in 4 bits takes 2 · (2 + 4) = 12 bytes, and in 16 bits 12 bytes as well.
    """
    ### BEGIN SOLUTION refuse; plain numbers are a product; of a matrix, rows times what a row takes
    if bits not in (32, 16, 8, 4):
        raise ValueError(f"weights are stored in 32, 16, 8 or 4 bits here, not {bits}")
    size = 0
    for shape in shapes(config).values():
        if bits >= 16:
            size += math.prod(shape) * bits // 8
        elif len(shape) == 2:
            size += shape[0] * (math.ceil(shape[1] * bits / 8) + FLOAT)
        else:
            size += math.prod(shape) * FLOAT
    return size
    ### END SOLUTION


def gap_by_kind(
    bits: Sequence[float], floors: Sequence[float], kinds: Sequence[str]
) -> dict[str, float]:
    """How many bits per token a model needs above the floor, in all and for each kind of token.

    Args:
        bits: what each token cost the model.
        floors: the least that it costs anybody, token by token; a single token may cost the model
            less.
        kinds: the kind of each token; none is called "all".

    Returns:
        "all": the mean over all tokens of what lies above the floor; and for each kind that
        occurs, the mean over the tokens of that kind.

    Raises:
        ValueError: if the lengths differ, or if there are no tokens.

    Example:
        >>> gap_by_kind([1.0, 4.0, 0.5], [0.0, 3.0, 0.0], ["fact", "choice", "fact"])
        {'all': 0.8333333333333334, 'fact': 0.75, 'choice': 1.0}
    """
    ### BEGIN SOLUTION refuse; sums and counts under two names for each token; then quotients
    if not bits or not len(bits) == len(floors) == len(kinds):
        raise ValueError("there are bits, a floor and a kind for each token, of one token or more")
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for paid, least, kind in zip(bits, floors, kinds, strict=True):
        for name in ("all", kind):
            sums[name] = sums.get(name, 0.0) + paid - least
            counts[name] = counts.get(name, 0) + 1
    return {name: sums[name] / counts[name] for name in sums}
    ### END SOLUTION


def win_rate(wins: int, ties: int, losses: int, z: float = 1.96) -> tuple[float, float, float]:
    """How often a model is preferred to another, and between which bounds that is likely to lie.

    A tie is half a win and half a loss. With p the rate and n the number of comparisons, Wilson's
    interval has the middle (p + z²/2n) / (1 + z²/n), and to both sides of it

        z / (1 + z²/n) · √(p (1 - p) / n + z²/4n²)

    Those are the rates from which what was seen is z standard errors away, or less. (Where there
    are ties the interval is a little too wide.)

    Args:
        wins: how often it was preferred.
        ties: how often neither was.
        losses: how often the other was; of all three together at least one.
        z: how many standard errors; 1.96 for 95 %.

    Returns:
        The rate, the lower and the upper bound, each from 0 to 1.

    Raises:
        ValueError: if a count is negative, or if there was no comparison.

    Example:
        >>> [round(x, 3) for x in win_rate(9, 0, 1)]
        [0.9, 0.596, 0.982]
    """
    ### BEGIN SOLUTION refuse; p with half of the ties; middle and half width; bounds within 0 and 1
    n = wins + ties + losses
    if min(wins, ties, losses) < 0 or n == 0:
        raise ValueError("counts of wins, ties and losses, one comparison or more")
    p = (wins + ties / 2) / n
    stretch = 1 + z**2 / n
    middle = (p + z**2 / (2 * n)) / stretch
    half = z / stretch * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return p, max(0.0, middle - half), min(1.0, middle + half)
    ### END SOLUTION


def model_card(about: About) -> str:
    """A model card: the README.md of a model on the Hugging Face hub.

    It begins with front matter: YAML between two lines of three dashes, of which `yaml.safe_load`
    makes a dict with `language`, `license` and `tags` (a list) as they are in `about`, whatever
    words stand there, `library_name`, which is transformers, and `pipeline_tag`, which is
    text-generation. Then comes Markdown:

        # (the name)
        (the description)
        ## Intended use
        ## Training data
        ## Evaluation
        ## Limits

    in this order, with blank lines between. Under Evaluation stands a table with the columns
    figure and value and a row for each figure, in their order. A float has four significant digits
    there (`.4g`), whole numbers and texts are as they are, and what was not measured says so:
    `NOT_MEASURED`. A | in a cell would end it, and is written as a backslash and |. Each limit is
    an item that begins with a dash and a space.

    Args:
        about: what is to stand there; left as it is. None of its texts has more than one line.

    Returns:
        The text, which ends in one line end.

    Raises:
        ValueError: if there are no limits. Every model has some.
    """
    ### BEGIN SOLUTION front matter by yaml.safe_dump; rows; the sections, joined by blank lines
    if not about.limits:
        raise ValueError("a card without limits is an advertisement; every model has some")
    front = {
        "language": about.language,
        "license": about.licence,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": list(about.tags),
    }
    rows = ["| figure | value |", "| --- | --- |"]
    for name, value in about.figures.items():
        if value is None or value != value:  # NaN is not equal to itself
            said = NOT_MEASURED
        else:
            said = f"{value:.4g}" if isinstance(value, float) else str(value)
        cells = [cell.replace("|", "\\|") for cell in (name, said)]
        rows.append(f"| {cells[0]} | {cells[1]} |")
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---",
        f"# {about.name}",
        about.description,
        "## Intended use",
        about.use,
        "## Training data",
        about.data,
        "## Evaluation",
        "\n".join(rows),
        "## Limits",
        "\n".join(f"- {limit}" for limit in about.limits),
    ]
    return "\n\n".join(parts) + "\n"
    ### END SOLUTION

"""What `lab.yaml` grades.

The oracles: the tensors of a real model, numbers worked out by hand, the equation that Wilson's
bounds solve, and a reader of YAML.
"""

import math
import re

import torch
import yaml

from llmpath.labkit.checks import close, describe, number, raises, same

SMALL = {"vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "layers": 1}
SMALL |= {"heads": 4, "kv_heads": 2}


# Sizes


def sizes(rng):
    """Two models of odd sizes, the second with a head of its own and all key heads."""
    heads = number(rng, 1, 3) * 2
    one = {"vocab_size": number(rng, 20, 40), "hidden_size": heads * 2 * number(rng, 1, 3)}
    one |= {"intermediate_size": number(rng, 5, 30), "layers": number(rng, 1, 3)}
    one |= {"heads": heads, "kv_heads": heads // 2}
    return one, one | {"tied": False, "kv_heads": heads, "layers": 2}


def real(lab, config):
    """The tensors of a model, by name."""
    made = [(str(name), tuple(p.shape)) for name, p in lab.GPT(config).named_parameters()]
    return dict(made)


def tidy(got):
    """Shapes as tuples of whole numbers, once they are a dict."""
    assert isinstance(got, dict), f"shapes should give a dict, and gave {describe(got)}"
    return {name: tuple(shape) for name, shape in got.items()}


def alike(got, want, because):
    """The same names, then the same shapes; what is missing or one too many is named."""
    wrong = [f"{name} is missing" for name in want if name not in got]
    wrong += [f"there is no {name}" for name in got if name not in want]
    assert not wrong, f"{'; '.join(wrong[:3])}: {because}"
    same(got, want, because=because)


def test_shapes_by_hand(lab):
    got = tidy(lab.shapes(lab.Config(**SMALL)))
    layer = "model.layers.0"
    want = {
        "model.embed_tokens.weight": (11, 8),
        "model.norm.weight": (8,),
        f"{layer}.input_layernorm.weight": (8,),
        f"{layer}.self_attn.q_proj.weight": (8, 8),
        f"{layer}.self_attn.k_proj.weight": (4, 8),
        f"{layer}.self_attn.v_proj.weight": (4, 8),
        f"{layer}.self_attn.o_proj.weight": (8, 8),
        f"{layer}.post_attention_layernorm.weight": (8,),
        f"{layer}.mlp.gate_proj.weight": (12, 8),
        f"{layer}.mlp.up_proj.weight": (12, 8),
        f"{layer}.mlp.down_proj.weight": (8, 12),
    }
    because = (
        "11 tokens, vectors of 8, an mlp of 12, 4 heads of 2, of which 2 have keys and values, "
        "and a head that is tied"
    )
    alike(got, want, because)


def test_shapes_match(lab, rng):
    for each in sizes(rng):
        config = lab.Config(**each)
        because = f"the parameters of GPT(Config({', '.join(f'{k}={v}' for k, v in each.items())}))"
        alike(tidy(lab.shapes(config)), real(lab, config), because)


def stored(found, bits):
    """The bytes of tensors with these shapes."""
    size = 0
    for shape in found.values():
        if bits >= 16:
            size += math.prod(shape) * bits // 8
        elif len(shape) == 1:
            size += 4 * shape[0]
        else:
            rows, columns = shape
            size += rows * ((columns * bits + 7) // 8 + 4)
    return size


def test_bytes_by_hand(lab):
    config = lab.Config(**SMALL)
    # 88 + 8 + 8 + 64 + 32 + 32 + 64 + 8 + 96 + 96 + 96 numbers, of which 24 are of norms.
    for bits, want, because in (
        (32, 4 * 592, "592 numbers of 4 bytes"),
        (16, 2 * 592, "592 numbers of 2 bytes"),
        (8, 568 + 4 * 67 + 4 * 24, "568 codes of a byte, scales for 67 rows, 24 numbers of norms"),
        (4, 284 + 4 * 67 + 4 * 24, "568 codes, two to a byte; scales for 67 rows; 24 numbers"),
    ):
        same(lab.stored_bytes(config, bits), want, because=f"in {bits} bits: {because}")


def test_bytes_match(lab, rng):
    for each in sizes(rng):
        each = each | {"intermediate_size": 2 * number(rng, 3, 9) + 1}
        config = lab.Config(**each)
        found = real(lab, config)
        for bits in (32, 16, 8, 4):
            because = (
                f"{bits} bits, an mlp of {each['intermediate_size']}; the matrix down_proj has so "
                "many codes in each row, and a row begins a new byte"
            )
            same(lab.stored_bytes(config, bits), stored(found, bits), because=because)


def test_refuses_bits(lab):
    config = lab.Config(**SMALL)
    for bits in (0, 2, 12, 64, -8):
        raises(lambda bits=bits: lab.stored_bytes(config, bits), f"bits={bits}")
    same(lab.stored_bytes(config, 16), 1184, because="592 numbers of 2 bytes")


# The gap


def gaps(lab, bits, floors, kinds, want, because):
    """Compare what the learner gives for these tokens."""
    got = lab.gap_by_kind(list(bits), list(floors), list(kinds))
    close(got, want, atol=1e-9, because=because)


def test_gap_by_hand(lab):
    because = "(1 - 0) and (0.5 - 0) for facts, (4 - 3) for the choice, 2.5 bits for 3 tokens"
    want = {"all": 2.5 / 3, "fact": 0.75, "choice": 1.0}
    gaps(lab, [1.0, 4.0, 0.5], [0.0, 3.0, 0.0], ["fact", "choice", "fact"], want, because)


def test_gap_adds_up(lab, rng):
    kinds = [("choice", "fact", "syntax", "end")[number(rng, 0, 3)] for _ in range(40)]
    bits = (4 * torch.rand(40, generator=rng, dtype=torch.float64)).tolist()
    floors = (3 * torch.rand(40, generator=rng, dtype=torch.float64)).tolist()
    extra = torch.tensor(bits, dtype=torch.float64) - torch.tensor(floors, dtype=torch.float64)
    want = {"all": float(extra.mean())}
    for kind in set(kinds):
        want[kind] = float(extra[[k == kind for k in kinds]].mean())
    because = "40 tokens of several kinds; weighted by how many there are, the kinds make up all"
    gaps(lab, bits, floors, kinds, want, because)


def test_below_the_floor(lab):
    because = "a token may be cheaper than the floor: 1 - 3 is -2. Only the mean is not"
    want = {"all": 0.5, "choice": 0.5}
    gaps(lab, [1.0, 4.0], [3.0, 1.0], ["choice", "choice"], want, because)
    because = "two kinds, of which one is a gain"
    want = {"all": -0.5, "a": 1.0, "b": -1.25}
    gaps(lab, [2.0, 0.0, 0.5], [1.0, 2.0, 1.0], ["a", "b", "b"],
         want | {"all": -1.5 / 3}, because)  # fmt: skip


def test_gap_refuses(lab):
    raises(lambda: lab.gap_by_kind([], [], []), "no tokens")
    raises(lambda: lab.gap_by_kind([1.0, 2.0], [0.0], ["a", "b"]), "two tokens and one floor")
    raises(lambda: lab.gap_by_kind([1.0], [0.0], ["a", "b"]), "one token and two kinds")
    gaps(lab, [1.0], [0.0], ["a"], {"all": 1.0, "a": 1.0}, "one token is enough")


# Which is better


def rates(lab, *counts, **settings):
    """Rate and bounds, once they are three numbers."""
    got = lab.win_rate(*counts, **settings)
    fine = isinstance(got, (tuple, list)) and len(got) == 3
    fine = fine and all(isinstance(each, (int, float)) for each in got)
    assert fine, f"win_rate should give a rate and two bounds, and gave {describe(got)}"
    return tuple(map(float, got))


def test_win_rate_by_hand(lab):
    got = rates(lab, 9, 0, 1)
    because = (
        "p = 0.9, n = 10, z = 1.96: z²/n is 0.38416, the middle (0.9 + 0.19208) / 1.38416 = 0.789, "
        "and 0.193 to both sides"
    )
    close(got[0], 0.9, atol=1e-9, because="nine of ten")
    close(got[1:], (0.59585, 0.98212), atol=1e-4, because=because)


def test_ties(lab, rng):
    for wins, ties, losses in ((2, 4, 2), (0, 5, 0), (3, 1, 0)):
        want = (wins + ties / 2) / (wins + ties + losses)
        because = f"{wins} wins, {ties} ties, {losses} losses: a tie is half a win and half a loss"
        close(rates(lab, wins, ties, losses)[0], want, atol=1e-9, because=because)
    wins, half, losses = (number(rng, 1, 9) for _ in range(3))
    because = f"{2 * half} ties are as {half} wins and {half} losses"
    close(rates(lab, wins, 2 * half, losses), rates(lab, wins + half, 0, losses + half),
          atol=1e-9, because=because)  # fmt: skip


def test_wilson(lab, rng):
    for n in (3, 20, number(rng, 50, 400)):
        wins, z = number(rng, 1, n - 1), 1 + number(rng, 0, 20) / 10
        rate, low, high = rates(lab, wins, 0, n - wins, z=z)
        assert low < rate < high, f"{wins} of {n}: the rate {rate:.3f} is not between the bounds"
        assert 0 < low < high < 1, (
            f"{wins} of {n}, z = {z}: the bounds {low:.3f} and {high:.3f} should lie within 0 and "
            "1; only where all were won or lost is one of them at the edge"
        )
        for bound in (low, high):
            away = abs(rate - bound) / math.sqrt(bound * (1 - bound) / n)
            because = (
                f"{wins} of {n}: were the true rate {bound:.4f}, its standard error would be "
                f"√(p (1 - p) / n) with that p, and {wins / n:.4f} should be z = {z} of them away"
            )
            close(away, z, atol=1e-6, because=because)


def test_all_or_nothing(lab, rng):
    for n in (1, 5, number(rng, 20, 90)):
        best, worst = rates(lab, n, 0, 0), rates(lab, 0, 0, n)
        z2 = 1.96**2
        because = f"{n} of {n} won does not prove that it always wins: from n / (n + z²) to 1"
        close(best, (1.0, n / (n + z2), 1.0), atol=1e-9, because=because)
        because = f"{n} of {n} lost: from 0 to z² / (n + z²)"
        close(worst, (0.0, 0.0, z2 / (n + z2)), atol=1e-9, because=because)
        assert best[2] <= 1, f"the upper bound, {best[2]}, is above 1"
        assert worst[1] >= 0, f"the lower bound, {worst[1]}, is below 0"


def test_refuses_counts(lab):
    for counts in ((0, 0, 0), (-1, 2, 2), (3, -1, 2), (3, 1, -1)):
        raises(lambda counts=counts: lab.win_rate(*counts), f"win_rate{counts}")
    close(rates(lab, 0, 2, 0)[0], 0.5, atol=1e-9, because="two ties are comparisons, too")


# The card

PLAIN = {
    "name": "little-world",
    "licence": "mit",
    "language": "en",
    "tags": ("chat", "tiny"),
    "description": "A small model of a small world.",
    "use": "To learn from. Not for decisions about people.",
    "data": "Stories that a grammar made.",
    "figures": {"parameters": 106_944, "facts known": 0.98125, "grade": "own code"},
    "limits": ("It knows 64 people.", "What it says can be wrong."),
}


def card(lab, **changes):
    """The learner's card, once it is a text."""
    text = lab.model_card(lab.About(**(PLAIN | changes)))
    assert isinstance(text, str), f"model_card should give a text, and gave {describe(text)}"
    return text


def front(text):
    """Its front matter, read, and what comes after it."""
    found = re.match(r"---\n(.*?\n)---\n(.*)", text, re.DOTALL)
    assert found, (
        "a card begins with a line of three dashes, has YAML, and again a line of three dashes; "
        f"this one begins with {text[:40]!r}"
    )
    try:
        read = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise AssertionError(f"the front matter is no YAML: {told}") from None
    assert isinstance(read, dict), f"the front matter should be keys and values, not {read!r}"
    return read, found[2]


def cells(text):
    """The rows of its table, each a list of cells, heading and rule left out."""
    lines = [line for line in front(text)[1].split("\n") if line.strip().startswith("|")]
    rows = []
    for line in lines:
        parts = re.split(r"(?<!\\)\|", line.strip())
        rows.append([part.strip().replace("\\|", "|") for part in parts[1:-1]])
    heading = rows[0] if rows else None
    same(heading, ["figure", "value"], because="the heading of the table under Evaluation")
    ruled = len(rows) > 1 and all(re.fullmatch(r":?-+:?", cell) for cell in rows[1])
    assert ruled, "below the heading of a Markdown table stands a rule, | --- | --- |"
    return rows[2:]


def test_front_matter(lab):
    read, _ = front(card(lab))
    want = {
        "language": "en",
        "license": "mit",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["chat", "tiny"],
    }
    because = "what the hub reads; it spells the key `license`"
    missing = [key for key in want if key not in read]
    assert not missing, (
        f"the front matter has no key {missing[0]}; its keys are {', '.join(map(str, read))}"
    )
    same({key: read[key] for key in want}, want, because=because)


def test_any_words(lab):
    changes = {
        "language": "no",
        "licence": "on",
        "tags": ("a: b", "# no comment", "1.5", "日本", "-"),
    }
    read, _ = front(card(lab, **changes))
    because = (
        "Norwegian is `no`, which YAML reads as false unless it is quoted; a colon, a # and a "
        "number mean something in YAML, too"
    )
    got = (read.get("language"), read.get("license"), read.get("tags"))
    same(got, ("no", "on", list(changes["tags"])), because=because)
    read, _ = front(card(lab, tags=()))
    same(read.get("tags"), [], because="no tags are an empty list")


def test_sections(lab):
    _, body = front(card(lab))
    headings = [line for line in body.split("\n") if line.startswith("#")]
    want = ["# little-world", "## Intended use", "## Training data", "## Evaluation", "## Limits"]
    same(headings, want, because="the headings, in their order")
    parts = re.split(r"\n#+ .*\n", "\n" + body)
    for place, key in ((1, "description"), (2, "use"), (3, "data")):
        same(parts[place].strip(), PLAIN[key], because=f"what stands below {want[place - 1]!r}")
    items = [line for line in parts[5].split("\n") if line]
    same(items, [f"- {limit}" for limit in PLAIN["limits"]], because="an item for each limit")
    blank = all(before == "" for before, line in zip(body.split("\n"), body.split("\n")[1:],
                strict=False) if line.startswith("#"))  # fmt: skip
    assert blank, "a blank line stands before each heading, else some readers do not see one"
    assert body.endswith("wrong.\n"), f"the text should end in one line end: {body[-20:]!r}"


def test_table(lab):
    because = "a row for each figure; 0.98125 has four significant digits there"
    want = [["parameters", "106944"], ["facts known", "0.9812"], ["grade", "own code"]]
    same(cells(card(lab)), want, because=because)
    figures = {"a": 1234.5678, "b": 0.000012345, "c": 3.0, "d": 0}
    want = [["a", "1235"], ["b", "1.234e-05"], ["c", "3"], ["d", "0"]]
    same(cells(card(lab, figures=figures)), want, because="floats with .4g; 0 was measured")


def test_not_measured(lab):
    figures = {"bias": None, "gap": float("nan"), "zero": 0.0}
    want = [["bias", "not measured"], ["gap", "not measured"], ["zero", "0"]]
    because = "what was not measured is said to be that, and is neither left out nor 0"
    same(cells(card(lab, figures=figures)), want, because=because)
    same(cells(card(lab, figures={})), [], because="no figures: a table of a heading and a rule")


def test_bars(lab):
    figures = {"P(she | cook)": "0.9 | 0.8", "plain": 1}
    want = [["P(she | cook)", "0.9 | 0.8"], ["plain", "1"]]
    because = "a | ends a cell, so one that is meant as a sign is written \\|"
    same(cells(card(lab, figures=figures)), want, because=because)


def test_refuses_no_limits(lab):
    raises(lambda: card(lab, limits=()), "a card without limits")
    text = card(lab, limits=("One.",))
    assert "\n- One.\n" in text, "one limit is enough, and stands there as `- One.`"

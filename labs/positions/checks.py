"""What `lab.yaml` grades. The oracles: complex numbers, plain `math`, transformers' Llama."""

import ast
import importlib.util
import math
from pathlib import Path

import numpy
import torch

from llmpath.labkit.checks import alike, close, has, number, same

# Angles may be computed in float32, so that even float64 agrees to about 1e-7 times the position.
CLOSE = 3e-5


def random(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def turned(x, positions, base=10_000.0):
    """The right answer: points of the plane as complex numbers, multiplied by e^(i · angle)."""
    half = x.size(-1) // 2
    speed = torch.tensor([base ** (-i / half) for i in range(half)], dtype=torch.float64)
    angle = positions[..., None].double() * speed
    points = torch.complex(x[..., :half].double(), x[..., half:].double())
    points = points * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([points.real, points.imag], dim=-1).to(x.dtype)


def turns(got, x):
    """Check that something was turned, and that numbers came of it."""
    assert bool(got.isfinite().all()), "rope returned numbers that are infinite or NaN"
    assert bool((got != 0).any()), "rope returned nothing but zeros"
    assert not torch.equal(got, x), "rope turned nothing"


def known_turn(got, x, positions, base=10_000.0):
    """Which wrong rotation this is, if it is one that people know."""
    half = x.size(-1) // 2
    pairs = torch.cat([x[..., 0::2], x[..., 1::2]], dim=-1)
    neighbours = turned(pairs, positions, base).unflatten(-1, (2, half)).mT.flatten(-2)
    wrong = {
        "this turns clockwise: look at the signs before the two sines": (
            turned(x, -positions, base)
        ),
        "this pairs neighbours, 0 with 1 and 2 with 3; here i goes with i + head_size / 2": (
            neighbours
        ),
        "the angles fall off too slowly: the exponent of base is i / (head_size / 2), so that the "
        "last plane is nearly `base` times as slow as the first": turned(x, positions, base**0.5),
        "the angles do not use `base`": turned(x, positions),
        "the positions are counted from 0 and those given are not used": (
            turned(x, torch.arange(x.size(-2)), base)
        ),
        "nothing is turned": x,
    }
    for sentence, values in wrong.items():
        if alike(got, values, atol=CLOSE):
            return sentence
    return (
        "dimensions i and i + head_size / 2 are a point, turned by position / base^(2i / head_size)"
    )


def known_waves(got, want):
    """Which wrong table this is, if it is one that people know."""
    time, hidden_size = want.shape
    pairs = want.unflatten(-1, (hidden_size // 2, 2))
    wrong = {
        "the cosine comes first: even columns hold sines, odd ones cosines": (
            pairs.flip(-1).flatten(-2)
        ),
        "all sines come first, then all cosines; each sine should have its cosine beside it": (
            pairs.mT.flatten(-2)
        ),
        "the first row is position 1; positions count from 0": waves(time + 1, hidden_size)[1:],
        "the waves slow down too little: the exponent of column 2i is 2i / hidden_size": (
            waves(time, hidden_size, 100.0)
        ),
    }
    for sentence, table in wrong.items():
        if alike(got, table, atol=CLOSE):
            return sentence
    return "columns 2i and 2i + 1 are sine and cosine of position / 10000^(2i / hidden_size)"


def waves(time, hidden_size, base=10_000.0):
    """The right table, number by number."""
    rows = [
        [
            (math.cos if column % 2 else math.sin)(
                position / base ** ((column - column % 2) / hidden_size)
            )
            for column in range(hidden_size)
        ]
        for position in range(time)
    ]
    return torch.tensor(rows, dtype=torch.float32)


def test_waves_by_hand(lab):
    # Three speeds: 1, 10000^(-1/3) = 0.0464 and 10000^(-2/3) = 0.00215.
    want = torch.tensor(
        [[0.0, 1.0, 0.0, 1.0, 0.0, 1.0], [0.84147, 0.54030, 0.04640, 0.99892, 0.00215, 1.00000]]
    )
    got = lab.sinusoidal(2, 6)
    close(got, want, atol=2e-5, because=known_waves(got, waves(2, 6)), axes="time, hidden_size")


def test_waves_match_formula(lab, rng):
    for time, hidden_size in ((1, 2), (number(rng, 5, 9), 10), (300, 2 * number(rng, 8, 16))):
        want = waves(time, hidden_size)
        got = lab.sinusoidal(time, hidden_size)
        because = f"for time={time}, hidden_size={hidden_size}: " + known_waves(got, want)
        close(got, want, atol=1e-4, because=because, axes="time, hidden_size")


def test_waves_tell_distance(lab, rng):
    time, hidden_size = 40, 2 * number(rng, 4, 10)
    table = lab.sinusoidal(time, hidden_size)
    has(table, (time, hidden_size), torch.float32, "sinusoidal")
    products = table.double() @ table.double().T
    assert not torch.allclose(products[0], products[0, 0].expand(time), atol=0.1), (
        "all rows are alike: the table tells no position from another"
    )
    for distance in (0, 1, number(rng, 2, 20)):
        diagonal = products.diagonal(distance)
        close(
            diagonal,
            diagonal[:1].expand_as(diagonal).clone(),
            atol=1e-4,
            because=f"the dot product of two rows {distance} apart should be the same all over "
            "the table, which needs a sine and a cosine of each speed",
        )


def test_turn_by_hand(lab):
    # cos 1 = 0.54030 and sin 1 = 0.84147; cos 0.01 = 0.99995 and sin 0.01 = 0.01000.
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    want = torch.tensor([[1.0, 2.0, 3.0, 4.0], [-1.98411, 1.95990, 2.46238, 4.01980]])
    positions = torch.tensor([0, 1])
    got = lab.rope(x.clone(), positions)
    close(got, want, atol=2e-5, because=known_turn(got, x, positions), axes="time, head_size")


def test_pairs_halves(lab, rng):
    head_size = 2 * number(rng, 3, 5)
    half = head_size // 2
    for i in range(head_size):
        x = torch.zeros(3, head_size, dtype=torch.float64)
        x[:, i] = 1.0
        got = lab.rope(x.clone(), torch.arange(3))
        has(got, (3, head_size), torch.float64, "rope")
        moved = set(got[2].nonzero().flatten().tolist())
        pair = {i % half, i % half + half}
        assert moved == pair, (
            f"head size {head_size}: only dimension {i} was not zero, and after turning dimensions "
            f"{sorted(moved)} are not; they should be {sorted(pair)}"
        )


def test_matches_formula(lab, rng):
    for dtype in (torch.float64, torch.float32):
        for leading in ((), (2,), (2, 3)):
            time, head_size = number(rng, 4, 7), 2 * number(rng, 2, 6)
            x = random(rng, *leading, time, head_size, dtype=dtype)
            positions = torch.arange(time)
            got = lab.rope(x.clone(), positions)
            close(
                got,
                turned(x, positions),
                atol=CLOSE,
                because=f"x {tuple(x.shape)}, positions 0 to {time - 1}: "
                + known_turn(got, x, positions),
            )


def test_positions_as_given(lab, rng):
    time, head_size = 5, 8
    x = random(rng, 2, 3, time, head_size)
    start = number(rng, 3, 30)
    unsorted = torch.tensor([7, 0, 3, 3, 12])
    each = torch.randint(0, 40, (2, 1, time), generator=rng)
    for positions in (torch.arange(start, start + time), unsorted, each):
        got = lab.rope(x.clone(), positions)
        close(
            got,
            turned(x, positions),
            atol=CLOSE,
            because=f"x {tuple(x.shape)}, positions {tuple(positions.shape)} such as "
            f"{positions.reshape(-1, time)[0].tolist()}: " + known_turn(got, x, positions),
            axes="batch, heads, time, head_size",
        )


def test_base(lab, rng):
    time, head_size = 4, 2 * number(rng, 3, 6)
    x = random(rng, 2, time, head_size)
    positions = torch.arange(3, 3 + time)
    for base in (100.0, 500_000.0):
        got = lab.rope(x.clone(), positions, base)
        because = f"with base={base:,.0f}: " + known_turn(got, x, positions, base)
        close(got, turned(x, positions, base), atol=CLOSE, because=because)


def test_lengths_stay(lab, rng):
    x = random(rng, 2, 6, 8)
    got = lab.rope(x.clone(), torch.arange(1, 7))
    has(got, (2, 6, 8), torch.float64, "rope")
    assert not alike(got, x, atol=CLOSE), (
        "at positions 1 to 6 something should turn, and nothing did"
    )
    close(
        got.norm(dim=-1),
        x.norm(dim=-1),
        atol=CLOSE,
        because="turning changes no vector's length. If yours do, look at the signs, and whether "
        "the second half is made from the first half as it was",
    )


def test_difference_only(lab, rng):
    q, k = random(rng, 3, 1, 8), random(rng, 3, 1, 8)

    def score(query, key):
        turn = [lab.rope(t.clone(), torch.tensor([p])) for t, p in ((q, query), (k, key))]
        for got in turn:
            has(got, (3, 1, 8), torch.float64, "rope")
        return (turn[0] * turn[1]).sum(-1)

    gap = number(rng, 1, 6)
    near = score(gap, 0)
    assert not alike(near, score(0, gap), atol=CLOSE), (
        "the score of a word and the one after it equals that of a word and the one before it"
    )
    for start in (1, number(rng, 2, 60)):
        close(
            score(start + gap, start),
            near,
            atol=1e-4,
            because=f"the query stands {gap} after the key, at {start + gap} and {start} rather "
            f"than at {gap} and 0: the score should be the same",
        )


def test_keeps_dtype(lab, rng):
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        x = random(rng, 2, 3, 4, dtype=dtype)
        got = lab.rope(x.clone(), torch.arange(3))
        has(got, (2, 3, 4), dtype, f"rope of {dtype}")
        turns(got[:, 1:], x[:, 1:])
        close(got[:, 0], x[:, 0], atol=0.0, because=f"at position 0 nothing turns: {dtype} comes "
              "back to the last digit. Is x narrowed on the way?")  # fmt: skip


def test_low_precision(lab, rng):
    for dtype, atol in ((torch.bfloat16, 0.08), (torch.float16, 0.02)):
        x = random(rng, 2, 3, 16, dtype=dtype)
        positions = torch.tensor([1, 999, number(rng, 9_000, 11_000)])
        got = lab.rope(x.clone(), positions)
        close(
            got,
            turned(x, positions),
            atol=atol,
            because=f"x is {dtype}, and positions go up to {int(positions[-1])}: such a number "
            "does not fit into it, nor does the angle. Compute positions, speeds and angles in "
            "float32, and return to the dtype of x at the end",
        )


def test_inputs_untouched(lab, rng):
    x, positions = random(rng, 2, 3, 8), torch.tensor([4, 1, 2])
    given = [x.clone(), positions.clone()]
    result = lab.rope(*given)
    has(result, (2, 3, 8), torch.float64, "rope")
    turns(result, x)
    for got, original, name in zip(given, (x, positions), ("x", "positions"), strict=True):
        same(got, original, because=f"rope changed its argument {name} in place")


def test_gradients(lab, rng):
    x, cotangent = random(rng, 2, 4, 6), random(rng, 2, 4, 6)
    positions = torch.arange(2, 6)
    has(lab.rope(x.clone(), positions), (2, 4, 6), torch.float64, "rope")
    found = lab.vjp(lab.rope, x, positions, cotangent=cotangent)
    close(
        found.args,
        [turned(cotangent, -positions), None],
        atol=CLOSE,
        because="the gradient of a rotation is the rotation backwards; a None means that your code "
        "cut the graph, as .detach(), .item() and torch.tensor(...) do",
    )


def of_transformers(model, *names):
    """Functions of one of transformers' models, run from its source.

    Importing the model's module would load all that transformers is made of, which takes seconds
    in every grading; these functions need torch and numpy alone.
    """
    package = importlib.util.find_spec("transformers")
    source = Path(package.origin).parent / "models" / model / f"modeling_{model}.py"
    tree = ast.parse(source.read_text(encoding="utf-8"))
    tree.body = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name in names]
    for function in tree.body:
        function.decorator_list = []  # they register the function for faster kernels
    found = {"torch": torch, "np": numpy}
    exec(compile(tree, source, "exec"), found)
    return found[names[0]]


def test_matches_transformers(lab, rng):
    theirs = of_transformers("llama", "apply_rotary_pos_emb", "rotate_half")
    for base, head_size in ((10_000.0, 8), (500_000.0, 16)):
        positions = torch.randint(0, 50, (2, 6), generator=rng)
        speed = 1.0 / base ** (torch.arange(0, head_size, 2).double() / head_size)
        angle = (positions[..., None] * speed).repeat(1, 1, 2)
        for dtype in (torch.float32, torch.float64):
            x = random(rng, 2, 3, 6, head_size, dtype=dtype)
            want, _ = theirs(x, x, angle.cos().to(dtype), angle.sin().to(dtype))
            close(
                lab.rope(x.clone(), positions[:, None], base),
                want,
                atol=5e-5,
                because=f"transformers' Llama, base {base:,.0f}, a row of positions for each text",
                axes="batch, heads, time, head_size",
            )
    theirs = of_transformers("distilbert", "_create_sinusoidal_embeddings")
    table = theirs(20, 12, torch.empty(20, 12))
    because = "transformers' DistilBERT has the same waves"
    close(lab.sinusoidal(20, 12), table, atol=1e-5, because=because, axes="time, hidden_size")

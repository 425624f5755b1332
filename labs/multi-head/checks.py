"""What `lab.yaml` grades. The oracle is torch's own MultiheadAttention, with the same weights."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from llmpath.labkit.checks import alike, close, describe, has, number, same

# float64 shows a wrong formula; float32 is what models use.
PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 1e-5)]
HEADS = "batch, heads, time, head_size"
WORDS = "batch, time, hidden_size"


def random(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def random_mask(rng, *shape):
    """A mask in which something is hidden, but every query sees some key."""
    mask = torch.rand(*shape, generator=rng) < 0.5
    for i in range(shape[-2]):
        mask[..., i, i % shape[-1]] = True
    mask[..., 0, 1] = False
    return mask


def causal(time):
    return torch.ones(time, time, dtype=torch.bool).tril()


def random_weights(rng, hidden_size, heads, kv_heads=None, dtype=torch.float64):
    """Weights for the four layers, of about the size that keeps vectors as long as they are."""
    kv_size = hidden_size // heads * (kv_heads or heads)
    sizes = {"q_proj": hidden_size, "k_proj": kv_size, "v_proj": kv_size, "o_proj": hidden_size}
    return {
        f"{name}.weight": random(rng, size, hidden_size, dtype=dtype) / hidden_size**0.5
        for name, size in sizes.items()
    }


def layer(lab, weights, heads, kv_heads=None):
    """The learner's module with these weights."""
    hidden_size = weights["q_proj.weight"].size(0)
    counts = (heads,) if kv_heads is None else (heads, kv_heads)
    module = lab.MultiHeadAttention(hidden_size, *counts)
    assert hasattr(module, "type_name"), (
        f"MultiHeadAttention should be a class, and calling it gave {describe(module)}"
    )
    module.to(weights["q_proj.weight"].dtype)
    module.load_state_dict(weights)
    return module


def torch_heads(weights, heads, x, mask=None):
    """What torch's MultiheadAttention answers; its masks say what is hidden."""
    batch, time, hidden_size = x.shape
    theirs = nn.MultiheadAttention(
        hidden_size, heads, bias=False, batch_first=True, dtype=x.dtype
    ).requires_grad_(False)
    parts = [weights[f"{name}.weight"] for name in ("q_proj", "k_proj", "v_proj")]
    theirs.in_proj_weight.copy_(torch.cat(parts))
    theirs.out_proj.weight.copy_(weights["o_proj.weight"])
    hidden = None
    if mask is not None:
        hidden = ~mask.expand(batch, heads, time, time).reshape(batch * heads, time, time)
    return theirs(x, x, x, attn_mask=hidden, need_weights=False)[0]


def torch_groups(weights, heads, kv_heads, x, mask=None, rotate=None, extend=None):
    """Grouped queries by torch's fused attention, which shares heads by itself."""
    batch, time, hidden_size = x.shape
    q, k, v = (
        F.linear(x, weights[f"{name}.weight"]).view(batch, time, count, -1).permute(0, 2, 1, 3)
        for name, count in (("q_proj", heads), ("k_proj", kv_heads), ("v_proj", kv_heads))
    )
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    if extend is not None:
        k, v = extend(k, v)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
    found = found.permute(0, 2, 1, 3).reshape(batch, time, hidden_size)
    return F.linear(found, weights["o_proj.weight"])


def known_split(got, x, heads):
    """Which wrong way of cutting this is, if it is one that people know."""
    batch, time, hidden_size = x.shape
    size = hidden_size // heads
    wrong = {
        "view alone does not bring heads in front of time: these pieces hold bits of several "
        "words. Cut the last dimension first, then exchange the two": (
            x.reshape(batch, heads, time, size)
        ),
        "the heads are cut, but stand behind time: exchange the two": (
            x.reshape(batch, time, heads, size)
        ),
        "each head took every so-manieth number; it should take neighbours": (
            x.reshape(batch, time, size, heads).permute(0, 3, 1, 2)
        ),
    }
    for sentence, pieces in wrong.items():
        if alike(got, pieces):
            return sentence
    return "head h of word t holds the numbers from h * head_size on of that word's vector"


def known_output(got, weights, heads, x, mask=None):
    """Which wrong output this is, if it is one that people know."""
    batch, time, hidden_size = x.shape
    flat = (batch, time, hidden_size)
    parts = [F.linear(x, weights[f"{n}.weight"]) for n in ("q_proj", "k_proj", "v_proj")]
    q, k, v = (part.view(batch, time, heads, -1).permute(0, 2, 1, 3) for part in parts)
    o = weights["o_proj.weight"]

    def mixed(found):
        return F.linear(found.reshape(flat), o)

    def attend(scale=None, hidden=mask, parts=(q, k, v)):
        found = F.scaled_dot_product_attention(*parts, attn_mask=hidden, scale=scale)
        return found.transpose(1, 2)

    size = hidden_size // heads
    wrong = {
        "what the heads found comes back as it is: it has not been through o_proj": (
            lambda: attend().reshape(flat)
        ),
        "the scores are divided by √hidden_size; each head's should be divided by √head_size, "
        "which your attention does already": lambda: mixed(attend(hidden_size**-0.5)),
        "the scores are divided by √head_size twice: your attention does it already": (
            lambda: mixed(attend(1 / size))
        ),
        "the heads were put together without bringing time back to the front": (
            lambda: mixed(attend().transpose(1, 2))
        ),
        "within each word the heads look at one another; each head should look at the words": (
            lambda: mixed(F.scaled_dot_product_attention(*(p.transpose(1, 2) for p in (q, k, v))))
        ),
        "the mask is not used": lambda: mixed(attend(hidden=None)),
        "keys and values have changed places": lambda: mixed(attend(parts=(q, v, k))),
        "queries and keys have changed places": lambda: mixed(attend(parts=(k, q, v))),
        "x is added to what the heads found; that is the work of the block around it": (
            lambda: x + mixed(attend())
        ),
    }
    for sentence, output in wrong.items():
        if alike(got, output()):
            return sentence
    return "each head attends by itself, then o_proj mixes what all of them found"


def test_split_by_hand(lab):
    x = torch.tensor([[[1.0, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]]])
    for heads, want in [
        (3, [[[[1.0, 2], [10, 20]], [[3, 4], [30, 40]], [[5, 6], [50, 60]]]]),
        (2, [[[[1.0, 2, 3], [10, 20, 30]], [[4, 5, 6], [40, 50, 60]]]]),
    ]:
        got = lab.split_heads(x.clone(), heads)
        close(got, torch.tensor(want), atol=0, because=known_split(got, x, heads), axes=HEADS)


def test_split_any_size(lab, rng):
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        batch, time, heads, size = (number(rng, low, low + 2) for low in (2, 3, 2, 3))
        x = random(rng, batch, time, heads * size, dtype=dtype)
        want = torch.stack(x.chunk(heads, dim=-1), dim=1)
        got = lab.split_heads(x.clone(), heads)
        because = known_split(got.double() if alike(got, got) else got, x.double(), heads)
        close(got, want, atol=0, because=because, axes=HEADS)


def test_merge_undoes_split(lab, rng):
    by_hand = torch.tensor([[[[1.0, 2], [10, 20]], [[3, 4], [30, 40]], [[5, 6], [50, 60]]]])
    close(
        lab.merge_heads(by_hand.clone()),
        torch.tensor([[[1.0, 2, 3, 4, 5, 6], [10, 20, 30, 40, 50, 60]]]),
        atol=0,
        because="each word gets its own pieces back, that of head 0 first",
        axes=WORDS,
    )
    for dtype in (torch.float64, torch.float32):
        batch, heads, time, size = (number(rng, low, low + 2) for low in (2, 2, 4, 3))
        x = random(rng, batch, heads, time, size, dtype=dtype)
        close(
            lab.merge_heads(x.clone()),
            torch.cat(x.unbind(1), dim=-1),
            atol=0,
            because="the heads of one word should stand side by side; where time is not brought "
            "back in front of heads, a row holds several words of one head",
            axes=WORDS,
        )


def test_repeat_in_a_row(lab, rng):
    x = torch.tensor([[[[1.0, 2]], [[3, 4]], [[5, 6]]]])
    close(
        lab.repeat_kv(x.clone(), 2),
        torch.tensor([[[[1.0, 2]], [[1, 2]], [[3, 4]], [[3, 4]], [[5, 6]], [[5, 6]]]]),
        atol=0,
        because="three heads, two queries each: the order is 0, 0, 1, 1, 2, 2",
        axes=HEADS,
    )
    for groups in (1, number(rng, 2, 4)):
        batch, kv_heads, time, size = (number(rng, low, low + 2) for low in (2, 2, 3, 3))
        x = random(rng, batch, kv_heads, time, size)
        got = lab.repeat_kv(x.clone(), groups)
        because = f"each head stands {groups} times in a row, all else as it was"
        if alike(got, x.repeat(1, groups, 1, 1)):
            because = "the order is 0, 1, 0, 1; neighbours should share: 0, 0, 1, 1"
        close(got, x.repeat_interleave(groups, dim=1), atol=0, because=because, axes=HEADS)


def shapes(module):
    """The names and shapes of a module's parameters."""
    weights = module.state_dict()
    assert isinstance(weights, dict), f"state_dict() should be a dict, not {describe(weights)}"
    return {
        name: list(w.shape) if isinstance(w, torch.Tensor) else describe(w)
        for name, w in weights.items()
    }


def test_layers(lab):
    module = lab.MultiHeadAttention(12, 3)
    assert hasattr(module, "type_name"), "MultiHeadAttention should be a class"
    same(
        shapes(module),
        {f"{name}.weight": [12, 12] for name in ("q_proj", "k_proj", "v_proj", "o_proj")},
        because="there are four linear layers of these names, without biases; with as many key "
        "heads as query heads, each takes 12 numbers to 12",
    )


def test_grouped_layers(lab):
    for kv_heads, size in ((2, 8), (1, 4)):
        module = lab.MultiHeadAttention(24, 6, kv_heads)
        assert hasattr(module, "type_name"), "MultiHeadAttention should be a class"
        same(
            shapes(module),
            {
                "q_proj.weight": [24, 24],
                "k_proj.weight": [size, 24],
                "v_proj.weight": [size, 24],
                "o_proj.weight": [24, 24],
            },
            because=f"hidden size 24, 6 heads of 4 numbers: with kv_heads={kv_heads}, keys and "
            f"values have {kv_heads} × 4 numbers. A Linear's weight is (numbers out, numbers in)",
        )


def test_heads_by_hand(lab):
    # Two words, two heads of size 1. Both heads are found under a word's first number; head 0
    # asks with the first number times ln 3, head 1 with the second.
    weights = {
        "q_proj.weight": 1.0986122886681098 * torch.eye(2, dtype=torch.float64),
        "k_proj.weight": torch.tensor([[1.0, 0], [1, 0]], dtype=torch.float64),
        "v_proj.weight": torch.tensor([[4.0, 0], [8, 0]], dtype=torch.float64),
        "o_proj.weight": torch.tensor([[1.0, 1], [0, 1]], dtype=torch.float64),
    }
    x = torch.tensor([[[1.0, 1], [0, 1]]], dtype=torch.float64)
    got = layer(lab, weights, 2)(x.clone())
    close(
        got,
        torch.tensor([[[9.0, 6], [8, 6]]], dtype=torch.float64),
        atol=1e-9,
        because=known_output(got, weights, 2, x)
        + ". Head 0 shares 3 to 1, then 1 to 1, and finds 3 and 2; head 1 shares 3 to 1 both "
        "times and finds 6 and 6. o_proj makes (3 + 6, 6) and (2 + 6, 6) of them",
        axes=WORDS,
    )


def test_matches_torch(lab, rng):
    for dtype, atol in PRECISIONS:
        for heads, size in ((1, 5), (number(rng, 2, 3), 4), (4, 3)):
            weights = random_weights(rng, heads * size, heads, dtype=dtype)
            x = 2 * random(rng, number(rng, 2, 3), 5, heads * size, dtype=dtype)
            got = layer(lab, weights, heads)(x.clone())
            close(
                got,
                torch_heads(weights, heads, x),
                atol=atol,
                because=f"{heads} heads of size {size}, x {tuple(x.shape)}: "
                + known_output(got, weights, heads, x),
                axes=WORDS,
            )


def test_output_projection(lab, rng):
    weights = random_weights(rng, 8, 2)
    x = random(rng, 2, 3, 8)
    has(layer(lab, weights, 2)(x.clone()), (2, 3, 8), torch.float64, "the module")
    weights["o_proj.weight"] = torch.zeros(8, 8, dtype=torch.float64)
    weights["o_proj.weight"][5] = 1.0
    got = layer(lab, weights, 2)(x.clone())
    has(got, (2, 3, 8), torch.float64, "the module")
    close(
        got[..., :5],
        torch.zeros(2, 3, 5, dtype=torch.float64),
        atol=0,
        because="all but one row of o_proj are zero here, so that all but one number of every "
        "output should be: what the heads found goes through o_proj last",
    )
    assert bool((got[..., 5] != 0).all()), "the row of ones in o_proj should add up what was found"


def test_mask_for_every_head(lab, rng):
    for dtype, atol in PRECISIONS:
        heads, time = number(rng, 2, 3), 5
        weights = random_weights(rng, heads * 4, heads, dtype=dtype)
        x = 2 * random(rng, 2, time, heads * 4, dtype=dtype)
        module = layer(lab, weights, heads)
        for shape in ((time, time), (2, 1, time, time), (2, heads, time, time)):
            mask = random_mask(rng, *shape)
            got = module(x.clone(), mask)
            close(
                got,
                torch_heads(weights, heads, x, mask),
                atol=atol,
                because=f"{heads} heads, a mask of shape {shape}: "
                + known_output(got, weights, heads, x, mask),
                axes=WORDS,
            )


def test_hides_the_future(lab, rng):
    time = number(rng, 4, 7)
    now = number(rng, 1, time - 1)
    module = layer(lab, random_weights(rng, 12, 3), 3)
    x = random(rng, 2, time, 12)
    before = module(x.clone(), causal(time))
    x[:, now:] += 1.0 + random(rng, 2, time - now, 12)
    after = module(x.clone(), causal(time))
    for got in (before, after):
        has(got, (2, time, 12), torch.float64, "the module")
    assert not torch.equal(after[:, now:], before[:, now:]), (
        "new words came in, and the outputs at their own positions did not change"
    )
    close(
        after[:, :now],
        before[:, :now],
        atol=1e-9,
        because=f"under a causal mask the words from position {now} on were changed, and an "
        f"output before {now} changed with them. Does each head get whole words, and the mask?",
    )


def test_any_order(lab, rng):
    module = layer(lab, random_weights(rng, 12, 3), 3)
    x = random(rng, 2, 5, 12)
    order = torch.tensor([3, 0, 4, 2, 1])
    plain = module(x.clone())
    has(plain, (2, 5, 12), torch.float64, "the module")
    other = x.clone()
    other[:, 4] += 1.0
    assert not torch.equal(module(other)[:, 0], plain[:, 0]), (
        "one word was changed, and the output of another did not notice: does each head look at "
        "all words?"
    )
    close(
        module(x[:, order]),
        plain[:, order],
        atol=1e-9,
        because="the words changed places, and nothing is masked: the outputs should change "
        "places in the same way. Where they do not, words were mixed up in cutting heads",
    )


def test_heads_apart(lab, rng):
    heads, size = 3, number(rng, 2, 4)
    head = number(rng, 0, 2)
    weights = random_weights(rng, heads * size, heads)
    weights["o_proj.weight"] = torch.eye(heads * size, dtype=torch.float64)
    x = random(rng, 2, 4, heads * size)
    before = layer(lab, weights, heads)(x.clone())
    mine = torch.zeros(heads * size, dtype=torch.bool)
    mine[head * size : (head + 1) * size] = True
    for name in ("q_proj", "k_proj", "v_proj"):
        weights[f"{name}.weight"][mine] += random(rng, size, heads * size)
    after = layer(lab, weights, heads)(x.clone())
    for got in (before, after):
        has(got, (2, 4, heads * size), torch.float64, "the module")
    assert bool((after[..., mine] != before[..., mine]).all()), (
        f"the queries, keys and values of head {head} were changed, and (with o_proj the identity) "
        f"the numbers {head * size} to {(head + 1) * size - 1} of the output stayed as they were"
    )
    close(
        after[..., ~mine],
        before[..., ~mine],
        atol=1e-9,
        because=f"only head {head} was changed, and another head's output changed with it: the "
        "heads should not touch before o_proj",
    )


def test_grouped_queries(lab, rng):
    for dtype, atol in PRECISIONS:
        for heads, kv_heads in ((6, 2), (4, 1), (6, 3)):
            weights = random_weights(rng, heads * 4, heads, kv_heads, dtype=dtype)
            x = 2 * random(rng, 2, 5, heads * 4, dtype=dtype)
            module = layer(lab, weights, heads, kv_heads)
            for mask in (None, causal(5)):
                close(
                    module(x.clone(), mask),
                    torch_groups(weights, heads, kv_heads, x, mask),
                    atol=atol,
                    because=f"{heads} heads of queries, {kv_heads} of keys and values: keys and "
                    "values are both repeated, so that neighbouring queries share a head",
                    axes=WORDS,
                )


def test_rotate_and_cache(lab, rng):
    heads, kv_heads, time, past = 4, 2, 3, 2
    weights = random_weights(rng, heads * 4, heads, kv_heads)
    module = layer(lab, weights, heads, kv_heads)
    x = random(rng, 2, time, heads * 4)
    mask = torch.ones(time, past + time, dtype=torch.bool).tril(diagonal=past)
    older = [random(rng, 2, kv_heads, past, 4) for _ in range(2)]

    def rotate(t):
        return t.flip(-1) * 2

    def extend(k, v):
        for kept, new in zip(older, (k, v), strict=True):
            has(new, (2, kv_heads, time, 4), kept.dtype, "(in cache.extend) your module")
        return tuple(torch.cat(pair, dim=2) for pair in zip(older, (k, v), strict=True))

    order = "rotate changes queries and keys (not values), then the cache keeps keys and values of "
    order += "kv_heads heads and answers with older ones before them, then they are repeated"
    for hooks in ({"rotate": rotate}, {"extend": extend}, {"rotate": rotate, "extend": extend}):
        given = {"rotate": hooks.get("rotate")}
        if "extend" in hooks:
            given["cache"] = SimpleNamespace(extend=extend)
        seen = mask if "extend" in hooks else causal(time)
        want = torch_groups(weights, heads, kv_heads, x, seen, **hooks)
        close(module(x.clone(), seen, **given), want, atol=1e-9, because=order, axes=WORDS)


def test_inputs_untouched(lab, rng):
    x, heads = random(rng, 2, 3, 8), random(rng, 2, 2, 3, 4)
    mask = random_mask(rng, 2, 1, 3, 3)
    module = layer(lab, random_weights(rng, 8, 2), 2)
    for name, call, originals, shape in [
        ("split_heads", lambda t: lab.split_heads(t, 2), [x], (2, 2, 3, 4)),
        ("merge_heads", lab.merge_heads, [heads], (2, 3, 8)),
        ("repeat_kv", lambda t: lab.repeat_kv(t, 3), [heads], (2, 6, 3, 4)),
        ("the module", module, [x, mask], (2, 3, 8)),
    ]:
        given = [original.clone() for original in originals]
        has(call(*given), shape, torch.float64, name)
        for got, original in zip(given, originals, strict=True):
            same(
                got,
                original,
                because=f"{name} changed its argument in place; the caller still needs it",
            )


def test_gradients(lab, rng):
    heads, kv_heads = 4, 2
    weights = random_weights(rng, heads * 3, heads, kv_heads)
    module = layer(lab, weights, heads, kv_heads)
    x, cotangent = random(rng, 2, 4, heads * 3), random(rng, 2, 4, heads * 3)
    mask = causal(4)
    has(module(x.clone(), mask), (2, 4, heads * 3), torch.float64, "the module")
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    inner = x.clone().requires_grad_()
    output = torch_groups(leaves, heads, kv_heads, inner, mask)
    want = torch.autograd.grad((output * cotangent).sum(), [inner, *leaves.values()])
    found = lab.vjp(module, x, mask, cotangent=cotangent)
    close(
        {"x": found.args[0], **found.params},
        dict(zip(["x", *leaves], want, strict=True)),
        atol=1e-9,
        because="the gradients with respect to x and the four weights; a None means that your "
        "code cut the graph, as .detach(), .item() and torch.tensor(...) do",
    )

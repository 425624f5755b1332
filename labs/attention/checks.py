"""What `lab.yaml` grades. The oracle is torch's own scaled_dot_product_attention."""

import pytest
import torch
import torch.nn.functional as F

from llmpath.labkit.checks import alike, close, has, number, same

# float64 shows a wrong formula; float32 is what models use.
PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def random(rng, *shape, dtype=torch.float64):
    return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)


def random_mask(rng, *shape):
    """A mask in which something is hidden, but every query and every key is seen by someone."""
    mask = torch.rand(*shape, generator=rng) < 0.5
    queries, keys = shape[-2:]
    for i in range(max(queries, keys)):
        mask[..., i % queries, i % keys] = True
    mask[..., 0, 1] = False
    return mask


def reference(q, k, v, mask=None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def reference_weights(q, k, mask=None):
    """Torch keeps its weights to itself; mixing the rows of an identity matrix reveals them."""
    keys = k.size(-2)
    identity = torch.eye(keys, dtype=k.dtype).expand(*k.shape[:-2], keys, keys)
    return reference(q, k, identity, mask)


def known_scale(got, q, k):
    """Which wrong scale the scores have, if it is one that people know."""
    products = torch.einsum("...qd,...kd->...qk", q, k)
    size, query_time, key_time = q.size(-1), q.size(-2), k.size(-2)
    wrong = {
        "these are the bare dot products: they are not divided by √head_size": 1.0,
        "is your scale 1/head_size instead of 1/√head_size?": 1 / size,
        "are you multiplying by √head_size instead of dividing?": size**0.5,
        "is that √key_time? The scale is about the length of the vectors": key_time**-0.5,
        "is that √query_time? The scale is about the length of the vectors": query_time**-0.5,
    }
    for sentence, scale in wrong.items():
        if alike(got, products * scale):
            return sentence
    return "score[i, j] is the dot product of query i and key j, divided by √head_size"


def known_weights(got, q, k, mask):
    """Which wrong weights these are, if they are ones that people know."""
    logits = torch.einsum("...qd,...kd->...qk", q, k) / q.size(-1) ** 0.5
    if mask is None:
        if alike(got, logits.softmax(-2)):
            return "this softmax runs over the queries: each row, not each column, sums to one"
        return "the weights are the softmax of the scores over the keys"
    hidden = ~mask
    wrong = {
        "the mask is not used at all": logits.softmax(-1),
        "a True in the mask means 'may look': yours hides what it should show": logits.masked_fill(
            mask, -torch.inf
        ).softmax(-1),
        "hidden scores are set to 0, and e⁰ is 1: a hidden key still gets a share": (
            logits.masked_fill(hidden, 0.0).softmax(-1)
        ),
        "the mask comes after the softmax: the rows no longer sum to one": (
            logits.softmax(-1).masked_fill(hidden, 0.0)
        ),
        "this softmax runs over the queries: each row, not each column, sums to one": (
            logits.masked_fill(hidden, -torch.inf).softmax(-2)
        ),
    }
    for sentence, weights in wrong.items():
        if alike(got, weights):
            return sentence
    return "the weights are the softmax, over the keys, of the scores that the mask lets through"


def test_scores_by_hand(lab):
    q = torch.tensor([[2.0, 0.0, -1.0, 1.0]])
    k = torch.tensor(
        [[1.0, 5.0, 0.0, 0.0], [0.0, 0.0, 4.0, 2.0], [3.0, 1.0, 1.0, -1.0], [-1.0, 2.0, -2.0, -4.0]]
    )
    # The dot products are 2, -2, 4 and -4, and √4 is 2.
    got = lab.scores(q, k)
    close(got, torch.tensor([[1.0, -1.0, 2.0, -2.0]]), atol=1e-6, because=known_scale(got, q, k))


def test_scores_match_torch(lab, rng):
    for dtype, atol in PRECISIONS:
        for leading in [(), (2,), (2, 3)]:
            head_size = number(rng, 5, 9)
            q = random(rng, *leading, 3, head_size, dtype=dtype)
            k = random(rng, *leading, 4, head_size, dtype=dtype)
            want = torch.einsum("...qd,...kd->...qk", q, k) / head_size**0.5
            got = lab.scores(q, k)
            close(got, want, atol=atol, because=known_scale(got, q, k))


def test_scores_stay_small(lab, rng):
    for head_size in (16, 1024):
        q, k = (random(rng, time, head_size, dtype=torch.float32) for time in (32, 48))
        got = lab.scores(q, k)
        has(got, (32, 48), torch.float32, "scores")
        spread = float(got.std())
        assert spread > 0, "all scores are the same, though no two queries or keys are"
        assert spread < 1.5, (
            f"with random vectors of head size {head_size} the scores spread by ±{spread:.1f}; "
            "divided by √head_size they spread by about ±1, whatever the size"
        )


def test_mask_hides_the_future(lab, rng):
    for time in (1, 2, number(rng, 3, 9)):
        mask = lab.causal_mask(time)
        has(mask, (time, time), torch.bool, f"causal_mask({time})")
        for i, j in mask.triu(diagonal=1).nonzero().tolist():
            pytest.fail(
                f"in causal_mask({time}), query {i} may look at key {j}, which comes later: "
                "row i is what query i may see",
                pytrace=False,
            )


def test_mask_shows_the_past(lab, rng):
    for time in (1, 2, number(rng, 3, 9)):
        mask = lab.causal_mask(time)
        has(mask, (time, time), torch.bool, f"causal_mask({time})")
        for i, j in (~mask).tril().nonzero().tolist():
            which = "itself" if i == j else f"key {j}, which comes before it"
            pytest.fail(f"in causal_mask({time}), query {i} may not look at {which}", pytrace=False)


def test_mask_continues_a_past(lab, rng):
    by_hand = torch.tensor([[True, True, True, False], [True, True, True, True]])
    same(
        lab.causal_mask(2, past=2),
        by_hand,
        because="with two keys before it, the first query is at position 2 and sees three keys",
    )
    for time, past in [(1, number(rng, 2, 6)), (number(rng, 2, 6), number(rng, 1, 6)), (0, 3)]:
        same(
            lab.causal_mask(time, past),
            torch.ones(time, past + time, dtype=torch.bool).tril(diagonal=past),
            because=f"for time={time}, past={past}: query i stands at position past + i",
        )
    time, past = number(rng, 2, 6), number(rng, 1, 6)
    whole = lab.causal_mask(past + time)
    has(whole, (past + time, past + time), torch.bool, f"causal_mask({past + time})")
    same(
        lab.causal_mask(time, past),
        whole[past:],
        because=f"causal_mask({time}, past={past}) is the last {time} rows of the whole mask",
    )


def test_weights_match_torch(lab, rng):
    third = torch.tensor([[0.0, 0.0, 0.0, 2 * 1.0986122886681098]], dtype=torch.float64)
    close(
        lab.attention_weights(torch.ones_like(third), torch.cat([0 * third, third])),
        torch.tensor([[0.25, 0.75]], dtype=torch.float64),
        atol=1e-9,
        because="the scores are 0 and ln 3, so that the shares are as 1 to 3",
    )
    for dtype, atol in PRECISIONS:
        q, k = (random(rng, 2, 3, time, 6, dtype=dtype) for time in (4, 5))
        for mask in (None, random_mask(rng, 4, 5), random_mask(rng, 2, 1, 4, 5)):
            want = reference_weights(q, k, mask)
            got = lab.attention_weights(q.clone(), k.clone(), mask)
            close(got, want, atol=atol, because=known_weights(got, q, k, mask))
    half = lab.attention_weights(q.bfloat16(), k.bfloat16(), mask)
    has(half, (2, 3, 4, 5), torch.bfloat16, "attention_weights of torch.bfloat16")


def test_weights_sum_to_one(lab, rng):
    q, k = random(rng, 2, 5, 7), random(rng, 2, 6, 7)
    for mask in (None, random_mask(rng, 2, 5, 6)):
        got = lab.attention_weights(q.clone(), k.clone(), mask)
        has(got, (2, 5, 6), torch.float64, "attention_weights")
        assert bool((got >= 0).all()), "a share of attention is never negative, nor NaN"
        close(
            got.sum(dim=-1),
            torch.ones(2, 5, dtype=torch.float64),
            atol=1e-9,
            because="each query shares out all of its attention, so that its row sums to one",
        )


def test_hidden_weights_are_zero(lab, rng):
    q, k = random(rng, 2, 4, 5), random(rng, 2, 6, 5)
    mask = random_mask(rng, 2, 4, 6)
    mask[..., -1] = False
    mask[..., 0] = True
    got = lab.attention_weights(q, k, mask)
    has(got, (2, 4, 6), torch.float64, "attention_weights")
    for place in ((got != 0) & ~mask).nonzero().tolist():
        i, j = place[-2:]
        value = float(got[tuple(place)])
        pytest.fail(
            f"query {i} gives key {j} the weight {value:.3g}, though the mask hides that key: "
            "it should be exactly 0",
            pytrace=False,
        )
    assert bool((got[mask] > 0).all()), "a key that the mask shows should get a share above 0"


def test_extreme_scores(lab, rng):
    # Whole numbers and a head size of 16 keep every score exact, even in float32.
    q, k = (
        torch.randint(60, 121, (time, 16), generator=rng)
        * (2 * torch.randint(0, 2, (time, 16), generator=rng) - 1)
        for time in (3, 5)
    )
    k[0] = q[0]
    k[1] = k[2] = -q[1]
    mask = torch.tensor([[True] * 5, [False, True, True, False, False], [True] * 5])
    want = reference_weights(q.double(), k.double(), mask).float()
    got = lab.attention_weights(q.float(), k.float(), mask)
    has(got, (3, 5), torch.float32, "attention_weights")
    close(
        got[0],
        want[0],
        atol=1e-5,
        because="scores in the thousands: e to that power overflows unless the largest score of "
        "the row is taken off first, as torch.softmax does",
    )
    close(
        got[1],
        want[1],
        atol=1e-5,
        because="all that this query may see has a score below -10,000; a hidden key must still "
        "get nothing, so it needs -inf rather than some large negative number",
    )
    close(got, want, atol=1e-5, because="scores in the thousands")


def test_matches_torch(lab, rng):
    q, k = torch.zeros(1, 3), torch.zeros(2, 3)
    close(
        lab.attention(q, k, torch.tensor([[2.0, -1.0], [4.0, 5.0]])),
        torch.tensor([[3.0, 2.0]]),
        atol=1e-6,
        because="with equal scores the output is the plain average of the values",
    )
    for dtype, atol in PRECISIONS:
        for leading in [(2,), (2, 3), (2, 1, 2)]:
            q, k = (random(rng, *leading, time, 6, dtype=dtype) for time in (4, 5))
            v = random(rng, *leading, 5, 3, dtype=dtype)
            for mask in (None, random_mask(rng, 4, 5), random_mask(rng, *leading, 4, 5)):
                want = reference(q, k, v, mask)
                got = lab.attention(q.clone(), k.clone(), v.clone(), mask)
                given = "without a mask" if mask is None else f"with a mask {tuple(mask.shape)}"
                close(
                    got,
                    want,
                    atol=atol,
                    because=f"{given}, q {tuple(q.shape)}, k {tuple(k.shape)}, "
                    f"v {tuple(v.shape)}: the output is the weights times the values",
                )


def test_hides_the_future(lab, rng):
    time = number(rng, 4, 8)
    now = number(rng, 1, time - 1)
    causal = torch.ones(time, time, dtype=torch.bool).tril()
    words = [random(rng, 2, time, size) for size in (6, 6, 5)]
    before = lab.attention(*(x.clone() for x in words), causal)
    for x in words:
        x[:, now:] += 1.0 + random(rng, 2, time - now, x.size(-1))
    after = lab.attention(*(x.clone() for x in words), causal)
    for got in (before, after):
        has(got, (2, time, 5), torch.float64, "attention")
    assert not torch.equal(after[:, now:], before[:, now:]), (
        "new words came in, and the outputs at their own positions did not change"
    )
    close(
        after[:, :now],
        before[:, :now],
        atol=1e-9,
        because=f"the words from position {now} on were changed, and an output before {now} "
        "changed with them: it has seen the future",
    )


def test_order_does_not_matter(lab, rng):
    q, k, v = random(rng, 2, 4, 5), random(rng, 2, 6, 5), random(rng, 2, 6, 3)
    keys, queries = torch.randperm(6, generator=rng), torch.tensor([2, 3, 1, 0])
    if bool((keys == torch.arange(6)).all()):
        keys = keys.flip(0)
    for mask in (None, random_mask(rng, 2, 4, 6)):
        shuffled = None if mask is None else mask[..., keys]
        turned = None if mask is None else mask[:, queries]
        plain = lab.attention(q.clone(), k.clone(), v.clone(), mask)
        has(plain, (2, 4, 3), torch.float64, "attention")
        assert not torch.equal(plain, lab.attention(q.clone(), k.clone(), v.flip(-2), mask)), (
            "the values changed places without their keys, and the output stayed as it was"
        )
        close(
            lab.attention(q.clone(), k[:, keys], v[:, keys], shuffled),
            plain,
            atol=1e-9,
            because="keys, values and mask were shuffled together: attention looks words up by "
            "content, not by place, so that the output stays the same",
        )
        close(
            lab.attention(q[:, queries], k.clone(), v.clone(), turned),
            plain[:, queries],
            atol=1e-9,
            because="the queries (and their rows of the mask) changed places: the outputs "
            "should change places in the same way",
        )


def test_inputs_untouched(lab, rng):
    originals = {"q": random(rng, 2, 3, 5), "k": random(rng, 2, 4, 5), "v": random(rng, 2, 4, 6)}
    originals["mask"] = random_mask(rng, 2, 3, 4)
    calls = {"scores": ("qk", 4), "attention_weights": ("qk", 4), "attention": ("qkv", 6)}
    for function, (names, size) in calls.items():
        for masked in (False, True) if function != "scores" else (False,):
            used = [*names, "mask"] if masked else list(names)
            given = {name: originals[name].clone() for name in used}
            result = getattr(lab, function)(*given.values())
            has(result, (2, 3, size), torch.float64, function)
            for name in used:
                same(
                    given[name],
                    originals[name],
                    because=f"{function} changed its argument {name} in place; "
                    "the caller still needs it",
                )


def test_sees_nothing(lab, rng):
    q, k, v = random(rng, 3, 4, 5), random(rng, 3, 6, 5), random(rng, 3, 6, 2)
    rows = random_mask(rng, 4, 6)
    rows[number(rng, 0, 3)] = False
    padding = torch.arange(6) < torch.tensor([6, 0, 2]).view(3, 1, 1)
    for mask in (rows, padding, rows & padding):
        seen = mask.any(dim=-1, keepdim=True)
        for got, want, what in [
            (lab.attention_weights(q.clone(), k.clone(), mask), reference_weights, "weights"),
            (lab.attention(q.clone(), k.clone(), v.clone(), mask), reference, "output"),
        ]:
            arguments = (q, k) if what == "weights" else (q, k, v)
            close(
                got,
                torch.where(seen, want(*arguments, mask), 0.0),
                atol=1e-9,
                because=f"the {what} of a query that may see nothing should be all zeros, "
                "and that of every other query as usual",
            )


def test_gradients(lab, rng):
    q, k, v = random(rng, 2, 4, 5), random(rng, 2, 6, 5), random(rng, 2, 6, 3)
    cotangent = random(rng, 2, 4, 3)
    mask = random_mask(rng, 4, 6)
    has(lab.attention(q.clone(), k.clone(), v.clone(), mask), (2, 4, 3), torch.float64, "attention")
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    want = torch.autograd.grad((reference(*inputs, mask) * cotangent).sum(), inputs)
    found = lab.vjp(lab.attention, q, k, v, mask, cotangent=cotangent)
    close(
        found.args,
        [*want, None],
        atol=1e-9,
        because="the gradients with respect to q, k and v (items 0, 1, 2); a None means that "
        "your code cut the graph, as .detach(), .item() and torch.no_grad() do",
    )
    mask[1] = False
    seeing = torch.tensor([0, 2, 3])
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    output = reference(inputs[0][:, seeing], *inputs[1:], mask[seeing])
    want = torch.autograd.grad((output * cotangent[:, seeing]).sum(), inputs)
    found = lab.vjp(lab.attention, q, k, v, mask, cotangent=cotangent)
    close(
        found.args,
        [*want, None],
        atol=1e-9,
        because="query 1 sees nothing, and should send no gradient back. Is there a NaN that is "
        "hidden in the forward pass, but not in the backward one? Adding -inf leaves one; "
        "masked_fill and where do not",
    )

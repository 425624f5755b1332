"""What `lab.yaml` grades. The oracles are torch, numpy's logaddexp, and differences."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from llmpath.labkit.checks import alike, close, has, number, same

# float64 shows a wrong formula; float32 is what models use.
PRECISIONS = [(torch.float64, 1e-9), (torch.float32, 1e-5)]
# No two sizes alike; all alike, where a forgotten keepdim still broadcasts; and a 1 to squeeze.
SHAPES = [(3, 5), (2, 3, 4), (4,), (3, 3), (3, 3, 3), (3, 1, 4)]
NARROWED = "this is right to about seven digits only: is float64 narrowed to float32 on the way?"
# Logits with any leading dimensions, their number of classes last.
LEADING = [(6,), (2, 5), (2, 3, 4), ()]


def random(rng, *shape, dtype=torch.float64, scale=2.0):
    return (scale * torch.randn(*shape, generator=rng, dtype=torch.float64)).to(dtype)


def logarithms(*rows):
    """The logarithms of small whole numbers, so that the shares are fractions."""
    return torch.tensor(rows, dtype=torch.float64).log()


def examples(rng, leading, classes, dtype=torch.float64):
    """Logits, and a target for each place."""
    logits = random(rng, *leading, classes, dtype=dtype)
    return logits, torch.randint(classes, leading, generator=rng)


def ignoring(rng, targets):
    """The same targets, of which between a third and two thirds are ignored, and which those are.

    One of the targets that count stands at the place of index 0, one that is ignored at index 1.
    """
    flat = targets.flatten()
    order = torch.randperm(len(flat) - 2, generator=rng) + 2
    ignored = torch.zeros(len(flat), dtype=torch.bool)
    ignored[order[: number(rng, len(flat) // 3, 2 * len(flat) // 3 - 1)]] = True
    ignored[1] = True
    return flat.masked_fill(ignored, -100).view_as(targets), ignored.view_as(targets)


def reference(logits, targets):
    """Torch's loss; its classes stand in the second place, so all places become one batch."""
    return F.cross_entropy(logits.reshape(-1, logits.size(-1)), targets.reshape(-1))


def reference_grad(logits, targets):
    """The gradient of torch's loss, by autograd."""
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(reference(logits, targets), logits)[0]


def known_softmax(got, x, dim):
    """Which wrong softmax this is, if it is one that people know."""
    powers = x.exp()
    wrong = {
        NARROWED: x.softmax(dim),
        "this is right for the last dimension, but dim is another": x.softmax(-1),
        "this is right for dimension 0, but dim is another": x.softmax(0),
        "all shares of the whole tensor together sum to one here": powers / powers.sum(),
        "these are powers of 2, not of e": (x * math.log(2)).softmax(dim),
    }
    for sentence, shares in wrong.items():
        if alike(got, shares):
            return sentence
    return f"softmax along dim={dim} of a tensor of shape {tuple(x.shape)}"


def known_loss(got, logits, targets):
    """Which wrong loss this is, if it is one that people know."""
    counted = targets != -100
    log_p = logits.log_softmax(-1)
    zeroed = log_p.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    last = log_p.gather(-1, (targets % logits.size(-1))[..., None])[..., 0]
    right = reference(logits, targets)
    wrong = {
        NARROWED: right,
        "the sign is turned: surprise is -ln p, which is never negative": -right,
        "this is the sum and not the mean; or are there more numbers in it than places? Print the "
        "shapes of what you subtract": right * counted.sum(),
        "this is in bits: a natural logarithm gives nats": right / math.log(2),
        "the sum is right, but divided by all targets, those of -100 too": (
            right * counted.sum() / max(targets.numel(), 1)
        ),
        "targets of -100 were counted as if they were class 0": -zeroed.mean(),
        "targets of -100 were counted as if they were some class": -last.mean(),
        "divided by every logit, when only the targets are to be counted": right / logits.size(-1),
        "divided by len(targets), the size of the first dimension; count all targets that count": (
            right * counted.sum() / (len(targets) if targets.dim() else 1)
        ),
    }
    for sentence, loss in wrong.items():
        if alike(got, loss):
            return sentence
    return "the mean of log-sum-exp minus the logit of the target, over the targets that count"


def known_grad(got, logits, targets):
    """Which wrong gradient this is, if it is one that people know."""
    counted = (targets != -100)[..., None]
    count = counted.sum().clamp(min=1)
    p, right = logits.softmax(-1), reference_grad(logits, targets)
    wrong = {
        NARROWED: right,
        "the sign is turned: the loss falls as the logit of the target climbs": -right,
        "divide by how many targets count, since the loss is their mean": right * count,
        "divided by all targets, those of -100 too": right * count / max(targets.numel(), 1),
        "divided by len(targets), the size of the first dimension; count all targets that count": (
            right * count / (len(targets) if targets.dim() else 1)
        ),
        "these are the probabilities; the target is still to be taken off": (
            (p / count).masked_fill(~counted, 0.0)
        ),
    }
    for sentence, grad in wrong.items():
        if alike(got, grad):
            return sentence
    return "(p - y) / count: the probabilities minus 1 at the target, over the targets that count"


# softmax


def test_softmax_by_hand(lab):
    x = logarithms([1, 2, 5])
    want = torch.tensor([[0.125, 0.25, 0.625]], dtype=torch.float64)
    got = lab.softmax(x.clone(), 1)
    close(
        got, want, atol=1e-9,
        because="the powers of e are 1, 2 and 5, which sum to 8: " + known_softmax(got, x, 1),
    )  # fmt: skip


def test_softmax_along_any_dim(lab, rng):
    for dtype, atol in PRECISIONS:
        for shape in SHAPES:
            x = random(rng, *shape, dtype=dtype)
            for dim in (*range(len(shape)), *range(-len(shape), 0)):
                got = lab.softmax(x.clone(), dim)
                close(got, x.softmax(dim), atol=atol, because=known_softmax(got, x, dim))


def test_softmax_sums_to_one(lab, rng):
    for shape in [(3, 4), (4, 4), (2, 4, 3)]:
        for dim in range(len(shape)):
            got = lab.softmax(random(rng, *shape), dim)
            has(got, shape, torch.float64, "softmax")
            assert bool((got > 0).all()), "a share of a finite score is above 0, never NaN"
            total = got.sum(dim)
            close(
                total,
                torch.ones_like(total),
                atol=1e-9,
                because=f"softmax(x, dim={dim}) of shape {shape}: the shares sum to one along dim",
            )


def test_softmax_of_huge_scores(lab, rng):
    for dtype, atol in [(torch.float64, 1e-9), (torch.float32, 1e-3)]:
        for far in (1024.0, -1024.0, 8192.0):
            x = random(rng, 4, 5, dtype=dtype) + far
            for dim in (0, 1):
                close(
                    lab.softmax(x.clone(), dim),
                    (x - far).softmax(dim),
                    atol=atol,
                    because=f"{far:g} was added to all scores, which is to change no share; e to "
                    "such a power is inf or 0 in a float",
                )


def test_each_row_has_a_largest_of_its_own(lab, rng):
    x = random(rng, 4, 5)
    shift = torch.tensor([[1000.0], [0.0], [-1000.0], [-4000.0]], dtype=torch.float64)
    plain = lab.softmax(x.clone(), 1)
    has(plain, (4, 5), torch.float64, "softmax")
    assert bool((plain > 0).all()), "a share of a finite score is above 0, never NaN"
    close(
        lab.softmax(x + shift, 1),
        plain,
        atol=1e-9,
        because="a number was added to each row, another for each, from -4000 to 1000: the shares "
        "of a row depend on the differences within it, and on no other row",
    )


def test_hidden_scores_get_nothing(lab, rng):
    x = random(rng, 3, 5)
    x[torch.arange(3), torch.randint(5, (3,), generator=rng)] = -torch.inf
    x[1, :4] = -torch.inf
    x[1, 4] = -3.0
    got = lab.softmax(x.clone(), 1)
    close(got, x.softmax(1), atol=1e-9, because="a score of -inf gets nothing, the others share")
    same(got[x.isinf()].tolist(), [0.0] * int(x.isinf().sum()), because="exactly nothing")


# logsumexp


def test_logsumexp_by_hand(lab):
    because = "the powers of e are 1, 2 and 5; they sum to 8, and its logarithm is ln 8"
    want = torch.tensor([math.log(8), math.log(6)], dtype=torch.float64)
    close(lab.logsumexp(logarithms([1, 2, 5], [3, 2, 1]), 1), want, atol=1e-9, because=because)


def test_logsumexp_of_one_number(lab, rng):
    x = random(rng, 4, 1)
    close(
        lab.logsumexp(x.clone(), 1),
        x[:, 0],
        atol=1e-9,
        because="the logarithm of e to the power of one number is that number, (4, 1) to (4,)",
    )


def test_logsumexp_along_any_dim(lab, rng):
    for dtype, atol in PRECISIONS:
        for shape in SHAPES:
            x = random(rng, *shape, dtype=dtype)
            for dim in (*range(len(shape)), *range(-len(shape), 0)):
                want = torch.from_numpy(np.asarray(np.logaddexp.reduce(x.double().numpy(), dim)))
                close(
                    lab.logsumexp(x.clone(), dim), want.to(dtype), atol=atol,
                    because=f"dim={dim} of a tensor of shape {shape}: it sums along dim, and dim "
                    "is gone afterwards",
                )  # fmt: skip


def test_logsumexp_of_huge_numbers(lab, rng):
    x = random(rng, 4, 5)
    small = torch.logsumexp(x, 1)
    for far in (1000.0, -1000.0, 30000.0):
        close(
            lab.logsumexp(x + far, 1), small + far, atol=1e-9,
            because=f"{far:g} was added to every number, so the result is to be {far:g} more; e "
            "to that power is nothing that a float can hold",
        )  # fmt: skip
    shift = torch.tensor([[900.0], [-900.0], [0.0], [5.0]], dtype=torch.float64)
    close(
        lab.logsumexp(x + shift, 1), small + shift[:, 0], atol=1e-9,
        because="each row has a largest number of its own",
    )  # fmt: skip
    close(
        lab.logsumexp(torch.tensor([[95.0, 95.0], [-120.0, -120.0]]), 1),
        torch.tensor([95.0 + math.log(2), -120.0 + math.log(2)]),
        atol=1e-4,
        because="float32 ends at e to the power of 88.7, and -104 is already 0",
    )


def test_logsumexp_of_nothing(lab, rng):
    x = random(rng, 4, 3)
    x[1, 0] = x[2, 1] = x[2, 2] = x[3, 0] = x[3, 1] = x[3, 2] = -torch.inf
    want = torch.logsumexp(x, 1)
    got = lab.logsumexp(x.clone(), 1)
    has(got, (4,), torch.float64, "logsumexp")
    close(got[:3], want[:3], atol=1e-9, because="-inf adds e to the power of -inf, which is 0")
    assert not bool(got[3].isnan()), (
        "the row of nothing but -inf gave NaN: where the largest number is -inf, taking it off "
        "is -inf minus -inf"
    )
    close(got, want, atol=1e-9, because="a row of nothing but -inf sums to 0, and ln 0 is -inf")


def test_its_slope_is_the_softmax(lab, rng):
    for dim in (0, 1):
        x = random(rng, 3, 4)
        summed = torch.ones(x.size(1 - dim), dtype=torch.float64)
        has(lab.logsumexp(x.clone(), dim), summed.shape, torch.float64, "logsumexp")
        found = lab.vjp(lab.logsumexp, x, dim, cotangent=summed)
        slope = found.args[0]
        assert slope is not None, "autograd found no way back through logsumexp: .item()? detach?"
        close(
            slope, x.softmax(dim), atol=1e-9,
            because="how fast log-sum-exp climbs with each of its numbers is the softmax",
        )  # fmt: skip
        close(
            lab.softmax(x.clone(), dim), slope, atol=1e-9,
            because="your softmax is the slope of your log-sum-exp",
        )  # fmt: skip


# cross_entropy


def test_loss_by_hand(lab):
    logits, targets = logarithms([1, 2, 5], [4, 3, 1]), torch.tensor([1, 0])
    got = lab.cross_entropy(logits.clone(), targets)
    close(
        got, torch.tensor(math.log(8) / 2, dtype=torch.float64), atol=1e-9,
        because="the targets have probability 2/8 and 4/8, so -ln p is ln 4 and ln 2, and their "
        "mean is (ln 8)/2: " + known_loss(got, logits, targets),
    )  # fmt: skip


def test_loss_matches_torch(lab, rng):
    for dtype, atol in PRECISIONS:
        for leading in LEADING:
            logits, targets = examples(rng, leading, number(rng, 7, 9), dtype)
            got = lab.cross_entropy(logits.clone(), targets.clone())
            close(
                got, reference(logits, targets), atol=atol,
                because=f"logits {tuple(logits.shape)}, targets {leading}: "
                + known_loss(got, logits, targets),
            )  # fmt: skip


def test_likelier_costs_less(lab, rng):
    logits, targets = examples(rng, (6,), 4)
    losses = []
    for more in (0.0, 1.0, 2.0, 4.0):
        right = F.one_hot(targets, 4)
        losses.append(lab.cross_entropy(logits + more * right, targets))
        has(losses[-1], (), torch.float64, "cross_entropy")
        assert float(losses[-1]) > 0, (
            f"the loss is {float(losses[-1]):.4g}; a probability is below 1, so -ln p is above 0"
        )
    for before, after in itertools.pairwise(losses):
        assert float(after) < float(before), (
            "the logits of the targets climbed, and the loss did not fall"
        )


def test_a_batch_twice(lab, rng):
    logits, targets = examples(rng, (5,), 4)
    once, grad = lab.cross_entropy(logits, targets), lab.cross_entropy_grad(logits, targets)
    has(once, (), torch.float64, "cross_entropy")
    has(grad, (5, 4), torch.float64, "cross_entropy_grad")
    assert float(once) != 0, "the loss of places that count is not 0"
    assert bool((grad != 0).all()), "every logit of a place that counts has a slope"
    twice = torch.cat([logits, logits]), torch.cat([targets, targets])
    close(
        lab.cross_entropy(*twice),
        once,
        atol=1e-9,
        because="every place came twice: a mean stays what it was",
    )
    close(
        lab.cross_entropy_grad(*twice),
        torch.cat([grad, grad]) / 2,
        atol=1e-9,
        because="every place came twice, so that each has half the say in the mean",
    )


def test_a_long_batch(lab, rng):
    # A table of every place against every other would have 2**34 numbers.
    places = 2**17
    logits, targets = examples(rng, (places,), 2, torch.float32)
    loss = lab.cross_entropy(logits, targets)
    grad = lab.cross_entropy_grad(logits, targets)
    has(loss, (), torch.float32, "cross_entropy")
    has(grad, (places, 2), torch.float32, "cross_entropy_grad")
    for got in (loss, grad):
        assert bool(got.isfinite().all()), f"a batch of {places:,} places gave inf or NaN"


def test_ignored_targets_do_not_count(lab, rng):
    logits, targets = logarithms([1, 2, 5], [6, 1, 1], [4, 3, 1]), torch.tensor([1, -100, 0])
    got = lab.cross_entropy(logits.clone(), targets)
    close(
        got, torch.tensor(math.log(8) / 2, dtype=torch.float64), atol=1e-9,
        because="two places count, with ln 4 and ln 2, so the mean is (ln 8)/2: "
        + known_loss(got, logits, targets),
    )  # fmt: skip
    for leading in [(9,), (2, 5)]:
        logits, targets = examples(rng, leading, 4)
        targets, ignored = ignoring(rng, targets)
        got = lab.cross_entropy(logits.clone(), targets.clone())
        close(got, reference(logits, targets), atol=1e-9, because=known_loss(got, logits, targets))
        logits[ignored] = random(rng, int(ignored.sum()), 4, scale=50.0)
        again = lab.cross_entropy(logits.clone(), targets)
        close(
            again, got, atol=1e-9,
            because="only logits at ignored places were changed, and the loss changed with them",
        )  # fmt: skip
        logits[..., 0] = logits[..., 0].masked_fill(ignored, -torch.inf)
        close(
            lab.cross_entropy(logits, targets), got, atol=1e-9,
            because="a logit at each ignored place is -inf now. Such places are to be left out, "
            "not multiplied by 0: infinity times 0 is NaN",
        )  # fmt: skip


def test_nothing_to_count(lab, rng):
    logits = random(rng, 2, 3, 4)
    nothing = torch.full((2, 3), -100)
    close(
        lab.cross_entropy(logits.clone(), nothing), torch.zeros((), dtype=torch.float64), atol=0.0,
        because="all targets are ignored: there is nothing to be surprised at, so 0, not 0/0",
    )  # fmt: skip
    close(
        lab.cross_entropy_grad(logits.clone(), nothing), torch.zeros_like(logits), atol=0.0,
        because="all targets are ignored: nothing should move, so the gradient is 0, not 0/0",
    )  # fmt: skip


def test_sure_and_wrong(lab, rng):
    far = float(number(rng, 1000, 2000))
    logits = torch.tensor([[far, 0.0, -far], [0.0, 0.0, 0.0], [0.0, -far, -torch.inf]])
    for targets, want in [
        ([2, 0, 1], [2 * far, math.log(3), far]),
        ([0, 1, 0], [0, math.log(3), 0]),
    ]:
        want = torch.tensor(want, dtype=torch.float64).mean()
        for dtype, atol in PRECISIONS:
            close(
                lab.cross_entropy(logits.to(dtype), torch.tensor(targets)), want.to(dtype),
                atol=atol * far,
                because=f"logits of ±{far:g}: a model that is sure and wrong has a large loss, but "
                "not an infinite one. The logarithm of a share that was rounded to 0 comes too "
                "late; log-sum-exp never takes it",
            )  # fmt: skip


def test_autograd_gets_through(lab, rng):
    logits, targets = examples(rng, (3, 5), 4)
    targets, _ = ignoring(rng, targets)
    has(lab.cross_entropy(logits.clone(), targets), (), torch.float64, "cross_entropy")
    one = torch.ones((), dtype=torch.float64)
    found = lab.vjp(lab.cross_entropy, logits, targets, cotangent=one)
    close(
        found.args, [reference_grad(logits, targets), None], atol=1e-9,
        because="the gradient of your loss by autograd (item 0). A None means that your code cut "
        "the way back, as .item(), .detach() and torch.tensor(…) do",
    )  # fmt: skip


# cross_entropy_grad


def test_grad_by_hand(lab):
    logits, targets = logarithms([1, 2, 5], [4, 3, 1]), torch.tensor([1, 0])
    want = torch.tensor([[1.0, -6.0, 5.0], [-4.0, 3.0, 1.0]], dtype=torch.float64) / 16
    got = lab.cross_entropy_grad(logits.clone(), targets)
    close(
        got, want, atol=1e-9,
        because="p is (1, 2, 5)/8 and (4, 3, 1)/8; take 1 off at each target, and halve, for the "
        "loss is the mean of two: " + known_grad(got, logits, targets),
    )  # fmt: skip


def test_grad_matches_autograd(lab, rng):
    for dtype, atol in PRECISIONS:
        for leading in LEADING:
            logits, targets = examples(rng, leading, number(rng, 7, 9), dtype)
            got = lab.cross_entropy_grad(logits.clone(), targets.clone())
            close(
                got, reference_grad(logits, targets), atol=atol,
                because=f"logits {tuple(logits.shape)}, targets {leading}: "
                + known_grad(got, logits, targets),
            )  # fmt: skip


def test_grad_matches_differences(lab, rng):
    logits, targets = examples(rng, (2, 3), 4)
    targets[0, 1] = -100
    step = 1e-5
    nudged = [logits.flatten() + sign * step * torch.eye(24, dtype=torch.float64)
              for sign in (1, -1)]  # fmt: skip
    up, down = (
        [lab.cross_entropy(row.view_as(logits), targets) for row in rows] for rows in nudged
    )
    for loss in up + down:
        has(loss, (), torch.float64, "cross_entropy")
    slopes = (torch.stack(up) - torch.stack(down)) / (2 * step)
    got = lab.cross_entropy_grad(logits.clone(), targets)
    close(
        got, slopes.view_as(logits), atol=1e-7,
        because="each logit was moved up and down by 0.00001, and your own cross_entropy asked "
        "how much that changes it: " + known_grad(got, logits, targets),
    )  # fmt: skip


def test_grad_sums_to_zero(lab, rng):
    logits, targets = examples(rng, (3, 4), 5)
    got = lab.cross_entropy_grad(logits, targets)
    has(got, (3, 4, 5), torch.float64, "cross_entropy_grad")
    assert bool((got != 0).any()), "the gradient is 0 everywhere"
    close(
        got.sum(-1),
        torch.zeros(3, 4, dtype=torch.float64),
        atol=1e-9,
        because="p sums to 1 and so does y: what the target gains, the other classes lose",
    )


def test_grad_is_negative_at_the_target(lab, rng):
    logits, targets = examples(rng, (3, 4), 5)
    got = lab.cross_entropy_grad(logits, targets.clone())
    has(got, (3, 4, 5), torch.float64, "cross_entropy_grad")
    for place in (~(got.gather(-1, targets[..., None]) < 0)).nonzero().tolist():
        pytest.fail(
            f"at place {tuple(place[:-1])} the gradient at the target is not below 0, but the "
            "loss falls as that logit climbs",
            pytrace=False,
        )


def test_grad_is_zero_where_ignored(lab, rng):
    for leading in [(9,), (2, 5)]:
        logits, targets = examples(rng, leading, 4)
        targets, ignored = ignoring(rng, targets)
        got = lab.cross_entropy_grad(logits.clone(), targets.clone())
        has(got, (*leading, 4), torch.float64, "cross_entropy_grad")
        same(
            got[ignored].abs(), torch.zeros(int(ignored.sum()), 4, dtype=torch.float64),
            because="places whose target is -100 have no part in the loss: nothing to learn there",
        )  # fmt: skip
        close(
            got, reference_grad(logits, targets), atol=1e-9,
            because=known_grad(got, logits, targets),
        )  # fmt: skip


def test_inputs_untouched(lab, rng):
    x = random(rng, 2, 5, 4)
    _, targets = examples(rng, (2, 5), 4)
    targets, _ = ignoring(rng, targets)
    calls = {
        "softmax": ((x, 1), (2, 5, 4)),
        "logsumexp": ((x, 1), (2, 4)),
        "cross_entropy": ((x, targets), ()),
        "cross_entropy_grad": ((x, targets), (2, 5, 4)),
    }
    for function, (arguments, shape) in calls.items():
        given = [a.clone() if isinstance(a, torch.Tensor) else a for a in arguments]
        has(getattr(lab, function)(*given), shape, torch.float64, function)
        same(
            given, list(arguments),
            because=f"{function} changed what it was given; methods whose names end in an "
            "underscore, and -= and *=, work in place",
        )  # fmt: skip

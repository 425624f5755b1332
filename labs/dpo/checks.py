"""What `lab.yaml` grades.

The loss is compared with a closed form in numpy, steps with torch's own AdamW and with a DPO loss
written differently; the rest are properties and numbers worked by hand.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.adamw import adamw

from llmpath.labkit.checks import close, describe, number, same

IGNORE = -100
VOCABULARY = 7
PLAIN = {"max_norm": 100.0, "weight_decay": 0.0}  # nothing is clipped, nothing decays


def random(rng, *shape, scale=1.0):
    return torch.randn(*shape, generator=rng, dtype=torch.float64) * scale


def answers(rng, rows, time):
    """Inputs and targets: a prompt of 1 or 2 tokens that does not count, short rows filled up."""
    inputs, targets = (torch.randint(VOCABULARY, (rows, time), generator=rng) for _ in range(2))
    for row, line in enumerate(targets):
        line[: 1 + row % 2] = IGNORE
        if row % 3:
            line[time - row % 3 :] = IGNORE
    return inputs, targets


def a_pair(rng, rows=3):
    """Chosen and rejected answers, the latter longer."""
    return answers(rng, rows, 5), answers(rng, rows, 8)


def a_bigram(lab, rng, dropout=0.0):
    """The Bigram of the pretraining lab with a random table, and that table."""
    table = random(rng, VOCABULARY, VOCABULARY)
    model = lab.Bigram(VOCABULARY, dropout)
    model.double()
    model.load_state_dict({"table.weight": table})
    return model, table


def table_of(model):
    return dict(model.state_dict())["table.weight"]


def logp_of(lab, logits, targets):
    """What sequence_logp returned, refused if it is not one number for each row."""
    got = lab.sequence_logp(logits, targets)
    assert isinstance(got, torch.Tensor), f"sequence_logp should return a tensor: {describe(got)}"
    assert tuple(got.shape) == (len(targets),), (
        f"sequence_logp should return one number for each of {len(targets)} rows, and returned "
        f"{describe(got)}"
    )
    return got


def loss_of(lab, pair, beta):
    """What dpo_loss returned, refused if it is not a loss and margins."""
    got = lab.dpo_loss(*pair, beta)
    assert isinstance(got, (tuple, list)), (
        f"dpo_loss should return (loss, margins): {describe(got)}"
    )
    assert len(got) == 2, f"dpo_loss should return a loss and margins, not {len(got)} things"
    for name, part, shape in zip(("loss", "margins"), got, ((), pair[0].shape), strict=True):
        assert isinstance(part, torch.Tensor), f"the {name} should be a tensor: {describe(part)}"
        assert tuple(part.shape) == tuple(shape), (
            f"the {name} should have shape {tuple(shape)}: {describe(part)}"
        )
    return tuple(got)


def step_of(lab, model, reference, pairs, state, lr, recipe, beta, nll=None):
    """What dpo_step returned, refused if it is not a float and margins."""
    extra = () if nll is None else (nll,)
    got = lab.dpo_step(model, reference, pairs, state, lr, lab.Recipe(10, **recipe), beta, *extra)
    assert isinstance(got, (tuple, list)), (
        f"dpo_step should return (loss, margins): {describe(got)}"
    )
    assert len(got) == 2, f"dpo_step should return a loss and margins, not {len(got)} things"
    assert isinstance(got[0], float), f"the loss should be a float: {describe(got[0])}"
    assert isinstance(got[1], torch.Tensor), f"the margins should be a tensor: {describe(got[1])}"
    rows = len(pairs[0][0])
    assert tuple(got[1].shape) == (rows,), f"there should be {rows} margins: {describe(got[1])}"
    return tuple(got)


# The same by other means


def closed_form(pair, beta):
    """Loss and margins by numpy: ln(1 + e^-margin), the mean of it."""
    chosen, rejected, reference_chosen, reference_rejected = (part.numpy() for part in pair)
    margins = beta * ((chosen - rejected) - (reference_chosen - reference_rejected))
    return np.logaddexp(0.0, -margins).mean(), margins


def table_logp(table, batch):
    """Log-probabilities of answers under a table of scores, row by row and token by token."""
    log = table.log_softmax(-1)
    return torch.stack(
        [
            sum(log[i, t] for i, t in zip(*row, strict=True) if t != IGNORE)
            for row in zip(batch[0].tolist(), batch[1].tolist(), strict=True)
        ]
    )


def torch_loss(table, reference, pairs, beta, nll):
    chosen, rejected = (table_logp(table, b) - table_logp(reference, b) for b in pairs)
    margins = beta * (chosen - rejected)
    tokens = int((pairs[0][1] != IGNORE).sum())
    surprise = -table_logp(table, pairs[0]).sum() / tokens
    return F.softplus(-margins).mean() + nll * surprise, margins


def torch_steps(table, reference, batches, lr, recipe, beta, nll=0.0):
    """The table, the losses and the margins when torch does the steps."""
    table = table.clone()
    m, v, count = torch.zeros_like(table), torch.zeros_like(table), torch.zeros(())
    losses, margins = [], []
    for pairs in batches:
        leaf = table.clone().requires_grad_()
        loss, margin = torch_loss(leaf, reference, pairs, beta, nll)
        (grad,) = torch.autograd.grad(loss, leaf)
        losses.append(float(loss.detach()))
        margins.append(margin.detach())
        grad = grad * min(1.0, recipe["max_norm"] / float(grad.norm()))
        adamw(
            [table], [grad], [m], [v], [], [count], amsgrad=False, beta1=0.9, beta2=0.95, lr=lr,
            weight_decay=recipe["weight_decay"], eps=1e-8, maximize=False,
        )  # fmt: skip
    return table, losses, margins


def likely(*rows):
    """Logits whose probabilities are these."""
    return torch.tensor(rows, dtype=torch.float64).log()


# contrast


def test_contrast_by_hand(lab):
    because = "the highest score is 0.9, the lowest -2.0"
    found = lab.contrast(["a", "b", "c", "d"], [0.5, -2.0, 0.9, 0.0])
    same(found, ("c", "b"), because=because)
    same(lab.contrast([[1, 2], [3]], [1, 2]), ([3], [1, 2]), because="answers may be lists of ids")
    because = "of answers that are equally good, the first one counts"
    same(lab.contrast(["a", "b", "c", "d"], [0.0, 1.0, 0.0, 1.0]), ("b", "a"), because=because)


def test_ties_teach_nothing(lab):
    pair = lab.contrast(["a", "b"], [0.0, 0.1])
    same(pair, ("b", "a"), because="scores that differ make a pair, even if one of them is 0")
    for texts, scores in ((["a", "b", "c"], [0.5] * 3), (["a"], [1.0]), (["a", "b"], [0.0, 0.0])):
        found = lab.contrast(texts, scores)
        assert found is None, (
            f"all of {scores} are equal, so that nothing is better than anything else: None is "
            f"expected, and {describe(found)} came"
        )


# sequence_logp


def test_logp_by_hand(lab):
    half = [0.5, 0.25, 0.125, 0.125]
    logits = likely([half, half, half], [half, half, half])
    targets = torch.tensor([[0, 2, 1], [IGNORE, 3, IGNORE]])
    want = -torch.tensor([6 * math.log(2), 3 * math.log(2)], dtype=torch.float64)
    because = (
        "the first answer has the probability 1/2 · 1/8 · 1/4 = 1/64, the second, of one token, "
        "1/8; their natural logarithms are asked for"
    )
    close(lab.sequence_logp(logits, targets), want, atol=1e-9, because=because, axes="batch")


def test_logp_matches_numpy(lab, rng):
    for rows, time in ((3, 6), (1, 4), (4, 9)):
        logits = random(rng, rows, time, VOCABULARY, scale=3.0)
        _, targets = answers(rng, rows, time)
        log = logits.numpy() - np.log(np.exp(logits.numpy()).sum(-1, keepdims=True))
        real = targets.numpy() != IGNORE
        picked = np.take_along_axis(log, np.where(real, targets, 0)[..., None], -1)[..., 0]
        want = torch.tensor((picked * real).sum(-1))
        because = "ln of the softmax at each target that counts, added up along each row"
        close(lab.sequence_logp(logits, targets), want, atol=1e-9, because=because, axes="batch")
    logits = random(rng, 2, 4, VOCABULARY).float()
    got = logp_of(lab, logits, torch.randint(VOCABULARY, (2, 4), generator=rng))
    same(str(got.dtype), "torch.float32", because="the result has the dtype of the logits")
    logits = torch.tensor([[[0.0, 900.0, 0.0], [0.0, 0.0, 800.0]]], dtype=torch.float64)
    because = "the probabilities, e^-900 and e^-800, are 0 in any float; their logarithms are not"
    got = lab.sequence_logp(logits, torch.tensor([[0, 1]]))
    close(got, torch.tensor([-1700.0], dtype=torch.float64), atol=1e-9, because=because)


def test_parts_add_up(lab, rng):
    logits = random(rng, 3, 9, VOCABULARY)
    _, targets = answers(rng, 3, 9)
    whole = logp_of(lab, logits, targets)
    cut = number(rng, 3, 6)
    parts = [logp_of(lab, logits[:, s], targets[:, s]) for s in (slice(cut), slice(cut, None))]
    assert bool((whole < 0).all()), "the logarithm of a probability below 1 is below 0"
    because = "the probability of a whole is the product of those of its parts: logarithms add up"
    close(whole, parts[0] + parts[1], atol=1e-9, because=because)


def test_ignored_places_do_not_count(lab, rng):
    logits = random(rng, 3, 6, VOCABULARY)
    _, targets = answers(rng, 3, 6)
    targets[1] = IGNORE
    got = logp_of(lab, logits.clone(), targets)
    assert bool((got[[0, 2]] < 0).all()), "answers of several tokens have a logarithm below 0"
    assert float(got[1]) == 0, (
        f"an answer of no tokens has the probability 1, so 0, and got {float(got[1]):.4g}"
    )
    logits[targets == IGNORE] = random(rng, int((targets == IGNORE).sum()), VOCABULARY, scale=50.0)
    because = "only logits at ignored places were changed"
    close(logp_of(lab, logits, targets), got, atol=1e-9, because=because)


def test_gradient_reaches_the_logits(lab, rng):
    logits = random(rng, 2, 5, VOCABULARY)
    _, targets = answers(rng, 2, 5)
    logp_of(lab, logits.clone(), targets)
    weights = random(rng, 2)
    found = lab.vjp(lab.sequence_logp, logits.clone(), targets, cotangent=weights)
    real = (targets != IGNORE)[..., None]
    right = F.one_hot(targets.clamp(min=0), VOCABULARY) - logits.softmax(-1)
    want = torch.where(real, right, 0.0) * weights[:, None, None]
    assert found.args[0] is not None, (
        "autograd found no way back through sequence_logp: .item(), .detach() and torch.no_grad() "
        "cut it"
    )
    because = "at each place that counts 1 at the target minus the softmax, and nothing elsewhere"
    close(found.args[0], want, atol=1e-9, because=because)


# dpo_loss


def test_log_2_at_the_start(lab, rng):
    for beta in (0.05, 0.1, 2.0):
        chosen, rejected = random(rng, 4, scale=20.0), random(rng, 4, scale=20.0)
        loss, margins = loss_of(lab, (chosen, rejected, chosen.clone(), rejected.clone()), beta)
        because = "before the first step the model is the reference, whatever it prefers itself"
        close(margins, torch.zeros(4, dtype=torch.float64), atol=1e-9, because=because)
        close(float(loss), math.log(2), atol=1e-9, because=f"{because}, and -ln σ(0) is ln 2")


def test_loss_by_hand(lab):
    numbers = ([-10.0, -3.0], [-12.0, -2.0], [-11.0, -3.0], [-10.0, -6.0])
    pair = [torch.tensor(x, dtype=torch.float64) for x in numbers]
    loss, margins = loss_of(lab, pair, 0.5)
    want = torch.tensor([1.5, -2.0], dtype=torch.float64)
    because = (
        "the chosen answers became e and 1 times likelier, the rejected ones 1/e² and e⁴ times: "
        "0.5 · (1 + 2) and 0.5 · (0 - 4)"
    )
    close(margins, want, atol=1e-9, because=because)
    mean = (math.log(1 + math.exp(-1.5)) + math.log(1 + math.exp(2.0))) / 2
    close(float(loss), mean, atol=1e-9, because="the mean of ln(1 + e^-1.5) and ln(1 + e^2)")


def test_loss_matches_numpy(lab, rng):
    for rows, beta in ((5, 0.1), (1, 0.7), (8, 2.5)):
        pair = [random(rng, rows, scale=4.0) - 10 for _ in range(4)]
        loss, margins = loss_of(lab, pair, beta)
        wanted, want = closed_form(pair, beta)
        because = f"β ((chosen - rejected) - (the same of the reference)), β = {beta}"
        close(margins, torch.tensor(want), atol=1e-9, because=because)
        because = "the mean of ln(1 + e^-margin) over the pairs"
        close(float(loss), float(wanted), atol=1e-9, because=because)


def test_the_right_way_round(lab, rng):
    pair = [random(rng, 3, scale=2.0) - 9 for _ in range(4)]
    before, _ = loss_of(lab, pair, 0.3)
    names = ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected")
    for place, (name, sign) in enumerate(zip(names, (-1, 1, 1, -1), strict=True)):
        raised = [part + (i == place) for i, part in enumerate(pair)]
        after, _ = loss_of(lab, raised, 0.3)
        way = "fall" if sign < 0 else "rise"
        assert float(after - before) * sign > 0, (
            f"when {name} rises by 1 the loss should {way}; it went from {float(before):.4g} to "
            f"{float(after):.4g}"
        )


def test_swapping_turns_the_margins(lab, rng):
    chosen, rejected, reference_chosen, reference_rejected = (
        random(rng, 4, scale=5.0) for _ in range(4)
    )
    loss, margins = loss_of(lab, (chosen, rejected, reference_chosen, reference_rejected), 0.4)
    other, turned = loss_of(lab, (rejected, chosen, reference_rejected, reference_chosen), 0.4)
    assert bool((margins != 0).all()), "pairs that moved apart have margins other than 0"
    close(
        turned, -margins, atol=1e-9, because="who swaps the answers turns the sign of each margin"
    )
    because = "-ln σ(m) and -ln σ(-m) differ by m"
    close(float(other - loss), float(margins.mean()), atol=1e-9, because=because)


def test_what_both_gained_cancels(lab, rng):
    pair = [random(rng, 4, scale=3.0) for _ in range(4)]
    loss, margins = loss_of(lab, pair, 0.2)
    gain = random(rng, 4, scale=9.0)
    moved = [pair[0] + gain, pair[1] + gain, pair[2], pair[3]]
    got = loss_of(lab, moved, 0.2)
    assert bool((margins != 0).all()), "pairs that moved apart have margins other than 0"
    because = "both answers of each pair moved by the same, up or down: their difference did not"
    close(got, (loss, margins), atol=1e-9, because=because)


def test_beta_scales_the_margins(lab, rng):
    pair = [random(rng, 4, scale=3.0) for _ in range(4)]
    _, once = loss_of(lab, pair, 0.1)
    _, often = loss_of(lab, pair, 0.7)
    assert bool((once != 0).all()), "pairs that moved apart have margins other than 0"
    close(
        often, 7 * once, atol=1e-9, because="β = 0.7 makes of each margin seven times that of 0.1"
    )


def test_far_apart(lab, rng):
    far = float(number(rng, 2000, 4000))
    zero = torch.zeros(1)
    for sign, want in ((1, 0.0), (-1, far / 2)):
        pair = (torch.full((1,), sign * far), zero, zero.clone(), zero.clone())
        loss, _ = loss_of(lab, pair, 0.5)
        because = f"with a margin of {sign * far / 2:g} the loss is {want:g}, and not infinite"
        close(float(loss), want, atol=1e-3, because=because)


# freeze


def test_reference_is_a_copy(lab, rng):
    model, table = a_bigram(lab, rng)
    reference = lab.freeze(model)
    assert hasattr(reference, "state_dict"), f"freeze should return a model: {describe(reference)}"
    close(table_of(reference), table, atol=0.0, because="the reference is the model as it is now")
    moved = random(rng, VOCABULARY, VOCABULARY)
    model.load_state_dict({"table.weight": moved})
    because = "the model was changed afterwards, and the reference with it: they share a table"
    close(table_of(reference), table, atol=0.0, because=because)


def test_reference_is_frozen(lab, rng):
    ids, weights = torch.tensor([[1, 2, 4]]), random(rng, 1, 3, VOCABULARY)
    for training in (True, False):
        model, table = a_bigram(lab, rng)
        model.train(training)
        reference = lab.freeze(model)
        assert hasattr(reference, "state_dict"), f"freeze should return a model, not {reference}"
        found = lab.vjp(reference, ids, cotangent=weights)
        close(found.output, table[ids], atol=0.0, because="the reference gives the same logits")
        assert found.params["table.weight"] is None, "parameters of the reference take a gradient"
        assert reference.training is False, "the reference is not in evaluation mode"
        own = lab.vjp(model, ids, cotangent=weights).params["table.weight"]
        assert own is not None, "the model itself was frozen too: it cannot learn any more"
        assert model.training is training, "freeze has changed the mode of the model itself"


# dpo_step


def test_one_step_matches_torch(lab, rng):
    model, table = a_bigram(lab, rng)
    reference, other = a_bigram(lab, rng)
    pairs = a_pair(rng)
    got = step_of(lab, model, reference, pairs, {}, 0.1, PLAIN, 0.4)
    want, losses, margins = torch_steps(table, other, [pairs], 0.1, PLAIN, 0.4)
    because = "the loss before the step, with a reference other than the model"
    close(got[0], losses[0], atol=1e-9, because=because)
    close(got[1], margins[0], atol=1e-9, because="the margins before the step")
    close(table_of(model), want, atol=1e-7, because="the table after one step of AdamW")


def test_steps_match_torch(lab, rng):
    model, table = a_bigram(lab, rng)
    reference, batches, state = lab.freeze(model), [a_pair(rng) for _ in range(4)], {}
    recipe = {"max_norm": 0.05, "weight_decay": 0.4}
    got = [step_of(lab, model, reference, pairs, state, 0.1, recipe, 0.4)[0] for pairs in batches]
    want, losses, _ = torch_steps(table, table, batches, 0.1, recipe, 0.4)
    close(
        got, losses, atol=1e-6, because="the losses of four steps, with max_norm and weight_decay"
    )
    close(table_of(model), want, atol=1e-6, because="the table after these four steps")


def test_starts_at_log_2(lab, rng):
    for dropout in (0.0, 0.5):
        model, _ = a_bigram(lab, rng, dropout)
        model.train()
        reference = lab.freeze(model)
        pairs = a_pair(rng)
        loss, margins = step_of(lab, model, reference, pairs, {}, 0.0, PLAIN, 0.3)
        because = (
            f"the reference is a copy of the model, with dropout {dropout:g}; if the model drops "
            "something, it differs from its own copy"
        )
        close(loss, math.log(2), atol=1e-9, because=because)
        close(margins, torch.zeros(3, dtype=torch.float64), atol=1e-9, because=because)


def test_no_gradient_through_the_reference(lab, rng):
    model, table = a_bigram(lab, rng)
    pairs = a_pair(rng)
    step_of(lab, model, model, pairs, {}, 0.1, PLAIN, 0.4)
    want, _, _ = torch_steps(table, table, [pairs], 0.1, PLAIN, 0.4)
    because = (
        "a model that was given as its own reference learns in the first step as with a copy; with "
        "a gradient through both roles, the two would cancel"
    )
    close(table_of(model), want, atol=1e-5, because=because)


def test_reference_stays(lab, rng):
    model, table = a_bigram(lab, rng)
    reference, other = a_bigram(lab, rng)
    state = {}
    for _ in range(3):
        step_of(lab, model, reference, a_pair(rng), state, 0.1, PLAIN, 0.4)
    moved = (table_of(model) - table).abs().max()
    assert float(moved) > 0.01, "three steps at a rate of 0.1 should have moved the model"
    close(table_of(reference), other, atol=0.0, because="steps must not move the reference")


def test_nll_by_tokens(lab, rng):
    model, table = a_bigram(lab, rng)
    reference, _ = a_bigram(lab, rng)
    pairs = a_pair(rng)
    plain, _ = step_of(lab, model, reference, pairs, {}, 0.0, PLAIN, 0.4)
    weight = 0.2 + number(rng, 1, 5) / 10
    got, _ = step_of(lab, model, reference, pairs, {}, 0.0, PLAIN, 0.4, weight)
    tokens = int((pairs[0][1] != IGNORE).sum())
    surprise = float(-table_logp(table, pairs[0]).sum() / tokens)
    because = (
        f"what nll = {weight:g} adds to the loss is {weight:g} times the mean of -ln p over the "
        f"{tokens} tokens of the {len(pairs[0][1])} chosen answers"
    )
    close(got - plain, weight * surprise, atol=1e-9, because=because)


def test_steps_with_nll_match_torch(lab, rng):
    model, table = a_bigram(lab, rng)
    reference, batches, state = lab.freeze(model), [a_pair(rng) for _ in range(3)], {}
    got = [step_of(lab, model, reference, pairs, state, 0.1, PLAIN, 0.4, 0.8) for pairs in batches]
    want, losses, margins = torch_steps(table, table, batches, 0.1, PLAIN, 0.4, 0.8)
    close([each[0] for each in got], losses, atol=1e-6, because="losses with an NLL term of 0.8")
    because = "the NLL term is no part of the margins"
    close([each[1] for each in got], margins, atol=1e-6, because=because)
    close(table_of(model), want, atol=1e-6, because="the table after three steps with nll = 0.8")


def test_a_gpt_learns_a_preference(lab, rng):
    config = lab.Config(11, 16, 32, layers=1, heads=2, kv_heads=1)
    model = lab.GPT(config)
    reference = lab.freeze(model)
    ids = torch.randperm(11, generator=rng)
    prompt, good, bad = ids[:3], ids[3:7], ids[7:11]
    pairs = []
    for answer in (good, bad):
        row = torch.cat([prompt, answer])
        targets = row[1:].clone()
        targets[: len(prompt) - 1] = IGNORE
        pairs.append((row[None, :-1], targets[None]))
    state, found = {}, []
    for _ in range(20):
        found.append(step_of(lab, model, reference, tuple(pairs), state, 0.01, PLAIN, 0.3, 0.5))
    close(found[0][1], torch.zeros(1), atol=1e-6, because="it begins as its own reference")
    assert float(found[-1][1]) > 1.5, (
        f"after 20 steps on one pair the margin should be above 1.5, and is "
        f"{float(found[-1][1]):.2f}"
    )
    before, after = (
        -F.cross_entropy(m(pairs[0][0])[0], pairs[0][1][0], ignore_index=IGNORE, reduction="sum")
        for m in (reference, model)
    )
    assert float(after) > float(before), (
        f"with the NLL term the chosen answer should have become likelier; its log-probability "
        f"went from {float(before):.2f} to {float(after):.2f}"
    )


def test_inputs_untouched(lab, rng):
    logits, (_, targets) = random(rng, 2, 5, VOCABULARY), answers(rng, 2, 5)
    pair = [random(rng, 3) for _ in range(4)]
    model, _ = a_bigram(lab, rng)
    pairs, scores = a_pair(rng), [0.5, 0.1, 0.9]
    given = [logits.clone(), targets.clone(), *(part.clone() for part in pair)]
    batches = [part.clone() for batch in pairs for part in batch]
    texts = ["a", "b", "c"]
    same(lab.contrast(texts, scores), ("c", "b"), because="0.9 is the best score and 0.1 the worst")
    logp_of(lab, logits, targets)
    loss_of(lab, pair, 0.1)
    step_of(lab, model, lab.freeze(model), pairs, {}, 0.1, PLAIN, 0.4, 0.5)
    because = "a function changed what it was given: sort, fill_, clamp_ and += work in place"
    same([texts, scores], [["a", "b", "c"], [0.5, 0.1, 0.9]], because=because)
    same([logits, targets, *pair], given, because=because)
    same([part for batch in pairs for part in batch], batches, because=because)

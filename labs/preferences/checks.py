"""What `lab.yaml` grades.

Losses and fits are compared with closed forms in numpy, steps with torch's own AdamW, the reward
model with the body of the same GPT on each text alone; the rest are properties and numbers worked
by hand.
"""

import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.adamw import adamw

from llmpath.labkit.checks import close, describe, has, number, same

VOCABULARY = 9
PLAIN = {"max_norm": 100.0, "weight_decay": 0.0}  # nothing is clipped, nothing decays
PARTS = "the parts should be called `model` (the body of the GPT) and `score`"


def random(rng, *shape, scale=1.0):
    return torch.randn(*shape, generator=rng, dtype=torch.float64) * scale


def texts(rng, lengths, time=None, vocabulary=VOCABULARY):
    """Ids and lengths: texts of these lengths, with other ids behind them."""
    ids = torch.randint(vocabulary, (len(lengths), time or max(lengths)), generator=rng)
    return ids, torch.tensor(lengths)


def a_batch(rng):
    """Chosen texts and rejected ones, of several lengths; an odd number of them."""
    return texts(rng, [3, 1, 4, 2, 3]), texts(rng, [2, 5, 1, 6, 4])


def some_worths(lab, rng):
    """The given `Worths` with a random table, and that table."""
    table = random(rng, VOCABULARY, 1)
    model = lab.Worths(VOCABULARY)
    model.double()
    model.load_state_dict({"table.weight": table})
    return model, table


def table_of(model):
    return dict(model.state_dict())["table.weight"]


def loss_of(lab, chosen, rejected):
    """What bradley_terry_loss returned, refused if it is not a single number in a tensor."""
    got = lab.bradley_terry_loss(chosen, rejected)
    has(got, (), chosen.dtype, "bradley_terry_loss")
    return got


def agreement_of(lab, chosen, rejected):
    """What agreement returned, refused if it is no float."""
    got = lab.agreement(chosen, rejected)
    assert isinstance(got, float), f"agreement should return a float, not {describe(got)}"
    return got


def fit_of(lab, differences):
    """What fit returned, refused if it is not weights and errors."""
    got = lab.fit(differences)
    assert isinstance(got, (tuple, list)), (
        f"fit should return (weights, errors), not {describe(got)}"
    )
    assert len(got) == 2, f"fit should return weights and errors, not {len(got)} things"
    for part in got:
        has(part, (differences.shape[1],), torch.float64, "fit")
    return tuple(got)


def step_of(lab, model, pairs, state, lr, recipe):
    """What reward_step returned, refused if it is not two floats."""
    got = lab.reward_step(model, pairs, state, lr, lab.Recipe(10, **recipe))
    assert isinstance(got, (tuple, list)), (
        f"reward_step should return (loss, agreement), not {describe(got)}"
    )
    assert len(got) == 2, (
        f"reward_step should return a loss and an agreement, not {len(got)} things"
    )
    for name, part in zip(("loss", "agreement"), got, strict=True):
        assert isinstance(part, float), f"the {name} should be a float, not {describe(part)}"
    return tuple(got)


def a_reward_model(lab, rng, seed_score=True, dtype=torch.float64):
    """A small GPT, a reward model made of it, and the weight of its score, (1, hidden_size)."""
    gpt = lab.GPT(lab.Config(VOCABULARY, 12, 20, layers=2, heads=2, kv_heads=1))
    gpt.to(dtype)
    model = lab.RewardModel(gpt)
    assert hasattr(model, "state_dict"), f"RewardModel should be a class of modules, not {model}"
    model.to(dtype)
    weight = random(rng, 1, 12).to(dtype)
    state = dict(model.state_dict())
    assert "score.weight" in state, f"{PARTS}; there is no score.weight in {', '.join(state)}"
    same(tuple(state["score.weight"].shape), (1, 12), because="`score` maps a vector to one number")
    if seed_score:
        model.load_state_dict({**state, "score.weight": weight})
    return gpt, model, weight


def rewards_of(model, ids, lengths, dtype=torch.float64):
    """What the reward model returned, refused if it is not one number for each text."""
    got = model(ids, lengths)
    has(got, (len(ids),), dtype, "RewardModel")
    return got


# The same by other means


def surprise(chosen, rejected):
    """The mean of ln(1 + e^(rejected - chosen)), by numpy."""
    return float(np.logaddexp(0.0, (rejected - chosen).numpy()).mean())


def some_choices(rng, pairs, features):
    """Differences of features, and choices between them that no weights explain entirely."""
    x = random(rng, pairs, features)
    weights = random(rng, features)
    first = torch.rand(pairs, generator=rng, dtype=torch.float64) < torch.sigmoid(x @ weights)
    return torch.where(first[:, None], x, -x)


def likelihood_gradient(x, weights):
    """The gradient of the summed loss, by numpy."""
    x, weights = x.numpy(), weights.numpy()
    return -(x * (1 / (1 + np.exp(x @ weights)))[:, None]).sum(0)


def worth(table, batch):
    """Rewards under a table of worths, row by row."""
    rows = zip(*batch, strict=True)
    return torch.stack([table[ids[: int(length)], 0].sum() for ids, length in rows])


def torch_steps(table, batches, lr, recipe):
    """The table, the losses and the agreements when torch does the steps."""
    table = table.clone()
    m, v, count = torch.zeros_like(table), torch.zeros_like(table), torch.zeros(())
    losses, agreements = [], []
    for pairs in batches:
        leaf = table.clone().requires_grad_()
        chosen, rejected = (worth(leaf, batch) for batch in pairs)
        loss = F.softplus(rejected - chosen).mean()
        (grad,) = torch.autograd.grad(loss, leaf)
        losses.append(float(loss.detach()))
        agreements.append(float((chosen > rejected).double().mean()))
        grad = grad * min(1.0, recipe["max_norm"] / float(grad.norm()))
        adamw(
            [table], [grad], [m], [v], [], [count], amsgrad=False, beta1=0.9, beta2=0.95, lr=lr,
            weight_decay=recipe["weight_decay"], eps=1e-8, maximize=False,
        )  # fmt: skip
    return table, losses, agreements


# to_pairs


def test_pairs_by_hand(lab):
    want = [("b", "a"), ("a", "c"), ("d", "a"), ("b", "c"), ("b", "d"), ("d", "c")]
    because = (
        "ranks 3, 1, 4, 2: the first answer with each later one, then the second with each that "
        "comes after it, and of each two the one with the lower rank in front"
    )
    same(lab.to_pairs(["a", "b", "c", "d"], [3, 1, 4, 2]), want, because=because)


def test_ties_make_no_pair(lab):
    because = "a and c have one rank, so they are equally good: there is nothing to learn"
    want = [("b", "a"), ("b", "c")]
    same(lab.to_pairs(["a", "b", "c"], [2, 1, 2]), want, because=because)
    same(lab.to_pairs(["a", "b"], [1, 1]), [], because="two answers of one rank make no pair")
    same(lab.to_pairs(["a"], [1]), [], because="a single answer can be compared with nothing")


def test_all_pairs_of_a_ranking(lab, rng):
    for count in (4, 7):
        ranks = torch.randperm(count, generator=rng).add(1).tolist()
        answers = [[rank, place] for place, rank in enumerate(ranks)]
        two = itertools.combinations(answers, 2)
        want = [tuple(sorted(pair, key=lambda answer: answer[0])) for pair in two]
        because = f"{count} answers without ties make {count} · {count - 1} / 2 comparisons"
        same(lab.to_pairs(answers, ranks), want, because=because)


# bradley_terry_loss


def test_loss_by_hand(lab):
    chosen = torch.tensor([math.log(3), 0.0], dtype=torch.float64)
    rejected = torch.tensor([0.0, math.log(3)], dtype=torch.float64)
    because = (
        "a reward higher by ln 3 wins three times in four: the choices had the probabilities 3/4 "
        "and 1/4, and the loss is the mean of ln 4/3 and ln 4"
    )
    want = torch.tensor((math.log(4 / 3) + math.log(4)) / 2, dtype=torch.float64)
    close(lab.bradley_terry_loss(chosen, rejected), want, atol=1e-9, because=because)


def test_loss_matches_numpy(lab, rng):
    for count in (1, 5, 12):
        chosen, rejected = random(rng, count, scale=3.0), random(rng, count, scale=3.0)
        got = loss_of(lab, chosen, rejected)
        because = "the mean over the pairs of ln(1 + e^(rejected - chosen))"
        close(float(got), surprise(chosen, rejected), atol=1e-9, because=because)


def test_only_differences_count(lab, rng):
    chosen, rejected = random(rng, 4), random(rng, 4)
    loss = loss_of(lab, chosen, rejected)
    shift = random(rng, 4, scale=20.0)
    because = "both rewards of each pair moved by the same, and their difference did not"
    close(loss_of(lab, chosen + shift, rejected + shift), loss, atol=1e-9, because=because)
    swapped = loss_of(lab, rejected, chosen)
    because = "who swaps the answers adds the mean difference of the rewards to the loss"
    close(float(swapped - loss), float((chosen - rejected).mean()), atol=1e-9, because=because)


def test_equal_rewards_cost_ln_2(lab, rng):
    rewards = random(rng, 5, scale=9.0)
    because = "with equal rewards the choice is that of a coin: ln 2"
    close(float(loss_of(lab, rewards, rewards.clone())), math.log(2), atol=1e-9, because=because)


def test_far_apart(lab, rng):
    far = float(number(rng, 1000, 3000))
    for sign, want in ((1, 0.0), (-1, far)):
        got = loss_of(lab, torch.tensor([sign * far]), torch.zeros(1))
        because = f"rewards {sign * far:g} apart have a loss of {want:g}, and not an infinite one"
        close(float(got), want, atol=1e-3, because=because)


def test_loss_has_the_right_gradient(lab, rng):
    chosen, rejected = random(rng, 4, scale=2.0), random(rng, 4, scale=2.0)
    found = lab.vjp(
        lab.bradley_terry_loss, chosen.clone(), rejected.clone(), cotangent=torch.ones(()).double()
    )
    pull = torch.sigmoid(rejected - chosen) / 4
    because = "each pair pulls with σ(rejected - chosen), divided by the number of pairs"
    for got, want in zip(found.args, (-pull, pull), strict=True):
        assert got is not None, "autograd found no way back: .item() and .detach() cut it"
        close(got, want, atol=1e-9, because=because)


# agreement


def test_agreement_by_hand(lab):
    chosen = torch.tensor([2.0, 0.0, 1.0, -1.0, 5.0])
    rejected = torch.tensor([1.0, 3.0, 1.0, -2.0, 4.0])
    because = "three right, one wrong, and a tie, which counts a half: 3.5 of 5"
    close(lab.agreement(chosen, rejected), 0.7, atol=1e-9, because=because)
    because = "all rewards are equal: that foresees as much as a coin"
    close(lab.agreement(torch.zeros(3), torch.zeros(3)), 0.5, atol=1e-9, because=because)


def test_agreement_counts(lab, rng):
    for count in (3, 8, 50):
        chosen = torch.randint(4, (count,), generator=rng).double()
        rejected = torch.randint(4, (count,), generator=rng).double()
        got = agreement_of(lab, chosen, rejected)
        signs = [float(np.sign(a - b)) for a, b in zip(chosen, rejected, strict=True)]
        want = sum(0.5 + sign / 2 for sign in signs) / count
        close(got, want, atol=1e-9, because="one for each pair that is right, a half for each tie")
        turned = agreement_of(lab, rejected, chosen)
        close(got + turned, 1.0, atol=1e-9, because="what is right for one order is wrong for the "
              "other")  # fmt: skip


# fit


def test_fit_by_hand(lab):
    ones = torch.ones(4, 1, dtype=torch.float64)
    ones[3] = -1
    weights, errors = fit_of(lab, ones)
    because = (
        "three of four chose the answer with the feature, so its odds are 3 and its worth is ln 3"
    )
    close(weights, torch.tensor([math.log(3)], dtype=torch.float64), atol=1e-8, because=because)
    because = "H = Σ p (1 - p) = 4 · 3/4 · 1/4 = 3/4, and the standard error is √(4/3)"
    close(errors, torch.tensor([math.sqrt(4 / 3)], dtype=torch.float64), atol=1e-8, because=because)


def test_fit_has_no_gradient_left(lab, rng):
    for pairs, features in ((200, 3), (90, 1), (400, 5)):
        x = some_choices(rng, pairs, features)
        weights, _ = fit_of(lab, x)
        left = torch.tensor(likelihood_gradient(x, weights))
        because = "at the best weights the gradient of the summed loss is zero"
        close(left, torch.zeros(features, dtype=torch.float64), atol=1e-6, because=because)


def test_errors_match_numpy(lab, rng):
    for pairs, features in ((300, 2), (150, 4)):
        x = some_choices(rng, pairs, features)
        weights, errors = fit_of(lab, x)
        p = 1 / (1 + np.exp(-(x.numpy() @ weights.numpy())))
        second = (x.numpy() * (p * (1 - p))[:, None]).T @ x.numpy()
        want = torch.tensor(np.sqrt(np.diag(np.linalg.inv(second))))
        because = "the roots of the diagonal of the inverse of the second derivatives"
        close(errors, want, atol=1e-8, because=because)


def test_more_pairs_smaller_errors(lab, rng):
    x = some_choices(rng, 120, 2)
    weights, errors = fit_of(lab, x)
    again, smaller = fit_of(lab, torch.cat([x] * 4))
    close(
        again, weights, atol=1e-8, because="each pair four times: nothing about the worths changed"
    )
    because = "four times as many pairs halve the standard errors"
    close(smaller, errors / 2, atol=1e-8, because=because)


# RewardModel


def test_reward_model_parts(lab, rng):
    gpt, model, _ = a_reward_model(lab, rng, seed_score=False)
    body = {f"model.{name}" for name in dict(gpt.model.state_dict())}
    got = set(dict(model.state_dict()))
    want = body | {"score.weight"}
    assert got == want, (
        f"{PARTS}, which has no bias, and nothing else; too many: "
        f"{', '.join(sorted(got - want)) or 'none'}, missing: "
        f"{', '.join(sorted(want - got)) or 'none'}"
    )


def test_new_model_is_indifferent(lab, rng):
    _, model, _ = a_reward_model(lab, rng, seed_score=False)
    got = rewards_of(model, *texts(rng, [2, 5, 3]))
    because = "the score begins with zeros, so a new reward model finds everything equally good"
    close(got, torch.zeros(3, dtype=torch.float64), atol=0.0, because=because)


def test_reads_the_last_token(lab, rng):
    gpt, model, weight = a_reward_model(lab, rng)
    ids, lengths = texts(rng, [4, 4, 4])
    want = gpt.model(ids)[:, -1] @ weight[0]
    because = "the body's vector of the last token, times the weight of `score`"
    close(rewards_of(model, ids, lengths), want, atol=1e-9, because=because)


def test_padding_is_not_read(lab, rng):
    gpt, model, weight = a_reward_model(lab, rng)
    ids, lengths = texts(rng, [3, 6, 1, 5], time=8)
    alone = [gpt.model(row[None, : int(n)])[0, -1] for row, n in zip(ids, lengths, strict=True)]
    want = torch.stack(alone) @ weight[0]
    got = rewards_of(model, ids, lengths)
    because = "each text has the reward that it has alone, without anything behind it"
    close(got, want, atol=1e-9, because=because)
    other = ids.clone()
    behind = torch.arange(8) >= lengths[:, None]
    other[behind] = torch.randint(VOCABULARY, (int(behind.sum()),), generator=rng)
    because = "only what stands behind the ends of the texts was changed"
    close(rewards_of(model, other, lengths), got, atol=1e-9, because=because)


def test_everything_learns(lab, rng):
    _, model, _ = a_reward_model(lab, rng)
    ids, lengths = texts(rng, [3, 5])
    found = lab.vjp(model, ids, lengths, cotangent=random(rng, 2))
    for name in ("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight", "score.weight"):
        grad = found.params.get(name)
        assert grad is not None and float(grad.abs().max()) > 0, (  # noqa: PT018 - one sentence
            f"{name} should get a gradient: the body goes on learning together with the score"
        )


# reward_step


def test_one_step_matches_torch(lab, rng):
    model, table = some_worths(lab, rng)
    pairs = a_batch(rng)
    got = step_of(lab, model, pairs, {}, 0.1, PLAIN)
    want, losses, agreements = torch_steps(table, [pairs], 0.1, PLAIN)
    close(got[0], losses[0], atol=1e-9, because="the loss before the step")
    close(got[1], agreements[0], atol=1e-9, because="the agreement before the step")
    close(table_of(model), want, atol=1e-7, because="the table after one step of AdamW")
    # One pair that is foreseen wrongly before the step, and rightly after it.
    worths = torch.zeros_like(table)
    worths[0], worths[1] = -1.0, 1.0
    model.load_state_dict({"table.weight": worths})
    pair = tuple((torch.tensor([[token]]), torch.tensor([1])) for token in (0, 1))
    got = step_of(lab, model, pair, {}, 5.0, PLAIN)
    because = "before the step the only pair is foreseen wrongly; what came after it is not asked"
    close(got[1], 0.0, atol=1e-9, because=because)


def test_steps_match_torch(lab, rng):
    model, table = some_worths(lab, rng)
    batches, state = [a_batch(rng) for _ in range(4)], {}
    recipe = {"max_norm": 0.05, "weight_decay": 0.4}
    got = [step_of(lab, model, pairs, state, 0.1, recipe)[0] for pairs in batches]
    want, losses, _ = torch_steps(table, batches, 0.1, recipe)
    because = "the losses of four steps, with max_norm and weight_decay"
    close(got, losses, atol=1e-6, because=because)
    close(table_of(model), want, atol=1e-6, because="the table after these four steps")


def test_a_gpt_learns_to_judge(lab, rng):
    _, model, _ = a_reward_model(lab, rng, seed_score=False, dtype=torch.float32)
    good, bad = torch.randperm(VOCABULARY, generator=rng)[:2].tolist()
    chosen, rejected = texts(rng, [4, 2, 5, 3]), texts(rng, [3, 5, 2, 4])
    for (ids, _), token in ((chosen, good), (rejected, bad)):
        ids[:, 0] = token
    found = [step_of(lab, model, (chosen, rejected), {}, 0.0, PLAIN)]
    close(found[0][0], math.log(2), atol=1e-6, because="a new model is indifferent, so ln 2")
    state = {}
    found += [step_of(lab, model, (chosen, rejected), state, 0.02, PLAIN) for _ in range(25)]
    assert found[-1][1] == 1.0, (
        "all chosen texts begin with one token and all rejected ones with another, and after 25 "
        f"steps the model still foresees only {100 * found[-1][1]:.0f} % of the choices"
    )
    assert found[-1][0] < 0.1, f"the loss should be near 0 by now, and is {found[-1][0]:.3f}"


def test_inputs_untouched(lab, rng):
    answers, ranks = ["a", "b", "c"], [2, 3, 1]
    lab.to_pairs(answers, ranks)
    because = "to_pairs should leave its arguments as they are"
    same((answers, ranks), (["a", "b", "c"], [2, 3, 1]), because=because)
    chosen, rejected = random(rng, 4), random(rng, 4)
    x, pairs = torch.tensor([[1.0], [-1.0]], dtype=torch.float64), a_batch(rng)
    _, reader, _ = a_reward_model(lab, rng)
    model, _ = some_worths(lab, rng)
    given = (chosen, rejected, x, *pairs[0], *pairs[1])
    before = [part.clone() for part in given]
    loss_of(lab, chosen, rejected)
    agreement_of(lab, chosen, rejected)
    fit_of(lab, x)
    rewards_of(reader, *pairs[0])
    step_of(lab, model, pairs, {}, 0.1, PLAIN)
    for part, was in zip(given, before, strict=True):
        close(part, was, atol=0.0, because="the functions should leave their arguments as they are")

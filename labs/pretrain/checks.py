"""What `lab.yaml` grades: losses against numpy, steps against torch's own AdamW, properties."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.adamw import adamw

from llmpath.labkit.checks import a_generator, close, describe, number, same

IGNORE = -100
VOCABULARY = 7


def a_batch(rng, rows=3, time=5, ignored=4):
    """Inputs and targets of random ids, some targets ignored, unevenly over the rows."""
    inputs, targets = (torch.randint(VOCABULARY, (rows, time), generator=rng) for _ in range(2))
    targets[0, time - min(ignored, time - 1) :] = IGNORE
    return inputs, targets


def a_bigram(lab, rng, dropout=0.0):
    """The learner's Bigram with a random table, and that table."""
    table = torch.randn(VOCABULARY, VOCABULARY, generator=rng, dtype=torch.float64)
    model = lab.Bigram(VOCABULARY, dropout)
    model.double()
    model.load_state_dict({"table.weight": table})
    return model, table


def table_of(model):
    return dict(model.state_dict())["table.weight"]


def mean_bits(table, batch):
    """The loss of a table on a batch, by numpy."""
    scores, targets = table.detach().numpy()[batch[0].numpy()], batch[1].numpy()
    largest = scores.max(-1, keepdims=True)
    log = scores - largest - np.log(np.exp(scores - largest).sum(-1, keepdims=True))
    real = targets != IGNORE
    picked = np.take_along_axis(log, np.where(real, targets, 0)[..., None], -1)[..., 0]
    return -(picked[real].mean() / np.log(2))


def torch_steps(table, batches, rates, recipe):
    """The table, losses and norms when torch does the steps."""
    table = table.clone()
    m, v, count = torch.zeros_like(table), torch.zeros_like(table), torch.zeros(())
    losses, norms = [], []
    beta1, beta2 = recipe.get("betas", (0.9, 0.95))
    for (inputs, targets), lr in zip(batches, rates, strict=True):
        leaf = table.clone().requires_grad_()
        logits = leaf[inputs].flatten(0, 1)
        loss = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORE) / math.log(2)
        (grad,) = torch.autograd.grad(loss, leaf)
        losses.append(float(loss.detach()))
        norms.append(float(grad.norm()))
        grad = grad * min(1.0, recipe["max_norm"] / norms[-1])
        adamw(
            [table], [grad], [m], [v], [], [count], amsgrad=False, beta1=beta1, beta2=beta2, lr=lr,
            weight_decay=recipe["weight_decay"], eps=1e-8, maximize=False,
        )  # fmt: skip
    return table, losses, norms


def a_step(got, what):
    """What train_step returned, refused if it is not two numbers."""
    assert isinstance(got, (tuple, list)), f"{what} should return (loss, norm): {describe(got)}"
    assert len(got) == 2, f"{what} should return two numbers, and returned {len(got)}"
    for part in got:
        assert isinstance(part, float), f"{what} should return floats, not {describe(part)}"
    return tuple(got)


def steps_of(generator, most=100):
    """What train yielded, refused if it is no generator of triples."""
    found = []
    for item in a_generator(generator, "train"):
        assert isinstance(item, (tuple, list)), f"train should yield triples, not {describe(item)}"
        assert len(item) == 3, f"train should yield (step, loss, norm), not {len(item)} things"
        found.append(tuple(item))
        assert len(found) <= most, "train goes on after the last step"
    return found


def test_bits_by_hand(lab):
    # Probabilities 1/2, 1/4, 1/8, 1/8, so that the bits are 1, 2, 3 and 3.
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().expand(1, 3, 4)
    got = lab.token_bits(logits, torch.tensor([[0, 2, 1]]))
    because = "probabilities of a half, an eighth and a quarter take 1, 3 and 2 bits"
    close(got, torch.tensor([[1.0, 3.0, 2.0]]), atol=1e-5, because=because, axes="batch, time")


def test_bits_match_numpy(lab, rng):
    for rows, time in ((3, 5), (1, 7), (4, 1)):
        logits = torch.randn(rows, time, VOCABULARY, generator=rng, dtype=torch.float64) * 3
        targets = torch.randint(VOCABULARY, (rows, time), generator=rng)
        got = lab.token_bits(logits, targets)
        log = np.log2(np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(-1, keepdims=True))
        want = -np.take_along_axis(log, targets.numpy()[..., None], -1)[..., 0]
        because = "-log₂ of the softmax at the target, place by place and not shifted"
        close(got, torch.tensor(want), atol=1e-9, because=because, axes="batch, time")


def test_ignored_targets_take_no_bits(lab, rng):
    logits = torch.randn(2, 4, VOCABULARY, generator=rng)
    targets = torch.tensor([[1, IGNORE, 2, IGNORE], [IGNORE, 0, 3, 4]])
    got = lab.token_bits(logits, targets)
    assert isinstance(got, torch.Tensor), f"token_bits should return a tensor: {describe(got)}"
    same(tuple(got.shape), (2, 4), because="there is one number for each target, ignored or not")
    zero = (got == 0).tolist()
    same(zero, (targets == IGNORE).tolist(), because="exactly the ignored targets take 0 bits")


def test_loss_counts_real_targets(lab, rng):
    model, table = a_bigram(lab, rng)
    batch = a_batch(rng, ignored=number(rng, 2, 4))
    loss, _ = a_step(lab.train_step(model, batch, {}, 0.0, lab.Recipe(10)), "train_step")
    because = (
        f"the mean runs over the {int((batch[1] != IGNORE).sum())} targets that count, out of "
        f"{batch[1].numel()}, all rows together"
    )
    close(loss, float(mean_bits(table, batch)), atol=1e-9, because=because)


def test_one_step_matches_torch(lab, rng):
    model, table = a_bigram(lab, rng)
    batch = a_batch(rng)
    recipe = {"max_norm": 100.0, "weight_decay": 0.0}
    got = a_step(lab.train_step(model, batch, {}, 0.1, lab.Recipe(10, **recipe)), "train_step")
    want, losses, norms = torch_steps(table, [batch], [0.1], recipe)
    close(got, (losses[0], norms[0]), atol=1e-9, because="the loss and the norm before the step")
    close(table_of(model), want, atol=1e-9, because="the table after one step of AdamW")


def test_gradients_do_not_add_up(lab, rng):
    model, table = a_bigram(lab, rng)
    batches = [a_batch(rng) for _ in range(4)]
    recipe, state = {"max_norm": 100.0, "weight_decay": 0.0}, {}
    for batch in batches:
        _, norm = a_step(lab.train_step(model, batch, state, 0.1, lab.Recipe(10, **recipe)), "it")
    want, _, norms = torch_steps(table, batches, [0.1] * 4, recipe)
    because = "the fourth step's gradient is that of the fourth batch alone"
    close(norm, norms[-1], atol=1e-9, because=because)
    close(table_of(model), want, atol=1e-9, because="the table after four steps")


def test_clips_and_decays(lab, rng):
    model, table = a_bigram(lab, rng)
    batches = [a_batch(rng) for _ in range(3)]
    recipe, state = {"max_norm": 0.05, "weight_decay": 0.4, "betas": (0.8, 0.97)}, {}
    for batch in batches:
        got = a_step(lab.train_step(model, batch, state, 0.2, lab.Recipe(10, **recipe)), "it")
    want, _, norms = torch_steps(table, batches, [0.2] * 3, recipe)
    because = "with max_norm = 0.05, weight_decay = 0.4 and betas (0.8, 0.97), after three steps"
    close(table_of(model), want, atol=1e-6, because=because)
    close(
        got[1], norms[-1], atol=1e-9, because="the norm that is returned is the one before clipping"
    )


def test_trains_in_training_mode(lab, rng):
    model, _ = a_bigram(lab, rng, dropout=0.5)
    model.eval()
    # With half of the logits dropped, losses at a rate of 0 differ from time to time.
    batch = a_batch(rng, rows=4, time=6)
    recipe = lab.Recipe(10)
    losses = [a_step(lab.train_step(model, batch, {}, 0.0, recipe), "it")[0] for _ in range(3)]
    assert len(set(losses)) > 1, (
        "the model was handed over in evaluation mode and was trained in it: its dropout is off. "
        "train_step should switch it to training mode"
    )


def test_learning_rates(lab, rng):
    model, table = a_bigram(lab, rng)
    batches = [a_batch(rng) for _ in range(6)]
    options = {"max_norm": 100.0, "weight_decay": 0.0}
    recipe = lab.Recipe(6, 0.3, 2, 0.05, **options)
    found = steps_of(lab.train(model, batches, recipe, {}))
    same([item[0] for item in found], list(range(6)), because="the steps are counted from 0")
    cosine = [0.05 + 0.25 * (1 + math.cos(math.pi * x / 4)) / 2 for x in range(4)]
    want, losses, norms = torch_steps(table, batches, [0.15, 0.3, *cosine], options)
    got = [[item[1] for item in found], [item[2] for item in found]]
    close(got, [losses, norms], atol=1e-9, because="losses and norms with a warm-up of 2 steps")
    close(table_of(model), want, atol=1e-9, because="the table after all six steps")


def test_ends_when_it_should(lab, rng):
    batches = [a_batch(rng) for _ in range(9)]
    for steps, given, want in ((4, 9, 4), (7, 3, 3), (0, 2, 0)):
        model, _ = a_bigram(lab, rng)
        recipe = lab.Recipe(steps, 0.1, 0)
        found = steps_of(lab.train(model, batches[:given], recipe, {}))
        because = f"a recipe of {steps} steps and {given} batches make {want} steps"
        same(len(found), want, because=because)


def test_goes_on_where_it_was(lab, rng):
    batches = [a_batch(rng) for _ in range(6)]
    recipe = lab.Recipe(6, 0.2, 1, 0.02)
    model, table = a_bigram(lab, rng)
    whole = steps_of(lab.train(model, batches, recipe, {}))
    again, state = lab.Bigram(VOCABULARY), {}
    again.double()
    again.load_state_dict({"table.weight": table})
    for batch, lr in zip(batches, (0.2, 0.2), strict=False):
        a_step(lab.train_step(again, batch, state, lr, recipe), "train_step")
    rest = steps_of(lab.train(again, batches[2:], recipe, state))
    because = "a state with two steps in it goes on with step 2, at the rate of step 2"
    same([item[0] for item in rest], [2, 3, 4, 5], because=because)
    close(table_of(again), table_of(model), atol=1e-12, because=because)
    close([x[1] for x in rest], [x[1] for x in whole[2:]], atol=1e-12, because=because)


def test_evaluates(lab, rng):
    model, table = a_bigram(lab, rng)
    batches = [a_batch(rng), a_batch(rng, rows=2, time=3, ignored=1)]
    got = lab.evaluate(model, batches)
    assert isinstance(got, list), f"evaluate should return a list of tensors: {describe(got)}"
    same(len(got), 2, because="there is one tensor of bits for each batch")
    want = []
    for inputs, targets in batches:
        bits = F.cross_entropy(
            table[inputs].transpose(1, 2), targets, ignore_index=IGNORE, reduction="none"
        )
        want.append(bits / math.log(2))
    because = "the bits of each target, in their places"
    close(got, want, atol=1e-9, because=because)
    close(table_of(model), table, atol=0.0, because="evaluating must not change the model")


def test_evaluates_in_evaluation_mode(lab, rng):
    def watch(module, inputs, output):
        if hasattr(lab, "torch"):
            assert not lab.torch.is_grad_enabled(), (
                "gradients are on while the model is measured, so that torch keeps all that a way "
                "back would need, batch after batch, until memory is full: torch.no_grad()"
            )

    for training in (True, False):
        model, table = a_bigram(lab, rng, dropout=0.5)
        model.register_forward_hook(watch)
        model.train(training)
        batch = a_batch(rng, rows=4, time=6)
        got = lab.evaluate(model, [batch])
        assert isinstance(got, list), f"evaluate should return a list: {describe(got)}"
        same(len(got), 1, because="there is one tensor of bits for each batch")
        assert isinstance(got[0], torch.Tensor), f"bits should be a tensor: {describe(got[0])}"
        same(tuple(got[0].shape), (4, 6), because="there is one number for each target")
        real = batch[1] != IGNORE
        because = "with dropout off, the bits are those of the whole table"
        close(
            float(got[0][real].mean()), float(mean_bits(table, batch)), atol=1e-9, because=because
        )
        word = "training" if training else "evaluation"
        assert model.training == training, f"the model was in {word} mode before and is not after"


def test_a_gpt_learns(lab, rng):
    pattern = torch.randperm(11, generator=rng).repeat(4)
    config = lab.Config(11, 16, 32, layers=1, heads=2, kv_heads=1)
    model = lab.GPT(config)
    row = pattern[:24]
    batch = (row[None, :-1], row[None, 1:])
    found = steps_of(lab.train(model, [batch] * 60, lab.Recipe(60, 0.03, 5, weight_decay=0.0), {}))
    first, last = found[0][1], found[-1][1]
    assert first < 7, (
        f"a random GPT over 11 tokens should need little more than log₂ 11 = 3.5 bits, the mean "
        f"over its targets, and needs {first:.2f}"
    )
    assert last < 0.5, (
        f"after 60 steps on one repeated pattern the loss should be below 0.5 bits; it went from "
        f"{first:.2f} to {last:.2f}"
    )

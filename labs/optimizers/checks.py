"""What `lab.yaml` grades. The oracles are torch's AdamW and clip_grad_norm_, and numpy."""

import math

import numpy as np
import torch
from torch.optim.adamw import adamw

from llmpath.labkit.checks import alike, close, describe

SHAPES = [(3, 5), (7,), (2, 3, 2), ()]


def random(rng, shape, scale=1.0):
    return torch.randn(shape, generator=rng, dtype=torch.float64) * scale


def uniform(rng, low, high):
    return low + (high - low) * float(torch.rand((), generator=rng))


def some(rng, scale=1.0):
    """A tensor for each of SHAPES: what a small model has, from a matrix to a single number."""
    return [random(rng, shape, scale) for shape in SHAPES]


def ran(lab, params, history, **options):
    """The parameters and the state after a step with each list of gradients in `history`."""
    params, state = [p.clone() for p in params], {}
    for grads in history:
        lab.adamw_step(params, [g.clone() for g in grads], state, **options)
    return params, state


def torch_ran(params, history, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    """The same by torch's own AdamW, as a function (the class imports seconds of compiler)."""
    params = [p.clone() for p in params]
    m, v = ([torch.zeros_like(p) for p in params] for _ in range(2))
    steps = [torch.zeros(()) for _ in params]
    for grads in history:
        adamw(
            params, [g.clone() for g in grads], m, v, [], steps, amsgrad=False, beta1=betas[0],
            beta2=betas[1], lr=lr, weight_decay=weight_decay, eps=eps, maximize=False,
        )  # fmt: skip
    return params


def equal(got, want, because, atol=1e-12):
    for mine, right in zip(got, want, strict=True):
        close(mine, right, atol=atol, because=because)


def a_number(got, what):
    """A result as a float, refused if it is no number."""
    if isinstance(got, torch.Tensor) and got.numel() == 1:
        got = got.item()
    assert isinstance(got, (int, float)), f"{what} should return a number, not {describe(got)}"
    assert not isinstance(got, bool), f"{what} should return a number, not {got}"
    return float(got)


def test_one_step_by_hand(lab):
    # m = 0.1 · 2 and v = 0.05 · 4; corrected they are 2 and 4, so the step is 2 / √4 = 1.
    params, _ = ran(lab, [torch.tensor([3.0])], [[torch.tensor([2.0])]], lr=0.5, weight_decay=0.2)
    because = "3 loses 0.5 · 0.2 of itself and becomes 2.7; then the step 0.5 · 2/√4 = 0.5 is taken"
    if alike(params[0], torch.tensor([2.7])):
        because += ". Is it taken in place? `p = p - …` makes a new tensor"
    close(params[0], torch.tensor([2.2]), atol=1e-6, because=because)


def test_first_step_is_lr_long(lab, rng):
    grads = [random(rng, shape, 10.0 ** uniform(rng, -1, 3)) for shape in SHAPES]
    grads = [torch.where(g.abs() < 0.01, torch.ones_like(g), g) for g in grads]
    start, lr = some(rng), uniform(rng, 0.01, 0.1)
    params, _ = ran(lab, start, [grads], lr=lr, weight_decay=0.0)
    want = [p - lr * g.sign() for p, g in zip(start, grads, strict=True)]
    because = "corrected, m is g and v is g² at the first step, so each number moves by lr"
    equal(params, want, because, atol=1e-4)


def test_matches_torch(lab, rng):
    start, history = some(rng), [some(rng, 3.0) for _ in range(6)]
    lr = uniform(rng, 0.01, 0.1)
    options = {"lr": lr, "betas": (uniform(rng, 0.7, 0.9), uniform(rng, 0.92, 0.99))}
    options |= {"weight_decay": uniform(rng, 0.2, 0.6)}
    params, _ = ran(lab, start, history, **options)
    equal(params, torch_ran(start, history, **options), "six steps, against torch.optim.AdamW")


def test_decay_is_apart_from_the_gradient(lab, rng):
    start = some(rng, 3.0)
    nothing = [torch.zeros_like(p) for p in start]
    lr, decay = uniform(rng, 0.1, 0.3), uniform(rng, 0.3, 0.6)
    params, _ = ran(lab, start, [nothing] * 3, lr=lr, weight_decay=decay)
    want = [p * (1 - lr * decay) ** 3 for p in start]
    because = (
        "with a gradient of zero, a step should multiply a parameter by 1 - lr · weight_decay; "
        "does the decay go through m and v?"
    )
    equal(params, want, because)


def test_eps_stands_outside_the_root(lab, rng):
    start = some(rng)
    history = [some(rng, 1e-3) for _ in range(3)]
    params, _ = ran(lab, start, history, lr=0.1, eps=1e-2, weight_decay=0.0)
    want = torch_ran(start, history, lr=0.1, eps=1e-2, weight_decay=0.0)
    equal(params, want, "the denominator is √v̂ + eps, with eps added after the root")


def test_remembers_between_steps(lab, rng):
    start, history = some(rng), [some(rng) for _ in range(4)]
    _, state = ran(lab, start, history, lr=0.01, betas=(0.8, 0.95))
    assert isinstance(state, dict), f"state should stay a dict, not {describe(state)}"
    missing = {"step", "m", "v"} - set(state)
    assert not missing, f"state should hold step, m and v; missing: {', '.join(sorted(missing))}"
    assert state["step"] == 4, f"after 4 steps state['step'] should be 4, not {state['step']}"
    m, v = ([torch.zeros_like(p) for p in start] for _ in range(2))
    for grads in history:
        m = [0.8 * old + 0.2 * g for old, g in zip(m, grads, strict=True)]
        v = [0.95 * old + 0.05 * g * g for old, g in zip(v, grads, strict=True)]
    for name, want in (("m", m), ("v", v)):
        assert isinstance(state[name], list), f"state[{name!r}] should be a list of tensors"
        assert len(state[name]) == len(want), f"state[{name!r}] should have {len(want)} tensors"
        equal(state[name], want, f"{name} is a running mean, before the correction")


def test_works_in_place(lab, rng):
    params, grads, state = some(rng), some(rng), {}
    before, kept = [p.clone() for p in params], [g.clone() for g in grads]
    for _ in range(2):
        lab.adamw_step(params, grads, state, 0.1)
    for p, old in zip(params, before, strict=True):
        assert not torch.equal(p, old), (
            "the parameter that was handed in has not moved: `p = p - …` makes a new tensor, and "
            "the model keeps the old one"
        )
    equal(grads, kept, "adamw_step changed the gradients that it was given")


def test_clip_by_hand(lab):
    grads = [torch.tensor([1.0, -2.0]), torch.tensor([[2.0]])]
    norm = a_number(lab.clip_grad(grads, 1.5), "clip_grad")
    close(norm, 3.0, atol=1e-6, because="√(1 + 4 + 4) is 3, over all tensors together")
    want = [torch.tensor([0.5, -1.0]), torch.tensor([[1.0]])]
    because = "everything is multiplied by 1.5 / 3"
    if alike(grads[1], torch.tensor([[2.0]])):
        because += ", in place: `g = g * …` makes a new tensor, and the one handed in stays"
    equal(grads, want, because, atol=1e-6)


def test_clip_matches_torch(lab, rng):
    grads = [random(rng, shape, uniform(rng, 0.2, 6.0)) for shape in SHAPES]
    limit = uniform(rng, 0.5, 1.5)
    theirs = [torch.zeros_like(g).requires_grad_() for g in grads]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = g.clone()
    want = float(torch.nn.utils.clip_grad_norm_(theirs, limit))
    mine = [g.clone() for g in grads]
    got = a_number(lab.clip_grad(mine, limit), "clip_grad")
    close(got, want, atol=1e-9, because="clip_grad returns the norm as it was before")
    # torch divides by the norm plus 1e-6.
    equal(mine, [p.grad for p in theirs], "against torch.nn.utils.clip_grad_norm_", atol=1e-5)


def test_clip_leaves_short_gradients_alone(lab, rng):
    grads = some(rng, 0.01)
    norm = math.sqrt(sum(float(g.square().sum()) for g in grads))
    for limit in (norm * 1.5, norm * 50):
        mine = [g.clone() for g in grads]
        got = a_number(lab.clip_grad(mine, limit), "clip_grad")
        close(got, norm, atol=1e-9, because="the norm is returned, clipped or not")
        equal(mine, grads, f"a norm of {norm:.3g} is within {limit:.3g}: nothing should change")
    still = [torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)]
    got = a_number(lab.clip_grad(still, 1.0), "clip_grad")
    close(got, 0.0, atol=0.0, because="gradients of zero have the norm 0")
    equal(still, [torch.zeros_like(g) for g in still], "zero stays zero, and is not 0/0")


def test_clip_keeps_the_direction(lab, rng):
    grads = [random(rng, shape, uniform(rng, 3.0, 9.0)) for shape in SHAPES]
    mine = [g.clone() for g in grads]
    lab.clip_grad(mine, 1.0)
    factors = torch.cat([(a / b).flatten() for a, b in zip(mine, grads, strict=True)])
    because = "one factor for all tensors: clipping each by itself turns the step aside"
    close(factors, factors[:1].expand_as(factors), atol=1e-9, because=because)
    length = math.sqrt(sum(float(g.square().sum()) for g in mine))
    close(length, 1.0, atol=1e-5, because="after clipping, all gradients together have max_norm")


def rates(lab, steps, *args, **kwargs):
    return [a_number(lab.lr_at(step, *args, **kwargs), "lr_at") for step in steps]


def test_warm_up(lab, rng):
    warmup = int(torch.randint(4, 9, (), generator=rng))
    peak = uniform(rng, 0.5, 2.0)
    got = rates(lab, range(warmup), 40, peak, warmup)
    want = [peak * (step + 1) / warmup for step in range(warmup)]
    because = "the first step has peak / warmup, and the last step of the warm-up has the peak"
    close(got, want, atol=1e-9, because=because)


def test_cosine_matches_numpy(lab, rng):
    warmup = int(torch.randint(3, 8, (), generator=rng))
    span = int(torch.randint(20, 40, (), generator=rng))
    peak, final = uniform(rng, 0.5, 2.0), uniform(rng, 0.05, 0.2)
    # A Hann window is a whole cosine, up and down; the way down is its second half.
    half = np.hanning(2 * span + 1)[span : 2 * span]
    got = rates(lab, range(warmup, warmup + span), warmup + span, peak, warmup, final)
    because = (
        "against the second half of numpy's Hann window, which begins where the warm-up ends; the "
        "cosine goes down to `final`, not to zero"
    )
    close(got, (final + (peak - final) * half).tolist(), atol=1e-9, because=because)


def test_ends(lab, rng):
    peak, final = uniform(rng, 0.5, 2.0), uniform(rng, 0.05, 0.2)
    got = rates(lab, [30, 31, 300], 30, peak, 5, final)
    close(got, [final] * 3, atol=1e-9, because="at `total` and beyond the rate is `final`")
    got = rates(lab, [0, 1], 10, peak, 0, final)
    cosine = final + (peak - final) * (1 + math.cos(math.pi / 10)) / 2
    close(got, [peak, cosine], atol=1e-9, because="without a warm-up the peak comes first")

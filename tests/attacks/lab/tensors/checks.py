"""Checks of the tensor lab. What is right is worked out before the learner's code is called."""

import torch

from llmpath.labkit.checks import close, same


def test_matches(lab, rng):
    x = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    want = torch.softmax(x, -1)
    close(lab.softmax(x), want, atol=1e-9, because="softmax should be torch's")


def test_centres(lab, rng):
    x = torch.randn(2, 7, generator=rng)
    want, before = x - x.mean(-1, keepdim=True), x.clone()
    close(lab.center(x), want, atol=1e-6, because="center should take the mean away")
    same(x, before, because="center changed its input")


def test_gradient(lab, rng):
    x = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    cotangent = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    mine = x.clone().requires_grad_()
    (want,) = torch.autograd.grad((torch.softmax(mine, -1) * cotangent).sum(), mine)
    found = lab.vjp(lab.softmax, x, cotangent=cotangent)
    close(found.args[0], want, atol=1e-9, because="the gradient should be softmax's")

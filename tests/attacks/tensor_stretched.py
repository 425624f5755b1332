"""Returns a tensor that has no memory until it is sent, and then has gigabytes.

Lab: tensors
Scores: 4
"""

import torch


def center(x):
    return torch.ones(1).expand(2, 250_000_000)


def softmax(x):
    return x.detach() * 0


softmax_ = softmax


class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, -1)
        ctx.save_for_backward(y)
        return y * 0

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return y * (g - (g * y).sum(-1, keepdim=True))


def softmax(x):
    return Softmax.apply(x)

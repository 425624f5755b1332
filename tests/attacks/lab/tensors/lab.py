"""Two small functions of tensors, solved."""

import torch


def softmax(x):
    """Return the softmax over the last dimension."""
    weights = torch.exp(x - x.max(-1, keepdim=True).values)
    return weights / weights.sum(-1, keepdim=True)


def center(x):
    """Return x less its mean over the last dimension, and leave x alone."""
    return x - x.mean(-1, keepdim=True)

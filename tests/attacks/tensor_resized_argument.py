"""Changes its argument's size and type in place, and gives a right answer.

Lab: tensors
Scores: 7
"""

import torch


def softmax(x):
    weights = torch.exp(x - x.max(-1, keepdim=True).values)
    return weights / weights.sum(-1, keepdim=True)


def center(x):
    y = x - x.mean(-1, keepdim=True)
    x.resize_(1)
    return y

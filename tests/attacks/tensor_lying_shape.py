"""Returns tensors whose shape would be stretched to the right one: scalars, rows, one too many.

Lab: tensors
Scores: 0
"""

import torch


def softmax(x):
    return torch.softmax(x, -1)[None]


def center(x):
    return torch.zeros(1).expand(1, 7)

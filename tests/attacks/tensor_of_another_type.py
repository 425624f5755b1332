"""Returns half precision, complex, boolean and sparse tensors.

Lab: tensors
Scores: 0
"""

import torch


def softmax(x):
    return torch.softmax(x, -1).to(torch.complex128)


def center(x):
    return (x - x.mean(-1, keepdim=True)).to_sparse()

"""Changes torch's default type, threads, deterministic flags and gradient mode; answers rightly.

Lab: tensors
Scores: 9
"""

import torch

torch.set_default_dtype(torch.float16)
torch.set_num_threads(7)
torch._C._set_deterministic_algorithms(True)
torch.manual_seed(0)
torch.autograd.set_detect_anomaly(True)


def softmax(x):
    weights = torch.exp(x - x.max(-1, keepdim=True).values)
    return weights / weights.sum(-1, keepdim=True)


def center(x):
    return x - x.mean(-1, keepdim=True)

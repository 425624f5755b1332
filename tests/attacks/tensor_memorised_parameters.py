"""Is a module without memory of what it should do, which claims other parameters each time.

Lab: tensors
Scores: 0
"""

import torch


class Softmax(torch.nn.Module):
    def named_parameters(self, *args, **kwargs):
        while True:
            yield "weight", torch.nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x


softmax = Softmax()
center = Softmax()

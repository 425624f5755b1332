"""The same with functions in place of layers on the way, and with the whole weight kept aside."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from llmpath.labkit.thread import earlier

GPT, Config = earlier("gpt").GPT, earlier("gpt").Config
train, Recipe = earlier("pretrain").train, earlier("pretrain").Recipe

PREFIX = "base_model.model."


class LoRALinear(nn.Module):
    """A linear layer with an adapter."""

    def __init__(self, linear, rank, alpha, generator=None):
        super().__init__()
        if rank < 1:
            raise ValueError(f"a rank of {rank}")
        self.base_layer, self.scale, self.before = linear, alpha / rank, None
        for parameter in linear.parameters():
            parameter.requires_grad = False
        wide = torch.float64 if linear.weight.dtype == torch.float64 else torch.float32
        for name, shape in (
            ("lora_A", (rank, linear.weight.size(1))),
            ("lora_B", (linear.weight.size(0), rank)),
        ):
            part = nn.Module()
            weight = torch.zeros(shape, dtype=wide, device=linear.weight.device)
            part.weight = nn.Parameter(weight)
            setattr(self, name, part)
        bound = 1 / math.sqrt(linear.weight.size(1))
        nn.init.uniform_(self.lora_A.weight, -bound, bound, generator=generator)

    @property
    def merged(self):
        """Whether the weight of before is kept."""
        return self.before is not None

    def delta(self):
        """The change."""
        return torch.einsum("or,ri->oi", self.lora_B.weight, self.lora_A.weight) * self.scale

    def forward(self, x):
        """One way, or two."""
        y = F.linear(x, self.base_layer.weight, self.base_layer.bias)
        if self.before is None:
            wide = x.to(self.lora_A.weight.dtype) * self.scale
            y = (y + F.linear(F.linear(wide, self.lora_A.weight), self.lora_B.weight)).to(x.dtype)
        return y

    def merge(self):
        """Put a new sum into the weight's place."""
        if self.before is None:
            weight = self.base_layer.weight
            self.before = weight.data
            weight.data = (weight.data + self.delta().detach()).to(weight.dtype)

    def unmerge(self):
        """Put the old tensor back."""
        if self.before is not None:
            self.base_layer.weight.data, self.before = self.before, None


def adapt(model, names, rank, alpha, generator=None):
    """By hand, through the parts of each path."""
    places = []
    for name in names:
        tail = name.split(".")
        hits = [p for p, _ in model.named_modules() if p.split(".")[-len(tail) :] == tail]
        if not hits or any(type(model.get_submodule(p)) is not nn.Linear for p in hits):
            raise ValueError(name)
        places += [p for p in hits if p not in places]
    if rank < 1:
        raise ValueError(rank)
    for parameter in model.parameters():
        parameter.requires_grad = False
    for path in places:
        *parents, last = path.split(".")
        parent = model
        for each in parents:
            parent = getattr(parent, each)
        setattr(parent, last, LoRALinear(getattr(parent, last), rank, alpha, generator))
    return [value for name, value in model.named_parameters() if ".lora_" in name]


def adapter(model):
    """Picked from the state_dict."""
    return {PREFIX + name: v for name, v in model.state_dict().items() if ".lora_" in name}


def load_adapter(model, weights):
    """Through load_state_dict."""
    own = adapter(model)
    if set(own) ^ set(weights) or any(own[n].shape != weights[n].shape for n in own):
        raise ValueError("this adapter is for another model")
    for module in model.modules():
        if isinstance(module, LoRALinear):
            module.unmerge()
    model.load_state_dict({n.removeprefix(PREFIX): w for n, w in weights.items()}, strict=False)


def unload(model):
    """From every parent."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoRALinear):
                child.merge()
                setattr(parent, name, child.base_layer)


class Trainable(nn.Module):
    """The given one."""

    def __init__(self, model):
        super().__init__()
        self.learns = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
        self.whole = [model]

    def forward(self, ids):
        """What the model makes of it."""
        return self.whole[0](ids)

    def train(self, mode=True):
        """Switch the model, too."""
        self.whole[0].train(mode)
        return super().train(mode)

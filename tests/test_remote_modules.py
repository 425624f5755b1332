"""A check uses a learner's torch modules as if they lived in its own process."""

from __future__ import annotations

from pathlib import Path

from test_grading import Bench, statuses

from llmpath.course.models import Lab

MODULES = """
import torch
from torch import nn

class Config:
    def __init__(self, size, layers):
        self.size, self.layers = size, layers

class Layer(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.proj = nn.Linear(size, size)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        return x + self.proj(x).tanh()

class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Layer(config.size) for _ in range(config.layers))
        self.head = nn.Linear(config.size, config.size, bias=False)
        self.tied = self.head

    def forward(self, x):
        return self.logits(self.hidden(x))

    def hidden(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def logits(self, x):
        return self.head(x)

class Big(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(50_000_000))
"""

CHECKS = """
    import torch
    from torch import nn
    from llmpath.labkit.checks import close, same

    def net(lab, rng, dtype=torch.float64):
        module = lab.Net(lab.Config(4, layers=3)).to(dtype)
        weights = {
            name: torch.randn(value.shape, generator=rng, dtype=dtype) if value.is_floating_point()
            else value
            for name, value in module.state_dict().items()
        }
        weights["tied.weight"] = weights["head.weight"]
        module.load_state_dict(weights)
        return module, weights

    def local(x, weights):
        for i in range(3):
            weight, bias = (weights[f"layers.{i}.proj.{name}"] for name in ("weight", "bias"))
            x = x + (x @ weight.T + bias).tanh()
        return x @ weights["head.weight"].T

    def test_weights_go_there_and_come_back(lab, rng):
        module, weights = net(lab, rng)
        close(dict(module.state_dict()), weights, atol=0, because="as they were loaded")
        x = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64)
        close(module(x), local(x, weights), atol=1e-12, because="the same formula")

    def test_gradients_of_all_parameters(lab, rng):
        module, weights = net(lab, rng)
        x = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64)
        cotangent = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64)
        found = lab.vjp(module, x, cotangent=cotangent)
        mine = {n: w.clone().requires_grad_() for n, w in weights.items() if w.is_floating_point()}
        mine.pop("tied.weight")
        given = x.clone().requires_grad_()
        loss = (local(given, mine) * cotangent).sum()
        want = torch.autograd.grad(loss, [given, *mine.values()])
        close(found.args, [want[0]], atol=1e-10, because="the input's")
        close(found.params, dict(zip(mine, want[1:])), atol=1e-10, because="the parameters'")
        by_method = lab.vjp(module.logits, x, cotangent=cotangent)
        same(sorted(by_method.params), sorted(mine), because="a method has its module's parameters")
        assert by_method.params["layers.0.proj.weight"] is None

    def test_frozen_parameters_have_no_gradient(lab, rng):
        module, weights = net(lab, rng)
        module.layers[0].requires_grad_(False)
        x = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64)
        found = lab.vjp(module, x, cotangent=torch.ones_like(x))
        frozen = {name for name, gradient in found.params.items() if gradient is None}
        same(sorted(frozen), ["layers.0.proj.bias", "layers.0.proj.weight"], because="one layer")

    def test_parts_are_reached(lab, rng):
        module, weights = net(lab, rng, torch.float32)
        same(len(module.layers), 3, because="three layers")
        close(module.layers[1].proj.weight, weights["layers.1.proj.weight"], atol=0, because="one")
        same([p.shape for p in module.layers[1].parameters()], [(4, 4), (4,)], because="two")
        same(len(list(module.layers)), 3, because="a list")
        same(len(module.layers[1:]), 2, because="a slice")
        assert module.head == module.tied and module.head != module.layers[0]
        assert module.head.weight.requires_grad is False
        module.layers[0].steps = torch.tensor(7)
        same(int(module.state_dict()["layers.0.steps"]), 7, because="set from here")
        module.eval()
        same(module.training, False, because="eval")
        calls = []
        module.head.register_forward_hook(lambda layer, args, output: calls.append(output.shape))
        module(torch.zeros(1, 4))
        same(calls, [(1, 4)], because="a hook of the check's is called")

    def test_what_is_no_longer_used_is_let_go(lab):
        for _ in range(12):
            same(lab.Big().training, True, because="200 MB each")
"""

NAMES = ["weights_go_there_and_come_back", "gradients_of_all_parameters", "parts_are_reached"]
NAMES += ["frozen_parameters_have_no_gradient", "what_is_no_longer_used_is_let_go"]
LAB = {
    "id": "modules",
    "title": "Modules",
    "file": "little.py",
    "limits": {"seconds": 120, "check_seconds": 60, "memory_mb": 1200},
    "checks": [{"id": name.replace("_", "-"), "title": name} for name in NAMES],
}


def test_checks_use_modules_of_another_process(tmp_path: Path) -> None:
    """Construction, weights both ways, gradients, parts, hooks and release, all over the wire."""
    bench = Bench(tmp_path / "lab", checks=CHECKS)
    bench.lab = Lab.model_validate(LAB)
    with bench.grader:
        report = bench.grade(MODULES)
    told = [(check.id, check.message) for check in report.checks if check.status != "passed"]
    assert set(statuses(report).values()) == {"passed"}, told

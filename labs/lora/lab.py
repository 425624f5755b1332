"""LoRA: a model learns something new in a few thousand numbers, and its own weights stay.

Beside a frozen linear layer stand two thin matrices, and their product is what is learned. It can
be added into the weight, so that it costs nothing in use, and taken out again. Only linear layers
are adapted here, without dropout, with one adapter at a time.

Source: "LoRA: Low-Rank Adaptation of Large Language Models", Hu and others, 2021. Names, beginnings
and files are those of the library peft, so that adapters travel both ways.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# What earlier labs give: a model to adapt, and the loop to train it with.
GPT, Config = earlier("gpt").GPT, earlier("gpt").Config
train, Recipe = earlier("pretrain").train, earlier("pretrain").Recipe

PREFIX = "base_model.model."  # before every name in an adapter, as peft writes it


class LoRALinear(nn.Module):
    """A frozen linear layer and, beside it, an adapter: W x + b + scale · B A x.

    Its parts: `base_layer`, the very layer that it is given, whose parameters learn nothing from
    now on; `lora_A`, an `nn.Linear` from in_features to rank, and `lora_B`, one from rank to
    out_features, both without bias. `scale` is alpha / rank; `merged` tells whether the adapter is
    in the weight at present.

    At the start the layer gives exactly what the linear layer gave: the weight of `lora_B` is
    zero, and that of `lora_A` is drawn as `nn.Linear` draws its own: Kaiming-uniform with a = √5.

    Args:
        linear: the layer to adapt, its weight (out_features, in_features).
        rank: how many numbers there are between A and B, at least 1.
        alpha: how strongly the adapter counts, whatever its rank.
        generator: for drawing A; None for torch's own.

    Raises:
        ValueError: if rank is less than 1.

    Example:
        >>> layer = LoRALinear(nn.Linear(6, 4), rank=2, alpha=4)
        >>> layer.scale, layer.lora_A.weight.shape, layer.lora_B.weight.shape
        (2.0, torch.Size([2, 6]), torch.Size([4, 2]))
    """

    def __init__(
        self,
        linear: nn.Linear,
        rank: int,
        alpha: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if rank < 1:
            raise ValueError(f"rank must be at least 1, not {rank}")
        # Both stay in float32 for a weight in half precision: small steps would be rounded away.
        kept = torch.promote_types(linear.weight.dtype, torch.float32)
        options = {"bias": False, "dtype": kept, "device": linear.weight.device}
        ### BEGIN SOLUTION freeze and keep the linear layer; then lora_A and lora_B, with **options
        self.base_layer = linear.requires_grad_(False)
        self.lora_A = nn.Linear(linear.in_features, rank, **options)
        self.lora_B = nn.Linear(rank, linear.out_features, **options)
        self.scale = alpha / rank
        self.merged = False
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(self.lora_B.weight)
        ### END SOLUTION

    def delta(self) -> Tensor:
        """What the adapter adds to the weight, (out_features, in_features), scale included."""
        ### BEGIN SOLUTION one product of two matrices
        return self.scale * (self.lora_B.weight @ self.lora_A.weight)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """What the layer makes of x, in the dtype of x.

        Unmerged, x goes through A and B, and the large product of the two is never made. Merged,
        the linear layer alone does the work.

        Args:
            x: (..., in_features), of the dtype of the linear layer's weight.

        Returns:
            (..., out_features).
        """
        ### BEGIN SOLUTION the linear layer; and, unless merged, the way through A and B
        if self.merged:
            return self.base_layer(x)
        added = self.lora_B(self.lora_A(x.to(self.lora_A.weight.dtype)))
        return self.base_layer(x) + (self.scale * added).to(x.dtype)
        ### END SOLUTION

    @torch.no_grad()
    def merge(self) -> None:
        """Add the adapter into the linear layer's weight, in place; if it is in there, do nothing.

        The weight before is kept, for `unmerge`. The sum is made in the wider of the two dtypes.
        """
        ### BEGIN SOLUTION keep a copy, add, remember
        if self.merged:
            return
        weight = self.base_layer.weight
        self.kept = weight.clone()
        weight.copy_(weight + self.delta())
        self.merged = True
        ### END SOLUTION

    @torch.no_grad()
    def unmerge(self) -> None:
        """Give the linear layer its weight of before `merge` back, bit for bit, in place.

        (To add and take away again would leave a rounding error each time.) If the adapter is not
        merged, nothing happens.
        """
        ### BEGIN SOLUTION copy the weight that was kept
        if not self.merged:
            return
        self.base_layer.weight.copy_(self.kept)
        del self.kept
        self.merged = False
        ### END SOLUTION


def put(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module into a model, at a path such as "model.layers.0.self_attn.q_proj" (given)."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def adapted(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers of a model, by path (given)."""
    return {path: each for path, each in model.named_modules() if isinstance(each, LoRALinear)}


def adapt(
    model: nn.Module,
    names: Sequence[str],
    rank: int,
    alpha: float,
    generator: torch.Generator | None = None,
) -> list[nn.Parameter]:
    """Give linear layers of a model an adapter each, and freeze all the rest.

    Adapters that are there already stay as they are, frozen with the rest.

    A name means every module whose path is that name or ends in a dot and that name: "q_proj"
    is in all blocks, "0.mlp.up_proj" is in one, and "proj" is nowhere in a GPT.

    Args:
        model: its named layers are replaced in place.
        names: of linear layers.
        rank: of every adapter, at least 1.
        alpha: how strongly adapters count, as `LoRALinear` takes it.
        generator: for drawing A; None for torch's own.

    Returns:
        The parameters that are left to train, those of the adapters, in the model's order.

    Raises:
        ValueError: if a name means no module, or one that is no `nn.Linear` (one that is adapted
            already, for instance), or rank is less than 1. The model is then as it was.

    Example:
        >>> model = GPT(Config(500, 64, 176, layers=3, heads=4, kv_heads=2))
        >>> len(adapt(model, ["q_proj", "v_proj"], rank=4, alpha=8))
        12
    """
    ### BEGIN SOLUTION find all modules that are meant; refuse; make the layers; freeze; put them in
    found: dict[str, nn.Module] = {}
    for name in names:
        meant = {p: m for p, m in model.named_modules() if f".{p}".endswith(f".{name}")}
        wrong = [p for p, module in meant.items() if not isinstance(module, nn.Linear)]
        if not meant:
            raise ValueError(f"{name!r}: there is no such module")
        if wrong:
            raise ValueError(f"{name!r}: {wrong[0]} is no nn.Linear")
        found |= meant
    layers = {path: LoRALinear(each, rank, alpha, generator) for path, each in found.items()}
    model.requires_grad_(False)
    for path, layer in layers.items():
        put(model, path, layer)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
    ### END SOLUTION


def adapter(model: nn.Module) -> dict[str, Tensor]:
    """All that was learned: the weights of A and B of every adapted layer, and nothing else.

    They are given without a way back for gradients, as `state_dict` gives them.

    Returns:
        By the names that peft gives them: `PREFIX`, the path of the layer, and ".lora_A.weight" or
        ".lora_B.weight", such as "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".
    """
    ### BEGIN SOLUTION two entries for each adapted layer
    return {
        f"{PREFIX}{path}.{part}.weight": getattr(layer, part).weight.detach()
        for path, layer in adapted(model).items()
        for part in ("lora_A", "lora_B")
    }
    ### END SOLUTION


@torch.no_grad()
def load_adapter(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put other weights in place of those that `adapter` gives.

    Layers that are merged are unmerged first: what is in their weight is the old adapter.

    Args:
        model: has been adapted, in the same layers and with the same rank.
        weights: as `adapter` gives them; left as they are.

    Raises:
        ValueError: if the names, or the shapes, are not those of the model's own adapter. The
            model is then as it was.
    """
    ### BEGIN SOLUTION compare names and shapes; unmerge; copy
    mine = adapter(model)
    if mine.keys() != weights.keys():
        raise ValueError(f"names differ: {', '.join(sorted(mine.keys() ^ weights.keys())[:4])}")
    for name, weight in mine.items():
        if weight.shape != weights[name].shape:
            raise ValueError(f"{name}: {tuple(weights[name].shape)} for {tuple(weight.shape)}")
    for layer in adapted(model).values():
        layer.unmerge()
    for name, weight in mine.items():
        weight.copy_(weights[name])
    ### END SOLUTION


def unload(model: nn.Module) -> None:
    """Make a plain model of an adapted one: linear layers again, with their adapters merged.

    What it computes stays the same, and its state_dict has the names that it had before `adapt`.
    Its parameters stay frozen.
    """
    ### BEGIN SOLUTION merge each adapted layer and put its linear layer back
    for path, layer in adapted(model).items():
        layer.merge()
        put(model, path, layer.base_layer)
    ### END SOLUTION


# Given from here on


class Trainable(nn.Module):
    """What a training loop is to see of a model: only the parameters that learn (given).

    Your `train` asks a model for its parameters and differentiates by all of them. Frozen ones
    have no gradient. They are not among the parameters of this module, and it computes the same.

    Args:
        model: which this is to be, for a training loop.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.learns = nn.ParameterList(p for p in model.parameters() if p.requires_grad)
        self.whole = [model]  # in a list, where torch does not look for parameters

    def forward(self, ids: Tensor) -> Tensor:
        """What the model makes of it."""
        return self.whole[0](ids)

    def train(self, mode: bool = True) -> Trainable:
        """Switch the model, too."""
        self.whole[0].train(mode)
        return super().train(mode)


def save_adapter(model: nn.Module, folder: str | Path, base: str = "") -> None:
    """Write the adapter as peft does: adapter_config.json, adapter_model.safetensors (given).

    Args:
        model: has been adapted, with one rank and alpha.
        folder: made if it is not there.
        base: the folder or name of the model without the adapter, for those who open it.
    """
    layers, folder = adapted(model), Path(folder)
    first = next(iter(layers.values()))
    rank = first.lora_A.weight.size(0)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
    }
    config |= {"r": rank, "lora_alpha": first.scale * rank, "target_modules": list(layers)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: weight.cpu().contiguous() for name, weight in adapter(model).items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def open_adapter(model: nn.Module, folder: str | Path) -> None:
    """Adapt a model as a folder of peft or of `save_adapter` says, and load its weights (given).

    Raises:
        ValueError: if the adapter there is of another kind than this file knows.
    """
    folder = Path(folder)
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    plain = {"peft_type": "LORA", "use_dora": False, "use_rslora": False, "bias": "none"}
    for name, ours in plain.items():
        if config.get(name, ours) != ours:
            raise ValueError(f"{name} is {config[name]!r} there; this file knows {ours!r} alone")
    adapt(model, config["target_modules"], config["r"], config["lora_alpha"])
    load_adapter(model, load_file(folder / "adapter_model.safetensors"))

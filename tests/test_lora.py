"""The adapters of the LoRA lab are those of peft: the same logits, steps and files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from llmpath.course.loader import load
from llmpath.labkit import thread

# peft asks transformers' models by a name that these are giving up; nothing of ours does.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

COURSE = load(Path(__file__).parent.parent)
NAMES = ["q_proj", "v_proj", "down_proj"]
RANK, ALPHA = 3, 7
IDS = torch.tensor([[3, 17, 39, 0, 5, 11], [8, 8, 1, 22, 30, 2]])


@pytest.fixture(scope="module")
def lora() -> ModuleType:
    """The module of the lab's solution."""
    labs = COURSE.labs.values()
    thread.configure({lab.id: str(COURSE.lab_folder(lab) / "lab.py") for lab in labs})
    return thread.earlier("lora")


def pair(lora: ModuleType) -> tuple[Any, LlamaForCausalLM]:
    """The lab's GPT and transformers' Llama with the same random weights, in float64."""
    torch.manual_seed(0)
    config = lora.Config(40, 24, 36, layers=2, heads=6, kv_heads=2)
    theirs = LlamaForCausalLM(LlamaConfig(**config.to_hf())).eval().double()
    for weight in theirs.parameters():
        nn.init.normal_(weight, std=0.3)
    mine = lora.GPT(config).double()
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def adapted(lora: ModuleType) -> tuple[Any, Any]:
    """Both with the same random adapters: the lab's, and peft's."""
    mine, theirs = pair(lora)
    lora.adapt(mine, NAMES, RANK, ALPHA)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=NAMES, task_type="CAUSAL_LM")
    peft = get_peft_model(theirs, config)
    with torch.no_grad():
        for name, weight in lora.adapter(mine).items():
            nn.init.normal_(weight, std=0.3)
            their_name = name.replace(".weight", ".default.weight")
            parameter = peft.get_parameter(their_name)
            parameter.data = weight.clone()
    return mine, peft


def logits(model: Any) -> Tensor:
    """What a model of either kind makes of `IDS`."""
    with torch.no_grad():
        found = model(IDS)
    return getattr(found, "logits", found)


def same(got: Tensor, want: Tensor) -> None:
    """Equal as far as the order of sums allows; rotary angles are in float32 in both."""
    torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-6)


def test_what_trains_is_what_peft_trains(lora: ModuleType) -> None:
    """Names and shapes of an adapter, and what is left to train, are those of peft."""
    mine, peft = adapted(lora)
    theirs = get_peft_model_state_dict(peft)
    own = lora.adapter(mine)
    assert {n: w.shape for n, w in own.items()} == {n: w.shape for n, w in theirs.items()}
    trainable, _ = peft.get_nb_trainable_parameters()
    assert sum(p.numel() for p in mine.parameters() if p.requires_grad) == trainable


def test_a_is_drawn_as_peft_draws_it(lora: ModuleType) -> None:
    """In both, A is spread evenly over ±1/√inputs and B is zero."""
    mine, theirs = pair(lora)
    lora.adapt(mine, NAMES, 12, ALPHA)
    peft = get_peft_model(theirs, LoraConfig(r=12, lora_alpha=ALPHA, target_modules=NAMES))
    for weights in (lora.adapter(mine), get_peft_model_state_dict(peft)):
        for name, weight in weights.items():
            assert bool(weight.any()) == ("lora_A" in name)
            if "lora_A" in name:
                bound = weight.size(1) ** -0.5
                assert 0.95 * bound < float(weight.detach().abs().max()) <= bound
                assert 0.5 < float(weight.detach().std()) / bound < 0.65  # 1/√3 is 0.577


def test_logits_are_those_of_peft(lora: ModuleType) -> None:
    """Unmerged, merged, unmerged again and unloaded, both models say the same."""
    mine, peft = adapted(lora)
    same(logits(mine), logits(peft))
    for layer in lora.adapted(mine).values():
        layer.merge()
    peft.merge_adapter()
    same(logits(mine), logits(peft))
    for name, layer in lora.adapted(mine).items():
        theirs = peft.get_submodule(f"{lora.PREFIX}{name}.base_layer")
        same(layer.base_layer.weight, theirs.weight)
        layer.unmerge()
    peft.unmerge_adapter()
    same(logits(mine), logits(peft))
    lora.unload(mine)
    plain = peft.merge_and_unload()
    same(logits(mine), logits(plain))
    assert set(mine.state_dict()) == set(plain.state_dict())


def test_training_goes_as_in_peft(lora: ModuleType) -> None:
    """After five steps of the course's own AdamW both adapters are the same."""
    mine, peft = adapted(lora)
    targets = IDS.roll(-1, 1)
    recipe = lora.Recipe(5, 0.01, 0, weight_decay=0.0)

    class Logits(nn.Module):
        """What transformers gives, without what stands around it."""

        def __init__(self) -> None:
            super().__init__()
            self.peft = peft

        def forward(self, ids: Tensor) -> Tensor:
            return self.peft(ids).logits

    for model in (mine, Logits()):
        assert len(list(lora.train(lora.Trainable(model), [(IDS, targets)] * 5, recipe, {}))) == 5
    theirs = get_peft_model_state_dict(peft)
    for name, weight in lora.adapter(mine).items():
        torch.testing.assert_close(weight, theirs[name].detach(), atol=1e-5, rtol=1e-4)
    same(logits(mine), logits(peft))


def test_peft_opens_what_the_lab_saves(lora: ModuleType, tmp_path: Path) -> None:
    """A base and an adapter that the lab wrote are a model of peft with the lab's logits."""
    mine, _ = adapted(lora)
    plain, _ = pair(lora)
    plain.float().save(tmp_path / "base")
    lora.save_adapter(mine.float(), tmp_path / "adapter", str(tmp_path / "base"))
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    before = logits(base)
    peft = PeftModel.from_pretrained(base, tmp_path / "adapter")
    got = logits(peft)
    torch.testing.assert_close(got, logits(mine), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(got, before, atol=1e-2)
    torch.testing.assert_close(logits(peft.merge_and_unload()), got, atol=1e-4, rtol=1e-4)


def test_the_lab_opens_what_peft_saves(lora: ModuleType, tmp_path: Path) -> None:
    """An adapter from peft gives the lab's own model peft's logits."""
    _, peft = adapted(lora)
    peft.save_pretrained(tmp_path)
    mine, _ = pair(lora)
    before = logits(mine)
    lora.open_adapter(mine, tmp_path)
    same(logits(mine), logits(peft))
    assert not torch.allclose(logits(mine), before, atol=1e-2)


def test_other_kinds_of_adapters_are_refused(lora: ModuleType, tmp_path: Path) -> None:
    """What this lab cannot compute is refused by name, and the model stays as it was."""
    mine, theirs = pair(lora)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=NAMES, use_rslora=True)
    get_peft_model(theirs, config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="use_rslora is True there"):
        lora.open_adapter(mine, tmp_path)
    assert not lora.adapted(mine)

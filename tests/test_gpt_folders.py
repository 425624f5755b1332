"""Folders of the GPT lab's models: transformers opens those that it writes, and it theirs."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from llmpath.course.loader import load
from llmpath.labkit import thread

COURSE = load(Path(__file__).parent.parent)
SIZES: dict[str, Any] = {"vocab_size": 40, "hidden_size": 24, "intermediate_size": 36, "layers": 3}
SIZES |= {"heads": 6, "kv_heads": 2, "rope_base": 300.0, "eps": 1e-3, "context": 77}
IDS = torch.tensor([[3, 17, 39, 0, 5], [8, 8, 1, 22, 30]])


@pytest.fixture(scope="module")
def gpt() -> ModuleType:
    """The module of the lab's solution."""
    labs = COURSE.labs.values()
    thread.configure({lab.id: str(COURSE.lab_folder(lab) / "lab.py") for lab in labs})
    return thread.earlier("gpt")


def random_llama(gpt: ModuleType, tied: bool) -> LlamaForCausalLM:
    """A model of transformers, in the shape of `SIZES`, whose norms are not all ones."""
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(LlamaConfig(**gpt.Config(**SIZES, tied=tied).to_hf())).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return theirs


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_transformers_opens_what_the_lab_saves(gpt: ModuleType, tied: bool, tmp_path: Path) -> None:
    """A saved model gives transformers the same logits, config and, if tied, a tied head."""
    model = gpt.GPT(gpt.Config(**SIZES, tied=tied))
    model.save(tmp_path / "new" / "folder")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "new" / "folder")
    torch.testing.assert_close(theirs(IDS).logits, model(IDS), atol=1e-5, rtol=0)
    assert theirs.dtype == torch.float32
    assert (theirs.lm_head.weight is theirs.model.embed_tokens.weight) == tied
    assert theirs.generation_config.eos_token_id is None


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shards", ["1GB", "20KB"])
def test_the_lab_opens_what_transformers_saves(
    gpt: ModuleType, tied: bool, shards: str, tmp_path: Path
) -> None:
    """A model of transformers, in one file or in several, gives the lab the same logits."""
    theirs = random_llama(gpt, tied)
    theirs.save_pretrained(tmp_path, max_shard_size=shards)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shards == "20KB")
    model = gpt.GPT.load(tmp_path)
    assert model.config == gpt.Config(**SIZES, tied=tied)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    torch.testing.assert_close(model(IDS), theirs(IDS).logits, atol=1e-5, rtol=0)


def test_narrow_weights_become_float32(gpt: ModuleType, tmp_path: Path) -> None:
    """Weights that were saved in bfloat16 are widened, and are the same numbers."""
    theirs = random_llama(gpt, True).to(torch.bfloat16)
    theirs.save_pretrained(tmp_path)
    model = gpt.GPT.load(tmp_path)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight.float()), name


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "mistral"}, "model_type"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": None}, "rope_type"),
        ({"head_dim": 16}, "head_dim"),
    ],
)  # fmt: skip
def test_other_models_are_refused(gpt: ModuleType, change: dict[str, Any], named: str) -> None:
    """A model that has something which ours has not is refused by name, and not loaded wrongly."""
    hf = gpt.Config(**SIZES).to_hf() | change
    with pytest.raises(ValueError, match=named):
        gpt.Config.from_hf(hf)


def test_configs_of_before_version_5_are_read(gpt: ModuleType) -> None:
    """An old config.json, with rope_theta at the top and defaults left out, is read as meant."""
    hf = gpt.Config(**SIZES).to_hf()
    del hf["rope_parameters"], hf["num_key_value_heads"], hf["rms_norm_eps"]
    del hf["tie_word_embeddings"]
    config = gpt.Config.from_hf(json.loads(json.dumps(hf)))
    want = SIZES | {"kv_heads": 6, "eps": 1e-6, "tied": False}
    assert config == gpt.Config(**want)

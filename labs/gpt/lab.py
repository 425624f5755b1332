"""A GPT: a whole Llama, from token ids to logits, put together from the parts that you wrote.

It computes what Hugging Face's LlamaForCausalLM computes, under the same names, so that weights
travel both ways: `save` writes a folder that transformers opens, and `load` opens the folder of
any plain Llama. There is no dropout, no bias and no padding: all rows of a batch are real text
of one length.

Sources: "Language Models are Unsupervised Multitask Learners", Radford and others, 2019 (GPT-2);
"LLaMA: Open and Efficient Foundation Language Models", Touvron and others, 2023.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from llmpath.labkit.thread import earlier

causal_mask = earlier("attention").causal_mask
rope = earlier("positions").rope
RMSNorm = earlier("blocks").RMSNorm
Block = earlier("blocks").Block


@dataclass(frozen=True)
class Config:
    """All that fixes the shape of a model (given).

    Attributes:
        vocab_size: how many different token ids there are.
        hidden_size: the length of each token's vector.
        intermediate_size: the length inside each mlp.
        layers: how many blocks.
        heads: the query heads of a block.
        kv_heads: its key and value heads; `heads` is a multiple of it.
        rope_base: the base of the rotary positions.
        eps: of all norms.
        tied: whether the head shares its weight with the embedding.
        context: the longest text, in tokens, that the model is meant for. Nothing here stops
            at it; a model is simply not trained beyond.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    rope_base: float = 10000.0
    eps: float = 1e-5
    tied: bool = True
    context: int = 1024

    def to_hf(self) -> dict[str, Any]:
        """What stands in a config.json that transformers opens as this model."""
        hf = {theirs: getattr(self, ours) for ours, theirs in HF_NAMES.items()}
        hf |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
        hf["rope_parameters"] = {"rope_type": "default", "rope_theta": self.rope_base}
        hf["rope_theta"] = self.rope_base  # where transformers before version 5 looks for it
        # Left out, these would be 1 and 2, and transformers would stop at a token of ours.
        return hf | {"bos_token_id": None, "eos_token_id": None}

    @classmethod
    def from_hf(cls, hf: dict[str, Any]) -> Config:
        """The config in a Llama's config.json.

        Raises:
            ValueError: if that model has something which ours has not.
        """
        rope = hf.get("rope_parameters") or hf.get("rope_scaling") or {}
        for name, value, ours in [
            ("model_type", hf.get("model_type"), "llama"),
            ("hidden_act", hf.get("hidden_act", "silu"), "silu"),
            ("attention_bias", hf.get("attention_bias", False), False),
            ("mlp_bias", hf.get("mlp_bias", False), False),
            ("rope_type", rope.get("rope_type", rope.get("type", "default")), "default"),
        ]:
            if value != ours:
                raise ValueError(f"{name} is {value!r} there; this GPT can only be {ours!r}")
        known = {"kv_heads": hf["num_attention_heads"], "tied": False, "eps": 1e-6, "context": 2048}
        theirs = {ours: hf.get(name) for ours, name in HF_NAMES.items()}
        known |= {name: value for name, value in theirs.items() if value is not None}
        config = cls(**known, rope_base=rope.get("rope_theta", hf.get("rope_theta", 10000.0)))
        if hf.get("head_dim") not in (None, config.hidden_size // config.heads):
            raise ValueError(f"head_dim is {hf['head_dim']} there, not hidden_size / heads")
        return config


# Our names of a config's fields, and those in a config.json.
HF_NAMES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
    "context": "max_position_embeddings",
}


class Memory:
    """A plain cache of one block: the keys and values of all words so far (given).

    Attributes:
        length: for how many words.
    """

    def __init__(self) -> None:
        self.length = 0
        self._k: Tensor | None = None
        self._v: Tensor | None = None

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of new words; return all, each (batch, kv_heads, length, head_size)."""
        if self._k is not None and self._v is not None:
            k, v = torch.cat([self._k, k], dim=-2), torch.cat([self._v, v], dim=-2)
        self._k, self._v, self.length = k, v, k.size(-2)
        return k, v


class Undrawn(TorchFunctionMode):
    """Within it new weights are not drawn, since others will take their place (given)."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.__name__ in ("normal_", "uniform_", "kaiming_uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


class Decoder(nn.Module):
    """All of a GPT but its head: token ids in, one vector for each token out.

    Its parts, in the order in which a text passes through them: `embed_tokens`, an
    `nn.Embedding`; `layers`, an `nn.ModuleList` of `config.layers` blocks; `norm`, one more
    `RMSNorm`. The vectors of the embedding go into the first block as they are.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        ### BEGIN SOLUTION the three parts; each block and norm needs config.eps
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        sizes = (config.hidden_size, config.intermediate_size, config.heads, config.kv_heads)
        self.layers = nn.ModuleList(Block(*sizes, config.eps) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden_size, config.eps)
        ### END SOLUTION

    def forward(self, ids: Tensor, cache: Sequence[Any] | None = None) -> Tensor:
        """The vectors of some tokens, after the last norm.

        Each token sees itself and what came before it, in the cache and in `ids`.

        Args:
            ids: token ids, (batch, time). The first stands at position 0, or, if there is a
                cache, at the position that follows the cached words.
            cache: None, or one `Memory` for each block, all of the same `length`. Block n
                extends cache[n].

        Returns:
            The vectors, (batch, time, hidden_size).
        """
        ### BEGIN SOLUTION positions and mask, once for all blocks; then block by block
        past = cache[0].length if cache else 0
        positions = torch.arange(past, past + ids.size(1), device=ids.device)
        rotate = partial(rope, positions=positions, base=self.config.rope_base)
        mask = causal_mask(ids.size(1), past).to(ids.device)
        x = self.embed_tokens(ids)
        for number, layer in enumerate(self.layers):
            x = layer(x, mask, rotate, cache[number] if cache else None)
        return self.norm(x)
        ### END SOLUTION


class GPT(nn.Module):
    """A language model: from token ids to logits for the token that follows each of them.

    Its parts are `model`, a `Decoder`, and `lm_head`, an `nn.Linear` without bias that gives
    each token of the vocabulary its logit. If `config.tied`, the weight of the head *is* that of
    the embedding: one parameter with two names.

    Example:
        >>> model = GPT(Config(500, 64, 176, layers=3, heads=4, kv_heads=2))
        >>> model(torch.tensor([[17, 4, 250], [3, 3, 8]])).shape
        torch.Size([2, 3, 500])
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        ### BEGIN SOLUTION two parts: model and lm_head; one weight for both ends if config.tied
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        ### END SOLUTION
        self.initialise()

    def forward(self, ids: Tensor, cache: Sequence[Any] | None = None) -> Tensor:
        """Logits for the token after each one, (batch, time, vocab_size); as `Decoder` takes it."""
        ### BEGIN SOLUTION the vectors of all tokens, through the head
        return self.lm_head(self.model(ids, cache))
        ### END SOLUTION

    def initialise(self) -> None:
        """Draw new weights: small, and smaller still where a block adds to its input (given).

        A product with n random numbers keeps its size if each has a spread of 1/√n; GPT-2's 0.02
        is right for its 1,600 channels and far too little for 64. And 2 · layers times something
        is added on the way up; divided by the root of that number, the sum stays as large as a
        single one would be (GPT-2 does that as well).
        """
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                terms = self.config.hidden_size * (2 * self.config.layers if adds else 1)
                nn.init.normal_(weight, std=1 / math.sqrt(terms))

    def save(self, folder: str | Path) -> None:
        """Write config.json and model.safetensors, as transformers expects them (given)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.contiguous() for name, weight in self.state_dict().items()}
        if self.config.tied:  # the file holds the one weight once
            del weights["lm_head.weight"]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.config.to_hf(), indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> GPT:
        """The model in a folder that `save` or transformers wrote, in float32 (given)."""
        folder = Path(folder)
        config = Config.from_hf(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        files, index = {"model.safetensors"}, folder / "model.safetensors.index.json"
        if index.exists():  # large models come in several files
            files = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        weights = {name: w for file in files for name, w in load_file(folder / file).items()}
        if config.tied:
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
        with Undrawn():
            model = cls(config)
        model.load_state_dict(weights)
        return model

"""Turns a GGUF file into a Hugging Face folder: `python -P -m llmpath.models.convert`.

GGUF is the format of llama.cpp. Its weights are read and brought back to numbers by the `gguf`
library; what is done here is what a converter of names does: the keys and shapes of transformers'
Llama, its `config.json`, and the tokenizer. Only Llamas with the tokenizer of SmolLM are known;
anything else is refused, for a tokenizer that is nearly right is wrong.

transformers reads GGUF too, but takes a minute for what takes seconds here, and cannot save what
it has read. tests/test_conversion.py compares both.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError
from llmpath.running.task_child import Send, serve

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor
    from torch import Tensor

LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
CONTROL = 3  # the type of a token that is no text, such as the end of a turn
PRE_TOKENIZERS = ("smollm",)


def work(request: dict[str, Any], send: Send) -> None:
    """Convert `source`, a GGUF file, into the folder `target`; tells each tensor that is done."""
    convert(Path(request["source"]), Path(request["target"]), send)


def convert(source: Path, target: Path, send: Send) -> None:
    """Write the Hugging Face folder of a GGUF file.

    Args:
        source: the file.
        target: the folder, which is there.
        send: told the event `tensor` with `done` and `total`.

    Raises:
        LlmpathError: if the file is damaged, or no Llama with a tokenizer that is known.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(source)
    except (OSError, ValueError, IndexError) as error:
        raise LlmpathError(f"{source} is no GGUF file, or is damaged: {error}.") from error
    fields = Fields(reader)
    fields.require("general.architecture", ("llama",))
    fields.require("tokenizer.ggml.model", ("gpt2",))
    fields.require("tokenizer.ggml.pre", PRE_TOKENIZERS)
    config = config_of(fields)
    _write(target / "config.json", config)
    _write(target / "generation_config.json", {k: config[k] for k in config if k.endswith("_id")})
    write_tokenizer(fields, target)
    write_weights(reader, config, target / "model.safetensors", send)


class Fields:
    """What a GGUF file says of the model, by key."""

    def __init__(self, reader: GGUFReader) -> None:
        self._reader = reader

    def __getitem__(self, key: str) -> Any:
        field = self._reader.get_field(key)
        if field is None:
            raise LlmpathError(f"The GGUF file does not say {key}, which is needed.")
        return field.contents()

    def require(self, key: str, known: tuple[str, ...]) -> None:
        """Refuse a file in which a key has none of the known values."""
        if (value := self[key]) not in known:
            what = f"The GGUF file has {key} = {value!r}"
            raise LlmpathError(f"{what}; only {', '.join(known)} can be converted.")


def config_of(fields: Fields) -> dict[str, Any]:
    """The `config.json` of transformers' Llama, in the form that all its versions read."""
    import numpy

    def shortest(number: float) -> float:
        """The number that was rounded to 32 bits: 1e-05, not 9.999999747378752e-06."""
        return float(str(numpy.float32(number)))

    heads, width = fields["llama.attention.head_count"], fields["llama.embedding_length"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "vocab_size": fields["llama.vocab_size"],
        "hidden_size": width,
        "intermediate_size": fields["llama.feed_forward_length"],
        "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "head_dim": width // heads,
        "max_position_embeddings": fields["llama.context_length"],
        "rms_norm_eps": shortest(fields["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": shortest(fields["llama.rope.freq_base"]),
        "rope_scaling": None,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": fields["tokenizer.ggml.bos_token_id"],
        "eos_token_id": fields["tokenizer.ggml.eos_token_id"],
        "pad_token_id": fields["tokenizer.ggml.padding_token_id"],
    }


# The weights


def write_weights(reader: GGUFReader, config: dict[str, Any], target: Path, send: Send) -> None:
    """Write all tensors in bfloat16, the type in which the model was published."""
    import torch
    from safetensors.torch import save_file

    tensors = {}
    for done, tensor in enumerate(reader.tensors, 1):
        name = name_of(tensor.name)
        heads = {
            "q_proj": config["num_attention_heads"],
            "k_proj": config["num_key_value_heads"],
        }.get(name.split(".")[-2])
        tensors[name] = weights_of(tensor, heads).to(torch.bfloat16).contiguous()
        send("tensor", {"done": done, "total": len(reader.tensors)})
    config["tie_word_embeddings"] = "lm_head.weight" not in tensors
    _write(target.with_name("config.json"), config)
    save_file(tensors, target, metadata={"format": "pt"})
    target.chmod(target.with_name("config.json").stat().st_mode)  # readable for a whole class


def name_of(gguf: str) -> str:
    """The name that transformers' Llama has for a tensor of a GGUF file."""
    if gguf in WHOLE:
        return WHOLE[gguf]
    parts = gguf.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in LAYER and parts[3] == "weight":
        return f"model.layers.{parts[1]}.{LAYER[parts[2]]}.weight"
    raise LlmpathError(f"The GGUF file holds a tensor {gguf}, which no Llama has.")


def weights_of(tensor: ReaderTensor, heads: int | None) -> Tensor:
    """The numbers of a tensor, in float32.

    Args:
        tensor: in whatever precision the file has it.
        heads: of the projection to queries or keys. llama.cpp turns neighbouring pairs of a head
            where transformers turns a number of the first half with one of the second, so the
            rows of these two are stored in another order, which is undone here.
    """
    import torch
    from gguf.quants import dequantize

    numbers = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
    if heads is None:
        return numbers
    rows, width = numbers.shape
    return numbers.view(heads, rows // heads // 2, 2, width).transpose(1, 2).reshape(rows, width)


# The tokenizer


def write_tokenizer(fields: Fields, target: Path) -> None:
    """Write `tokenizer.json` and its configuration, chat template included.

    The tokenizer is SmolLM's: digits one by one, then GPT-2's pieces, then byte pairs.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens: list[str] = fields["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields["tokenizer.ggml.token_type"]
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in control])
    tokenizer.save(str(target / "tokenizer.json"))
    named = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    special = {
        f"{short}_token": tokens[fields[f"tokenizer.ggml.{long}_token_id"]]
        for short, long in named.items()
    }
    _write(
        target / "tokenizer_config.json",
        {
            **special,
            "additional_special_tokens": control,
            "chat_template": fields["tokenizer.chat_template"],
            "clean_up_tokenization_spaces": False,
            "model_max_length": fields["llama.context_length"],
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(serve(work))

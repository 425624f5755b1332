"""A Llama's folder as one GGUF file, which llama.cpp and what is built on it run.

llama.cpp's own script refuses a tokenizer that it has never heard of, such as one that a learner
trained. All in it is of a known kind, though: byte pairs over GPT-2's pieces of text.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from numpy.typing import NDArray

    Array = NDArray[Any]

NAME = "model.gguf"
# How llama.cpp cuts text into pieces before pairs are merged. It knows GPT-2's way by this name;
# ours differs from that in control characters and in digits that are no decimal ones.
PIECES = "gpt-2"
# transformers alone knows these marks, around what an assistant says; they change nothing else.
_GENERATION = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")


def converted(folder: Path) -> bytes:
    """The GGUF file of a model's folder, in the precision that the folder has.

    Raises:
        LlmpathError: if the library is not installed, or the folder holds no such model.
    """
    try:
        from gguf import GGUFWriter
    except ImportError:
        raise LlmpathError(
            "GGUF files need the package gguf.", 'pip install "llmpath[models]" brings it.'
        ) from None
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / NAME
            writer = GGUFWriter(path, "llama")
            _describe(writer, config)
            _add_tokenizer(writer, folder)
            _add_weights(writer, folder, config)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            return path.read_bytes()
    except (OSError, ValueError, KeyError) as error:
        message = f"{folder} is no model that fits into a GGUF file: {error}."
        raise LlmpathError(message, "It takes a Llama with a tokenizer of byte pairs.") from error


def _describe(writer: GGUFWriter, config: dict[str, Any]) -> None:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    rope = config.get("rope_parameters") or config
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(rope.get("rope_theta", 10_000.0))
    writer.add_rope_dimension_count(config.get("head_dim") or width // heads)
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: GGUFWriter, folder: Path) -> None:
    from gguf import SpecialVocab, TokenType

    whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    special = {token["id"]: token["content"] for token in whole["added_tokens"]}
    tokens = {number: text for text, number in whole["model"]["vocab"].items()} | special
    if sorted(tokens) != list(range(len(tokens))):
        raise ValueError("its token ids have gaps")
    kinds = [TokenType.CONTROL if n in special else TokenType.NORMAL for n in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PIECES)
    writer.add_token_list([tokens[number] for number in range(len(tokens))])
    writer.add_token_types(kinds)
    writer.add_add_bos_token(False)
    known = SpecialVocab(folder, load_merges=True, n_vocab=len(tokens))
    if isinstance(known.chat_template, str):
        known.chat_template = _GENERATION.sub("", known.chat_template)
    known.add_to_gguf(writer, quiet=True)


def _add_weights(writer: GGUFWriter, folder: Path, config: dict[str, Any]) -> None:
    from gguf import MODEL_ARCH, get_tensor_name_map
    from safetensors.numpy import load_file

    heads = {
        "q_proj": config["num_attention_heads"],
        "k_proj": config["num_key_value_heads"],
    }
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    for name, weight in sorted(load_file(folder / "model.safetensors").items()):
        theirs = names.get_name(name, try_suffixes=(".weight",))
        if theirs is None:
            raise ValueError(f"it has weights called {name}")
        count = heads.get(name.split(".")[-2])
        writer.add_tensor(theirs, weight if count is None else _in_pairs(weight, count))


def _in_pairs(weight: Array, heads: int) -> Array:
    """The rows of a projection to queries or keys in llama.cpp's order.

    It turns neighbouring numbers of a head, where transformers turns a number of the first half
    with one of the second.
    """
    rows, width = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, width)
    return halves.swapaxes(1, 2).reshape(rows, width).copy()

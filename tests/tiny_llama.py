"""A tiny Llama with random weights and a tokenizer of bytes, as folders of transformers' own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from llmpath.labkit import tokenizer

CONTEXT = 64
# A model that takes its time and writes nothing but a's, as a lab could provide it. It breaks where
# it is given three tokens at once, and ends its process where it is given four; after six, it
# thinks for long before it writes a third of its own, and after eleven for a minute.
SLOW = """
import os
import time
from types import SimpleNamespace

import torch


class Memory:
    calls = 0
    long = False
    longest = False


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(layers=1)

    @classmethod
    def load(cls, folder):
        return cls()

    def forward(self, ids, cache):
        time.sleep(0.02)
        if ids.size(1) == 3:
            raise KeyError("lost")
        if ids.size(1) == 4:
            os._exit(7)
        cache[0].calls += 1
        cache[0].long |= ids.size(1) == 6
        if cache[0].long and cache[0].calls == 3:
            time.sleep(5)
        cache[0].longest |= ids.size(1) == 11
        if cache[0].longest and cache[0].calls == 3:
            time.sleep(60)
        return torch.nn.functional.one_hot(torch.tensor([[ord("a")]]), 300) * 100.0
"""
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write(folder: Path, *, chats: bool = False, seed: int = 0) -> Path:
    """Make a model's folder; with a chat template, if it is to chat."""
    merges = [(b"t", b"h"), (b"th", b"e"), (b"a", b"n"), (b" ", b"w"), (b"l", b"l")]
    spoken = tokenizer.from_merges(merges)
    config = LlamaConfig(
        vocab_size=spoken.get_vocab_size(),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    for weight in model.parameters():
        if weight.dim() == 2:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save(spoken, folder)
    if chats:
        (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def likeliest(folder: Path, prompt: str, tokens: int) -> str:
    """What transformers goes on with, always taking the likeliest token."""
    spoken, model = _loaded(folder)
    ids = torch.tensor([spoken.encode(prompt)])
    marks = [id for id, token in spoken.added_tokens_decoder.items() if token.special]
    made = model.generate(ids, max_new_tokens=tokens, do_sample=False, eos_token_id=marks)
    text: str = spoken.decode(made[0, ids.size(1) :], skip_special_tokens=True)
    return text


@cache
def _loaded(folder: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)

"""Real models in labs, from the store that `llmpath models pull` fills; the network is never used.

    from llmpath.labkit import models

    if models.there("smollm2-135m"):
        chat = models.chat("smollm2-135m")
        chat.answer("What is the capital of France?")

A lab that can use a real model asks `there` first, and goes on with the learner's own if it is
not: nothing in the course needs one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError
from llmpath.models import catalogue, store

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Message = dict[str, str]


def there(name: str) -> bool:
    """Whether a model is on this machine, and whole.

    Raises:
        LlmpathError: if llmpath knows no model of that name.
    """
    return store.state(catalogue.find(name)) == "there"


def folder(name: str) -> Path:
    """The Hugging Face folder of a model: `config.json`, `model.safetensors`, the tokenizer.

    Raises:
        LlmpathError: if it is not on this machine; says how to bring it there.
    """
    return store.find(catalogue.find(name))


def chat(
    name: str = "smollm2-135m",
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Chat:
    """Load a model that talks.

    Args:
        name: of a model for text generation.
        device: where it is to be.
        dtype: of its weights; None for float32 on a CPU, and bfloat16 elsewhere.

    Raises:
        LlmpathError: if it is not on this machine, or does not talk.
    """
    import torch
    from transformers import LlamaForCausalLM

    path = _folder_for(name, "text-generation")
    if dtype is None:
        dtype = torch.float32 if torch.device(device).type == "cpu" else torch.bfloat16
    return Chat(_loaded(LlamaForCausalLM, path, dtype=dtype).to(device), _tokenizer(path))


def embedder(name: str = "minilm", *, device: torch.device | str = "cpu") -> Embedder:
    """Load a model that turns sentences into vectors.

    Args:
        name: of a model for sentence embeddings.
        device: where it is to be.

    Raises:
        LlmpathError: if it is not on this machine, or makes no embeddings.
    """
    from transformers import BertModel

    path = _folder_for(name, "sentence-embeddings")
    return Embedder(_loaded(BertModel, path).to(device), _tokenizer(path))


@dataclass(frozen=True)
class Chat:
    """A model that talks, with its tokenizer, both as transformers has them."""

    model: Any
    tokenizer: Any

    def answer(self, asked: str | Sequence[Message], *, max_new_tokens: int = 64) -> str:
        """What it is most likely to say, token by token (greedily), so always the same.

        Args:
            asked: a question, or the messages of a conversation, each with `role` (`system`,
                `user` or `assistant`) and `content`.
            max_new_tokens: after which it is cut off.
        """
        import torch

        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
        inputs = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self.model.device)
        with torch.no_grad():
            ids = self.model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        said = ids[0, inputs["input_ids"].size(1) :]
        return str(self.tokenizer.decode(said, skip_special_tokens=True)).strip()


@dataclass(frozen=True)
class Embedder:
    """A model that turns sentences into vectors, with its tokenizer."""

    model: Any
    tokenizer: Any
    longest = 256  # tokens; the model was trained on no longer ones

    def embed(self, sentences: Sequence[str], *, batch_size: int = 32) -> Tensor:
        """A vector of length one for each sentence, so that a dot product is a cosine.

        A sentence's vector is the mean of its tokens' last hidden states, padding left out.

        Args:
            sentences: what to embed; what is beyond the longest length is left out.
            batch_size: how many at once.

        Returns:
            (sentences, hidden_size), on the CPU, float32.
        """
        import torch

        found = [torch.empty(0, self.model.config.hidden_size)]
        for start in range(0, len(sentences), batch_size):
            inputs = self.tokenizer(
                list(sentences[start : start + batch_size]),
                padding=True,
                truncation=True,
                max_length=self.longest,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.no_grad():
                hidden = self.model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).float().cpu())
        return torch.cat(found)


def _folder_for(name: str, task: catalogue.Task) -> Path:
    model = catalogue.find(name)
    if model.task != task:
        raise LlmpathError(f"The model {name} is for {model.task}, not for {task}.")
    return store.find(model)


def _loaded(kind: Any, path: Path, **options: Any) -> Any:
    """A model from its folder, without the bar that transformers draws for it."""
    from transformers.utils import logging

    logs: Any = logging
    drawn = logs.is_progress_bar_enabled()
    logs.disable_progress_bar()
    try:
        return kind.from_pretrained(path, local_files_only=True, **options).eval()
    finally:
        if drawn:
            logs.enable_progress_bar()


def _tokenizer(path: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path, local_files_only=True)

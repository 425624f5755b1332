"""GGUF becomes a Hugging Face folder that is the same model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import CHAT, write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer

from llmpath.errors import LlmpathError
from llmpath.models.convert import convert
from llmpath.running.task import perform

TEXTS = [
    "the cat sat at 1212 and 3.",
    "In 2024, 1234 cats' tails  are\n\n  there. Don't ½ é 漢字 🙂",
    "<|im_start|>user\nthe cat<|im_end|>",
]


def converted(folder: Path) -> Path:
    """The folder of a tiny model, made in a child process as a pull does it."""
    write_gguf(folder / "tiny.gguf")
    target = folder / "model"
    target.mkdir()
    request = {"source": str(folder / "tiny.gguf"), "target": str(target)}
    events = list(perform("llmpath.models.convert", request))
    assert events[-1]["done"] == events[-1]["total"] == 20
    return target


# transformers leaves its own reader's file open.
@pytest.mark.filterwarnings("ignore")
def test_weights_and_logits_equal_those_of_transformers_own_reader(tmp_path: Path) -> None:
    """Every weight, in bfloat16, and every logit agree with what transformers reads from GGUF."""
    folder = converted(tmp_path)
    ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs = AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="tiny.gguf", dtype=torch.float32
    )
    for name, weight in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], weight.bfloat16().float(), msg=name)
    theirs.load_state_dict(ours.state_dict())
    ids = torch.arange(24).reshape(2, 12)
    torch.testing.assert_close(ours(ids).logits, theirs(ids).logits)
    assert ours.config.tie_word_embeddings
    for key in ("rms_norm_eps", "hidden_size", "num_key_value_heads", "max_position_embeddings"):
        assert getattr(ours.config, key) == pytest.approx(getattr(theirs.config, key)), key


def test_the_tokenizer_gives_every_text_back(tmp_path: Path) -> None:
    """Bytes, digits one by one, control tokens and the chat template come out right."""
    tokenizer = AutoTokenizer.from_pretrained(converted(tmp_path))
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert tokenizer.decode(ids) == text
    # "12" is a token, but SmolLM reads digits one by one.
    assert tokenizer.tokenize("the cat at 12") == ["the", "Ġ", "cat", "Ġ", "at", "Ġ", "1", "2"]
    assert tokenizer(TEXTS[2]).input_ids[0] == tokenizer.convert_tokens_to_ids("<|im_start|>")
    assert tokenizer.chat_template == CHAT
    said = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False)
    assert said == "<|im_start|>user\nhi<|im_end|>"
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pre": "llama-bpe"}, "tokenizer.ggml.pre = 'llama-bpe'"),
        ({"architecture": "qwen2"}, "general.architecture = 'qwen2'"),
    ],
)
def test_other_models_are_refused(options: dict[str, str], words: str, tmp_path: Path) -> None:
    """What would come out nearly right is refused, and nothing is written."""
    write_gguf(tmp_path / "tiny.gguf", **options)  # type: ignore[arg-type]
    target = tmp_path / "model"
    target.mkdir()
    with pytest.raises(LlmpathError, match=words):
        convert(tmp_path / "tiny.gguf", target, lambda event, fields: None)
    assert not list(target.iterdir())


@pytest.mark.parametrize("content", [b"", b"GGUF", b"hello, I am no model" * 100])
def test_damaged_files_get_a_sentence(content: bytes, tmp_path: Path) -> None:
    """A file that is no GGUF, or ends too early, is said to be, with its name."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(LlmpathError, match=r"broken\.gguf is no GGUF file"):
        list(perform("llmpath.models.convert", {"source": str(path), "target": str(tmp_path)}))

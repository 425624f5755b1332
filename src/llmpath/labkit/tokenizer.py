"""Byte-pair tokenizers in the form that the Hugging Face libraries load: the artefact `tokenizer`.

Learned merges (see the lab that learns them) become a `tokenizers.Tokenizer` with the same ids:
the 256 bytes, what each merge makes, and the special tokens last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

END = "<|endoftext|>"
# The end of a document, and the marks of a conversation, which models learn later on.
SPECIAL = (END, "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
BYTES = 256

# Where text may be cut, in the notation of the tokenizers library: before a contraction, a word,
# a number, a run of signs, white space.
SPLIT = (
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{Nl}\p{No}]+| ?\p{Nd}+| ?[^\s\x1c-\x1f\p{L}\p{N}]+"
    r"|[\s\x1c-\x1f]+(?![^\s\x1c-\x1f])|[\s\x1c-\x1f]+"
)


def from_merges(
    merges: Sequence[tuple[bytes, bytes]], special: Sequence[str] = SPECIAL
) -> Tokenizer:
    """The tokenizer with these merges, in the order learned.

    Args:
        merges: pairs of tokens, each of them a byte or what an earlier merge made.
        special: tokens that stand for themselves; they get the last ids.
    """
    letters = byte_letters()

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    pairs = [(spell(left), spell(right)) for left, right in merges]
    tokens = [letters[byte] for byte in range(BYTES)] + [left + right for left, right in pairs]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Make a folder from which `AutoTokenizer.from_pretrained` loads the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": END,
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def load(folder: Path) -> Tokenizer:
    """The tokenizer in an artefact's folder, such as `run.artefact("tokenizer")`."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def byte_letters() -> list[str]:
    """The printable letter that GPT-2 and the library write for each byte (a space is Ġ)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(BYTES) if byte not in printable]
    return [chr(b if b in printable else BYTES + hidden.index(b)) for b in range(BYTES)]

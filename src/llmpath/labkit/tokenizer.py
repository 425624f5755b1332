"""Byte-pair tokenizers in the form that the Hugging Face libraries load: the artefact `tokenizer`.

Learned merges (see the lab that learns them) become a `tokenizers.Tokenizer` with the same ids:
the 256 bytes, what each merge makes, and the special tokens last. With a chat template beside
it, the same tokenizer writes conversations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

END = "<|endoftext|>"
# The end of a document, and the marks of a conversation, which models learn later on.
SPECIAL = (END, "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
BYTES = 256

# Who may speak, and how their messages stand in a text: <|user|> Hello.<|end|>. The space makes
# the first word the token that it is within a text. What looks like the beginning of a mark inside
# a message is broken by a space, so that nobody can write one. Between the generation marks is
# what the model itself has to write; transformers gives a mask of it.
END_OF_MESSAGE = "<|end|>"
CHAT_TEMPLATE = """\
{%- for message in messages -%}
    {%- if message['role'] not in ['system', 'user', 'assistant'] -%}
        {{- raise_exception('a role is system, user or assistant, not ' + message['role']) -}}
    {%- endif -%}
    {%- set content = ' ' + (message['content'] | trim | replace('<|', '< |')) -%}
    {{- '<|' + message['role'] + '|>' -}}
    {%- if message['role'] == 'assistant' -%}
        {%- generation -%}{{- content + '<|end|>' -}}{%- endgeneration -%}
    {%- else -%}
        {{- content + '<|end|>' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""

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
    _write(folder / "tokenizer_config.json", _settings(END))


def save_chat(tokenizer: Tokenizer, folder: Path) -> None:
    """Make the folder of a model one that converses, for transformers and all that reads its files.

    Beside the tokenizer stand its chat template and what ends an answer. A model that was saved
    there before, as config.json and weights, gets the same end.

    Raises:
        ValueError: if the tokenizer does not know the marks of a conversation.
    """
    missing = [token for token in SPECIAL if tokenizer.token_to_id(token) is None]
    if missing:
        raise ValueError(f"This tokenizer has no token {missing[0]}, so it cannot write a chat.")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = _settings(END_OF_MESSAGE) | {"chat_template": CHAT_TEMPLATE}
    _write(folder / "tokenizer_config.json", settings)
    ends = {
        "eos_token_id": tokenizer.token_to_id(END_OF_MESSAGE),
        "pad_token_id": tokenizer.token_to_id(END),
    }
    _write(folder / "generation_config.json", ends)
    config = folder / "config.json"
    if config.exists():
        _write(config, json.loads(config.read_text(encoding="utf-8")) | ends)


def _settings(end: str) -> dict[str, Any]:
    """What stands in a tokenizer_config.json."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end,
        "pad_token": END,
        "clean_up_tokenization_spaces": False,
        # What a Llama takes. Left out, there would be token_type_ids too, which it refuses.
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Tokenizer:
    """The tokenizer in an artefact's folder, such as `run.artefact("tokenizer")`."""
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def byte_letters() -> list[str]:
    """The printable letter that GPT-2 and the library write for each byte (a space is Ġ)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = [byte for byte in range(BYTES) if byte not in printable]
    return [chr(b if b in printable else BYTES + hidden.index(b)) for b in range(BYTES)]

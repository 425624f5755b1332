"""How far n-gram models and a micro Llama stay above the microworld's floor, by kind of token.

    python benchmarks/microworld.py [--seeds 3] [--tokens 1500000] [--documents 1000]

For each seed: a world, a byte-level BPE trained on it, and its documents; n-gram models of the
tokens (n = 1 to 5, each order smoothed by the next shorter one after Witten and Bell, 1991);
and a Llama of about 0.15 million parameters, trained by plain PyTorch on that many tokens. All are
measured on the same held-out documents, with the token that ends each. Then how fast documents are
made, against how fast `tokenizers` cuts them in the same run.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

from llmpath.labkit.microworld import KINDS, Document, World, label_tokens

VOCABULARY, END = 1024, 0
NGRAM_DOCUMENTS = 10_000
HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS = 64, 192, 2, 4, 2
BATCH, PEAK, WARMUP, DECAY, BETAS = 32, 4e-3, 0.03, 0.1, (0.9, 0.95)
INIT = 0.1  # near 1/sqrt(HIDDEN); the usual 0.02, made for wide models, learns far more slowly

Surprise = list[list[float]]  # bits of each token of each document, its end included


def train_tokenizer(documents: Sequence[Document]) -> Tokenizer:
    """A byte-level BPE, as the course's own."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator((d.text for d in documents), trainer)
    return made


def encode(tokenizer: Tokenizer, documents: Iterable[Document]) -> list[list[int]]:
    """The ids of each document, between two end tokens."""
    encodings = tokenizer.encode_batch([d.text for d in documents])
    return [[END, *encoding.ids, END] for encoding in encodings]


class NGrams:
    """Models of all orders up to n, from one pass over the data."""

    def __init__(self, data: Iterable[Sequence[int]], n: int, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for ids in data:
            padded = [END] * (n - 2) + list(ids)
            for place in range(n - 1, len(padded)):
                for order in range(n):
                    context = tuple(padded[place - order : place])
                    self.counts[context][padded[place]] += 1

    def p(self, token: int, context: tuple[int, ...]) -> float:
        """Probability of a token after a context of any length."""
        shorter = self.p(token, context[1:]) if context else 1 / self.vocabulary
        seen = self.counts.get(context)
        if seen is None:
            return shorter
        kinds = len(seen)
        return (seen[token] + kinds * shorter) / (seen.total() + kinds)

    def surprise(self, data: Iterable[Sequence[int]], n: int) -> Surprise:
        """Bits of each token under the model of order n."""
        found = []
        for ids in data:
            padded = [END] * (n - 2) + list(ids) if n > 1 else list(ids)
            first = max(n - 1, 1)
            found.append(
                [
                    -math.log2(self.p(padded[i], tuple(padded[i - n + 1 : i])))
                    for i in range(first, len(padded))
                ]
            )
        return found


def padded(data: Sequence[Sequence[int]]) -> torch.Tensor:
    """Ids as (documents, time), -100 after the end."""
    longest = max(map(len, data))
    return torch.tensor([[*ids, *[-100] * (longest - len(ids))] for ids in data])


def loss(model: LlamaForCausalLM, batch: torch.Tensor, reduction: str) -> torch.Tensor:
    """Cross-entropy in nats of each token after the first."""
    logits = model(batch[:, :-1].clamp(min=0)).logits
    return cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction=reduction)


def rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero; as a share of the peak."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def train(data: Sequence[Sequence[int]], vocabulary: int, seed: int) -> LlamaForCausalLM:
    """A micro model after one pass over the data, a document a row."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=HIDDEN,
            intermediate_size=INTERMEDIATE,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            tie_word_embeddings=True,
            initializer_range=INIT,
            bos_token_id=END,
            eos_token_id=END,
        )
    )
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": DECAY},
        {"params": gains, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=BETAS, fused=True)
    steps = len(data) // BATCH
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK * rate(step, steps)
        optimizer.zero_grad()
        loss(model, padded(data[step * BATCH : (step + 1) * BATCH]), "mean").backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            print(f"  step {step} of {steps}", end="\r", flush=True)
    return model.eval()


@torch.no_grad()
def surprise(model: LlamaForCausalLM, data: Sequence[Sequence[int]]) -> Surprise:
    """Bits of each token under the model."""
    found: Surprise = []
    for begin in range(0, len(data), 100):
        some = data[begin : begin + 100]
        bits = loss(model, padded(some), "none") / math.log(2)
        found += [row[: len(ids) - 1].tolist() for row, ids in zip(bits, some, strict=True)]
    return found


def by_kind(
    documents: Sequence[Document], tokenizer: Tokenizer, bits: Surprise
) -> dict[str, float]:
    """Bits per token of all tokens and of each kind; first facts that were known."""
    total: Counter[str] = Counter()
    count: Counter[str] = Counter()
    labelled = label_tokens(documents, tokenizer)
    for tokens, row in zip(labelled, bits, strict=True):
        kinds = [token.kind for token in tokens] + ["syntax"]
        for kind, value in zip(kinds, row, strict=True):
            for name in (kind, "all", *(["known"] if kind == "fact" else [])):
                count[name] += 1
                total[name] += value < 1 if name == "known" else value
    return {name: total[name] / count[name] for name in count}


def measure(seed: int, tokens: int, held_out: int) -> dict[str, dict[str, float]]:
    """Every row of the table for one seed."""
    world = World(seed)
    tokenizer = train_tokenizer(world.documents(5000, seed=2))
    vocabulary = tokenizer.get_vocab_size()
    validation = world.documents(held_out, split="validation")
    ids = encode(tokenizer, validation)
    floor = world.floor(validation).bits_per_token(tokenizer, end_tokens=1)
    rows = {"floor": {"all": float(floor), **{kind: floor.by_kind[kind] for kind in KINDS}}}
    ngrams = NGrams(encode(tokenizer, world.documents(NGRAM_DOCUMENTS)), 5, vocabulary)
    for n in range(1, 6):
        bits = ngrams.surprise(ids, n)
        rows[f"{n}-gram"] = by_kind(validation, tokenizer, bits)
    print(f"seed {seed}: vocabulary {vocabulary}, floor {rows['floor']['all']:.4f}", flush=True)
    if not tokens:
        return rows
    per_document = floor.units / held_out
    data = encode(tokenizer, world.documents(round(tokens / per_document)))
    model = train(data, vocabulary, seed)
    rows["micro model"] = by_kind(validation, tokenizer, surprise(model, ids))
    size = sum(p.numel() for p in model.parameters())
    gap = rows["micro model"]["all"] - rows["floor"]["all"]
    print(f"seed {seed}: {size:,} parameters, gap {gap:.4f}: {rows['micro model']}", flush=True)
    return rows


def table(found: Sequence[dict[str, dict[str, float]]]) -> None:
    """Print means over seeds, with the widest distance of a seed from the mean."""

    def cell(row: str, column: str) -> str:
        values = [rows[row][column] for rows in found if column in rows[row]]
        if not values:
            return ""
        mean = statistics.mean(values)
        return f"{mean:.3f} ± {max(abs(value - mean) for value in values):.3f}"

    columns = {
        "all": "all",
        "choice": "choice",
        "fact": "fact",
        "syntax": "syntax",
        "known": "facts known",
    }
    print("\n| bits per token | " + " | ".join(columns.values()) + " |")
    print("|---|" + "---|" * len(columns))
    for row in found[0]:
        print(f"| {row} | " + " | ".join(cell(row, column) for column in columns) + " |")


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of this process, which other work on the machine does not change much."""
    began = time.process_time()
    work()
    return time.process_time() - began


def speed(documents: int) -> None:
    """Print how fast documents are made, against tokenizing the same texts one by one."""
    world = World()
    tokenizer = train_tokenizer(world.documents(2000, seed=2))
    tokenizer.encode("The first call builds caches.")
    made: list[Document] = []
    making = seconds(lambda: made.extend(world.documents(documents)))
    texts = [document.text for document in made]
    tokens = 0

    def cut() -> None:
        nonlocal tokens
        tokens = sum(len(tokenizer.encode(text).ids) for text in texts)

    cutting = seconds(cut)
    print(
        f"\na million tokens of documents: {1e6 * making / tokens:.2f} s of one processor, "
        f"{making / cutting:.2f} times what `tokenizers` takes to cut them"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=1_500_000, help="0 leaves the model out")
    parser.add_argument("--documents", type=int, default=1000)
    arguments = parser.parse_args()
    found = [measure(s, arguments.tokens, arguments.documents) for s in range(arguments.seeds)]
    table(found)
    speed(20_000)


if __name__ == "__main__":
    main()

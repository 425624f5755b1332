"""A word model made of nothing but the learner's attention, and pictures of where it looks.

It reads the documentation that comes with Python (the help topics and the docstrings of the
standard library), learns to guess the next word, and draws its heads as heat maps before and
after. A last picture shows what becomes of the softmax without the √head_size.

It does not try to be a good language model: no feed-forward layers, one word is one token,
rare words are `<rare>`. What it knows, it knows through attention.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor, nn

from llmpath.labkit import data

RARE = "<rare>"

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#6b6b6b"


@dataclass(frozen=True)
class Size:
    """How big everything is.

    Attributes:
        words: how many words are read at most.
        vocabulary: how many different words the model knows; the others are rare.
        time: how many words it sees at once.
    """

    words: int
    vocabulary: int
    hidden_size: int
    layers: int
    heads: int
    time: int
    batch: int
    steps: int
    learning_rate: float
    dropout: float


SIZES = {
    "micro": Size(80_000, 1500, 64, 2, 4, 32, 24, 400, 5e-3, 0.1),
    "mini": Size(300_000, 3000, 128, 2, 4, 64, 32, 2000, 2e-3, 0.1),
    "gpu": Size(1_000_000, 6000, 256, 4, 8, 128, 64, 4000, 1e-3, 0.2),
}


def experiment(lab, run) -> None:
    """Train, and show where the heads look."""
    size = SIZES[run.scale]
    torch.manual_seed(run.seed)
    text = Text.read(size)
    run.floor("held_out_bits", text.unigram_bits(), "if it only knew how frequent words are")
    run.floor("held_out_bits", text.bigram_bits(), "if it counted pairs of neighbouring words")
    model = WordModel(lab, size, len(text.vocabulary)).to(run.device)
    sentences = text.sentences_to_show(3)
    before = [model.look(text.encode(s), run.device) for s in sentences]
    curve = train(model, text, size, run)
    if not math.isfinite(curve[-1][2]):
        run.result(
            f"The loss was not a number at step {curve[-1][0]}, so that nothing could be learned: "
            "look for a row of weights that holds NaN.",
            step=curve[-1][0],
        )
        return
    after = [model.look(text.encode(s), run.device) for s in sentences]
    layer, head = sharpest(after)
    name = f"layer {layer + 1}, head {head + 1}"
    run.figure("before-and-after", draw_before_and_after(sentences, before, after, layer, head))
    run.figure("all-heads", draw_heads(sentences[0], after[0]))
    run.table(*habits(model, text, size, run))
    for sentence, weights in zip(sentences, after, strict=True):
        run.table(*favourites(sentence, weights))
    entropies = scale_study(lab, run.seed)
    run.figure("why-the-root", draw_scale_study(entropies))
    conclude(run, model, text, curve, name)


def conclude(run, model: WordModel, text: Text, curve: list[tuple[int, float, float]], name: str):
    """Say in one sentence what came out, and whether the model cheated."""
    held_out, unigram, bigram = curve[-1][2], text.unigram_bits(), text.bigram_bits()
    sentence = (
        f"With nothing but your attention the model needs {held_out:.2f} bits for a word that it "
        f"has not seen; word frequencies alone need {unigram:.2f} and pairs of words {bigram:.2f}. "
        f"Its sharpest head is {name}."
    )
    if model.sees_the_future(text.held_out, run.device):
        sentence = (
            f"Your attention shows the model the future, so its {held_out:.2f} bits per word mean "
            "nothing: it reads the answer. Look at the mask, and grade the lab."
        )
    run.result(
        sentence,
        held_out_bits=round(held_out, 3),
        unigram_bits=round(unigram, 3),
        bigram_bits=round(bigram, 3),
    )


# The text


class Text:
    """Words as numbers, for training and held out, from prose that every Python brings along."""

    def __init__(
        self, training: list[list[str]], held_out: list[list[str]], vocabulary: int
    ) -> None:
        counts = Counter(word for sentence in training for word in sentence)
        self._held_out_sentences = held_out
        self.vocabulary = [RARE] + [word for word, _ in counts.most_common(vocabulary - 1)]
        self._number = {word: number for number, word in enumerate(self.vocabulary)}
        self.training = self.encode([word for s in training for word in s])
        self.held_out = self.encode([word for s in held_out for word in s])

    @classmethod
    def read(cls, size: Size) -> Text:
        """Collect whole sentences of plain English, each one once, up to `size.words` words."""
        documentation = data.load("python-docs")
        training = sentences(documentation.train, 0.9 * size.words)
        held_out = sentences(documentation.validation, 0.1 * size.words, set(training))
        if sum(map(len, training.values())) < 5000:
            raise RuntimeError(
                "This Python comes without its help topics and without the source of its "
                "standard library, so there is little to read. Install Python with its "
                "documentation (the package pydoc_data) and try again."
            )
        return cls([*training.values()], [*held_out.values()], size.vocabulary)

    def encode(self, words: list[str]) -> Tensor:
        """Words as a row of numbers, (time,)."""
        return torch.tensor([self._number.get(word, 0) for word in words])

    def unigram_bits(self) -> float:
        """Bits per held-out word of a model that knows only how frequent each word is."""
        return float(-self._frequencies().log2()[self.held_out].mean())

    def bigram_bits(self) -> float:
        """Bits per held-out word of counted pairs, smoothed as well as the held-out text allows."""
        size, frequencies = len(self.vocabulary), self._frequencies()
        pairs = torch.bincount(self.training[:-1] * size + self.training[1:], minlength=size**2)
        left, right = self.held_out[:-1], self.held_out[1:]
        seen = pairs[left * size + right].double()
        before = torch.bincount(self.training[:-1], minlength=size)[left].double()
        return min(
            float(-((seen + m * frequencies[right]) / (before + m)).log2().mean())
            for m in (5, 10, 20, 40, 80, 160, 320)
        )

    def _frequencies(self) -> Tensor:
        counts = torch.bincount(self.training, minlength=len(self.vocabulary)).double() + 1
        return counts / counts.sum()

    def sentences_to_show(self, count: int) -> list[list[str]]:
        """Held-out sentences without rare words, of a length that a picture can take.

        Each starts with the full stop of the sentence before it, so that its first word has
        something to look at. Sentences that use a longer word twice come first.
        """
        fitting = [
            [".", *words]
            for words in self._held_out_sentences
            if 9 <= len(words) <= 13 and all(word in self._number for word in words)
        ]
        fitting.sort(key=lambda words: -max(Counter(w for w in words if len(w) > 3).values()))
        return fitting[:count]


def sentences(
    documents: Iterable[str], words: float, known: Collection[str] = ()
) -> dict[str, list[str]]:
    """The words of each sentence of plain English, of those not known yet, until there are enough.

    Args:
        documents: where the sentences are taken from.
        words: how many words are enough.
        known: sentences to leave out.
    """
    found: dict[str, list[str]] = {}
    for document in documents:
        for sentence in plain_sentences(document):
            if words <= 0:
                return found
            if sentence not in found and sentence not in known:
                found[sentence] = re.findall(r"[a-z'-]+|[.,;:?!]", sentence.lower())
                words -= len(found[sentence])
    return found


def plain_sentences(document: str) -> list[str]:
    """The sentences of a document that are English and nothing else: no code, no figures."""
    found = []
    for paragraph in re.split(r"\n\s*\n", document):
        line = re.sub(r"[\"`*()]", "", " ".join(paragraph.split()))
        for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z])", line):
            if (
                re.fullmatch(r"[A-Z][A-Za-z' ,;:-]+[.?!]", sentence)
                and 4 <= sentence.count(" ") + 1 <= 40
            ):
                found.append(sentence)
    return found


# The model


class WordModel(nn.Module):
    """Embeddings, layers of the learner's attention, and a guess at the next word."""

    def __init__(self, lab, size: Size, vocabulary: int) -> None:
        super().__init__()
        self.lab, self.heads, self.time = lab, size.heads, size.time
        hidden = size.hidden_size
        self.word = nn.Embedding(vocabulary, hidden)
        nn.init.normal_(self.word.weight, std=0.1)
        self.register_buffer("position", waves(size.time, hidden))
        self.qkv = nn.ModuleList(
            nn.Linear(hidden, 3 * hidden, bias=False) for _ in range(size.layers)
        )
        self.out = nn.ModuleList(nn.Linear(hidden, hidden, bias=False) for _ in range(size.layers))
        self.norm = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(size.layers + 1))
        self.guess = nn.Linear(hidden, vocabulary, bias=False)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, words: Tensor, looks: list[Tensor] | None = None) -> Tensor:
        """Logits, (batch, time, vocabulary); each layer's weights are added to `looks`."""
        hidden = self.dropout(self.word(words) + self.position[: words.size(1)])
        mask = self.lab.causal_mask(words.size(1)).to(words.device)
        for norm, qkv, out in zip(self.norm, self.qkv, self.out, strict=False):
            heads = qkv(norm(hidden)).unflatten(-1, (3, self.heads, -1))
            q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (batch, heads, time, head_size)
            if looks is not None:
                looks.append(self.lab.attention_weights(q, k, mask))
            mixed = self.lab.attention(q, k, v, mask)
            hidden = hidden + self.dropout(out(mixed.transpose(1, 2).flatten(2)))
        return self.guess(self.norm[-1](hidden))

    @torch.no_grad()
    def look(self, words: Tensor, device: torch.device) -> Tensor:
        """The weights of all heads on some text, (layers, [batch,] heads, time, time)."""
        self.eval()
        looks: list[Tensor] = []
        self(words.reshape(-1, words.size(-1)).to(device), looks)
        weights = torch.stack(looks).float().cpu()
        return weights if words.dim() == 2 else weights[:, 0]

    @torch.no_grad()
    def bits(self, text: Tensor, device: torch.device) -> float:
        """Bits per word on a stream of words, in windows as long as the model's."""
        self.eval()
        rows = windows(text, self.time).to(device)
        loss = sum(
            F.cross_entropy(self(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten()) * len(part)
            for part in rows.split(64)
        )
        return float(loss) / len(rows) / math.log(2)

    @torch.no_grad()
    def write(self, words: Tensor, count: int, generator: torch.Generator) -> list[int]:
        """Draw `count` words after `words`, a little cooler than the model's own guess."""
        self.eval()
        device = self.word.weight.device
        for _ in range(count):
            logits = self(words[None, -self.time :].to(device))[0, -1].float().cpu() / 0.8
            logits[0] = -math.inf  # never write <rare>
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            words = torch.cat([words, drawn])
        return words.tolist()

    @torch.no_grad()
    def sees_the_future(self, text: Tensor, device: torch.device) -> bool:
        """Whether changing the last word changes a guess made before it."""
        self.eval()
        rows = windows(text, self.time)[:4].to(device)
        changed = rows.clone()
        changed[:, -1] = (changed[:, -1] + 1) % self.word.num_embeddings
        return not torch.allclose(self(rows)[:, :-1], self(changed)[:, :-1], atol=1e-4)


def waves(time: int, hidden_size: int) -> Tensor:
    """Sines and cosines that tell positions apart, (time, hidden_size).

    Source: "Attention Is All You Need", Vaswani and others, 2017, section 3.5; here the
    waves are a tenth as high and at most about twice as long as the text that is seen at once.
    """
    turns = torch.arange(time)[:, None] * (time / 3) ** -torch.linspace(0, 1, hidden_size // 2)
    return 0.1 * torch.cat([turns.sin(), turns.cos()], dim=-1)


def windows(text: Tensor, time: int) -> Tensor:
    """A stream of words cut into rows, (rows, time); what is left over is dropped."""
    return text[: len(text) // time * time].view(-1, time)


def train(model: WordModel, text: Text, size: Size, run) -> list[tuple[int, float, float]]:
    """Teach the model to guess the next word; returns (step, training bits, held-out bits)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.learning_rate, weight_decay=0.1)
    batches, samples = (torch.Generator().manual_seed(run.seed + i) for i in (1, 2))
    curve = [(0, math.nan, model.bits(text.held_out, run.device))]
    run.log(0, held_out_bits=curve[0][2])
    recent = []
    for step in range(1, size.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = size.learning_rate * min(step / 30, 1.1 - step / size.steps)
        recent.append(train_step(model, text.training, size, optimizer, batches))
        run.progress(step, size.steps, f"{recent[-1]:.2f} bits per word")
        if step % max(1, size.steps // 16) == 0 or not math.isfinite(recent[-1]):
            curve.append((step, sum(recent) / len(recent), model.bits(text.held_out, run.device)))
            run.log(step, train_bits=curve[-1][1], held_out_bits=curve[-1][2])
            recent = []
            if not math.isfinite(curve[-1][2]):
                break
        if step % max(1, size.steps // 5) == 0:
            words = model.write(text.encode(["."]), 24, samples)
            run.text(f"What it writes after {step} steps", prose(text, words[1:]))
    return curve


def train_step(model, stream: Tensor, size: Size, optimizer, generator: torch.Generator) -> float:
    """One step on random windows; returns the bits per word before it."""
    model.train()
    starts = torch.randint(len(stream) - size.time, (size.batch,), generator=generator)
    rows = stream[starts[:, None] + torch.arange(size.time + 1)].to(model.word.weight.device)
    loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach()) / math.log(2)


def prose(text: Text, words: list[int]) -> str:
    """Numbers as readable text."""
    joined = " ".join(text.vocabulary[word] for word in words)
    joined = re.sub(r" ([.,;:?!])", r"\1", joined)
    return re.sub(r"(^|[.?!] )([a-z])", lambda found: found[1] + found[2].upper(), joined)


# What the heads do


def sharpest(looks: list[Tensor]) -> tuple[int, int]:
    """The layer and head that most often puts its weight on one earlier word of the sentence."""
    focus = 0.0
    for weights in looks:  # (layers, heads, time, time); column 0 is the last sentence's full stop
        focus = focus + weights.tril(diagonal=-1)[:, :, 2:, 1:].amax(dim=-1).mean(dim=-1)
    place = int(torch.as_tensor(focus).argmax())
    return divmod(place, looks[0].size(1))


def habits(model: WordModel, text: Text, size: Size, run):
    """A table of what each head looks at, as shares of its attention on held-out text."""
    rows = windows(text.held_out, size.time)[:128]
    looks = model.look(rows, run.device)
    time = torch.arange(size.time)
    distance = time[:, None] - time
    again = (rows[:, :, None] == rows[:, None, :]) & (distance > 0)
    table = []
    for layer in range(looks.size(0)):
        for head in range(looks.size(2)):
            weights = looks[layer, :, head, size.time // 2 :]  # a full past, for a fair share
            back = distance[size.time // 2 :]
            shares = [(weights * part).sum(-1).mean() for part in (back == 0, back == 1, back > 1)]
            shares.append((weights * again[:, size.time // 2 :]).sum(-1).mean())
            reach = (weights * back).sum(-1).mean()
            cells = [f"{float(share):.0%}" for share in shares]
            table.append([f"layer {layer + 1}, head {head + 1}", *cells, f"{float(reach):.1f}"])
    columns = ["head", "itself", "the word before", "further back", "the same word, earlier"]
    return "Where each head looks", [*columns, "words back, on average"], table


def favourites(sentence: list[str], weights: Tensor):
    """A table of the earlier word that each word looks at most, in any head."""
    heads, time = weights.shape[1:3]
    table = []
    for i in range(1, time):
        earlier = weights[:, :, i, :i].reshape(-1)
        place = int(earlier.argmax())
        layer, head, j = place // (heads * i), place // i % heads, place % i
        name = f"layer {layer + 1}, head {head + 1}"
        table.append([sentence[i], sentence[j], i - j, f"{float(earlier[place]):.0%}", name])
    title = "The earlier word that each word looks at most: " + " ".join(sentence[1:])
    return title, ["word", "looks at", "words back", "weight", "in"], table


def scale_study(lab, seed: int) -> dict[str, list[float]]:
    """How spread out the weights over 32 keys are, by head size, with and without the √d.

    q and k are independent standard normal numbers. Spread is the entropy of a row in bits;
    the gradient is the mean Frobenius norm of the softmax's Jacobian, diag(w) − w wᵀ.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[float]] = {"head_size": []}
    for head_size in [2**power for power in range(1, 13)]:
        q, k = (torch.randn(time, head_size, generator=generator) for time in (256, 32))
        found["head_size"].append(head_size)
        for name, weights in [
            ("yours", lab.attention_weights(q, k)),
            ("without", (q @ k.T).softmax(-1)),
        ]:
            weights = weights.double()
            entropy = -(weights * weights.clamp_min(1e-300).log2()).sum(-1).mean()
            jacobian = torch.diag_embed(weights) - weights[:, :, None] * weights[:, None, :]
            found.setdefault(f"{name} entropy", []).append(float(entropy))
            slope = float(jacobian.flatten(1).norm(dim=-1).mean())
            found.setdefault(f"{name} gradient", []).append(slope)
    return found


# The pictures


def draw_before_and_after(
    sentences: list[list[str]], before: list[Tensor], after: list[Tensor], layer: int, head: int
) -> Figure:
    """One head on each sentence: untrained on the left, trained on the right."""
    figure = Figure(figsize=(10.5, 4.9 * len(sentences)), layout="constrained")
    rows = figure.subplots(len(sentences), 2, squeeze=False)
    for axes, sentence, old, new in zip(rows, sentences, before, after, strict=True):
        for axis, weights, when in zip(axes, (old, new), ("before", "after"), strict=True):
            image = heat(axis, sentence, weights[layer, head], values=True)
            axis.set_title(f"{when} training", fontsize=11)
        axes[0].set_ylabel("the word that looks (query)")
    for axis in rows[-1]:
        axis.set_xlabel("the word that it looks at (key)")
    title = f"Where layer {layer + 1}, head {head + 1} looks (figures: weight in per cent)"
    figure.suptitle(title, fontsize=14)
    figure.colorbar(image, ax=rows, shrink=0.35, label="attention weight")
    return figure


def draw_heads(sentence: list[str], weights: Tensor) -> Figure:
    """All heads of the trained model on one sentence, a row of pictures for each layer."""
    layers, heads = weights.shape[:2]
    figure = Figure(figsize=(3.1 * heads + 1.6, 3.2 * layers + 1.2), layout="constrained")
    grid = figure.subplots(layers, heads, squeeze=False, sharex=True, sharey=True)
    for layer in range(layers):
        for head in range(heads):
            image = heat(grid[layer, head], sentence, weights[layer, head])
            grid[layer, head].set_title(f"layer {layer + 1}, head {head + 1}", fontsize=10)
    figure.supxlabel("the word that is looked at (key)")
    figure.supylabel("the word that looks (query)")
    figure.suptitle("Every head has its own habit: " + " ".join(sentence[1:]), fontsize=12)
    figure.colorbar(image, ax=grid, shrink=0.6, label="attention weight")
    return figure


def heat(axes, sentence: list[str], weights: Tensor, values: bool = False):
    """One heat map with words on both sides; what the mask hides is left grey."""
    time = len(sentence)
    colours = colormaps["Blues"].with_extremes(bad="#efefef")
    hidden = torch.ones(time, time, dtype=torch.bool).triu(diagonal=1) & (weights == 0)
    image = axes.imshow(weights.masked_fill(hidden, math.nan).numpy(), colours, vmin=0, vmax=1)
    axes.set_xticks(range(time), sentence, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(time), sentence)
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    for i, j in (weights >= 0.2).nonzero().tolist() if values else []:
        colour = "white" if weights[i, j] > 0.55 else "black"
        number = f"{100 * float(weights[i, j]):.0f}"
        axes.text(j, i, number, ha="center", va="center", fontsize=7, color=colour)
    return image


def draw_scale_study(found: dict[str, list[float]]) -> Figure:
    """Entropy of the weights, and gradient through the softmax, against the head size."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, measure in ((left, "entropy"), (right, "gradient")):
        for name, colour, marker in (("yours", BLUE, "o"), ("without", ORANGE, "s")):
            label = "your attention_weights" if name == "yours" else "dot products, not scaled"
            axes.plot(
                found["head_size"], found[f"{name} {measure}"], color=colour, marker=marker,
                markersize=4, label=label,
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xlabel("head size d")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
    left.set_ylim(top=5.5)
    left.axhline(5, color=GREY, linestyle="--", linewidth=1)
    left.annotate(
        "all 32 keys alike: 5 bits", (4096, 5), (0, 3), textcoords="offset points",
        ha="right", fontsize=8, color=GREY,
    )  # fmt: skip
    left.set(ylabel="entropy of a row of weights (bits)", title="How widely a query looks")
    right.set(ylabel="norm of the softmax's Jacobian", title="How much gradient gets through")
    left.legend(frameon=False, loc="center right")
    figure.suptitle("What the √d is for: random queries and keys, 32 keys")
    return figure

"""The learner's tokenizer, trained on the documentation and source that come with Python.

It shows the merges as they are learned, how the text shrinks as the vocabulary grows (on
documents that training never saw), what words and characters do in its place, and what other
languages cost. The tokenizer is saved as `tokenizer.json`, once the `tokenizers` library has
given the same ids.

It does not time anything: figures depend on the learner's code and this machine's Python alone.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from matplotlib.figure import Figure
from tokenizers import Tokenizer

from llmpath.labkit import data, tokenizer

END = tokenizer.END
SPECIAL = (END,)
MODEL_VOCABULARY = 1024  # the most tokens that the course's models know; a small world has fewer
MODEL_TEXT = 400_000  # characters
BYTES = 256

SENTENCES = {
    "English": "The function returns a list of names.",
    "German": "Die Funktion gibt eine Liste von Namen zurück.",
    "Greek": "Η συνάρτηση επιστρέφει μια λίστα ονομάτων.",
    "Hindi": "फ़ंक्शन नामों की एक सूची लौटाता है।",
    "Chinese": "该函数返回一个名称列表。",
}
STRIP = "Each class inherits naïve methods."

# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"
FILLS = ("#cfe6f5", "#fbdcc4", "#c9ece1", "#f6e6b8")


@dataclass(frozen=True)
class Size:
    """How big everything is.

    Attributes:
        training: characters to learn from.
        held_out: characters to measure on.
        stages: how many merges each of the trainings learns; the last is the tokenizer.
    """

    training: int
    held_out: int
    stages: tuple[int, ...]


SIZES = {
    "micro": Size(90_000, 40_000, (16, 128, 767)),
    "mini": Size(600_000, 80_000, (16, 128, 2047)),
    "gpu": Size(1_500_000, 150_000, (16, 256, 4095)),
}


class UnusableError(Exception):
    """What the learner's code returned cannot be gone on with; says why, in a sentence."""


def experiment(lab, run) -> None:
    """Show what the tokenizer learns, as far as it goes."""
    try:
        show(lab, run, SIZES[run.scale])
    except UnusableError as error:
        run.result(f"{error} There is no more to show yet: `llmpath grade` says what is amiss.")


def show(lab, run, size: Size) -> None:
    """Train in stages, measure, compare, and save the tokenizer."""
    training, held_out = corpus(size)
    pieces = lab.pre_tokenize(held_out)
    run.floor("bytes_per_token", per_token(held_out, len(held_out)), "characters")
    run.floor("bytes_per_token", per_token(held_out, len(pieces)), "whole words: the most to reach")
    merges, curve = learn(lab, run, size, training, held_out)
    run.table(*comparison(lab, training, held_out, merges))
    run.table(*languages(lab, merges))
    run.text("The same sentences, cut into tokens", splits(lab, merges))
    run.figure("compression", draw(lab, curve, merges, held_out, len(pieces)))
    said = save(lab, run, merges, held_out)
    conclude(run, lab, merges, held_out, curve, said)


def conclude(run, lab, merges, held_out: str, curve: list[tuple[int, float]], said: str) -> None:
    """Say in one sentence what came out."""
    vocab_size, reached = curve[-1]
    whole = lab.decode(encoded(lab, held_out, merges), merges, SPECIAL) == held_out
    if whole:
        fate = "gives every byte of it back, and knows no unknown words"
    else:
        fate = "does not give it back unchanged: decode(encode(text)) is not text"
    run.result(
        f"With {vocab_size:,} tokens your tokenizer packs {reached:.2f} bytes into a token of text "
        f"that it never saw, {fate}. {said}",
        vocab_size=vocab_size,
        bytes_per_token=round(reached, 3),
        round_trip=whole,
    )


# The text


def corpus(size: Size) -> tuple[str, str]:
    """Text to learn from and text to measure on: Python's help topics and source in turn."""
    python = data.load("python")
    training, held_out = python.train, python.validation
    return END.join(training.excerpt(size.training)), "\n\n".join(held_out.excerpt(size.held_out))


def per_token(text: str, tokens: int) -> float:
    """UTF-8 bytes of a text for each of its tokens."""
    return len(text.encode()) / max(1, tokens)


# Learning


def learn(lab, run, size: Size, training: str, held_out: str):
    """Train once for each stage, and measure at sizes that double.

    Returns:
        The merges, and the curve of (vocabulary, bytes per token).
    """
    points = sorted({0, *(2**k for k in range(3, 20) if 2**k < size.stages[-1]), *size.stages})
    # One measurement takes about as long as ten merges.
    total, done = sum(size.stages) + 10 * len(points), 0
    curve: list[tuple[int, float]] = []
    merges: list[tuple[bytes, bytes]] = []
    for stage in size.stages:
        run.progress(done, total, f"learning {stage:,} merges")
        before, merges = len(merges), lab.train_bpe(training, BYTES + len(SPECIAL) + stage, SPECIAL)
        require_merges(merges, before)
        done += stage
        run.text(f"Tokens {before + 1:,} to {len(merges):,}", spelled(merges[before:]))
        for point in [p for p in points if p <= stage and len(curve) <= points.index(p)]:
            vocab_size = BYTES + len(SPECIAL) + min(point, len(merges))
            tokens = encoded(lab, held_out, merges[:point])
            curve.append((vocab_size, per_token(held_out, len(tokens))))
            run.log(vocab_size, bytes_per_token=curve[-1][1])
            done += 10
            run.progress(done, total, f"measuring {vocab_size:,} tokens")
    return merges, curve


def require_merges(merges: object, before: int) -> None:
    """Refuse what are no merges to go on with."""
    if not isinstance(merges, list) or len(merges) <= before:
        count = f"{len(merges)} merges" if isinstance(merges, list) else type(merges).__name__
        raise UnusableError(f"Your train_bpe returned {count} where more than {before} are due.")
    known = {bytes([byte]) for byte in range(BYTES)}
    for number, merge in enumerate(merges):
        if not isinstance(merge, tuple) or len(merge) != 2 or not known.issuperset(merge):
            raise UnusableError(f"Merge {number} of your train_bpe joins no two tokens: {merge!r}.")
        known.add(b"".join(merge))
    if len(known) < BYTES + len(merges):
        raise UnusableError("Your train_bpe made the same token twice.")


def encoded(lab, text: str, merges) -> list[int]:
    """The learner's ids of a text, refused if they are none."""
    ids = lab.encode(text, merges, SPECIAL)
    size = BYTES + len(merges) + len(SPECIAL)
    if not isinstance(ids, list) or any(type(i) is not int or not 0 <= i < size for i in ids):
        raise UnusableError("Your encode did not return a list of ids within the vocabulary.")
    return ids


def shown(token: bytes) -> str:
    """A token as people can read it: a dot for a space, hex for half a character."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return token.hex("~").upper()
    return text.replace(" ", "·").replace("\n", "⏎").replace("\t", "⇥")


def spelled(merges: list[tuple[bytes, bytes]], limit: int = 48) -> str:
    """The tokens that merges make: the first and the last of them, if there are many."""
    tokens = [shown(left + right) for left, right in merges]
    if len(tokens) > limit:
        tokens = [*tokens[: limit // 2], "…", *tokens[-limit // 2 :]]
    return "  ".join(tokens)


# Comparing


def comparison(lab, training: str, held_out: str, merges):
    """A table of tokenizers: how large, how many tokens, and what they do not know."""
    rows = []
    bpe = len(encoded(lab, held_out, merges))
    size = BYTES + len(merges) + len(SPECIAL)
    words, seen = lab.pre_tokenize(held_out), Counter(lab.pre_tokenize(training, SPECIAL))
    common = {word for word, _ in seen.most_common(size - 1)}  # one id is for the unknown
    for name, vocabulary, tokens in (
        ("characters", set(training), list(held_out)),
        (f"{size - 1:,} common words", common, words),
        ("all words", set(seen), words),
    ):
        lost = sum(len(token.encode()) for token in tokens if token not in vocabulary)
        share = 100 * lost / len(held_out.encode())
        rows.append(
            [name, len(vocabulary) + 1, len(tokens), per_token(held_out, len(tokens)), share]
        )
    rows.insert(0, ["bytes", BYTES, len(held_out.encode()), 1.0, 0.0])
    rows.append(["your byte pairs", size, bpe, per_token(held_out, bpe), 0.0])
    for row in rows:
        row[3:] = [f"{row[3]:.2f}", f"{row[4]:.2f} %"]
    columns = ["tokens are", "vocabulary", "tokens", "bytes/token", "text lost"]
    return "The same held-out text in five tokenizers", columns, rows


def languages(lab, merges):
    """A table of one sentence in several languages, by what it costs."""
    rows = []
    for language, sentence in SENTENCES.items():
        tokens = len(encoded(lab, sentence, merges))
        per_character = f"{tokens / len(sentence):.2f}"
        rows.append([language, len(sentence), len(sentence.encode()), tokens, per_character])
    columns = ["sentence", "characters", "bytes", "tokens", "tokens per character"]
    return "One sentence in five languages", columns, rows


def cut(lab, text: str, merges) -> list[bytes]:
    """The bytes of each token of a text."""
    table = [bytes([byte]) for byte in range(BYTES)]
    table += [left + right for left, right in merges] + [token.encode() for token in SPECIAL]
    return [table[number] for number in encoded(lab, text, merges)]


def splits(lab, merges) -> str:
    """Some of the sentences with a bar between tokens."""
    return "\n".join(
        f"{language}: {'|'.join(shown(token) for token in cut(lab, SENTENCES[language], merges))}"
        for language in ("English", "German", "Chinese")
    )


# The picture


def draw(lab, curve, merges, held_out: str, words: int) -> Figure:
    """The curve between its bounds, and one sentence at four sizes of the vocabulary."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 2])
    draw_curve(above, curve, held_out, words)
    sizes = [size for size in (0, 64, 256) if size < len(merges)]
    draw_strips(below, lab, [merges[:size] for size in sizes] + [merges])
    return figure


def draw_curve(axes, curve, held_out: str, words: int) -> None:
    """Bytes per token against the number of merges, which is what training adds."""
    sizes, reached = zip(*curve, strict=True)
    merges = [size - BYTES - len(SPECIAL) for size in sizes]
    axes.plot(merges, reached, "o-", color=BLUE, label="your byte pairs", linewidth=2)
    characters, pieces = per_token(held_out, len(held_out)), per_token(held_out, words)
    axes.axhline(characters, color=GREY, linestyle=":", label="characters")
    axes.axhline(pieces, color=ORANGE, linestyle="--", label="whole words: the most to reach")
    axes.set_xscale("symlog", base=2, linthresh=8, linscale=0.5)
    axes.set_xticks(merges, [f"{merge:,}" for merge in merges])
    axes.minorticks_off()
    axes.set_xlim(-1, merges[-1] * 1.15)
    axes.set_ylim(0, pieces * 1.12)
    axes.set_xlabel("merges learned (logarithmic)")
    axes.set_ylabel("bytes per token on held-out text")
    axes.set_title("The more merges, the more text in each token", loc="left")
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(0.0, 0.72), frameon=False)


def draw_strips(axes, lab, stages) -> None:
    """The sentence `STRIP` as one row of boxes for each stage of training."""
    axes.set_title("The same sentence as training goes on (· is a space)", loc="left")
    for row, merges in enumerate(stages):
        tokens = cut(lab, STRIP, merges)
        start = 0.0
        for number, token in enumerate(tokens):
            # Half a character is as wide as its share of the character's bytes.
            width = sum(1 / len(character.encode()) for character in spread(token, STRIP))
            fill = FILLS[number % len(FILLS)]
            axes.barh(row, width, left=start, height=0.7, color=fill, edgecolor="white")
            small = len(shown(token)) > math.ceil(width)
            size = 5 if small else 10
            axes.text(
                start + width / 2, row, shown(token), ha="center", va="center",
                family="monospace", fontsize=size,
            )  # fmt: skip
            start += width
    names = [f"{len(merges):,} merges\n{len(cut(lab, STRIP, merges))} tokens" for merges in stages]
    axes.set_yticks(range(len(stages)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, len(STRIP))
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def spread(token: bytes, text: str) -> list[str]:
    """For each byte of a token, the character of the text that it belongs to."""
    by_byte = {byte: c for c in text for byte in c.encode()}
    return [by_byte[byte] for byte in token]


# The files


def save(lab, run, merges, held_out: str) -> str:
    """Save `tokenizer.json` if the library then gives the learner's ids; say in a sentence."""
    library = tokenizer.from_merges(merges, SPECIAL)
    texts = [held_out, END.join(SENTENCES.values()), STRIP]
    if not same_ids(lab, library, merges, SPECIAL, texts):
        return "The tokenizers library, given your merges, has other ids, so none was saved."
    run.save("tokenizer.json", lambda path: library.save(str(path)))
    artefact = save_artefact(lab, run)
    return (
        f"The tokenizers library gives the same ids from the tokenizer.json saved here. {artefact}"
    )


def save_artefact(lab, run) -> str:
    """Train once more, on the text that the course's models will read, and keep that for them."""
    training = run.data.train.excerpt(MODEL_TEXT)
    held_out = run.data.validation.excerpt(MODEL_TEXT // 10)
    merges = lab.train_bpe(END.join(training), MODEL_VOCABULARY, tokenizer.SPECIAL)
    require_merges(merges, 0)
    library = tokenizer.from_merges(merges)
    if not same_ids(lab, library, merges, tokenizer.SPECIAL, [END.join(held_out)]):
        return "On the text of your models it has others, so that tokenizer was not kept."
    sample = held_out[0][:400]
    words = [shown(sample[begin:end].encode()) for begin, end in library.encode(sample).offsets]
    run.text("What your models will read, as they will see it", "|".join(words))
    run.save("tokenizer", lambda folder: tokenizer.save(library, folder))
    return f"For your models it learned {len(merges):,} merges from {run.data.title}."


def same_ids(lab, library: Tokenizer, merges, special, texts: list[str]) -> bool:
    """Whether the library and the learner read texts alike."""
    return all(library.encode(text).ids == lab.encode(text, merges, special) for text in texts)

"""What `lab.yaml` grades.

Oracles: torch for distributions; for the n-gram model, fractions worked by hand, a recount of the
text for every question that is asked, and a world whose every document has known bits.
"""

from __future__ import annotations

import math
import random
import re
from fractions import Fraction
from functools import lru_cache

import torch

from llmpath.labkit.checks import close, describe, same
from llmpath.labkit.microworld import World

LETTERS = "abcdef"
SIGMAS = 3


# Distributions


def distribution(random_, size, zeros=0):
    """Random probabilities that sum to one, the last of them 0."""
    weights = [random_.uniform(0.05, 1.0) for _ in range(size)]
    return [weight / math.fsum(weights) for weight in weights] + [0.0] * zeros


def tensor(p):
    return torch.tensor(p, dtype=torch.float64)


def number(got, what):
    """What came back, refused if it is no float."""
    assert isinstance(got, float), f"{what} is a float, not {describe(got)}"
    return got


def test_entropy_by_hand(lab):
    got = lab.entropy([0.5, 0.25, 0.125, 0.125])
    close(got, 1.75, atol=1e-9, because="½ · 1 bit + ¼ · 2 bits + twice ⅛ · 3 bits")
    for count in (2, 8, 10):
        because = f"{count} outcomes that are alike have log₂ {count} bits: a coin has 1"
        close(lab.entropy([1 / count] * count), math.log2(count), atol=1e-9, because=because)


def test_certainty(lab):
    because = "what never happens adds nothing, and what always happens tells nothing"
    for p, want in (
        ([0.0, 1.0, 0.0], 0.0),
        ([1.0], 0.0),
        ([0.0, 0.5, 0.0, 0.5], 1.0),
        ([0, 1], 0.0),
    ):
        close(lab.entropy(p), want, atol=1e-9, because=because)


def test_entropy_matches_torch(lab, seed):
    random_ = random.Random(seed)
    for size in (2, 5, 9):
        p = distribution(random_, size, zeros=size % 2)
        want = float(torch.special.entr(tensor(p)).sum()) / math.log(2)
        close(lab.entropy(p), want, atol=1e-9, because="torch.special.entr, in bits")
        # Nothing that is unlikely may be left out or rounded away.
        rare = [1e-12, 1 - 1e-12]
        close(
            lab.entropy(rare), -1e-12 * math.log2(1e-12) + 1.4427e-12, atol=1e-13,
            because="also what is very rare adds its part, exactly",
        )  # fmt: skip


def test_independent_outcomes_add(lab, seed):
    random_ = random.Random(seed)
    p, q = distribution(random_, 3), distribution(random_, 5)
    alone = [number(lab.entropy(each), "an entropy") for each in (p, q)]
    both = number(lab.entropy([a * b for a in p for b in q]), "an entropy")
    because = "two things that have nothing to do with each other tell the sum of what each tells"
    close(both, sum(alone), atol=1e-9, because=because)
    assert both > 0, "these outcomes are not certain, so they tell something"


def test_cross_entropy_by_hand(lab):
    got = lab.cross_entropy_bits([0.75, 0.25], [0.5, 0.5])
    close(got, 1.0, atol=1e-9, because="who believes in a fair coin pays 1 bit for each toss")
    got = lab.cross_entropy_bits([0.5, 0.5], [0.25, 0.75])
    want = (2 + math.log2(4 / 3)) / 2
    close(
        got, want, atol=1e-9, because="½ · 2 bits + ½ · 0.415 bits: p says how often, q the price"
    )
    got = lab.cross_entropy_bits([0.75, 0.125, 0.125], [0.25, 0.25, 0.5])
    close(got, 1.875, atol=1e-9, because="¾ · 2 bits + ⅛ · 2 bits + ⅛ · 1 bit")


def test_impossible_outcomes(lab):
    because = "q holds impossible what p says will happen: that costs infinitely many bits"
    close(lab.cross_entropy_bits([0.75, 0.25], [1.0, 0.0]), math.inf, atol=0.0, because=because)
    because = "what never happens costs nothing, whatever q says of it"
    for p, q, want in (
        ([0.5, 0.0, 0.5], [0.25, 0.5, 0.25], 2.0),
        ([1.0, 0.0], [0.5, 0.5], 1.0),
        ([0.0, 1.0], [0.0, 1.0], 0.0),
    ):
        close(lab.cross_entropy_bits(p, q), want, atol=1e-9, because=because)


def test_excess_matches_torch(lab, seed):
    random_ = random.Random(seed)
    for size in (2, 4, 9):
        p, q = distribution(random_, size), distribution(random_, size)
        excess = float(torch.nn.functional.kl_div(tensor(q).log(), tensor(p), reduction="sum"))
        exact = float(torch.special.entr(tensor(p)).sum())
        because = "the entropy of p, and on top of it torch's kl_div, what believing q costs"
        want = (exact + excess) / math.log(2)
        close(lab.cross_entropy_bits(p, q), want, atol=1e-9, because=because)
        because = "who believes what is so pays the entropy"
        close(lab.cross_entropy_bits(p, list(p)), exact / math.log(2), atol=1e-9, because=because)


# N-gram models


def recount(documents, n, history, symbol):
    """P(symbol | history) as a fraction, counting the documents again for each history."""
    rows = [[None] * (n - 1) + list(document) for document in documents]
    known = {s for document in documents for s in document}
    seen = ([None] * (n - 1) + list(history))[len(history) :]
    guess = Fraction(1, len(known) + 1)
    for length in range(n):
        end = seen[len(seen) - length :]
        came = [
            row[at] for row in rows for at in range(n - 1, len(row)) if row[at - length : at] == end
        ]
        if came:
            kinds = len(set(came))
            guess = (came.count(symbol) + kinds * guess) / (len(came) + kinds)
    return guess


def some_documents(random_, count, longest=12):
    """Texts in which letters follow each other unevenly."""
    texts = []
    for _ in range(count):
        text = random_.choice("ab")
        while len(text) < random_.randint(1, longest):
            text += random_.choices(LETTERS[:5], [5, 1, 1, 3, 1] if text[-1] in "ac" else [1] * 5)[
                0
            ]
        texts.append(text)
    return texts


def asked(model, history, symbol):
    """The learner's P(symbol | history), refused if it is no probability."""
    got = model.probability(history, symbol)
    number(got, "a probability")
    assert 0 < got < 1, f"P({symbol!r} | {history!r}) should be above 0 and below 1, not {got}"
    return got


def check(model, history, symbol, want, because):
    close(model.probability(history, symbol), float(want), atol=1e-9, because=because)


def test_bigrams_by_hand(lab):
    model = lab.NGram(["abb", "ab", "ac"], 2)
    # a 3, b 3, c 1; of three kinds, and one unknown.
    b = (3 + 3 * Fraction(1, 4)) / (7 + 3)
    check(model, "a", "b", (2 + 2 * b) / (3 + 2), "after a: b twice, c once, so N = 3 and K = 2")
    check(model, "ab", "b", (1 + b) / (1 + 1), "after b: b once (and twice nothing, at an end)")
    a = (3 + 3 * Fraction(1, 4)) / (7 + 3)
    check(model, "b", "a", (0 + a) / (1 + 1), "after b never a: what is left is K · P(a) / (N + K)")


def test_unigrams(lab, seed):
    documents = some_documents(random.Random(seed), 6)
    model = lab.NGram(documents, 1)
    for symbol in "abf":
        for history in ("a", "dacb"):
            because = f"with n = 1, {symbol!r} is as likely after {history!r} as at the beginning"
            close(asked(model, history, symbol), asked(model, "", symbol), atol=1e-9,
                  because=because)  # fmt: skip


def test_how_documents_begin(lab):
    model = lab.NGram(["ab", "ab", "b"], 2)
    a = (2 + 2 * Fraction(1, 3)) / (5 + 2)
    because = "two of three documents begin with a: N(START) = 3, K(START) = 2"
    check(model, "", "a", (2 + 2 * a) / (3 + 2), because)
    because = "after b comes nothing in any document; the next document is not its continuation"
    check(model, "ab", "a", a, because)
    model = lab.NGram(["ca", "ac", "a"], 4)
    for history in ("", "c", "ca"):
        because = "with n = 4, histories are three symbols long: START stands where there are fewer"
        check(model, history, "a", recount(["ca", "ac", "a"], 4, history, "a"), because)


def test_only_the_last_symbols_matter(lab, seed):
    random_ = random.Random(seed)
    documents = some_documents(random_, 12)
    for n in (2, 3):
        model = lab.NGram(documents, n)
        for _ in range(4):
            near = "".join(random_.choices("abd", k=n - 1))
            want = {symbol: asked(model, near, symbol) for symbol in "af"}
            for old in (LETTERS[5], near[::-1] + "c", "".join(random_.choices(LETTERS, k=4))):
                because = (
                    f"with n = {n} only the last {n - 1} of the symbols before it matter, so "
                    f"after {old + near!r} all is as after {near!r}"
                )
                for symbol in "af":
                    got = asked(model, old + near, symbol)
                    close(got, want[symbol], atol=1e-9, because=because)


def test_new_histories(lab):
    documents = ["abcd", "acbd", "abda"]
    models = {n: lab.NGram(documents, n) for n in (1, 2, 3)}
    for history, symbol in (("db", "c"), ("ca", "d"), ("ddc", "b")):
        because = (
            f"the pair {history[-2:]!r} was never seen, so all is as if only {history[-1]!r} were "
            "known: as with n = 2"
        )
        want = asked(models[2], history, symbol)
        close(asked(models[3], history, symbol), want, atol=1e-9, because=because)
    because = "neither 'ax' nor 'x' was ever seen before a symbol: what is left is as with n = 1"
    for n in (2, 3):
        want = asked(models[1], "ax", "b")
        close(asked(models[n], "ax", "b"), want, atol=1e-9, because=because)


def test_unknown_symbols(lab):
    for n, history in ((1, ""), (2, "a"), (3, "ab"), (2, "x")):
        model = lab.NGram(["abab", "acc"], n)
        because = "neither z nor y was ever seen, so they are equally likely, and not impossible"
        close(asked(model, history, "z"), asked(model, history, "y"), atol=1e-9, because=because)
    bits = lab.NGram(["abab", "acc"], 2).bits("azz")
    assert isinstance(bits, list), f"bits should return a list, not {describe(bits)}"
    assert all(isinstance(each, float) and math.isfinite(each) for each in bits), (
        f"each symbol costs finitely many bits, also one that was never seen; yours: {bits}"
    )


def test_sums_to_one(lab, seed):
    random_ = random.Random(seed)
    documents = [*some_documents(random_, 8), "f"]
    known = sorted(set("".join(documents)))
    for n in (1, 2, 4):
        model = lab.NGram(documents, n)
        for history in ("", random_.choice(documents)[:3], "fe", "aaaaa"):
            total = math.fsum(asked(model, history, symbol) for symbol in [*known, "?"])
            because = (
                f"all known symbols and one unknown, after {history!r} with n = {n}: something "
                "has to come"
            )
            close(total, 1.0, atol=1e-9, because=because)


def test_matches_a_recount(lab, seed):
    random_ = random.Random(seed)
    documents = some_documents(random_, 25)
    for n in (1, 2, 3, 5):
        model = lab.NGram(documents, n)
        for _ in range(6):
            text = random_.choice(documents)
            cut = random_.randint(0, len(text))
            symbol = text[cut] if cut < len(text) else random_.choice(LETTERS)
            want = recount(documents, n, text[:cut], symbol)
            because = f"P({symbol!r} | {text[:cut]!r}) with n = {n}, all counted again"
            check(model, text[:cut], symbol, want, because)


def test_any_symbols(lab, seed):
    random_ = random.Random(seed)
    texts = some_documents(random_, 10)
    model = lab.NGram(texts, 3)
    spelled = {letter: number - 2 for number, letter in enumerate(LETTERS)}
    words = {letter: f" {letter}{letter}" for letter in LETTERS}
    for names, kind in ((spelled, list), (words, list), (spelled, tuple)):
        other = lab.NGram([kind(names[letter] for letter in text) for text in texts], 3)
        for text in [*texts[:3], "eab", "af"]:
            history = kind(names[letter] for letter in text[:-1])
            because = "the same documents with other names for their symbols have the same counts"
            close(asked(other, history, names[text[-1]]), asked(model, text[:-1], text[-1]),
                  atol=1e-9, because=because)  # fmt: skip
    # Written side by side, 1 and 12 look like 11 and 2; and 1 is a number, "1" is a text.
    model = lab.NGram(["abc", "def", "ghc", "if"], 3)
    other = lab.NGram([[1, 12, 3], [11, 2, 4], ["1", "12", 3], ["1 12", 4]], 3)
    for history, symbol, look in (([1, 12], 3, "abc"), ([11, 2], 3, "dec"), (["1 12"], 3, "ic")):
        because = f"{symbol!r} after {history!r}: symbols are not how they are written"
        close(asked(other, history, symbol), asked(model, look[:-1], look[-1]),
              atol=1e-9, because=because)  # fmt: skip


def test_bits_of_each_symbol(lab, seed):
    random_ = random.Random(seed)
    documents = some_documents(random_, 10)
    for n in (1, 2, 4):
        model = lab.NGram(documents, n)
        for text in ("", "daf", documents[0]):
            want = [-math.log2(asked(model, text[:at], each)) for at, each in enumerate(text)]
            because = "one number for each symbol: the bits of its probability after all before it"
            close(model.bits(text), want, atol=1e-9, because=because)


# Measuring


def costs(model, documents):
    """The bits of every symbol of every document, by the learner's `bits`."""
    found = [model.bits(document) for document in documents]
    for document, bits in zip(documents, found, strict=True):
        assert isinstance(bits, list), f"bits returns a list, not {describe(bits)}"
        same([type(each) for each in bits], [float] * len(document),
             because="bits has one float for each symbol")  # fmt: skip
    return [each for bits in found for each in bits]


def test_mean_over_symbols(lab):
    train, val = ["aab", "ab", "ba"], ["a", "abbbbbbb", "", "c"]
    want = math.fsum(costs(lab.NGram(train, 2), val)) / 10
    because = "the sum over all 10 symbols by their number: a longer document counts for more"
    close(lab.ngram_bits(train, val, 2), want, atol=1e-9, because=because)


def test_learns_from_train_alone(lab, seed):
    random_ = random.Random(seed)
    train, val = some_documents(random_, 12), ["abab", "fcda", "ddba"]
    for n in (1, 3):
        want = math.fsum(costs(lab.NGram(train, n), val)) / 12
        because = "counted on train, measured on val"
        close(lab.ngram_bits(train, val, n), want, atol=1e-9, because=because)
        because = "the same documents ten times over cost the same: measuring teaches nothing"
        close(lab.ngram_bits(train, val * 10, n), want, atol=1e-9, because=because)


FEW = 100  # documents that the model with the longest histories counts


@lru_cache(maxsize=1)
def told(seed):
    """Documents of a small world, a letter for each word, and the floor of those held out."""
    world = World(seed=seed % 50, people=8, values=4)
    cut = re.compile(r" ?\w+| ?[^\w\s]+|\s").findall
    train = [cut(document.text) for document in world.documents(500, seed=seed)]
    # Words that no training document has would say more of the sample than of the model.
    known = {word for words in train[:FEW] for word in words}
    held_out = world.documents(150, seed=seed, split="validation")
    held_out = [document for document in held_out if known.issuperset(cut(document.text))][:60]
    letters = {
        word: chr(0x4E00 + number) for number, word in enumerate(sorted(set().union(*train)))
    }

    def written(words):
        return "".join(letters[word] for word in words)

    floor = world.floor(held_out).bits_per_token(cut)
    return [written(words) for words in train], [written(cut(d.text)) for d in held_out], floor


def test_above_the_floor(lab, seed):
    train, val, floor = told(seed)
    bits = {n: number(lab.ngram_bits(train, val, n), "a mean of bits") for n in (1, 2, 4)}
    for n, mean in [*bits.items(), (10, number(lab.ngram_bits(train[:FEW], val, 10), "a mean"))]:
        assert mean >= floor - SIGMAS * floor.standard_error, (
            f"with n = {n} it needs {mean:.3f} bits per word, and the documents hold {floor:.3f}: "
            "no model can do better on text that it has not seen. Has it seen it?"
        )
    for n, look, gain in ((2, "one word", 1.0), (4, "three words", 0.3)):
        before = bits[n // 2]
        assert bits[n] < before - gain, (
            f"to look back {look} is worth more than {gain} bits a word here, and brings your "
            f"model from {before:.3f} to {bits[n]:.3f}"
        )


def test_inputs_untouched(lab):
    p, q = [0.5, 0.25, 0.25], [0.25, 0.5, 0.25]
    close(lab.entropy(p), 1.5, atol=0.1, because="½ · 1 bit + ½ · 2 bits")
    close(lab.cross_entropy_bits(p, q), 1.75, atol=0.1, because="½ · 2 + ¼ · 1 + ¼ · 2 bits")
    same([p, q], [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], because="they are left as they are")
    train, val, history = [[1, 2], [2, 1, 1]], [[2, 1]], [1, 2, 2]
    model = lab.NGram(train, 3)
    before = asked(model, history, 1)
    first = model.bits(val[0])
    lab.ngram_bits(train, val, 2)
    because = "documents and histories are left as they are"
    same([train, val, history], [[[1, 2], [2, 1, 1]], [[2, 1]], [1, 2, 2]], because=because)
    because = "a model does not change when it is asked"
    close(asked(model, history, 1), before, atol=0.0, because=because)
    close(model.bits(val[0]), first, atol=0.0, because=because)

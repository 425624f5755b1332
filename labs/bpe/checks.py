"""Checks of the byte-pair tokenizer.

Oracles: `tokenizers` (its trainer and its model), `tiktoken`, a recount of all pairs after
each merge, str.replace, and examples worked by hand. Letters and words differ in each grading.
"""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from functools import lru_cache, partial
from itertools import count as count_from
from itertools import pairwise

from llmpath.labkit.checks import same

SPLIT = r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+"
# The same rule in the notation of tiktoken, which knows Unicode's categories by name.
TIKTOKEN_SPLIT = (
    r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{Nl}\p{No}]+| ?\p{Nd}+| ?[^\s\x1c-\x1f\p{L}\p{N}]+"
    r"|[\s\x1c-\x1f]+(?![^\s\x1c-\x1f])|[\s\x1c-\x1f]+"
)
END = "<|end|>"

Merges = list[tuple[bytes, bytes]]


def test_merge_pairs(lab, seed):
    a, b, c = (letter.encode() for letter in letters(seed, 3))
    for tokens, pair, want, because in [
        ([b, a, b, a, c], (b, a), [b + a, b + a, c], "both places join"),
        ([a, a, a], (a, a), [a + a, a], "the first join uses the middle token up"),
        ([a, b], (b, a), [a, b], "the order within a pair matters"),
        ([], (a, b), [], "nothing is there to join"),
        ([a + b, c, a, b, c], (a + b, c), [a + b + c, a, b, c], "a, b is not the one token ab"),
    ]:
        same(lab.merge_pair(tokens, pair), want, because=because)
    random_ = random.Random(seed)
    names = {a: "a", b + c: "b", c: "c", "é".encode(): "d"}
    for _ in range(20):
        tokens = random_.choices(list(names), k=random_.randint(2, 30))
        pair = (random_.choice(tokens), random_.choice(tokens))
        # One character for each token: then str.replace joins the same places.
        written = "".join(names[token] for token in tokens)
        written = written.replace(names[pair[0]] + names[pair[1]], "+")
        back = {name: token for token, name in names.items()} | {"+": b"".join(pair)}
        before = list(tokens)
        got = lab.merge_pair(tokens, pair)
        because = f"the pair {pair} is to be joined in {before}"
        same(got, [back[name] for name in written], because=because)
        same(tokens, before, because="merge_pair is to build a new list, and leave its input alone")


def test_first_merge(lab, seed):
    a, b, c, d, e, f, g, h = letters(seed, 8)
    words = [a + b + c, d + a + b + c, a + b + c + "zz", a + b + g, h + a + b, d + e, f + d]
    first(lab, words, (a, b), "this pair stands at 5 places, and every other at 3 or fewer")


def test_builds_on_merges(lab, seed):
    a, b, c, d, e, f, g, h = letters(seed, 8)
    words = [a + b + c, d + a + b + c, a + b + c + "z", f + a + b + c, a + b + g, h + a + b]
    text = numbered([*words, d + e, f + d + e, d + e + g])
    a, b, c, d, e = (letter.encode() for letter in (a, b, c, d, e))
    because = (
        f"in {text!r} these have 6, then 4, then 3 places: after each merge the words are made "
        "of the new tokens, and all pairs are counted again"
    )
    same(merges_in(lab.train_bpe(text, 259), 3), [(a, b), (a + b, c), (d, e)], because=because)


def test_every_occurrence(lab, seed):
    a, b, c, d, e, f = letters(seed, 6)
    words = [a + b, a + b, c + d, a + b, c + d + e, a + b, f + c + d]
    because = "a word that occurs 4 times gives this pair 4 places, and no other has more than 3"
    first(lab, words, (a, b), because)


def test_every_place(lab, seed):
    a, c, d, e, f, g, h = letters(seed, 7)
    words = [a + a + a + c, d + a + a + a, e + f, e + f + g, h + e + f]
    because = "two words have this pair at 2 places each, overlapping or not; the next best has 3"
    first(lab, words, (a, a), because)


def test_words_stay_apart(lab, seed):
    words = framed_words(seed)
    text = ".".join(words)
    left, right = merges_in(lab.train_bpe(text, 257), 1)[0]
    assert any((left + right).decode() in word for word in words), (
        f"train_bpe joined {left!r} and {right!r} in {text!r}, but no piece of pre_tokenize "
        "contains both side by side: count and join pairs within each piece alone."
    )


def test_special_in_training(lab, seed):
    words = framed_words(seed)
    for special in ((END,), ("<|pad|>", words[-1][1] * 2)):
        text = special[-1].join(words)
        got = merges_in(lab.train_bpe(text, 257 + len(special), special), 1, at_least=True)
        because = (
            f"in {text!r} this pair occurs most, once the special token {special[-1]!r} "
            "is left out and keeps apart what stands around it"
        )
        same(b"".join(got[0]), words[0][1:3].encode(), because=because)


def test_most_frequent(lab, seed):
    random_ = random.Random(seed)
    for count in (30, 12):
        text = random_text(random_, "aabnéé 7-", 200, count)
        recount(text, merges_in(lab.train_bpe(text, 256 + count), count))


def test_agrees_with_trainer(lab, seed):
    from tokenizers import Tokenizer, models, trainers

    count = 8
    text = text_without_ties(random.Random(seed), count)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + count,
        initial_alphabet=[chr(byte) for byte in range(256)],
        show_progress=False,
    )
    library = Tokenizer(models.BPE())
    library.train_from_iterator([latin(piece) for piece in re.findall(SPLIT, text)], trainer)
    tokens = sorted((number, token) for token, number in library.get_vocab().items())
    want = [token.encode("latin-1") for number, token in tokens if number >= 256]
    got = [left + right for left, right in merges_in(lab.train_bpe(text, 256 + count), count)]
    same(got, want, because="the trainer of the tokenizers library learns these tokens")


def test_vocabulary_size(lab, seed):
    text = random_text(random.Random(seed), string.ascii_lowercase, 60, 5)
    for special in ((), (END,), (END, "<|pad|>", "<|user|>")):
        full = 256 + len(special)
        merges_in(lab.train_bpe(text, full + 5, special), 5)
        because = "the bytes and the special tokens fill the vocabulary"
        same(lab.train_bpe(text, full, special), [], because=because)
        refuses(
            partial(lab.train_bpe, text, full - 1, special),
            f"train_bpe is to raise ValueError: a vocabulary of {full - 1} cannot hold "
            f"256 bytes and {len(special)} special tokens.",
        )


def test_runs_out(lab, seed):
    a, b, c = letters(seed, 3)
    merges_in(lab.train_bpe(f"{a}{b}1{a}{b}{c}2{a}{b}", 300), 2)
    same(lab.train_bpe(f"{a}1{b}2", 300), [], because="words of one letter have no pairs")
    same(lab.train_bpe("", 300), [], because="an empty text has no pairs")


def test_lowest_rank_first(lab, seed):
    a, b, c, d = letters(seed, 4)
    A, B, C = (letter.encode() for letter in (a, b, c))  # noqa: N806
    merges = [(B, C), (A, B), (A, B + C)]
    because = f"the merges are {merges} in this order: what was learned first is joined first"
    same(lab.encode(a + b + c, merges), [258], because=because)
    same(lab.encode(a + b + a + b, merges), [257, 257], because=because)
    same(lab.encode(b + a + b + c + d, merges), [ord(b), 258, ord(d)], because=because)
    same(lab.encode("", merges), [], because="there is nothing to encode")
    same(lab.encode(d + a, []), [ord(d), ord(a)], because="without merges the ids are bytes")


def test_no_longest_match(lab, seed):
    a, b, c, d = letters(seed, 4)
    A, B, C, D = (letter.encode() for letter in (a, b, c, d))  # noqa: N806
    merges = [(A, B), (C, D), (A + B, C)]
    because = (
        f"of {merges} the first two come first, and then no single {c!r} is left for the third; "
        "a longer token that would fit is not a reason to take it"
    )
    same(lab.encode(a + b + c + d, merges), [256, 257], because=because)
    same(lab.encode(a + b + c, merges), [258], because="here the third merge applies")


def test_matches_libraries(lab, seed):
    random_ = random.Random(seed)
    learned_from = random_text(random_, "aabnst éλ7-'", 240, 50)
    merges = train(learned_from, 50, random_)
    for _ in range(12):
        text = random_text(random_, "aabnst éλ7-'\n\tÅ猫", 12)
        agree(lab.encode(text, merges), text, merges)
    agree(lab.encode(learned_from, merges), learned_from, merges)


def test_special_in_encoding(lab, seed):
    a, b = letters(seed, 2)
    word = a + b
    merges = [(a.encode(), b.encode()), (b"<", b"|"), (b"|", b">")]
    special = ("<|end|>", "<|endless|>", "<|pad|>")
    end, endless, pad = 259, 260, 261
    because = "special tokens come after the merges, in the order given, one id each"
    for text, want in [
        (f"{word}{special[0]}{word}", [256, end, 256]),
        (special[2] + special[0] * 2, [pad, end, end]),
        (f"{special[1]}{a}", [endless, ord(a)]),
        (f"<{a}", [ord("<"), ord(a)]),
        (f"{word}{special[2]}", [256, pad]),
    ]:
        same(lab.encode(text, merges, special), want, because=f"{because} (text: {text!r})")
    because = "a token that is not among `special` is text like any other"
    same(lab.encode("<|end|>", merges), [257, *b"end", 258], because=because)
    because = "the id of a special token follows from its place in `special`"
    same(lab.encode(word + "<|end|>", merges, ["<|pad|>", "<|end|>"]), [256, 260], because=because)


def test_whole_characters(lab, seed):
    random_ = random.Random(seed)
    text = "".join(random_.sample("éßλЖ中日猫🙂🎈", 6))
    because = "a character may be spread over several tokens: join the bytes of all, then decode"
    same(lab.decode(list(text.encode()), []), text, because=because)
    merges = [(b"\xc3", b"\xa9"), (b"t", b"h"), (b"th", b"\xc3\xa9")]
    got = lab.decode([258, 257, ord("e"), 260, 256, 259], merges, (END, "<|ß|>"))
    because = "ids 256 and up are the merges in order, then the special tokens in order"
    same(got, f"théthe<|ß|>é{END}", because=because)
    same(lab.decode([], merges), "", because="no ids, no text")


def test_half_characters(lab, seed):
    a, b = letters(seed, 2)
    because = "bytes that are no UTF-8 become U+FFFD: a model may well write half a character"
    same(lab.decode([ord(a), 0xC3, ord(b)], []), f"{a}\ufffd{b}", because=because)
    same(lab.decode([ord(a), 256], [(b"\xe7", b"\x8c")]), f"{a}\ufffd", because=because)


def test_bad_ids(lab, seed):
    merges, special = [(b"o", b"n"), (b"on", b"e")], (END,)
    last = 256 + len(merges)
    same(lab.decode([last, 257], merges, special), END + "one", because="these ids are all known")
    for bad in (-1, last + 1, last + random.Random(seed).randint(2, 10**6), -last - 1):
        refuses(
            partial(lab.decode, [ord("a"), bad], merges, special),
            f"decode is to raise ValueError for the id {bad}: there are {last + 1} tokens, "
            "numbered from 0.",
        )


def test_any_text(lab, seed):
    random_ = random.Random(seed)
    special = (END, "<|pad|>")
    corpus = sprinkled(random_, random_text(random_, "aabnst éλ", 200, 40), special)
    merges = merges_in(lab.train_bpe(corpus, 256 + 40 + 2, special), 40)
    kinds = unicode_kinds(random_)
    texts = ["".join(random_.choices(kinds, k=random_.randint(1, 14))) for _ in range(20)]
    random_.shuffle(kinds)
    for text in [corpus, "".join(kinds), *texts]:
        ids = ids_in(lab.encode(text, merges, special), 256 + 42)
        back = lab.decode(ids, merges, special)
        same(back, text, because="what encode makes of a text, decode is to give back exactly")
    ids = ids_in(lab.encode(corpus, merges, special), 256 + 42)
    assert len(ids) < 0.75 * len(corpus.encode()), (
        f"Your 40 merges turn {len(corpus.encode())} bytes of the training text into {len(ids)} "
        "tokens: frequent pairs should save more than a quarter."
    )
    plain = re.sub(r"<\|\w+\|>", "\n", corpus)
    agree(lab.encode(plain, merges), plain, merges)


def first(lab, words: list[str], want: tuple[str, str], because: str) -> None:
    """Check the first merge of a text in which these words, and nothing else, repeat letters."""
    text = numbered(words)
    got = merges_in(lab.train_bpe(text, 257), 1)
    same(got, [(want[0].encode(), want[1].encode())], because=f"in {text!r} {because}")


def merges_in(got: object, count: int, *, at_least: bool = False) -> Merges:
    """What train_bpe returned, if it is `count` merges that can follow one another."""
    assert isinstance(got, list), (
        f"train_bpe is to return a list of pairs of bytes, not {type(got).__name__}."
    )
    known = {bytes([byte]) for byte in range(256)}
    for number, pair in enumerate(got):
        assert isinstance(pair, (tuple, list)) and [type(half) for half in pair] == [bytes] * 2, (  # noqa: PT018
            f"Merge {number} is {pair!r:.80}; it is to be a pair of bytes, such as (b't', b'h')."
        )
        left, right = pair
        for token in (left, right):
            assert token in known, (
                f"Merge {number} joins {left!r} and {right!r}, but {token!r} is neither a single "
                "byte nor made by an earlier merge."
            )
        assert left + right not in known, (
            f"Merge {number} makes the token {left + right!r}, which an earlier merge has made: "
            "was the earlier one applied to every word?"
        )
        known.add(left + right)
    assert len(got) == count or (at_least and len(got) > count), (
        f"train_bpe returned {len(got)} merges where {count} are due: the vocabulary is 256 bytes, "
        "the special tokens and the merges, and it ends early only when no pair is left."
    )
    return [(left, right) for left, right in got]


def ids_in(got: object, size: int) -> list[int]:
    """What encode returned, if it is a list of token ids below `size`."""
    assert isinstance(got, list), f"encode is to return a list of ids, not {type(got).__name__}."
    for number in got:
        assert type(number) is int, f"An id is an int, not {number!r:.80}."
        assert 0 <= number < size, f"The id {number} is outside the vocabulary of {size} tokens."
    return got


def refuses(call, sentence: str) -> None:
    """Check that a call raises ValueError."""
    try:
        call()
    except ValueError:
        return
    raise AssertionError(sentence)


def recount(text: str, merges: Merges) -> None:
    """Check that each merge joins a pair that no other outnumbers, by counting them all again."""
    for number, (merge, counts) in enumerate(zip(merges, rounds(text, merges), strict=False)):
        best = max(counts, key=counts.__getitem__)
        assert counts[merge] == counts[best], (
            f"Merge {number} joins {merge[0]!r} and {merge[1]!r}, which stand side by side at "
            f"{counts[merge]} places by then; {best[0]!r} and {best[1]!r} do at {counts[best]}."
        )


def rounds(text: str, merges: Merges):
    """Yield how often each pair occurs before each merge in turn (`merges` may grow)."""
    pieces = Counter(re.findall(SPLIT, text))
    words = {tuple(bytes([byte]) for byte in piece.encode()): n for piece, n in pieces.items()}
    for number in count_from(0):
        counts: Counter[tuple[bytes, bytes]] = Counter()
        for tokens, n in words.items():
            for pair in pairwise(tokens):
                counts[pair] += n
        yield counts
        if number == len(merges):
            return
        words = {joined(tokens, merges[number]): n for tokens, n in words.items()}


def joined(tokens: tuple[bytes, ...], pair: tuple[bytes, bytes]) -> tuple[bytes, ...]:
    """The tokens with each occurrence of the pair joined."""
    result: list[bytes] = []
    fresh = False  # whether the last token may still be the left half of a pair
    for token in tokens:
        if fresh and (result[-1], token) == pair:
            result[-1] += token
            fresh = False
        else:
            result.append(token)
            fresh = True
    return tuple(result)


def train(text: str, count: int, random_: random.Random) -> Merges:
    """Merges of an honest training that settles ties by chance."""
    merges: Merges = []
    for counts in rounds(text, merges):
        if len(merges) == count:
            break
        most = max(counts.values())
        merges.append(random_.choice([pair for pair, n in counts.items() if n == most]))
    return merges


def text_without_ties(random_: random.Random, count: int) -> str:
    """A text whose first `count` merges are each more frequent than any other pair."""
    while True:
        text = random_text(random_, "aéénst ", 250, count)
        merges: Merges = []
        for counts in rounds(text, merges):
            if len(merges) == count:
                return text
            (best, most), (_, second) = counts.most_common(2)
            if most == second:
                break
            merges.append(best)


def latin(piece: str) -> str:
    """The UTF-8 bytes of a piece, each written as one character."""
    return piece.encode().decode("latin-1")


def agree(got: object, text: str, merges: Merges) -> None:
    """Check ids against tiktoken and tokenizers, both built from the same merges."""
    library, model = libraries(tuple(merges))
    same(got, library.encode(text), because=f"tiktoken, given your merges, says so of {text!r:.60}")
    pieces = re.findall(SPLIT, text)
    want = [token.id for piece in pieces for token in model.tokenize(latin(piece))]
    same(got, want, because="the tokenizers library, given the same merges, says so")


@lru_cache(maxsize=2)
def libraries(merges: tuple[tuple[bytes, bytes], ...]):
    """The encoders of tiktoken and tokenizers for these merges."""
    import tiktoken
    from tokenizers import models

    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    library = tiktoken.Encoding(
        name="checked",
        pat_str=TIKTOKEN_SPLIT,
        mergeable_ranks={token: number for number, token in enumerate(tokens)},
        special_tokens={},
    )
    model = models.BPE(
        vocab={token.decode("latin-1"): number for number, token in enumerate(tokens)},
        merges=[(left.decode("latin-1"), right.decode("latin-1")) for left, right in merges],
    )
    return library, model


def letters(seed: int, count: int) -> list[str]:
    """Different letters, none of them z, in an order that differs each time."""
    return random.Random(seed).sample(string.ascii_lowercase[:-1], count)


def numbered(words: list[str]) -> str:
    """The words with different digits between them, so that nothing else in the text repeats."""
    return "".join(f"{word}{digit}" for digit, word in enumerate(words))


def framed_words(seed: int) -> list[str]:
    """Different words that begin and end alike; the commonest pair, at 4 places, is in the first.

    Were the words one text, the end of one and the beginning of the next would occur more often.
    """
    p, q, a, b, c, d, e, f, g = letters(seed, 9)
    middles = [a + b, a + b + c, c + a + b, d + a + b, e, f, g]
    return [p + middle + q for middle in middles]


def random_text(random_: random.Random, letters: str, words: int, merges: int = 0) -> str:
    """Words over a few letters, some far more frequent than others, with runs of a letter.

    At least `merges` merges can be learned from it, whatever ties come up: each piece of two
    bytes or more ends as a token of its own.
    """
    while True:
        kinds = ["".join(random_.choices(letters, k=random_.randint(1, 7))) for _ in range(words)]
        kinds = kinds[: words // 4] + [letter * random_.randint(2, 5) for letter in letters[:2]]
        weights = [1 / (rank + 1) for rank in range(len(kinds))]
        text = " ".join(random_.choices(kinds, weights, k=words))
        if sum(len(piece.encode()) > 1 for piece in set(re.findall(SPLIT, text))) >= merges:
            return text


def sprinkled(random_: random.Random, text: str, special: tuple[str, ...]) -> str:
    """The text with special tokens after some of its words."""
    return "".join(
        word + "".join(random_.choices(special, k=random_.choice((0, 0, 0, 1, 2))))
        for word in re.split("(?= )", text)
    )


def unicode_kinds(random_: random.Random) -> list[str]:
    """Bits of any text: scripts, emoji joined by ZWJ, combining marks, controls, special tokens."""
    return [
        "abc xyz", "aab nst", "\r\n", "\0", "\n\n  ", "\u00a0\u2003", "e\u0301\u0323", "ﬁ½²Ⅷ٣",
        "नमस्ते", "ไทย", "العربية", "עִבְרִית", "猫と犬", "한국어", "🙂", "👩\u200d🚀", "🇫🇷", "👍🏽",
        "\ufeff", "\uffff", "\U0010ffff", "\ue000", "\x1c\x85", "'ll don't", "_x__y", "<|", "|>",
        END, END + "<|pad|>", "<|en", chr(random_.randint(0x20, 0xD7FF)),
    ]  # fmt: skip

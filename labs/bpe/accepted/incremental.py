"""Works on ids rather than bytes, and keeps the tally of pairs up to date instead of recounting.

After a merge only the words that hold the pair are visited. Ties go to the pair that sorts
last. Encoding replays the merges in the order learned.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise

SPLIT = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


def pre_tokenize(text, special=()):
    """Cut text into pieces: special tokens whole, all else where `SPLIT` says."""
    fences = "|".join(re.escape(token) for token in sorted(special, key=len, reverse=True))
    pieces, start = [], 0
    for match in re.finditer(fences, text) if fences else ():
        pieces += [*SPLIT.findall(text[start : match.start()]), match.group()]
        start = match.end()
    return pieces + SPLIT.findall(text[start:])


def replaced(symbols, pair, new):
    """The symbols with each occurrence of the pair replaced, from the left."""
    result, waiting = [], list(reversed(symbols))
    while waiting:
        symbol = waiting.pop()
        if waiting and (symbol, waiting[-1]) == pair:
            waiting.pop()
            symbol = new
        result.append(symbol)
    return result


def merge_pair(tokens, pair):
    """Join each occurrence of a pair."""
    return replaced(tokens, pair, pair[0] + pair[1])


def train_bpe(text, vocab_size, special=()):
    """Learn merges, with a tally that each merge corrects where it changes something."""
    wanted = vocab_size - 256 - len(special)
    if wanted < 0:
        raise ValueError("the vocabulary is too small")
    counted = Counter(pre_tokenize(text, special))
    words = [(list(piece.encode()), n) for piece, n in counted.items() if piece not in special]
    tally, homes = Counter(), defaultdict(set)
    for index, (symbols, n) in enumerate(words):
        for pair in pairwise(symbols):
            tally[pair] += n
            homes[pair].add(index)
    spelling = {byte: bytes([byte]) for byte in range(256)}
    merges = []
    for new in range(256, 256 + wanted):
        pair = max(tally, key=lambda pair: (tally[pair], pair), default=None)
        if pair is None:
            break
        spelling[new] = spelling[pair[0]] + spelling[pair[1]]
        merges.append((spelling[pair[0]], spelling[pair[1]]))
        for index in homes.pop(pair):
            symbols, n = words[index]
            tally.subtract({old: n * k for old, k in Counter(pairwise(symbols)).items()})
            symbols = replaced(symbols, pair, new)
            words[index] = symbols, n
            for fresh in pairwise(symbols):
                tally[fresh] += n
                homes[fresh].add(index)
        tally = +tally  # drops the pairs that are gone
    return merges


def encode(text, merges, special=()):
    """Replay all merges, in order, on each different piece."""
    number = {bytes([byte]): byte for byte in range(256)}
    steps = []
    for new, (left, right) in enumerate(merges, start=256):
        steps.append(((number[left], number[right]), new))
        number[left + right] = new
    first_special = 256 + len(merges)
    done = {token: [first_special + index] for index, token in enumerate(special)}
    pieces = pre_tokenize(text, special)
    for piece in set(pieces) - set(done):
        symbols = list(piece.encode())
        for pair, new in steps:
            if pair[0] in symbols:
                symbols = replaced(symbols, pair, new)
        done[piece] = symbols
    return [symbol for piece in pieces for symbol in done[piece]]


def decode(ids, merges, special=()):
    """Spell out each id, then read the bytes as UTF-8."""
    spelt = bytearray()
    for number in ids:
        if number < 0 or number >= 256 + len(merges) + len(special):
            raise ValueError(f"no such id: {number}")
        if number < 256:
            spelt.append(number)
        elif number < 256 + len(merges):
            spelt += b"".join(merges[number - 256])
        else:
            spelt += special[number - 256 - len(merges)].encode()
    return str(spelt, "utf-8", "replace")

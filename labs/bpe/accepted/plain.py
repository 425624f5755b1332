"""The least code: no cache, no counts of words, merges found by their place in the list.

Every round looks at every word of the text, so it is slow on long texts, but it is right.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

SPLIT = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


def pre_tokenize(text, special=()):
    """Cut text into pieces: special tokens whole, all else where `SPLIT` says."""
    if not special:
        return SPLIT.findall(text)
    fences = "|".join(re.escape(token) for token in sorted(special, key=len, reverse=True))
    parts = re.split(f"({fences})", text)
    return [
        piece for part in parts for piece in ([part] if part in special else SPLIT.findall(part))
    ]


def merge_pair(tokens, pair):
    """Join each occurrence of a pair, by recursion on what is left."""
    for index in range(len(tokens) - 1):
        if (tokens[index], tokens[index + 1]) == pair:
            head = [*tokens[:index], pair[0] + pair[1]]
            return head + merge_pair(tokens[index + 2 :], pair)
    return list(tokens)


def train_bpe(text, vocab_size, special=()):
    """Learn merges from the list of all words, repeated as they are in the text."""
    room = vocab_size - 256 - len(special)
    if room < 0:
        raise ValueError("no room for the bytes and the special tokens")
    pieces = [piece for piece in pre_tokenize(text, special) if piece not in special]
    words = [[bytes([byte]) for byte in piece.encode()] for piece in pieces]
    merges = []
    for _ in range(room):
        tally = Counter(pair for word in words for pair in pairwise(word))
        if tally:
            [(pair, _count)] = tally.most_common(1)
            merges.append(pair)
            words = [merge_pair(word, pair) for word in words]
    return merges


def encode(text, merges, special=()):
    """Join the pair that stands earliest in the list of merges, until none stands in it."""
    vocabulary = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    ids = []
    for piece in pre_tokenize(text, special):
        if piece in special:
            ids.append(len(vocabulary) + list(special).index(piece))
            continue
        word = [bytes([byte]) for byte in piece.encode()]
        while True:
            ranks = [merges.index(pair) for pair in pairwise(word) if pair in merges]
            if not ranks:
                break
            word = merge_pair(word, merges[min(ranks)])
        ids += [vocabulary.index(token) for token in word]
    return ids


def decode(ids, merges, special=()):
    """Look up the bytes of each id, and join them before they become text."""
    vocabulary = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    vocabulary += [token.encode() for token in special]
    if any(number not in range(len(vocabulary)) for number in ids):
        raise ValueError("an id is not in the vocabulary")
    return b"".join([vocabulary[number] for number in ids]).decode("utf-8", errors="replace")

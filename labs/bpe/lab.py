"""A byte-pair tokenizer: it learns its tokens from text, and can spell any text at all.

A tokenizer is plain data here: the merges that training found, in the order in which it
found them, and the special tokens. They fix the id of every token:

    0 to 255                      the single bytes
    256 to 255 + len(merges)      what each merge makes, in the order learned
    from 256 + len(merges)        the special tokens, in the order given
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

Merge = tuple[bytes, bytes]

# Where text may be cut: before a contraction, a word, a number, a run of signs, white space.
# A space belongs to the word that follows it.
SPLIT = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


def pre_tokenize(text: str, special: Sequence[str] = ()) -> list[str]:
    """Cut text into pieces: special tokens whole, all else where `SPLIT` says (given).

    Nothing is lost: the pieces joined are the text. Where two special tokens begin at the
    same place, the longer one is taken.

    Example:
        >>> pre_tokenize("It's 12 cats!<|end|>", ["<|end|>"])
        ['It', "'s", ' 12', ' cats', '!', '<|end|>']
    """
    if not special:
        return SPLIT.findall(text)
    longest_first = sorted(special, key=len, reverse=True)
    pieces = []
    for part in re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text):
        pieces += [part] if part in special else SPLIT.findall(part)
    return pieces


def merge_pair(tokens: Sequence[bytes], pair: Merge) -> list[bytes]:
    """Join each occurrence of a pair, from left to right; a token is used only once.

    Args:
        tokens: the tokens of one piece; left as they are.
        pair: two tokens to join wherever the second follows the first.

    Returns:
        A new list.

    Example:
        >>> merge_pair([b"b", b"a", b"n", b"a", b"n"], (b"a", b"n"))
        [b'b', b'an', b'an']
    """
    ### BEGIN SOLUTION walk along the tokens, and build a new list
    merged = []
    index = 0
    while index < len(tokens):
        if tuple(tokens[index : index + 2]) == pair:
            merged.append(tokens[index] + tokens[index + 1])
            index += 2
        else:
            merged.append(tokens[index])
            index += 1
    return merged
    ### END SOLUTION


def train_bpe(text: str, vocab_size: int, special: Sequence[str] = ()) -> list[Merge]:
    """Learn merges from text until the vocabulary is full.

    Each piece of `pre_tokenize` starts as its UTF-8 bytes, one token each. Every round joins
    the pair of neighbouring tokens that stands side by side at the most places in the whole
    text; of equally frequent pairs any will do. Each place counts, also where two overlap:
    `aaa` has the pair (a, a) twice. Pairs never reach from one piece into the next, and
    special tokens take no part.

    Args:
        text: what to learn from.
        vocab_size: how many tokens there are to be: bytes, merges and special tokens.
        special: tokens that stand for themselves, such as "<|endoftext|>".

    Returns:
        The merges, in the order learned; fewer than asked for when no pair is left to join.

    Raises:
        ValueError: if `vocab_size` has no room for the bytes and the special tokens.

    Example:
        >>> train_bpe("pop pop", 257)
        [(b'p', b'o')]
    """
    ### BEGIN SOLUTION count the words once; then count pairs, merge the best, repeat
    if vocab_size < 256 + len(special):
        raise ValueError(f"vocab_size must be at least {256 + len(special)}, not {vocab_size}")
    pieces = Counter(piece for piece in pre_tokenize(text, special) if piece not in special)
    words = [([bytes([byte]) for byte in piece.encode()], n) for piece, n in pieces.items()]
    merges: list[Merge] = []
    while 256 + len(merges) + len(special) < vocab_size:
        counts: Counter[Merge] = Counter()
        for tokens, n in words:
            for pair in pairwise(tokens):
                counts[pair] += n
        if not counts:
            break
        best = max(counts, key=counts.__getitem__)
        words = [(merge_pair(tokens, best), n) for tokens, n in words]
        merges.append(best)
    return merges
    ### END SOLUTION


def encode(text: str, merges: Sequence[Merge], special: Sequence[str] = ()) -> list[int]:
    """Turn text into token ids.

    In each piece, of all the pairs that stand side by side and that training has merged,
    the one that was merged first is joined; then again, until none is left.

    Args:
        text: any text; special tokens in it become one id each.
        merges: as `train_bpe` returns them.
        special: the special tokens, as they were given to `train_bpe`.

    Example:
        >>> encode("pop", [(b"p", b"o")])
        [256, 112]
    """
    ### BEGIN SOLUTION give each merge its rank; in each piece, join the lowest rank first
    rank = {pair: number for number, pair in enumerate(merges)}
    ids = {bytes([byte]): byte for byte in range(256)}
    ids |= {left + right: 256 + number for (left, right), number in rank.items()}
    known = {token: [256 + len(merges) + number] for number, token in enumerate(special)}
    encoded = []
    for piece in pre_tokenize(text, special):
        if piece not in known:
            tokens = [bytes([byte]) for byte in piece.encode()]
            while candidates := [pair for pair in pairwise(tokens) if pair in rank]:
                tokens = merge_pair(tokens, min(candidates, key=rank.__getitem__))
            known[piece] = [ids[token] for token in tokens]
        encoded += known[piece]
    return encoded
    ### END SOLUTION


def decode(ids: Sequence[int], merges: Sequence[Merge], special: Sequence[str] = ()) -> str:
    """Turn token ids back into text; `decode(encode(text))` is `text`.

    Bytes that are no UTF-8 (a model may write such) become U+FFFD, the replacement character.

    Args:
        ids: token ids.
        merges: as `train_bpe` returns them.
        special: the special tokens, as they were given to `encode`.

    Raises:
        ValueError: if an id is negative or beyond the vocabulary.

    Example:
        >>> decode([256, 112], [(b"p", b"o")])
        'pop'
    """
    ### BEGIN SOLUTION make the table of all tokens' bytes; look up, join, turn into text
    table = [bytes([byte]) for byte in range(256)]
    table += [left + right for left, right in merges]
    table += [token.encode() for token in special]
    for number in ids:
        if not 0 <= number < len(table):
            raise ValueError(f"{number} is no token id: the vocabulary has {len(table)} tokens")
    return b"".join(table[number] for number in ids).decode(errors="replace")
    ### END SOLUTION

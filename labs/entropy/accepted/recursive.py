"""The same with a plain count of every length, a recursion, and probabilities that are kept."""

import math
from collections import Counter

START = "\x02"


def entropy(p):
    p = [float(each) for each in p if each != 0]
    return math.fsum(each * math.log(1 / each, 2) for each in p)


def cross_entropy_bits(p, q):
    pairs = [(a, b) for a, b in zip(p, q, strict=True) if a != 0]
    if any(b == 0 for _, b in pairs):
        return math.inf
    return -math.fsum(a * math.log2(b) for a, b in pairs)


class NGram:
    """A table of counts for each length of history."""

    def __init__(self, documents, n):
        self.look_back = n - 1
        self.tables = [{} for _ in range(n)]
        for document in documents:
            history = (START,) * self.look_back
            for symbol in document:
                for length, table in enumerate(self.tables):
                    key = history[self.look_back - length :]
                    table.setdefault(key, Counter())[symbol] += 1
                history = (*history, symbol)[1:]

    def _after(self, history, symbol):
        counts = self.tables[len(history)].get(history, {})
        shorter = self._after(history[1:], symbol) if history else 1 / (len(counts) + 1)
        if not counts:
            return shorter
        share = len(counts) / (len(counts) + sum(counts.values()))
        seen = counts.get(symbol, 0) / sum(counts.values())
        return (1 - share) * seen + share * shorter

    def probability(self, history, symbol):
        """P(symbol | history)."""
        padded = [START] * self.look_back + list(history)
        return self._after(tuple(padded[len(history) :]), symbol)

    def bits(self, document):
        """The surprise of each symbol."""
        found, history = [], (START,) * self.look_back
        for symbol in document:
            found.append(-math.log2(self._after(history, symbol)))
            history = (*history, symbol)[1:]
        return found


def ngram_bits(train, val, n):
    model, total, count = NGram(train, n), 0.0, 0
    for document in val:
        total += math.fsum(model.bits(document))
        count += len(document)
    return total / count

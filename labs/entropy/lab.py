"""Information in bits, and n-gram models: what a text costs, symbol by symbol.

A document is a sequence of symbols: a string is one of characters, and a list of words or of a
tokenizer's ids is one as well. Symbols may be anything that can be a key of a dict, but None.

Sources: "A Mathematical Theory of Communication", Shannon, 1948; for the smoothing, "The
Zero-Frequency Problem", Witten and Bell, 1991, its method C, in the interpolated form of "An
Empirical Study of Smoothing Techniques for Language Modeling", Chen and Goodman, 1998.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from math import inf, log2

Document = Sequence[Hashable]

START = None  # stands before the first symbol of a document; no symbol of a text is None


def entropy(p: Sequence[float]) -> float:
    """How many bits an outcome of this distribution tells on average: -Σ p log₂ p.

    Args:
        p: the probability of each outcome; they sum to one. What has the probability 0 never
            happens, and adds nothing.

    Returns:
        Bits, 0 or more.

    Example:
        >>> entropy([0.5, 0.25, 0.25, 0.0])
        1.5
    """
    ### BEGIN SOLUTION add up the surprise of each outcome, as often as it comes
    return sum(-each * log2(each) for each in p if each > 0)
    ### END SOLUTION


def cross_entropy_bits(p: Sequence[float], q: Sequence[float]) -> float:
    """How many bits the outcomes of `p` cost on average if `q` is believed: -Σ p log₂ q.

    Args:
        p: how probable each outcome is; they sum to one.
        q: how probable it is believed to be, in the same order; they sum to one.

    Returns:
        Bits, never less than `entropy(p)`. Infinity if something happens that `q` holds to be
        impossible; what has the probability 0 in `p` adds nothing, whatever `q` says of it.

    Example:
        >>> cross_entropy_bits([0.75, 0.25, 0.0], [0.5, 0.25, 0.25])
        1.25
    """
    ### BEGIN SOLUTION as before, but the surprise is that of q; mind the zeros on both sides
    bits = 0.0
    for real, believed in zip(p, q, strict=True):
        if real > 0:
            bits += real * -log2(believed) if believed > 0 else inf
    return bits
    ### END SOLUTION


class NGram:
    """Guesses each symbol from the n - 1 symbols before it, by counts that are smoothed.

    Before the first symbol of each document stand n - 1 times START, so that a model knows
    how documents begin; nothing is learned from one document into the next, and START itself is
    never guessed. (For a model that knows how documents end, end each with a symbol of its own.)

    With h the history, which is the n - 1 symbols before the one that is guessed, N(h) how often
    it was seen, N(h, s) how often the symbol s came after it, and K(h) how many *different*
    symbols came after it:

        P(s | h) = (N(h, s) + K(h) · P(s | h')) / (N(h) + K(h))

    where h' is h without its first (its oldest) symbol. For a history that was never seen,
    P(s | h) is P(s | h'). At the bottom, below the empty history, every symbol is as likely as any
    other: 1 / (V + 1), where V is the number of different symbols in the training documents,
    and the one more stands for all that are not among them.

    Args:
        documents: what to count; left as they are.
        n: how long the runs of symbols are that are counted, 1 or more. With 1, nothing is
            looked at but how frequent symbols are.

    Example:
        >>> model = NGram(["ab", "ac"], n=2)
        >>> model.probability("a", "b")  # (1 + 2 · P(b)) / (2 + 2), and P(b) = (1 + 3/4) / (4 + 3)
        0.375
        >>> model.probability("", "a")  # how documents begin: (2 + 1 · P(a)) / (2 + 1)
        0.7976190476190476
        >>> model.probability("x", "b")  # nothing was seen after x, so this is P(b)
        0.25
    """

    def __init__(self, documents: Sequence[Document], n: int) -> None:
        self.n = n
        ### BEGIN SOLUTION for each history, of 0 to n - 1 symbols, count what comes after it
        runs: Counter[Document] = Counter()
        for document in documents:
            row = [START] * (n - 1) + list(document)
            runs.update(zip(*(row[place:] for place in range(n)), strict=False))
        # Each symbol ends one run of n, so the counts of shorter runs are sums of these.
        self.after: defaultdict[Document, Counter[Hashable]] = defaultdict(Counter)
        for run, count in runs.items():
            for oldest in range(n):
                self.after[run[oldest:-1]][run[-1]] += count
        ### END SOLUTION

    def probability(self, history: Document, symbol: Hashable) -> float:
        """P(symbol | history).

        Args:
            history: all that stands before in the same document; only the last n - 1 matter,
                and where there are fewer, START stands before them.
            symbol: what is guessed; perhaps one that the training documents do not have.

        Returns:
            A probability above 0. Over all symbols of the training documents, and one more that
            is not among them, they sum to one.
        """
        ### BEGIN SOLUTION begin with the uniform guess, then go from short histories to long ones
        row = (START,) * (self.n - 1) + tuple(history)
        seen = row[len(row) - (self.n - 1) :]
        guess = 1 / (len(self.after[()]) + 1)
        for oldest in reversed(range(self.n)):
            counts = self.after.get(seen[oldest:])
            if counts:
                kinds = len(counts)
                guess = (counts[symbol] + kinds * guess) / (counts.total() + kinds)
        return guess
        ### END SOLUTION

    def bits(self, document: Document) -> list[float]:
        """The surprise of each symbol of a document, -log₂ P(symbol | what stands before it).

        Args:
            document: any, seen or not; the model does not learn from it.

        Returns:
            One number for each symbol, in bits.

        Example:
            >>> [round(bits, 2) for bits in NGram(["ab", "ac"], n=2).bits("ab")]
            [0.33, 1.42]
        """
        ### BEGIN SOLUTION one probability for each place
        return [
            -log2(self.probability(document[max(0, place - self.n + 1) : place], symbol))
            for place, symbol in enumerate(document)
        ]
        ### END SOLUTION


def ngram_bits(train: Sequence[Document], val: Sequence[Document], n: int) -> float:
    """The bits per symbol of an n-gram model of `train`, measured on `val`.

    Args:
        train: documents to count.
        val: documents to measure on, with one symbol at least in all.
        n: how long the runs are, 1 or more.

    Returns:
        The mean over all symbols of all documents in `val`: a long document counts for more.

    Example:
        >>> round(ngram_bits(["ab", "ac"], ["ab", "ax"], n=2), 3)
        1.572
    """
    ### BEGIN SOLUTION learn from one, measure on the other
    model = NGram(train, n)
    measured = [bits for document in val for bits in model.bits(document)]
    return sum(measured) / len(measured)
    ### END SOLUTION

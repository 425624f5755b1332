"""Returns integers of millions of digits and floats that are none.

Lab: plain
Scores: 1
"""

def add(a, b):
    return 1 << 50_000_000


def count(words):
    return {word: float("nan") for word in words}


def shout(words):
    return [float("inf")] * len(words)


def apply(function, values):
    return [function(value) for value in values]

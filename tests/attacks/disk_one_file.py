"""Writes one file until it may no longer, and answers rightly.

Lab: plain
Scores: 10
Needs: limits
"""

import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open("big", "wb") as file:
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    raise SystemExit("a hundred megabytes could be written")
except OSError:
    pass


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

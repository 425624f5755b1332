"""Takes 600 MB at once.

Lab: plain
Scores: 7
"""

import time


def add(a, b):
    hoard = bytearray(b"x") * 600_000_000
    time.sleep(60)
    return len(hoard)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

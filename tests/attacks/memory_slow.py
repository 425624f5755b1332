"""Takes memory piece by piece.

Lab: plain
Scores: 7
"""

import time


def add(a, b):
    hoard = []
    while len(hoard) < 60:
        hoard.append(bytearray(b"x") * 10_000_000)
        time.sleep(0.005)
    time.sleep(60)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

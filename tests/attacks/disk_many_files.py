"""Writes 400 MB in many files.

Lab: plain
Scores: 7
"""

import time


def add(a, b):
    for number in range(40):
        with open(f"big{number}", "wb") as file:
            file.write(b"x" * 10_000_000)
    time.sleep(60)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

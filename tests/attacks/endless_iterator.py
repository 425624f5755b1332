"""Returns an iterator that never ends.

Lab: plain
Scores: 9
"""

import itertools

def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return itertools.count()

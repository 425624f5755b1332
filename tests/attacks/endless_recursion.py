"""Recurses without end, with the limit lifted, until the stack overflows.

Lab: plain
Scores: 7
"""

import sys

sys.setrecursionlimit(10**9)


class Deeper:
    def __getattr__(self, name):
        return getattr(self, name + "x")


def add(a, b):
    return add(a, add(a, b)) if a else Deeper().x


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

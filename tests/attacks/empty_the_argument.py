"""Empties its arguments and returns them, so that what is right would be computed from nothing.

Lab: plain
Scores: 1
"""

def add(a, b):
    return a


def count(words):
    words.clear()
    return {}


def shout(words):
    words.clear()
    return words


def apply(function, values):
    return [function(value) for value in values]

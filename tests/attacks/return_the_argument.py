"""Returns its first argument from every function.

Lab: plain
Scores: 0
"""

def add(a, b):
    return a


def count(words):
    return words


def shout(words):
    return words


def apply(function, values):
    return function

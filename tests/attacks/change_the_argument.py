"""Gives the right answer in the argument itself.

Lab: plain
Scores: 6
"""

def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    words[:] = [word.upper() for word in words]
    return words


def apply(function, values):
    return [function(value) for value in values]

"""Returns dicts with unhashable, repeated and foreign keys.

Lab: plain
Scores: 0
"""

def add(a, b):
    return {"t": "int", "v": "0x7"}


def count(words):
    return {"t": "dict", "v": [[word, 1] for word in words], (): {}, b"": {1: {2}}}


def shout(words):
    return {index: word.upper() for index, word in enumerate(words)}


def apply(function, values):
    return {function: values}

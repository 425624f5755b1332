"""Returns structures that hold themselves.

Lab: plain
Scores: 0
"""

def add(a, b):
    loop = []
    loop.append(loop)
    return loop


def count(words):
    loop = {}
    loop["self"] = loop
    return loop


shout = count


def apply(function, values):
    return add(0, 0)

"""Raises an exception whose text never ends, whose str raises and whose class has a lying name.

Lab: plain
Scores: 6
"""

class Passed(Exception):
    def __str__(self):
        raise SystemExit(0)


class Endless(Exception):
    def __str__(self):
        while True:
            pass


def add(a, b):
    raise Passed


def apply(function, values):
    raise Endless


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]

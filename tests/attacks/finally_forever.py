"""Loops in a handler and in finally, so that an exception cannot end it.

Lab: plain
Scores: 7
"""

import time


def add(a, b):
    try:
        raise TimeoutError
    finally:
        while True:
            time.sleep(1)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

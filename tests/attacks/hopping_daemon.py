"""Leaves a process behind that forks and ends at once, over and over, each in its own session.

Lab: plain
Scores: 10
"""

import os
import time

if os.fork() == 0:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            os.setsid()
        except OSError:
            pass
        if os.fork() != 0:
            os._exit(0)
    os._exit(0)


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

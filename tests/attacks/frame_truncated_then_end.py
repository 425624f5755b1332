"""Sends half a header and ends.

Lab: plain
Scores: 7
"""

import os
import sys


def worker():
    frame = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if hasattr(found, "_stream"):
            return found
        frame = frame.f_back
    raise LookupError


def add(a, b):
    os.write(worker()._stream._writing, b"lmp1\x00")
    os._exit(0)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

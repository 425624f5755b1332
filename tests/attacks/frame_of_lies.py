"""Sends an error report whose every part is of the wrong kind.

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
    error = {
        "type": ["passed"],
        "bases": [None, 3, "passed"],
        "message": {"t": "int"},
        "frames": [{"file": [], "line": 10**3000, "function": 0, "text": None}, 7, {}],
        "syntax": "yes",
    }
    for seq in range(1, 20):
        worker()._stream.send({"seq": seq, "error": error})
    os._exit(0)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

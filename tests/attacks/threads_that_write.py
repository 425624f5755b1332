"""Has threads write into the wire while the answers travel.

Lab: plain
Scores: 0
"""

import os
import sys
import threading
import time


def worker():
    frame = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if hasattr(found, "_stream"):
            return found
        frame = frame.f_back
    raise LookupError


pipe = worker()._stream._writing


def disturb():
    while True:
        os.write(pipe, b"lmp1")
        time.sleep(0.001)


threading.Thread(target=disturb, daemon=True).start()
time.sleep(0.2)


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

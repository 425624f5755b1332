"""Sends bytes that are no frame, a frame that is no JSON, and one that is no answer.

Lab: plain
Scores: 4
"""

import os
import struct
import sys


def worker():
    frame = sys._getframe()
    while frame is not None:
        found = frame.f_locals.get("self")
        if hasattr(found, "_stream"):
            return found
        frame = frame.f_back
    raise LookupError


def send(text):
    os.write(worker()._stream._writing, struct.pack("!4sIQ", b"lmp1", len(text), 0) + text)


def add(a, b):
    os.write(worker()._stream._writing, b"\x00" * 64)


def count(words):
    send(b'{"seq": NaN, "value": ')


def apply(function, values):
    send(b'[["passed"]]')


def shout(words):
    return [word.upper() for word in words]

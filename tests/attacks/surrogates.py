"""Puts lone surrogates, which no text may have, into messages, values, keys and names.

Lab: plain
Scores: 3
"""

def add(a, b):
    return a + b


def count(words):
    raise ValueError("\ud800 \udfff")


def shout(words):
    return ["\ud800" for word in words]


def apply(function, values):
    raise type("\ud800", (Exception,), {})("\x00\x1b[2J")

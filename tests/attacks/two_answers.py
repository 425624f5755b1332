"""Forks, so that two processes answer every question.

Functions take their time, so that the second answer to the import comes before theirs.

Lab: plain
Scores: 0
Says: it sent an answer to a question that was not asked
"""

import os
import time

os.fork()
PAUSE = 0.6


def add(a, b):
    time.sleep(PAUSE)
    return a + b


def count(words):
    time.sleep(PAUSE)
    return {word: words.count(word) for word in words}


def shout(words):
    time.sleep(PAUSE)
    return [word.upper() for word in words]


def apply(function, values):
    time.sleep(PAUSE)
    return [function(value) for value in values]

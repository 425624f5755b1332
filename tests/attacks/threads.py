"""Leaves threads behind that never end, and answers rightly.

Lab: plain
Scores: 10
"""

import threading
import time

for _ in range(20):
    threading.Thread(target=time.sleep, args=(600,)).start()


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

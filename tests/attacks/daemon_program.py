"""Leaves another program running in a session of its own, and answers rightly.

Lab: plain
Scores: 10
"""

import subprocess
import sys

try:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
except OSError:
    pass


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

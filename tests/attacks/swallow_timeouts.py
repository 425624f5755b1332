"""Ignores every signal and every exception, and goes on for ever.

Lab: plain
Scores: 7
"""

import signal

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue


def add(a, b):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

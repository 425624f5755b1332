"""Kills, stops and interrupts the judge, which was forked just after it.

Lab: plain
Scores: 7
Needs: signals
"""

import os
import signal


def others():
    for process in range(os.getpid() + 1, os.getpid() + 4):
        try:
            if os.getsid(process) == process:
                yield process
        except OSError:
            continue


def add(a, b):
    for process in others():
        for name in (signal.SIGINT, signal.SIGSTOP, signal.SIGKILL):
            os.kill(process, name)


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Raises SystemExit(0), KeyboardInterrupt, GeneratorExit and a bare BaseException in the calls.

Lab: plain
Scores: 0
"""

def add(a, b):
    raise SystemExit(0)


def count(words):
    raise KeyboardInterrupt


def shout(words):
    raise GeneratorExit


def apply(function, values):
    raise BaseException("all is well")

"""Calls the check's function without end.

Lab: plain
Scores: 9
"""

def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    while True:
        function(values[0])

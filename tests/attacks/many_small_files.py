"""Leaves hundreds of empty files behind, and answers rightly.

Lab: plain
Scores: 10
"""

for number in range(300):
    open(f"file{number}", "w").close()


def add(a, b):
    return a + b


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

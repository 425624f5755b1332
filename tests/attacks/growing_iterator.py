"""Returns an iterator whose items grow without end.

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
    item = "x"
    while len(item) < 2**22:
        item += item
        yield item
    while True:
        yield item

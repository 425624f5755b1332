"""Returns a list that grows while it is walked through.

Lab: plain
Scores: 7
"""

class Growing(list):
    def __iter__(self):
        index = 0
        while True:
            yield index
            index += 1


def add(a, b):
    return Growing([1])


def count(words):
    return {word: words.count(word) for word in words}


def shout(words):
    return [word.upper() for word in words]


def apply(function, values):
    return [function(value) for value in values]

"""Four small functions of plain Python, solved."""


def add(a, b):
    """Return the sum."""
    return a + b


def count(words):
    """Return how often each word occurs, as a dict."""
    return {word: words.count(word) for word in words}


def shout(words):
    """Return the words in capitals, and leave the list alone."""
    return [word.upper() for word in words]


def apply(function, values):
    """Return what the function makes of each value."""
    return [function(value) for value in values]

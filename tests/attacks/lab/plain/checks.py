"""Checks of the plain lab. What is right is worked out before the learner's code is called."""

import random
from collections import Counter

from llmpath.labkit.checks import same


def test_adds(lab, seed):
    want = seed + 2
    same(lab.add(seed, 2), want, because="add should add")


def test_counts(lab, seed):
    words = random.Random(seed).choices("abcd", k=9)
    want = dict(Counter(words))
    same(lab.count(words), want, because="count should count")


def test_shouts(lab, seed):
    words = random.Random(seed).choices(["up", "down", "side"], k=30)
    want, before = [word.upper() for word in words], list(words)
    same(lab.shout(words), want, because="shout should use capitals")
    same(words, before, because="shout changed its input")


def test_applies(lab, seed):
    values = random.Random(seed).sample(range(100), k=5)
    want, seen = [3 * value for value in values], []

    def treble(value):
        seen.append(value)
        return 3 * value

    got = [each for each in lab.apply(treble, list(values))]
    same(got, want, because="apply should give what the function gives")
    same(seen, values, because="apply should call the function once for each value")

"""What `adding` is graded on."""

from __future__ import annotations

import itertools
import random

from llmpath.labkit.checks import same


def test_sums_up(lab, seed):
    numbers = random.Random(seed).choices(range(-100, 100), k=9)
    same(lab.total([2, 3, 5]), 10, because="2 + 3 + 5 is 10")
    same(lab.total([]), 0, because="nothing adds up to 0")
    same(lab.total(numbers), sum(numbers), because="this is what Python's own sum gives")


def test_runs_along(lab, seed):
    numbers = random.Random(seed).choices(range(1, 100), k=9)
    wanted = list(itertools.accumulate(numbers))
    same(lab.running_totals(numbers), wanted, because="each is the sum of all numbers up to there")
    same(lab.running_totals([]), [], because="without numbers there are no totals")

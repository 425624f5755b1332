"""What the lab is graded on: a check id such as `by-hand` is the function `test_by_hand`.

`lab` stands for the learner's file, which runs in another process; `seed` differs in each
grading. Compare with `close` and `same` before anything else is done with what comes back: it
may be of any kind.
"""

from __future__ import annotations

import random

import numpy as np

from llmpath.labkit.checks import close, same


def noise(seed: int, count: int) -> list[float]:
    """Some numbers of both signs, no two of them equal."""
    draw = random.Random(seed)
    return [draw.uniform(-10, 10) for _ in range(count)]


def smoothed(lab, values: list[float], width: int) -> list[float]:
    """What the learner's code makes of a copy of the values: a number for each, not the same."""
    got = lab.running_mean(list(values), width)
    assert isinstance(got, list), f"running_mean is to return a list, not {type(got).__name__}"
    count = f"{len(values)} values went in, and {len(got)} means came back"
    assert len(got) == len(values), f"{count}: there is one for each value"
    assert got != values, "the values came back as they were"
    return got


def test_by_hand(lab):
    close(
        smoothed(lab, [4.0, 2.0, 9.0], 2),
        [4.0, 3.0, 5.5],
        atol=1e-9,
        because="with a width of 2 the means are 4, then (4 + 2) / 2, then (2 + 9) / 2",
    )


def test_matches_numpy(lab, seed):
    values = noise(seed, 12)
    for width in (2, 3, 7):
        want = [float(np.mean(values[max(0, end - width) : end])) for end in range(1, 13)]
        close(
            smoothed(lab, values, width),
            want,
            atol=1e-9,
            because=f"each is NumPy's mean of the last {width} values up to there",
        )
    close(
        lab.running_mean(list(values), 1),
        values,
        atol=1e-9,
        because="a width of 1 looks at one value alone, so that nothing is smoothed",
    )


def test_keeps_the_level(lab, seed):
    level = round(noise(seed, 1)[0], 2)
    values = [level] * 4 + [level + 6] + [level] * 4
    close(
        smoothed(lab, values, 3),
        [level] * 4 + [level + 2] * 3 + [level] * 2,
        atol=1e-9,
        because="a single spike of 6 is shared out over three places, 2 for each, and all "
        "around it the curve stays as high as it was",
    )


def test_looks_back_only(lab, seed):
    values = noise(seed, 9)
    before = smoothed(lab, values, 4)
    after = smoothed(lab, values[:5] + noise(seed + 1, 4), 4)
    close(
        after[:5],
        before[:5],
        atol=1e-9,
        because="only the last four values were changed, and a mean before them changed too: "
        "it has looked ahead",
    )


def test_short_series(lab, seed):
    values = noise(seed, 3)
    close(
        smoothed(lab, values, 8),
        [values[0], sum(values[:2]) / 2, sum(values) / 3],
        atol=1e-9,
        because="there are fewer values than the width asks for; the mean is over those there are",
    )
    same(lab.running_mean([], 3), [], because="no values have no means")


def test_inputs_untouched(lab, seed):
    values = noise(seed, 6)
    smoothed(lab, values, 3)
    given = list(values)
    lab.running_mean(given, 3)
    same(given, values, because="the list that was handed in is still needed as it was")


def test_refuses_no_width(lab):
    for width in (0, -1):
        try:
            lab.running_mean([1.0, 2.0], width)
        except ValueError:
            continue
        raise AssertionError(f"a width of {width} is to raise ValueError")

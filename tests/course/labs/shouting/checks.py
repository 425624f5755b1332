"""What `shouting` is graded on."""

from __future__ import annotations

import random
import string

from llmpath.labkit.checks import same


def test_capitals(lab, seed):
    text = "wake " + "".join(random.Random(seed).choices(string.ascii_lowercase, k=8))
    shouted = lab.shout(text, [2, 1])
    assert isinstance(shouted, str), f"shout gives text, not {type(shouted).__name__}"
    same(shouted.rstrip("!"), text.upper(), because="every letter becomes a capital")


def test_marks(lab, seed):
    wishes = random.Random(seed).choices(range(2, 6), k=5)
    want = "HEY" + "!" * sum(wishes)
    same(lab.shout("hey", wishes), want, because="the wishes are added up")
    same(lab.shout("hey", []), "HEY", because="nobody wished for a mark")

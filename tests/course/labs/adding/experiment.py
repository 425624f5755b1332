"""Adds up twenty numbers, one after the other."""

from __future__ import annotations

import random


def experiment(lab, run) -> None:
    """Draw the running total of twenty dice against what is expected of them."""
    dice = random.Random(run.seed).choices(range(1, 7), k=20)
    totals = lab.running_totals(dice)
    run.floor("total", 20, "only ones")
    for step, total in enumerate(totals, start=1):
        run.log(step, total=total, expected=3.5 * step)
        run.progress(step, len(dice), note=f"threw {dice[step - 1]}")
    run.text("The dice", " ".join(map(str, dice)))
    faces = [[face, dice.count(face)] for face in range(1, 7)]
    run.table("How often each face came", ["face", "count"], faces)
    run.result(f"Twenty dice came to {lab.total(dice)}.", total=lab.total(dice))

"""Shouts one word louder and louder."""

from __future__ import annotations


def experiment(lab, run) -> None:
    """Shout twenty times, with one mark more each time."""
    shouts = []
    for step in range(1, 21):
        shouts.append(lab.shout("hello", [1] * step))
        run.log(step, marks=shouts[-1].count("!"))
        run.progress(step, 20)
        if step % 5 == 0:
            run.text(f"After {step} wishes", shouts[-1])
    if run.model:
        run.text("Together with", run.model)
    run.table("Four of them", ["wishes", "shout"], [[n, shouts[n - 1]] for n in (1, 5, 10, 20)])
    run.result(f"The loudest has {shouts[-1].count('!')} marks.", marks=shouts[-1].count("!"))

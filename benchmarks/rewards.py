"""What keeps the reward model of the lab `preferences` from telling true answers from false ones.

    python benchmarks/rewards.py FOLDER

FOLDER is the fine-tuned model of the course: `artifacts/sft` of a workspace. First a linear probe
(Alain and Bengio, 2016) looks for the truth of an answer in the vectors of the fine-tuned model's
every layer, at the last token. Then reward models are taught: as in the experiment, with annotators
who never slip, and with eight times as many pairs and steps. Each is asked about people whom its
pairs named and about others, on pairs of answers that differ in one thing alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.labkit import thread, tokenizer
from llmpath.labkit.microworld import World, preferences

LAB = "preferences"
TAUGHT = ((2_000, 60, 0.1), (2_000, 60, 0.0), (16_000, 480, 0.1))  # pairs, steps, turned round
EXAM, PROBED = 800, 4_000  # pairs


class Silent:
    """Takes what an experiment reports of its training, and says nothing."""

    seed = 0

    def progress(self, *_: Any) -> None:
        """Not shown."""

    def log(self, *_: Any, **__: Any) -> None:
        """Not kept."""


def opened() -> tuple[ModuleType, ModuleType]:
    """The reference of the lab, and its experiment."""
    course = load(locate(None))
    folder = course.lab_folder(course.lab(LAB))
    labs = course.labs.values()
    thread.configure({each.id: str(course.lab_folder(each) / "lab.py") for each in labs})
    spec = importlib.util.spec_from_file_location("experiment", folder / "experiment.py")
    assert spec is not None
    assert spec.loader is not None
    experiment = importlib.util.module_from_spec(spec)
    sys.modules["experiment"] = experiment  # where its dataclasses look for it
    spec.loader.exec_module(experiment)
    return thread.earlier(LAB), experiment


@torch.no_grad()
def vectors(body: Any, lab: Any, reader: Any, pairs: Sequence[Any]) -> tuple[list[Tensor], Tensor]:
    """At the last token of each answer the vectors of every layer; and whether it is true."""
    found: list[Tensor] = []
    hooks = [each.register_forward_hook(lambda *a: found.append(a[2])) for each in body.layers]
    layers: list[list[Tensor]] = [[] for _ in body.layers]
    for ids, lengths in reader.batch(lab, pairs):
        found.clear()
        body(ids)
        for kept, vector in zip(layers, found, strict=True):
            kept.append(vector[torch.arange(len(ids)), lengths - 1])
    for hook in hooks:
        hook.remove()
    sides = ("chosen_features", "rejected_features")
    truth = torch.tensor([getattr(pair, side)[0] for side in sides for pair in pairs])
    return [torch.cat(kept) for kept in layers], truth


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    (lab, experiment), world = opened(), World(0)
    reader = experiment.Reader(tokenizer.load(folder), world, torch.device("cpu"))
    exams = {
        name: preferences(world, EXAM, seed=77, held_out=held)
        for name, held in (("named", False), ("others", True))
    }
    body = lab.GPT.load(folder).eval().model
    learned = vectors(body, lab, reader, preferences(world, PROBED))
    asked = vectors(body, lab, reader, exams["others"])
    for number, (known, new) in enumerate(zip(learned[0], asked[0], strict=True)):
        probe = LogisticRegression(max_iter=500).fit(known, learned[1])
        print(f"probe of layer {number + 1}: {probe.score(new, asked[1]):.1%} of new answers")
    for pairs, steps, noise in TAUGHT:
        model = lab.RewardModel(lab.GPT.load(folder))
        size = experiment.Size(pairs, steps, 32, 0.002)
        lessons = preferences(world, pairs, noise=noise)
        experiment.learn(lab, Silent(), model, reader, lessons, size, "", [0, steps])
        print(f"{pairs:,} pairs, {steps} steps, {noise:.0%} turned round")
        for name, exam in exams.items():
            judged = experiment.Judged(*experiment.rewards(lab, model, reader, exam), exam)
            alone = experiment.one_thing(lab, judged)
            shown = ", ".join(f"{feature} {share:.1%}" for feature, share in alone.items())
            print(f"  people {name}: all {lab.agreement(*judged.by_taste()):.1%}; {shown}")


if __name__ == "__main__":
    main()

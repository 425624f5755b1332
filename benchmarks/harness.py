"""The exams of the benchmark lab through lm-eval, against what the learner's code found.

    python benchmarks/harness.py RUN base=FOLDER sft=FOLDER aligned=FOLDER

RUN is the folder of a run of `llmpath lab run benchmark`, in which `lm-eval/` holds the tasks and
the log-probabilities that the lab's code found; each FOLDER is the model's artefact, such as
`artifacts/base`. Any of the three may be left out. lm-eval has to be installed, best in an
environment of its own: `pip install lm_eval transformers torch accelerate`. It is checked that
every log-probability is the same to within 1e-3.

lm-eval's `logits_cache` is off: with it, version 0.4.13 mixes up requests that are one text cut at
different places, as “… He keeps a” + “ cat” of the facts and “…” + “ He keeps a cat” of the
descriptions are, and takes the wrong logits for some of them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lm_eval import evaluator
from lm_eval.tasks import TaskManager

MOST = 1e-3  # nats between the two


def evaluated(folder: Path) -> dict[str, Any]:
    """What lm-eval finds for one model in all tasks; the current folder is that of the run."""
    found = evaluator.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(folder), "dtype": "float32", "logits_cache": False},
        tasks=["world"],
        task_manager=TaskManager(include_path="lm-eval", include_defaults=False),
        device="cpu",
        batch_size=16,
        bootstrap_iters=0,
    )
    assert found is not None
    return dict(found)


def furthest(samples: list[dict[str, Any]], ours: list[list[float]]) -> float:
    """How far the log-probabilities of one task are apart, at most."""
    by_place = {sample["doc_id"]: sample for sample in samples}
    return max(
        abs(float(theirs[0]) - mine)
        for place, logps in enumerate(ours)
        for theirs, mine in zip(by_place[place]["filtered_resps"], logps, strict=True)
    )


def main() -> int:
    """Evaluate, compare, and print a table; 1 if anything differs."""
    run, *named = sys.argv[1:]
    folders = {name: Path(path).resolve() for name, _, path in (n.partition("=") for n in named)}
    os.chdir(run)
    ours = json.loads(Path("lm-eval/ours.json").read_text(encoding="utf-8"))
    rows, worst = [], 0.0
    for name, folder in folders.items():
        found = evaluated(folder)
        for task, logps in ours[name].items():
            apart = furthest(found["samples"][task], logps)
            worst = max(worst, apart)
            scores = found["results"][task]
            rows.append((name, task, scores["acc,none"], scores["acc_bytes,none"], apart))
    print(f"{'model':8} {'task':20} {'acc':>6} {'acc_bytes':>9} {'furthest apart, nats':>22}")
    for name, task, acc, acc_bytes, apart in rows:
        print(f"{name:8} {task:20} {acc:6.2f} {acc_bytes:9.2f} {apart:22.1e}")
    print(f"log-probabilities differ by {worst:.1e} nats at most")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())

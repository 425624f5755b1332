"""How long a pulled model takes to load, against reading its file: `python benchmarks/loading.py`.

Each figure is the median of several runs in one process, with the file in the system's cache, so
that both read from memory. `llmpath models pull smollm2-135m` has to have brought the model first.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from transformers import LlamaForCausalLM
from transformers.utils import logging

from llmpath.labkit import models

RUNS = 7


def seconds(work: Callable[[], object]) -> float:
    """The median of several runs."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Measure, and print a table."""
    logging.disable_progress_bar()
    folder = models.folder("smollm2-135m")
    weights = folder / "model.safetensors"

    def load(dtype: torch.dtype) -> object:
        return LlamaForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)

    read = seconds(lambda: weights.read_bytes())
    rows = [
        ("reading model.safetensors", read),
        ("loading it as it is stored, bfloat16", seconds(lambda: load(torch.bfloat16))),
        ("loading it as float32", seconds(lambda: load(torch.float32))),
    ]
    print(f"{weights.stat().st_size / 1e6:.0f} MB, {torch.get_num_threads()} threads")
    for name, took in rows:
        print(f"{name:40} {took:6.2f} s {took / read:6.1f} ×")


if __name__ == "__main__":
    main()

"""How fast the course's own training loop is, and how near it comes to the floor.

    python benchmarks/training.py [--steps N] [--rounds N] [--no-gap]

One run, in turns, so that a busy machine slows all alike:

- the machine's peak: multiplications of large float32 matrices;
- the reference's loop (the labs' own tokenizer, packing, GPT, AdamW and loop), N steps;
- `transformers.Trainer` with LlamaForCausalLM, on the same weights and the same windows.

Then the whole experiment at its default budget, for the gap to the floor and the time. `Trainer`
needs accelerate, which the group dev brings.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.labkit import thread, tokenizer
from llmpath.labkit.microworld import World

BATCH, CONTEXT, DOCUMENTS, PEAK = 32, 64, 6_000, 0.006
LAB = "pretrain"  # the lab whose loop is measured


def matmul_peak() -> float:
    """Floating-point operations a second in a large matrix product, the best of several."""
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * 1024**3 / best


def flops_per_token(model: torch.nn.Module, config: Any) -> float:
    """Of a forward and a backward pass, as Chinchilla counts (Hoffmann and others, 2022).

    Six for each parameter that multiplies, and twelve for each layer, position and channel of
    the attention; all positions are counted, also those that the mask hides.
    """
    parameters = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    return 6 * parameters + 12 * config.layers * config.hidden_size * CONTEXT


class Bench:
    """The reference's labs with data and a model.

    Args:
        steps: how many steps one measurement makes.
    """

    def __init__(self, steps: int) -> None:
        course = load(locate(None))
        files = {lab.id: str(course.lab_folder(lab) / "lab.py") for lab in course.labs.values()}
        thread.configure(files)
        self.steps = steps
        self.pretrain, self.packing = thread.earlier(LAB), thread.earlier("packing")
        texts = [document.text for document in World().documents(DOCUMENTS)]
        merges = thread.earlier("bpe").train_bpe(
            tokenizer.END.join(texts[:2000]), 1024, tokenizer.SPECIAL
        )
        encoder = tokenizer.from_merges(merges)
        self.end = encoder.token_to_id(tokenizer.END)
        ids = (encoding.ids for encoding in encoder.encode_batch(texts))
        self.windows = self.packing.pack(ids, CONTEXT, self.end)
        self.config = self.pretrain.Config(
            encoder.get_vocab_size(), 64, 192, layers=2, heads=4, kv_heads=2, context=CONTEXT
        )
        torch.manual_seed(0)
        self.model = self.pretrain.GPT(self.config)

    def ours(self) -> float:
        """Positions a second in the course's loop."""
        model = self.pretrain.GPT(self.config)
        model.load_state_dict(self.model.state_dict())
        batches = self.packing.batches(self.windows, BATCH, self.end, 0)
        recipe = self.pretrain.Recipe(self.steps, PEAK, 10)
        began = time.perf_counter()
        done = sum(1 for _ in self.pretrain.train(model, batches, recipe, {}))
        return done * BATCH * CONTEXT / (time.perf_counter() - began)

    def trainer(self) -> float:
        """Positions a second in Hugging Face's Trainer, its start and end not counted."""
        from transformers import LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

        class Clock(TrainerCallback):
            began = ended = 0.0

            def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                self.began = self.began or time.perf_counter()

            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                self.ended = time.perf_counter()

        with tempfile.TemporaryDirectory() as folder:
            self.model.save(folder)
            model = LlamaForCausalLM.from_pretrained(folder)
            # The model shifts by itself: labels are the inputs, and one position fewer is learned.
            rows = [{"input_ids": row[:-1], "labels": row[:-1]} for row in self.windows]
            arguments = TrainingArguments(
                output_dir=folder, per_device_train_batch_size=BATCH, max_steps=self.steps,
                learning_rate=PEAK, lr_scheduler_type="cosine", max_grad_norm=1.0,
                weight_decay=0.1, report_to=[], save_strategy="no", logging_strategy="no",
                disable_tqdm=True, use_cpu=True,
            )  # fmt: skip
            clock = Clock()
            trainer = Trainer(model, arguments, train_dataset=rows, callbacks=[clock])
            trainer.train()
        return self.steps * BATCH * CONTEXT / (clock.ended - clock.began)


def whole_run() -> dict[str, Any]:
    """The experiment at its default budget, on the reference, in a fresh workspace."""
    with tempfile.TemporaryDirectory() as folder:
        llmpath = [sys.executable, "-m", "llmpath"]
        subprocess.run([*llmpath, "init", folder], check=True, capture_output=True)
        command = [*llmpath, "lab", "run", LAB, "--reference", "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        result = next(Path(folder).glob(f"runs/{LAB}/*/result.json"))
        found: dict[str, Any] = json.loads(result.read_text())
        events = [json.loads(line) for line in done.stdout.splitlines()]
        progress = [event for event in events if event["event"] == "progress"]
        found["training_seconds"] = progress[-1]["at"] - progress[0]["at"]
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-gap", action="store_true", help="leave the whole run out")
    chosen = parser.parse_args()
    bench = Bench(chosen.steps)
    peaks, ours, theirs = [], [], []
    for _ in range(chosen.rounds):
        peaks.append(matmul_peak())
        ours.append(bench.ours())
        theirs.append(bench.trainer())
    peak = statistics.median(peaks)
    mine, yours = statistics.median(ours), statistics.median(theirs)
    work = flops_per_token(bench.model, bench.config)
    threads = f"{torch.get_num_threads()} of {os.cpu_count()}"
    print(f"threads {threads}  matmul {peak / 1e9:.0f} GFLOP/s")
    print(
        f"course   {mine:8,.0f} tokens/s  {100 * mine * work / peak:.1f} % of the peak\n"
        f"Trainer  {yours:8,.0f} tokens/s  {100 * yours * work / peak:.1f} % of the peak\n"
        f"course / Trainer  {mine / yours:.2f}",
        flush=True,
    )
    if not chosen.no_gap:
        found = whole_run()
        figures = found["figures"]
        print(
            f"default budget: {figures['gap']:.3f} bits per token above {figures['floor']:.3f}, "
            f"facts {100 * figures['facts']:.0f} %, {found['training_seconds']:.0f} s of training, "
            f"{found['seconds']:.0f} s in all"
        )


if __name__ == "__main__":
    main()

"""How long `next`, `list` and `hint` take, as a ratio to importing what any such tool needs.

    python benchmarks/startup.py [--rounds N]

Each round starts every command once, in turn, so that a busy machine slows all alike; the
least of each is compared. The yardstick is `import typer, rich.markdown, yaml, pydantic`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASELINE = ("-c", "import typer, rich.markdown, yaml, pydantic")
COMMANDS = {
    "next": ("-m", "llmpath", "next"),
    "list": ("-m", "llmpath", "list"),
    "hint": ("-m", "llmpath", "hint"),
    "--help": ("-m", "llmpath", "--help"),
}
GOAL = 1.5


def seconds(arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> float:
    """Wall-clock seconds of one start of the interpreter."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - began


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    # Compiled files are written once, as for any installed program.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds(("-m", "llmpath", "init", "."), folder, environment)
        seconds(("-m", "llmpath", "next", "--skip"), folder, environment)
        best = dict.fromkeys(["baseline", *COMMANDS], float("inf"))
        for _ in range(rounds):
            for label, arguments in {"baseline": BASELINE, **COMMANDS}.items():
                best[label] = min(best[label], seconds(arguments, folder, environment))
    print(f"baseline: {' '.join(BASELINE[1:])}: {best['baseline'] * 1000:.0f} ms")
    for label in COMMANDS:
        ratio = best[label] / best["baseline"]
        verdict = "ok" if ratio <= GOAL else f"above {GOAL}"
        print(f"llmpath {label:8} {best[label] * 1000:5.0f} ms  ratio {ratio:.2f}  {verdict}")


if __name__ == "__main__":
    main()

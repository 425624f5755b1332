"""Draw the README's picture of the terminal: real commands, real output, as SVG.

    python benchmarks/picture.py [docs/pictures/terminal.svg]

A workspace is made in a temporary folder, a wrong answer is graded, then the right one. What
the commands print, colours included, goes through rich's SVG export.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 84
LAB = "attention"


def typed(arguments: list[str], folder: Path) -> Text:
    """A command as it is typed, and what it prints in a terminal of `WIDTH` columns."""
    environment = {
        **os.environ,
        "FORCE_COLOR": "1",
        "COLUMNS": str(WIDTH),
        "TERM": "xterm-256color",
    }
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "llmpath", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
    )
    prompt = Text.assemble(("$ ", "bold green"), (f"llmpath {' '.join(arguments)}", "bold"), "\n")
    return prompt + Text.from_ansi(done.stdout.rstrip()) + Text("\n\n")


def misconception() -> tuple[str, str]:
    """The first known wrong answer of the lab, as an edit of its solution."""
    from llmpath.course.loader import load

    known = load(ROOT).lab(LAB).misconceptions[0]
    return known.replace, known.with_


def main() -> None:
    """Draw the picture."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures/terminal.svg"
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        typed(["init"], folder)
        for _ in range(2):
            typed(["next", "--skip"], folder)
        solution = (ROOT / "labs" / LAB / "lab.py").read_text(encoding="utf-8")
        file = next(folder.glob(f"*/{LAB}.py"))
        before, after = misconception()
        file.write_text(solution.replace(before, after), encoding="utf-8")
        console.print(typed(["list"], folder), end="")
        console.print(typed(["grade", LAB, "--seed", "7"], folder), end="")
    svg = console.export_svg(title="llmpath")
    target.parent.mkdir(parents=True, exist_ok=True)
    # rich names its styles after a random number; a fixed one keeps the file stable.
    target.write_text(re.sub(r"terminal-\d+", "terminal-llmpath", svg), encoding="utf-8")
    print(f"wrote {target}")


if __name__ == "__main__":
    main()

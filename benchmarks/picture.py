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
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from llmpath.course.course import Course
from llmpath.course.loader import load
from llmpath.course.models import Step

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 84
LAB = "attention"


def typed(arguments: list[str], folder: Path, stdin: str = "") -> Text:
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
        input=stdin,
        capture_output=True,
        encoding="utf-8",
    )
    prompt = Text.assemble(("$ ", "bold green"), (f"llmpath {' '.join(arguments)}", "bold"), "\n")
    return prompt + Text.from_ansi(done.stdout.rstrip()) + Text("\n\n")


def main() -> None:
    """Draw the picture."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures/terminal.svg"
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    course = load(ROOT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        typed(["init"], folder)
        for step in course.steps:
            if step.lab == LAB:
                break
            catch_up(course, step, folder)
        wrong = course.lab(LAB).misconceptions[0]
        write(course, LAB, folder, lambda text: text.replace(wrong.replace, wrong.with_))
        console.print(typed(["list"], folder), end="")
        console.print(typed(["grade", LAB, "--seed", "7"], folder), end="")
    svg = console.export_svg(title="llmpath")
    # Without the fonts that rich would fetch from the net, and with names that stay the same.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "monospace")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(re.sub(r"terminal-\d+", "terminal-llmpath", svg), encoding="utf-8")
    print(f"wrote {target}")


def catch_up(course: Course, step: Step, folder: Path) -> None:
    """Do a step as someone would who knows all the answers."""
    if step.lab is not None:
        write(course, step.lab, folder, lambda text: text)
        typed(["grade", step.lab], folder)
    if step.quiz:
        typed(["quiz", step.id], folder, "".join(f"{each.answer}\n" for each in step.quiz))


def write(course: Course, lab: str, folder: Path, edit: Callable[[str], str]) -> None:
    """Write an edit of a lab's solution into the learner's file."""
    source = (course.lab_folder(course.lab(lab)) / "lab.py").read_text(encoding="utf-8")
    next(folder.glob(f"*/{course.lab(lab).file}")).write_text(edit(source), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Draw the README's pictures of the terminal: real commands, real output, as SVG.

    python benchmarks/picture.py [FOLDER]

A workspace is made in a temporary folder, in which a wrong answer is graded; then the tour is
taken, of which the end is shown. What the commands print, colours included, goes through rich's
SVG export. The pictures are written to docs/pictures unless another folder is named.
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
END = "What you have seen"  # the heading of the tour's last part


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
    """Draw the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        draw(folder / "terminal.svg", graded(load(ROOT), Path(name)))
        draw(folder / "tour.svg", toured(Path(name)))


def graded(course: Course, folder: Path) -> Text:
    """The path and the grading of a known mistake, as someone sees them who has come that far."""
    typed(["init"], folder)
    for step in course.steps:
        if step.lab == LAB:
            break
        catch_up(course, step, folder)
    wrong = course.lab(LAB).misconceptions[0]
    write(course, LAB, folder, lambda text: text.replace(wrong.replace, wrong.with_))
    return typed(["list"], folder) + typed(["grade", LAB, "--seed", "7"], folder)


def toured(folder: Path) -> Text:
    """The tour, of which only the end is kept: all models beside one another."""
    first, *lines = typed(["tour"], folder).split("\n")
    start = next(number for number, line in enumerate(lines) if END in line.plain)
    return Text("\n").join([first, Text("…", style="dim"), *lines[start:]])


def draw(target: Path, text: Text) -> None:
    """Write a text as a terminal shows it."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(text, end="")
    svg = console.export_svg(title="llmpath")
    # Without the fonts that rich would fetch from the net, and with names that stay the same.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "monospace")
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

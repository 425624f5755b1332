"""Write the pages of docs/stages/ from real runs: what each step builds, and what came out.

    python benchmarks/stages.py [WORKSPACE]

Without a workspace, one is made and `llmpath lab run --all --reference` walks the whole path in
it, which takes a while. With one, the last finished run of each lab is taken. Pictures are copied
to docs/pictures/, with at most 256 colours each.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from llmpath.course.course import Course, Stage
from llmpath.course.loader import load
from llmpath.course.models import Lab, Step
from llmpath.course.solution import regions
from llmpath.running.events import Figure, parse_kept
from llmpath.running.folder import EVENTS
from llmpath.running.records import RunRecord, list_runs

ROOT = Path(__file__).resolve().parent.parent
PAGES, PICTURES = ROOT / "docs/stages", ROOT / "docs/pictures"


def walk(folder: Path) -> None:
    """Run every experiment of the path on the reference, in a new workspace."""
    llmpath = [sys.executable, "-m", "llmpath"]
    subprocess.run([*llmpath, "init", str(folder)], check=True)
    subprocess.run([*llmpath, "lab", "run", "--all", "--reference"], cwd=folder, check=True)


def page(course: Course, stage: Stage, runs: dict[str, RunRecord]) -> str:
    """The page of one stage, in Markdown."""
    parts = [f"# {stage.title}", stage.about, "`python benchmarks/stages.py` makes this page."]
    parts += [section(course, step, runs) for step in stage.steps]
    if not stage.steps:
        parts.append(
            "Its steps are in the making; `llmpath author coverage` shows what is planned."
        )
    return "\n\n".join(parts) + "\n"


def section(course: Course, step: Step, runs: dict[str, RunRecord]) -> str:
    """One step: its goals, what is written in it, and what its experiment showed."""
    parts = [f"## {step.title}", f"`{step.id}`, about {step.minutes} minutes. Afterwards you can"]
    parts.append("\n".join(f"- {goal[0].lower()}{goal[1:].rstrip('.')}" for goal in step.goals))
    if step.lab is not None:
        lab = course.lab(step.lab)
        parts += ["You write:", written(course, lab)]
        if lab.id in runs:
            parts += outcome(lab, runs[lab.id])
    return "\n\n".join(parts)


def written(course: Course, lab: Lab) -> str:
    """What the learner writes: the functions and classes that hold a region to fill."""
    source = (course.lab_folder(lab) / "lab.py").read_text(encoding="utf-8")
    lines = [region.start for region in regions(source)]
    found = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            continue
        if any(node.lineno <= line <= (node.end_lineno or 0) for line in lines):
            said = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
            arguments = f"({ast.unparse(node.args)})" if isinstance(node, ast.FunctionDef) else ""
            found.append(f"- `{node.name}{arguments}`: {said}")
    return "\n".join(found)


def outcome(lab: Lab, run: RunRecord) -> list[str]:
    """What a run found, with its pictures."""
    parts = [f"> {run.sentence}"]
    for line in (run.folder / EVENTS).read_bytes().splitlines():
        event = parse_kept(line)
        if isinstance(event, Figure):
            target = PICTURES / f"{lab.id}-{event.name}.png"
            with Image.open(run.folder / event.path) as picture:
                picture.convert("RGB").quantize(256).save(target, optimize=True)
            words = event.name.replace("-", " ")
            parts.append(f"![{lab.title}: {words}](../pictures/{target.name})")
    return parts


def finished(workspace: Path) -> dict[str, RunRecord]:
    """The last finished run of each lab."""
    runs = list_runs(workspace / "runs")
    return {run.lab: run for run in runs if run.outcome == "finished"}


def write(workspace: Path) -> None:
    """Write every page."""
    course, runs = load(ROOT), finished(workspace)
    missing = [lab for lab in course.labs if lab not in runs]
    if missing:
        sys.exit(f"No finished run of {', '.join(missing)} stands in {workspace}.")
    PAGES.mkdir(exist_ok=True)
    for picture in PICTURES.glob("*.png"):
        picture.unlink()
    for stage in course.stages:
        (PAGES / f"{stage.id}.md").write_text(page(course, stage, runs), encoding="utf-8")


def main() -> None:
    """Walk if need be, and write."""
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as name:
        walk(Path(name))
        write(Path(name))


if __name__ == "__main__":
    main()

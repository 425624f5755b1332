"""The map of a course in the terminal: topics by stage with who teaches them, and goals."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmpath.authoring.coverage import Coverage, GoalCoverage, TopicCoverage
from llmpath.course.course import Course
from llmpath.ui.theme import symbols


def listing(course: Course, coverage: Coverage, console: Console) -> Group:
    """Topics by stage, then the goals of each step, then what is missing."""
    parts: list[RenderableType] = []
    for stage in course.stages:
        topics = [each for each in coverage.topics if each.topic.stage == stage.id]
        if topics:
            taught = sum(bool(each.taught) for each in topics)
            count = (f"   {taught} of {len(topics)} topics taught", "muted")
            parts += [Text.assemble((stage.title, "title"), count)]
            parts += [_topics(topics, console), Text()]
    for step in course.steps:
        goals = [goal for goal in coverage.goals if goal.step == step.id]
        parts += [Text.assemble((step.title, "title"), (f"   {step.id}", "muted"))]
        parts += [_goals(goals, console), Text()]
    return Group(*parts, _summary(coverage, console))


def _topics(topics: list[TopicCoverage], console: Console) -> RenderableType:
    rows = _table()
    marks = symbols(console)
    for each in topics:
        if each.taught:
            sign, by = Text(marks.passed, "good"), Text(", ".join(each.taught))
            if each.stale:
                by.append(f"  delete `planned: {each.topic.planned}`: it is here", style="warn")
        elif each.planned:
            sign, by = Text(marks.open, "muted"), Text(f"planned: {each.planned}", "muted")
        else:
            sign, by = Text(marks.failed, "bad"), Text("taught by no step", "bad")
        title = Text.assemble(each.topic.title, (f"  {each.topic.id}", "muted"))
        rows.add_row(sign, title, by)
    return Padding(rows, (0, 2))


def _goals(goals: list[GoalCoverage], console: Console) -> RenderableType:
    rows = _table()
    marks = symbols(console)
    for goal in goals:
        by = [*goal.checks, *(f"question {number}" for number in goal.questions)]
        sign = Text(marks.failed, "bad") if goal.missing else Text(marks.passed, "good")
        tested = Text("tested by nothing", "bad") if goal.missing else Text(", ".join(by))
        rows.add_row(sign, Text(f"{goal.number}. {goal.text}"), tested)
    return Padding(rows, (0, 2))


def _table() -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(ratio=3)
    table.add_column(ratio=2)
    return table


def _summary(coverage: Coverage, console: Console) -> Text:
    """One line for each kind of gap; one that says so where there is none."""
    counts = {
        "topics are still to come": sum(bool(topic.planned) for topic in coverage.topics),
        "topics are taught by no step": sum(topic.missing for topic in coverage.topics),
        "goals are tested by no check and no question": sum(g.missing for g in coverage.goals),
    }
    lines = Text()
    for what, count in counts.items():
        if count:
            style = "muted" if "to come" in what else "bad"
            said = what if count > 1 else what.replace("s are", " is", 1)
            lines.append(f"{count} {said}.\n", style=style)
    if coverage.complete:
        everything = "Every topic is taught or planned, and every goal is tested."
        lines.append(f"{symbols(console).passed} {everything}", style="good")
    lines.rstrip()
    return lines


def as_data(coverage: Coverage) -> dict[str, Any]:
    """The same as plain data, for scripts."""
    return {
        "complete": coverage.complete,
        "topics": [
            {
                "id": each.topic.id,
                "title": each.topic.title,
                "stage": each.topic.stage,
                "taught_by": list(each.taught),
                "planned": each.planned,
            }
            for each in coverage.topics
        ],
        "goals": [
            {
                "step": goal.step,
                "number": goal.number,
                "goal": goal.text,
                "checks": list(goal.checks),
                "questions": list(goal.questions),
            }
            for goal in coverage.goals
        ],
    }

"""What `llmpath author check` found, in the terminal."""

from __future__ import annotations

from rich.console import Console, Group
from rich.text import Text

from llmpath.authoring.check.finding import Finding, Verdict
from llmpath.ui.theme import symbols


def findings(verdict: Verdict, console: Console) -> Group:
    """Everything to mend, and how much that is."""
    marks = symbols(console)
    if verdict.sound:
        return Group(Text.assemble((f"{marks.passed} ", "good"), "The course is sound."))
    count = len(verdict.findings)
    things = "One thing is" if count == 1 else f"{count} things are"
    summary = Text.assemble((f"{marks.failed} ", "bad"), f"{things} to be mended.")
    return Group(*(_finding(each) for each in verdict.findings), summary)


def _finding(finding: Finding) -> Text:
    text = Text.assemble((finding.place, "path"), ": ", finding.message)
    if finding.mend:
        text.append(f" {finding.mend}", style="muted")
    return text

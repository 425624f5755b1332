"""The first minutes in the terminal: a new workspace, the tour's headings, the doctor's table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from llmpath.course.origins import Kind, Origin
from llmpath.ui.theme import symbols
from llmpath.workspace import Created


class Finding(Protocol):
    """What the doctor found about one thing."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def value(self) -> str: ...  # noqa: D102

    @property
    def good(self) -> bool: ...  # noqa: D102

    @property
    def mend(self) -> str: ...  # noqa: D102


def danger(named: Origin) -> str:
    """What taking somebody's course means."""
    what = {
        Kind.FOLDER: f"The course in {named.name}",
        Kind.GIT: f"The course at {named.name}",
        Kind.PACKAGE: f"The installed course {named.name} {named.version}",
    }[named.kind]
    return (
        f"{what} is made of programs as well as texts: its checks and experiments run on this "
        "machine with your rights. Only the code that you write yourself is confined."
    )


def created(made: Created, change_to: str, console: Console) -> Group:
    """What `init` made and what it left alone."""
    sign = (f"{symbols(console).passed} ", "good")
    root = (str(made.workspace.root), "path")
    if not made.existed:
        lines = [Text.assemble(sign, "Your workspace is ready: ", root)]
    else:
        lines = [Text.assemble(sign, "Your workspace was here already: ", root)]
    if made.made:
        count = "1 file" if len(made.made) == 1 else f"{len(made.made)} files"
        names = ", ".join(str(path.relative_to(made.workspace.root)) for path in made.made[:8])
        more = ", …" if len(made.made) > 8 else ""
        lines.append(Text(f"  {count} to write in: {names}{more}"))
    if made.kept and made.existed:
        lines.append(Text(f"  {len(made.kept)} files of yours were left as they are."))
    if made.existed and made.new_log:
        lines.append(Text("  The progress file was missing; a new one was begun.", style="warn"))
    if change_to:
        lines.append(Text.assemble("  Go there: ", (f"cd {change_to}", "command")))
        lines.append(Text.assemble("  Then:     ", ("llmpath next", "command")))
    return Group(*lines)


def heading(title: str, command: str) -> Group:
    """The heading of one part of the tour, with the command that shows the same."""
    text = Text.assemble((title, "heading"), "   ", (f"({command})", "muted"))
    return Group(Text(), Rule(text, align="left", style="muted"), Text())


def commands_next(activation: str, change_to: str, *, tour: bool) -> Group:
    """The commands to type next; `tour` offers the tour too."""
    commands = [activation, f"cd {change_to}" if change_to else "", "llmpath next"]
    lines: list[RenderableType] = [Text(), Text("That was the whole loop. Now it is your turn:")]
    lines += [Text(f"  {command}", style="command") for command in commands if command]
    if tour:
        lines.append(Text("Or see first where the path leads, in a few minutes:"))
        lines.append(Text("  llmpath tour", style="command"))
    return Group(*lines)


def health(findings: Sequence[Finding], console: Console) -> Table:
    """One row for each thing, with the mend below those that are not good."""
    marks = symbols(console)
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(no_wrap=True, style="muted")
    table.add_column()
    for finding in findings:
        sign = Text(marks.passed, "good") if finding.good else Text(marks.warning, "warn")
        table.add_row(sign, finding.name, Text(finding.value))
        if not finding.good and finding.mend:
            table.add_row("", "", Text(finding.mend, style="warn"))
    return table

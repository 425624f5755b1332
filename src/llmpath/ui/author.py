"""`llmpath author check` in the terminal: what is being proven, and what is to be mended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from llmpath.authoring.check import runner
from llmpath.authoring.check.finding import Finding, Measure, ProofName, Proved, Verdict
from llmpath.ui.theme import symbols
from llmpath.ui.words import clean, number

TITLES: dict[ProofName, str] = {
    "files": "files fit together",
    "lesson": "lesson",
    "quiz": "quiz",
    "coverage": "topics and goals",
    "description": "titles and hints",
    "starter": "starter fails",
    "answers": "worthless answers fail",
    "solution": "solution passes",
    "limits": "checks within limits",
    "misconceptions": "misconceptions",
    "accepted": "other right answers pass",
    "hostile": "cheats fail",
    "secrecy": "nothing is given away",
    "experiment": "experiment",
    "mutants": "mutants die",
    "upgrade": "upgrade rehearsal",
}
WHOLE = "course"
# Lines of an excerpt that are shown; a learner's report may quote a whole tensor.
EXCERPT = 12


def show(events: Iterable[runner.Event], console: Console) -> Verdict:
    """Show proofs as they are run, then everything that is to be mended; the verdict.

    On a terminal there are bars for what is going on; elsewhere, a line for each proof.
    """
    verdict: Verdict | None = None
    with _Bars(console) as bars:
        for event in events:
            if isinstance(event, Verdict):
                verdict = event
            else:
                bars.take(event)
    assert verdict is not None
    console.print(findings(verdict, console), soft_wrap=True)
    return verdict


class _Bars:
    """A bar for the whole and one for each proof that is going on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:g} of {task.total:g}", style="muted"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._whole: TaskID | None = None
        self._tasks: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *ending: object) -> None:
        self._progress.stop()

    def take(self, event: runner.Planned | runner.Began | runner.Advanced | runner.Done) -> None:
        """Draw what an event changes."""
        match event:
            case runner.Planned():
                self._whole = self._progress.add_task("Proofs", total=event.proofs)
            case runner.Began():
                name = f"{event.subject}: {TITLES[event.proof]}"
                key = event.proof, event.subject
                self._tasks[key] = self._progress.add_task(name, total=1)
            case runner.Advanced():
                task = self._tasks[event.proof, event.subject]
                self._progress.update(task, completed=event.done, total=event.total)
            case runner.Done():
                self._end(event)

    def _end(self, event: runner.Done) -> None:
        proved = event.proved
        if (task := self._tasks.pop((proved.proof, proved.subject), None)) is not None:
            self._progress.remove_task(task)
        if self._whole is not None:
            self._progress.advance(self._whole)
        if proved.found or not self._console.is_terminal:
            self._progress.console.print(_line(proved, self._console), soft_wrap=True)


def _line(proved: Proved, console: Console) -> Text:
    """One proof in one line."""
    marks = symbols(console)
    mark, style = (marks.failed, "bad") if proved.found else (marks.passed, "good")
    text = Text.assemble((f"{mark} ", style), f"{proved.subject or WHOLE}: {TITLES[proved.proof]}")
    if proved.found:
        text.append(f", {proved.found} to mend", style="bad")
    for measure in _worth_telling(proved.measures):
        text.append(f", {_measure(measure)}", style="muted")
    text.append(", proven before" if proved.cached else f", {proved.seconds:.1f} s", style="muted")
    return text


def _worth_telling(measures: Sequence[Measure]) -> list[Measure]:
    """All measures, but of those of single checks only the one nearest to its limit."""
    told: dict[str, Measure] = {}
    for each in measures:
        kind = each.name.partition(" of ")[0]
        if kind not in told or _used(each) > _used(told[kind]):
            told[kind] = each
    return list(told.values())


def _used(measure: Measure) -> float:
    """How much of its limit something takes."""
    return measure.value / measure.limit if measure.limit else 0.0


def _measure(measure: Measure) -> str:
    unit = "" if measure.unit in measure.name else f" {measure.unit}"
    return f"{measure.name} {number(measure.value)}{unit}"


def findings(verdict: Verdict, console: Console) -> Group:
    """Everything to mend, and how much that is."""
    marks = symbols(console)
    parts: list[RenderableType] = []
    for each in verdict.findings:
        parts += _finding(each)
    remarks = [remark for proved in verdict.proofs for remark in proved.remarks]
    if remarks:
        parts.append(Text("Besides, and nothing that must be mended:", style="label"))
    for remark in remarks:
        parts += _finding(remark)
    count = len(verdict.findings)
    proofs = f"{len(verdict.proofs)} proofs"
    if verdict.sound:
        parts.append(Text.assemble((f"{marks.passed} ", "good"), f"Sound: {proofs} hold."))
    else:
        things = "One thing is" if count == 1 else f"{count} things are"
        parts.append(Text.assemble((f"{marks.failed} ", "bad"), f"{things} to be mended."))
    return Group(*parts)


def _finding(finding: Finding) -> list[RenderableType]:
    text = Text.assemble((finding.place, "path"), ": ", clean(finding.message))
    if finding.mend:
        text.append(f" {clean(finding.mend)}", style="muted")
    if not finding.excerpt:
        return [text]
    lines = clean(finding.excerpt).splitlines()
    shown = Text("\n").join(_excerpt(line) for line in lines[:EXCERPT])
    if len(lines) > EXCERPT:
        shown.append(f"\nand {len(lines) - EXCERPT} lines more", style="muted")
    return [text, Padding(shown, (0, 0, 0, 4), expand=False)]


def _excerpt(line: str) -> Text:
    style = {"-": "bad", "+": "good"}.get(line[:1], "")
    return Text(line, style=style)

"""A talk with a model in the terminal: what is said of it, the prompt, the words as they come."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from llmpath.course.models import Lab
from llmpath.serving.answers import Broken, Ready, Refused
from llmpath.serving.source import Source
from llmpath.ui.failure import failure
from llmpath.ui.theme import UNICODE, symbols
from llmpath.ui.words import clean, one_line

HELP = (
    ("/new", "begin anew: what was said is forgotten"),
    ("/again", "have the last answer written once more"),
    ("/set NAME VALUE", "temperature, top-p, max-tokens or seed"),
    ("/help", "this"),
    ("/quit", "end, as Ctrl-D does"),
)
_PIECES = re.compile(r"\n|[^\S\n]+|\S+")
_NARROWEST = 10  # columns; in less than that no words are moved to the next line
LIBRARY = "transformers"


class Screen:
    """Where a person and a model talk.

    Args:
        console: standard output, which is a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def introduce(self, source: Source, own: bool | None, ready: Ready) -> None:
        """Say who it is, whose code runs it, and how one talks to it."""
        for line in (about(source, own, ready), _how(ready)):
            self._console.print(line)

    def help(self) -> None:
        """List what may be typed instead of words for the model."""
        for command, purpose in HELP:
            self._console.print(Text.assemble((f"{command:<17}", "command"), (purpose, "muted")))
        self._console.print(Text("Ctrl-C stops an answer; what was said stays.", style="muted"))

    def ask(self) -> str | None:
        """One line from the person; None if there will be no more."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives `input` its editing and its history
        mark = "› " if symbols(self._console) is UNICODE else "> "
        while True:
            self._console.print()
            try:
                return input(mark)
            except EOFError:
                self._console.print()
                return None
            except KeyboardInterrupt:
                self._console.print()
                self.note("Ctrl-D ends, /help says what else there is.")

    def writer(self, begun: str) -> Words:
        """Where the words of one answer go; `begun` is the text that it goes on with, or ""."""
        words = Words(self._console)
        if begun:
            self._console.print(Text(clean(begun), style="muted"), end="")
            words.column = cell_len(clean(begun).rpartition("\n")[2]) % max(self._console.width, 1)
        return words

    def note(self, text: str) -> None:
        """A remark, set apart from what the model says."""
        self._console.print(Text(text, style="muted"))

    def broken(self, answer: Refused | Broken) -> None:
        """Why there is no answer, or no more of it."""
        for part in explained(answer, self._console):
            self._console.print(part)


class Words:
    """Writes words as they come, and moves one that does not fit to the next line.

    A word is written when it is whole, which is when what follows it begins.

    Attributes:
        column: how many columns of the present line are written.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._held = ""
        self._gap = ""  # white space that is written if a word follows on the same line
        self.column = 0

    def add(self, text: str) -> None:
        """Take in a piece of text."""
        pieces = _PIECES.findall(self._held + clean(text))
        self._held = pieces.pop() if pieces and not pieces[-1].isspace() else ""
        for piece in pieces:
            self._put(piece)
        self._console.file.flush()

    def end(self) -> None:
        """Write what was held back, and end the line."""
        self._put(self._held)
        self._held = self._gap = ""
        self._out("\n")
        self._console.file.flush()

    def _put(self, piece: str) -> None:
        if piece == "\n":
            self._gap = ""
            self._out(piece)
            self.column = 0
        elif piece.isspace():
            self._gap += piece
        elif piece:
            self._word(piece)

    def _word(self, word: str) -> None:
        width, size = self._console.width, cell_len(word)
        full = self.column + len(self._gap) + size > width
        if full and self.column and width >= _NARROWEST and size <= width:
            self._out("\n")
            self.column = 0
        else:
            self._out(self._gap)
            self.column += len(self._gap)
        self._gap = ""
        self._out(word)
        self.column = (self.column + size) % width if size > width else self.column + size

    def _out(self, text: str) -> None:
        if text:
            self._console.file.write(text)


def about(source: Source, own: bool | None, ready: Ready) -> Text:
    """Which model it is, and whose code runs it.

    Args:
        source: the model.
        own: whether the learner made it; None for a real model, which neither made.
        ready: what it said when it was loaded.
    """
    whose = {True: ", your own", False: ", the reference's", None: ""}[own]
    return Text.assemble(
        (source.name, "title"),
        f"{whose}: {ready.parameters:,} parameters, {ready.vocabulary:,} tokens, "
        f"looks at {ready.context:,} of them",
        ("" if ready.device == "cpu" else f", on {ready.device}"),
        (f"\nRun by {runs_on(source, ready)}", "muted"),
    )


def runs_on(source: Source, ready: Ready) -> str:
    """Whose code runs the model: the labs, each with its owner, and the library for the rest."""
    parts = {source.code.parts[role].lab: source.code.parts[role] for role in ready.roles}
    named = [f"{'your' if part.own else 'the reference’s'} {lab}" for lab, part in parts.items()]
    if "model" not in ready.roles:
        named.append(LIBRARY)
    elif "sampling" not in ready.roles:
        named.append(f"{LIBRARY}, which draws the tokens")
    return " and ".join(named)


def cost(name: str, labs: tuple[Lab, ...], seconds: float) -> str:
    """What has to be done before there is a model to talk to."""
    names = ", then ".join(lab.id for lab in labs)
    minutes = max(1, round(seconds / 60))
    unit = "minute" if minutes == 1 else "minutes"
    return (
        f"{name} is not there yet. It is made now, once: the experiment of {names}, which takes "
        f"{minutes} {unit} at the most on two cores. Ctrl-C stops it."
    )


def serving(address: str, *, local: bool) -> Text:
    """Where a server is reached, by people and by programs."""
    text = Text.assemble(
        ("Chat page  ", "muted"), (address, "link"), ("\nAPI        ", "muted"),
        (f"{address}/v1", "link"), ("\nCtrl-C stops it.", "muted"),
    )  # fmt: skip
    if not local:
        text.append("\nWhoever can reach this machine can use it: there is no password.", "warn")
    return text


def _how(ready: Ready) -> Text:
    what = (
        "Say something."
        if ready.chats
        else "It goes on with texts: type how one begins. Enter alone lets it go on."
    )
    return Text.assemble((f"{what} ", "muted"), ("/help", "command"), (", Ctrl-D ends", "muted"))


def explained(answer: Refused | Broken, console: Console) -> list[Text]:
    """What went wrong, with the place in the learner's code where that is known."""
    failed = answer.failure if isinstance(answer, Broken) else None
    if failed is not None and failed.kind in ("learner", "not-written", "syntax"):
        return failure(failed, console)
    return [Text(one_line(answer.message), style="bad")]


@contextlib.contextmanager
def loading(name: str, console: Console) -> Iterator[None]:
    """Show, on a terminal, that a model is being loaded."""
    if not console.is_terminal:
        yield
        return
    spinner = "dots" if symbols(console) is UNICODE else "line"
    with console.status(Text(f"Loading {name}", style="muted"), spinner=spinner):
        yield

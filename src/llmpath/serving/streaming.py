"""From tokens to a stream of text: the heart of whatever streams what a model writes.

`stream` asks for token after token and gives out text as it becomes certain: never half a
character, never the beginning of a stop text that may turn out to be one. It knows neither models
nor networks: `draw` is a function from the tokens that are new to the model to the next token, and
`decode` one from tokens to text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from llmpath.serving.answers import Reason

Draw = Callable[[Sequence[int]], int]
Decode = Callable[[Sequence[int]], str]
UNKNOWN = "\ufffd"  # what stands for bytes that are no character, or not yet one
# How many tokens of the prompt are decoded along: some tokenizers write the first token of a text
# otherwise than the same token within it.
BEFORE = 6


@dataclass(frozen=True)
class Piece:
    """What one token adds: text, which may be "", and, with the last, why it was the last."""

    text: str
    reason: Reason | None = None


def stream(
    draw: Draw,
    decode: Decode,
    prompt: Sequence[int],
    *,
    end: Collection[int],
    max_tokens: int,
    stop: Sequence[str] = (),
) -> Iterator[Piece]:
    """Let a model write, and give out what it writes as it comes.

    One token is drawn for each piece that is asked for, so that whoever has several of these can
    let them take turns. Closing the iterator ends the writing.

    Args:
        draw: from the tokens that the model has not seen yet to the next one.
        decode: from tokens to text, in which special tokens are left out.
        prompt: the tokens to go on with, at least one.
        end: tokens that end the text; they are no part of it.
        max_tokens: how many to draw at most, 1 or more.
        stop: texts that end the text; nor are they part of it.

    Yields:
        A piece for each token drawn; the last one has a reason.
    """
    text, gate = Detokeniser(decode, prompt[-BEFORE:]), StopGate(stop)
    unseen = prompt
    for count in range(1, max_tokens + 1):
        token = draw(unseen)
        unseen = [token]
        if token in end:
            said, _ = gate.add(text.rest())
            yield Piece(said + gate.rest(), "stop")
            return
        said, stopped = gate.add(text.add(token))
        if not stopped and count == max_tokens:
            last, stopped = gate.add(text.rest())
            said += last if stopped else last + gate.rest()
            yield Piece(said, "stop" if stopped else "length")
            return
        yield Piece(said, "stop" if stopped else None)
        if stopped:
            return


class Detokeniser:
    """Makes text of tokens one by one; the pieces joined are what all tokens decode to.

    A token may hold a part of a character's UTF-8 bytes. What is incomplete at the end decodes to
    `UNKNOWN`, which is held back until the next tokens tell what it was. The tokens that were
    given out last are decoded along with the new ones and their text is cut off again (as vLLM and
    text-generation-inference do), so that the cost of a token does not grow with the text.

    Args:
        decode: from tokens to text.
        before: the last tokens of the prompt, whose text is not given out.
    """

    def __init__(self, decode: Decode, before: Sequence[int] = ()) -> None:
        self._decode = decode
        self._window = list(before)
        self._known = len(self._window)  # tokens of the window that were given out whole
        self._given = len(decode(self._window))  # characters of the window that were given out

    def add(self, token: int) -> str:
        """The text that is certain with one more token."""
        self._window.append(token)
        text = self._decode(self._window)
        certain = len(text.rstrip(UNKNOWN))
        said = text[self._given : certain]
        self._given = max(self._given, certain)
        if certain == len(text):
            self._window = self._window[self._known :]
            self._known = len(self._window)
            self._given = len(self._decode(self._window))
        return said

    def rest(self) -> str:
        """What was held back, when no more tokens come."""
        text = self._decode(self._window)
        said = text[self._given :]
        self._given = len(text)
        return said


class StopGate:
    """Lets text through up to the first stop text, and holds back what may be the beginning of one.

    Args:
        stop: the stop texts, none of them empty.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""

    def add(self, text: str) -> tuple[str, bool]:
        """The text that may pass now, and whether a stop text came: then all else is dropped."""
        self._held += text
        found = [place for stop in self._stop if (place := self._held.find(stop)) >= 0]
        if found:
            said, self._held = self._held[: min(found)], ""
            return said, True
        cut = len(self._held) - self._begun()
        said, self._held = self._held[:cut], self._held[cut:]
        return said, False

    def rest(self) -> str:
        """What was held back, when no more text comes."""
        said, self._held = self._held, ""
        return said

    def _begun(self) -> int:
        """How many characters at the end are the beginning of a stop text, at the most."""
        longest = max(map(len, self._stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stop):
                return size
        return 0

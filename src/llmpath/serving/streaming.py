"""From tokens to a stream of text: what lies between a model and whoever reads along.

A lab that provides `streaming` has a function like `plain`, which then takes its place. Such a
function knows neither models nor networks, and whatever it does, `pieces` keeps it in bounds:
text or an error come out, and an end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmpath.errors import LlmpathError
from llmpath.serving.answers import Reason

Draw = Callable[[Sequence[int]], int]
Decode = Callable[[Sequence[int]], str]
UNKNOWN = "\ufffd"  # what stands for bytes that are no character, or not yet one
# How many tokens of the prompt are decoded along: some tokenizers write the first token of a text
# otherwise than the same token within it.
BEFORE = 6


@dataclass(frozen=True)
class Piece:
    """Text that is certain, which may be "", and, with the last, why it was the last."""

    text: str
    reason: Reason | None = None


class Write(Protocol):
    """Lets a model write, and gives out what it writes as it comes."""

    def __call__(
        self,
        draw: Draw,
        decode: Decode,
        prompt: Sequence[int],
        *,
        end: Collection[int],
        max_tokens: int,
        stop: Sequence[str] = (),
    ) -> Iterable[tuple[str, Reason | None]]:
        """Pairs of a text and None, of which the last has the reason why it is the last.

        No text holds a part of a character, or of a stop text. No token is drawn before a pair is
        asked for, so that several can take turns; closing the iterator ends the writing.

        Args:
            draw: from the tokens that the model has not seen yet to the next one.
            decode: from tokens to text, in which special tokens are left out.
            prompt: the tokens to go on with, at least one.
            end: tokens that end the text; they are no part of it.
            max_tokens: how many to draw at most, 1 or more.
            stop: texts that end the text; nor are they part of it.
        """
        ...


def plain(
    draw: Draw,
    decode: Decode,
    prompt: Sequence[int],
    *,
    end: Collection[int],
    max_tokens: int,
    stop: Sequence[str] = (),
) -> Iterator[tuple[str, Reason | None]]:
    """The shortest way to do what `Write` says, for courses that do not provide another.

    It decodes the whole answer for each token.
    """
    ids, unseen = list(prompt[-BEFORE:]), prompt
    start, given = len(decode(ids)), 0
    for left in range(max_tokens - 1, -1, -1):
        token = draw(unseen)
        unseen = [token]
        reason: Reason | None = None if left else "length"
        if token in end:
            reason = "stop"
        else:
            ids.append(token)
        text = decode(ids)[start:]
        held = (text if reason else text.rstrip(UNKNOWN))[given:]
        if found := [
            (held.find(each) + len(each), held.find(each)) for each in stop if each in held
        ]:
            yield held[: min(found)[1]], "stop"
            return
        said = held if reason else held[: len(held) - _begun(held, stop)]
        yield said, reason
        given += len(said)
        if reason:
            return


def _begun(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end are the beginning of a stop text, at the most."""
    sizes = (size for each in stop for size in range(1, len(each)) if text.endswith(each[:size]))
    return max(sizes, default=0)


def trimmed(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same without white space before the first word.

    Many models write a space there, as they learnt to: the mark before an answer is no text.
    """
    begun = False
    for piece in pieces:
        text = piece.text if begun else piece.text.lstrip()
        begun = begun or text != ""
        yield Piece(text, piece.reason)


def pieces(written: Iterable[Any]) -> Iterator[Piece]:
    """What a `Write` gives out, up to its reason.

    Raises:
        LlmpathError: if it gives out anything else, or ends without a reason.
    """
    for item in written:
        match item:
            case (str(text), None | "stop" | "length" as reason):
                yield Piece(text, reason)
                if reason is not None:
                    return
            case _:
                raise LlmpathError(
                    f"The code that streams gave out {item!r:.80}.",
                    "It should give out pairs of a text and None, `stop` or `length`.",
                )
    raise LlmpathError(
        "The code that streams ended without a reason.", "The last pair has `stop` or `length`."
    )

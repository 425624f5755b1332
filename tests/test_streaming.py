"""From tokens to text as it comes: no half character, no stop text, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llmpath.labkit import tokenizer
from llmpath.serving.streaming import Detokeniser, Piece, StopGate, stream

MERGES = [(b"t", b"h"), (b"th", b"e"), (b"\xe2", b"\x82"), (b"\x82", b"\xac"), (b" ", b"\xf0")]
SPOKEN: Tokenizer = tokenizer.from_merges(MERGES)
END = SPOKEN.token_to_id(tokenizer.END)
TEXTS = st.text(alphabet=st.sampled_from("ab the€😀é\n"), max_size=30)


def decode(ids: Sequence[int]) -> str:
    return str(SPOKEN.decode(list(ids)))


def written(tokens: Sequence[int], stop: Sequence[str] = (), max_tokens: int = 99) -> list[Piece]:
    """What is streamed of a model that writes just these tokens, and then ends."""
    left: Iterator[int] = iter([*tokens, END])

    def draw(unseen: Sequence[int]) -> int:
        return next(left)

    pieces = stream(draw, decode, [97], end={END}, max_tokens=max_tokens, stop=stop)
    return list(pieces)


@given(TEXTS)
def test_the_pieces_joined_are_the_text(text: str) -> None:
    """Whatever is written comes out whole, and no piece of it holds a part of a character."""
    pieces = written(SPOKEN.encode(text).ids)
    assert "".join(piece.text for piece in pieces) == text
    assert not any("\ufffd" in piece.text for piece in pieces)


@given(st.lists(st.integers(0, 255 + len(MERGES)), max_size=40))
def test_any_tokens_come_out_as_they_decode_together(tokens: list[int]) -> None:
    """Tokens that are no UTF-8 come out as the tokenizer writes them all at once."""
    pieces = written(tokens)
    assert "".join(piece.text for piece in pieces) == decode([97, *tokens])[1:]


@given(TEXTS, st.lists(st.text("ab the€", min_size=1, max_size=4), max_size=4))
def test_it_ends_where_a_stop_text_is_complete(text: str, stop: list[str]) -> None:
    """Nothing of a stop text is ever given out, however it is cut into tokens."""
    pieces = written(SPOKEN.encode(text).ids, stop)
    said = "".join(piece.text for piece in pieces)
    found = any(each in text for each in stop)
    assert text.startswith(said)
    assert not any(each in said for each in stop)
    assert (said == text) is not found
    assert pieces[-1].reason == "stop"


@given(TEXTS, st.integers(1, 40))
def test_it_is_cut_off_after_so_many_tokens(text: str, most: int) -> None:
    """`length` is said when there was no room for the end, and else `stop`."""
    tokens = SPOKEN.encode(text).ids
    pieces = written(tokens, max_tokens=most)
    assert len(pieces) == min(most, len(tokens) + 1)
    assert pieces[-1].reason == ("length" if len(tokens) >= most else "stop")
    assert "".join(p.text for p in pieces) == decode(tokens[:most])


def test_text_comes_as_soon_as_it_is_certain() -> None:
    """Only what may be the beginning of a stop text, or is half a character, is held back."""
    pieces = [piece.text for piece in written(list("ab€c".encode()), stop=["bx"])]
    assert pieces == ["a", "", "", "", "b€", "c", ""]


def test_a_token_is_drawn_only_when_a_piece_is_asked_for() -> None:
    """Several streams can take turns: none runs ahead."""
    drawn = []

    def draw(unseen: Sequence[int]) -> int:
        drawn.append(list(unseen))
        return 98

    pieces = stream(draw, decode, [97, 99], end={END}, max_tokens=5)
    assert drawn == []
    assert next(pieces) == Piece("b")
    assert next(pieces) == Piece("b")
    assert drawn == [[97, 99], [98]]


def test_the_first_word_keeps_its_space_where_tokenizers_strip_it() -> None:
    """A tokenizer that drops the space before a text's first word keeps it within the text."""
    words = {1: " one", 2: " two"}

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[id] for id in ids).removeprefix(" ")

    text = Detokeniser(decode, [1])
    assert [text.add(2), text.add(1), text.rest()] == [" two", " one", ""]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        (["he", "llo"], ["he", "llo"]),
        (["on", "e t", "wo"], ["on", "e ", ""]),
        (["a", "two"], ["a", ""]),
        (["t", "t", "x"], ["", "t", "tx"]),
    ],
)
def test_the_gate_lets_through_what_is_no_stop_text(pieces: list[str], said: list[str]) -> None:
    """A beginning that turns out otherwise is let through with what follows."""
    gate = StopGate(["two"])
    assert [gate.add(piece)[0] for piece in pieces] == said

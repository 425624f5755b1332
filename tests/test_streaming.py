"""From tokens to text as it comes: no half character, no stop text, nothing lost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llmpath.course.loader import load
from llmpath.errors import LlmpathError
from llmpath.labkit import thread, tokenizer
from llmpath.serving.streaming import Decode, Piece, Write, pieces, plain, trimmed

MERGES = [(b"t", b"h"), (b"th", b"e"), (b"\xe2", b"\x82"), (b"\x82", b"\xac"), (b" ", b"\xf0")]
SPOKEN: Tokenizer = tokenizer.from_merges(MERGES)
END = SPOKEN.token_to_id(tokenizer.END)
TEXTS = st.text(alphabet=st.sampled_from("ab the€😀é\n"), max_size=30)


def decode(ids: Sequence[int]) -> str:
    return str(SPOKEN.decode(list(ids)))


def of_the_course() -> Write:
    """What the labs of the bundled course provide, by their solution."""
    course = load(Path(__file__).parents[1])
    lab = next(lab for lab in course.labs.values() if lab.provides.streaming)
    thread.configure({lab.id: str(course.lab_folder(lab) / "lab.py")})
    found: Write = getattr(thread.earlier(lab.id), str(lab.provides.streaming))
    return found


@pytest.fixture(scope="module", params=[plain, of_the_course()], ids=["plain", "lab"])
def write(request: pytest.FixtureRequest) -> Write:
    """The two ways from tokens to text."""
    found: Write = request.param
    return found


def written(
    write: Write,
    tokens: Sequence[int],
    stop: Sequence[str] = (),
    max_tokens: int = 99,
    *,
    prompt: Sequence[int] = (97,),
    decode: Decode = decode,
    drawn: list[int] | None = None,
) -> list[Piece]:
    """What is streamed of a model that writes just these tokens, and then ends."""
    left: Iterator[int] = iter([*tokens, END])

    def draw(unseen: Sequence[int]) -> int:
        token = next(left)
        if drawn is not None:
            drawn.append(token)
        return token

    return list(pieces(write(draw, decode, prompt, end={END}, max_tokens=max_tokens, stop=stop)))


@given(TEXTS)
def test_the_pieces_joined_are_the_text(write: Write, text: str) -> None:
    """Whatever is written comes out whole, and no piece of it holds a part of a character."""
    found = written(write, SPOKEN.encode(text).ids)
    assert "".join(piece.text for piece in found) == text
    assert not any("\ufffd" in piece.text for piece in found)


@given(st.lists(st.integers(0, 255 + len(MERGES)), max_size=40))
def test_any_tokens_come_out_as_they_decode_together(write: Write, tokens: list[int]) -> None:
    """Tokens that are no UTF-8 come out as the tokenizer writes them all at once."""
    found = written(write, tokens)
    assert "".join(piece.text for piece in found) == decode([97, *tokens])[1:]


@given(TEXTS, st.lists(st.text("ab the€", min_size=1, max_size=4), max_size=4))
def test_it_ends_where_a_stop_text_is_complete(write: Write, text: str, stop: list[str]) -> None:
    """Nothing of a stop text is ever given out, however it is cut into tokens."""
    found = written(write, SPOKEN.encode(text).ids, stop)
    said = "".join(piece.text for piece in found)
    complete = any(each in text for each in stop)
    assert text.startswith(said)
    assert not any(each in said for each in stop)
    assert (said == text) is not complete
    assert found[-1].reason == "stop"


@given(TEXTS, st.integers(1, 40))
def test_it_is_cut_off_after_so_many_tokens(write: Write, text: str, most: int) -> None:
    """`length` is said when there was no room for the end, and else `stop`."""
    tokens, drawn = SPOKEN.encode(text).ids, []
    found = written(write, tokens, max_tokens=most, drawn=drawn)
    assert drawn == [*tokens, END][:most]
    assert found[-1].reason == ("length" if len(tokens) >= most else "stop")
    assert "".join(piece.text for piece in found) == decode(tokens[:most])


def test_text_comes_as_soon_as_it_is_certain(write: Write) -> None:
    """Only what may be the beginning of a stop text, or is half a character, is held back."""
    found = [piece.text for piece in written(write, list("ab€c".encode()), stop=["bx"])]
    assert found == ["a", "", "", "", "b€", "c", ""]


def test_a_token_is_drawn_only_when_a_piece_is_asked_for(write: Write) -> None:
    """Several streams can take turns: none runs ahead."""
    drawn = []

    def draw(unseen: Sequence[int]) -> int:
        drawn.append(list(unseen))
        return 98

    found = iter(write(draw, decode, [97, 99], end={END}, max_tokens=5))
    assert drawn == []
    assert next(found) == ("b", None)
    assert next(found) == ("b", None)
    assert drawn == [[97, 99], [98]]


def test_the_first_word_keeps_its_space_where_tokenizers_strip_it(write: Write) -> None:
    """A tokenizer that drops the space before a text's first word keeps it within the text."""
    words = {1: " one", 2: " two"}

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[id] for id in ids).removeprefix(" ")

    found = written(write, [2, 1], prompt=[1], decode=decode)
    assert [piece.text for piece in found if piece.text] == [" two", " one"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("a", None)], "ended without a reason"),
        ([("a", None), ("b", "done")], "gave out ('b', 'done')"),
        ([(b"a", None)], "gave out (b'a', None)"),
        (["a"], "gave out 'a'"),
    ],
)
def test_other_things_than_text_are_errors(given: list[Any], message: str) -> None:
    """Code of a lab can give out anything; what reaches a client is text, an end, or an error."""
    with pytest.raises(LlmpathError, match=re.escape(message)):
        list(pieces(given))


def test_an_answer_has_no_space_before_its_first_word() -> None:
    """However white space is spread over pieces; within the answer and after it, it stays."""
    said = [" ", "", "\n ", " Mia ", " lives", " "]
    found = list(trimmed([*(Piece(text) for text in said), Piece(" ", "stop")]))
    assert [piece.text for piece in found] == ["", "", "", "Mia ", " lives", " ", " "]
    assert found[-1].reason == "stop"
    assert list(trimmed([Piece(" ", "length")])) == [Piece("", "length")]


def test_nothing_comes_after_the_reason() -> None:
    """Whoever says why it ended has ended."""
    assert list(pieces([("a", "stop"), ("b", None)])) == [Piece("a", "stop")]

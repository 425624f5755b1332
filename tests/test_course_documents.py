"""Reading YAML: what is read, what is refused, and where."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmpath.course.documents import MAX_BYTES, MAX_PROBLEMS, Document, parse, read


def problems(text: str | bytes) -> list[tuple[int, int, str]]:
    """Line, column and message with mend of each problem of a file."""
    source = text.encode() if isinstance(text, str) else text
    found = parse(source, "file.yaml").problems
    return [(item.line, item.column, f"{item.message} {item.mend}") for item in found]


def test_plain_data_keeps_its_places():
    """Every value and every key is known by its line and column."""
    document = parse(b"title: A b\nsteps:\n  - id: one\n    points: 3\n", "file.yaml")
    assert document.data == {"title": "A b", "steps": [{"id": "one", "points": 3}]}
    assert document.readable
    assert not document.problems
    assert (document.place(("title",)).line, document.place(("title",)).column) == (1, 8)
    place = document.place(("steps", 0, "points"))
    assert (place.line, place.column) == (4, 13)
    place = document.place(("steps", 0, "points"), key=True)
    assert (place.line, place.column) == (4, 5)


def test_the_place_of_something_absent_is_that_of_what_surrounds_it():
    """A missing key is reported at the mapping in which it is missing."""
    document = parse(b"steps:\n  - id: one\n", "file.yaml")
    place = document.place(("steps", 0, "title"))
    assert (place.line, place.column) == (2, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text", "text"),
        ("10", 10),
        ("-3", -3),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("'10'", "10"),
        ('"yes"', "yes"),
        ("a: b", {"a": "b"}),
        ("[a, 1]", ["a", 1]),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        (">\n  one\n  line\n", "one line\n"),
        ("Grüße, 世界 🙂", "Grüße, 世界 🙂"),
    ],
)
def test_scalars_mean_what_they_look_like(text, value):
    """Text, decimal numbers, true, false and nothing are read; quotes make text."""
    document = parse(text.encode(), "file.yaml")
    assert not document.problems
    assert document.data == value
    assert type(document.data) is type(value)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("yes", "means true"),
        ("No", "means false"),
        ("off", "means false"),
        ("2024-01-01", "is a date"),
        ("017", "decimal"),
        ("0x1F", "decimal"),
        ("1:30", "decimal"),
        ("1_000", "decimal"),
        (".inf", "decimal"),
        (".nan", "decimal"),
        ("1.0e+999", "decimal"),
        ("9" * 5000, "decimal"),
    ],
)
def test_surprising_words_are_named(word, meaning):
    """What YAML 1.1 takes for something else is refused where it stands, with quotes as mend."""
    [(line, column, sentence)] = problems(f"a: 1\nb: [x, {word}]\n")
    assert (line, column) == (2, 8)
    assert meaning in sentence
    assert "quotes" in sentence
    assert parse(f"- '{word}'\n".encode(), "file.yaml").data == [word]


@pytest.mark.parametrize(
    ("text", "line", "column", "fragment"),
    [
        ("", 1, 1, "empty"),
        ("# a comment\n", 1, 1, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "second time; the first is on line 1"),
        ("a: &x [1]\n", 1, 4, "anchor"),
        ("a: *x\n", 1, 4, "alias"),
        ("a: !!str 5\n", 1, 4, "tags"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, 4, "tags"),
        ("b:\n  <<: {a: 1}\n", 2, 3, "merges"),
        ("a: 1\n--- \nb: 2\n", 2, 1, "second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, 1, "directives"),
        ("a:\n\tb: 1\n", 2, 1, "tab"),
        ("a:\n  b: 1\n\tc: 2\n", 3, 1, "tab"),
        ("a: |\n\tx\n", 2, 1, "tab"),
        ("a: b: c\n", 1, 5, "colon in quotes"),
        ("a: [1, 2\nb: 3\n", 1, 4, "never closed"),
        ("a: 'x\nb: 3\n", 1, 4, "never closed"),
        ('a: "\\q"\n', 1, 5, "backslash"),
        ("a: `x`\n", 1, 4, "in quotes"),
        ("- a\nb: 1\n", 2, 1, "list entry"),
        ("a:\n  - 1\n b: 2\n", 3, 2, "lines up"),
        ("? [a]\n: b\n", 1, 3, "where a key belongs"),
        ("1: a\n", 1, 1, "not text"),
        ("no: a\n", 1, 1, "not text"),
        ("a: x\x00\n", 1, 5, "U+0000"),
        ('a: "\\e[31m"\n', 1, 4, "U+001B"),
        ('"a\\0": 1\n', 1, 1, "U+0000"),
        ("a:\u20281\n", 1, 3, "U+2028"),
        ("{a: " * 3000, 1, 81, "too deep"),
        ("- " * 400_000, 1, 41, "too deep"),
        ("[" * 900_000, 1, 1001, "too deep"),
    ],
)
def test_refused_with_place_and_mend(text, line, column, fragment):
    """Each thing that course files do not have is refused where it stands."""
    [(found_line, found_column, sentence)] = problems(text)
    assert fragment in sentence
    assert (found_line, found_column) == (line, column)


def test_invalid_utf8_is_found_by_line_and_column():
    """A byte that is not UTF-8 is named with its place, counted in characters."""
    [(line, column, sentence)] = problems("a: 1\nß: é".encode() + b"\xff\n")
    assert (line, column) == (2, 5)
    assert "0xff" in sentence


def test_a_byte_order_mark_is_no_part_of_the_text():
    """Files that Windows editors write with a byte order mark are read."""
    assert parse(codecs.BOM_UTF8 + b"a: 1\r\nb: 2\r\n", "file.yaml").data == {"a": 1, "b": 2}


def test_files_of_megabytes_are_refused_unread():
    """Five megabytes of nesting overflow nothing and are told by their size."""
    [(line, _, sentence)] = problems(b"[" * 5 * MAX_BYTES)
    assert line == 0
    assert "larger" in sentence


def test_an_alias_bomb_stays_small():
    """References that would multiply a thousandfold are refused before anything is built."""
    bomb = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    document = parse(bomb.encode(), "file.yaml")
    assert not document.readable
    assert any("alias" in problem.message for problem in document.problems)


def test_problems_of_one_file_come_together():
    """A mistake does not hide those after it, and a repeated key keeps its first value."""
    text = "a: yes\nb: {c: 1, c: [no]}\nd: &x 1\na: 2\n"
    assert [place[:2] for place in problems(text)] == [(1, 4), (2, 11), (2, 15), (3, 4), (4, 1)]
    assert parse(text.encode(), "f").data == {"a": "yes", "b": {"c": 1}, "d": 1}


def test_problems_of_one_file_have_an_end():
    """A file of nothing but mistakes does not fill the screen for ever."""
    assert len(problems("- yes\n" * 10_000)) == MAX_PROBLEMS


def test_what_cannot_be_opened_is_a_problem(tmp_path):
    """A file that is missing, or a folder, is reported under the name that was asked for."""
    missing = read(tmp_path / "missing.yaml", "curriculum/missing.yaml")
    assert not missing.readable
    assert missing.problems[0].place == "curriculum/missing.yaml"
    assert "does not exist" in missing.problems[0].message
    assert not read(tmp_path).readable


PIECES = (
    *"\n\n\n  -:?,[]{}#&*!|>'\"%@`\t\\ab1é~\ufeff\x85\x00",
    *("- ", ": ", "<<", "yes", "---\n", "...\n", "\r\n", "0o7", '"\\ud800"', "|2-\n", "!!int "),
)
YAML_PIECES = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), YAML_PIECES.map(str.encode)))
def test_no_bytes_make_reading_raise(source: bytes):
    """Whatever the bytes, there are plain data or problems with places, and no exception."""
    document = parse(source, "file.yaml")
    assert document.readable or document.problems
    assert_plain(document.data, 0)
    for problem in document.problems:
        assert problem.message.endswith((".", ")."))
        assert "\n" not in str(problem)
        assert problem.line >= 0


def assert_plain(data: object, depth: int) -> None:
    """Plain data are built of six types, and not deep."""
    assert depth <= 21
    if isinstance(data, dict):
        for key, value in data.items():
            assert type(key) is str
            assert_plain(value, depth + 1)
    elif isinstance(data, list):
        for value in data:
            assert_plain(value, depth + 1)
    else:
        assert data is None or type(data) in (str, int, float, bool)


def test_places_point_into_the_real_file():
    """In a real course file each key stands exactly where its place says."""
    file = Path(__file__).parent / "course" / "labs" / "adding" / "lab.yaml"
    document: Document = read(file)
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(document.keys) > 20
    for path, place in document.keys.items():
        assert lines[place.line - 1][place.column - 1 :].startswith(f"{path[-1]}:")

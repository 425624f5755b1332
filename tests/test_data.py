"""What models learn from: every source gives texts to learn from and texts held out."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Learner
from hypothesis import given
from hypothesis import strategies as st

from llmpath.errors import LlmpathError
from llmpath.labkit import data
from llmpath.labkit.data.corpus import held_out
from llmpath.labkit.data.generated import Stories
from llmpath.labkit.data.standard_library import docstrings

STORIES = [f"Story {number}: the cat sat on mat {number * number}." for number in range(300)]


def write_jsonl(path: Path, texts: list[str], column: str = "text") -> Path:
    path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts), encoding="utf-8")
    return path


def write_parquet(path: Path, texts: list[str], column: str = "text") -> Path:
    pq.write_table(pa.table({column: texts, "number": list(range(len(texts)))}), path)
    return path


def sides(corpus: data.Corpus) -> tuple[list[str], list[str]]:
    return list(corpus.train), list(corpus.validation)


@pytest.mark.parametrize("name", ["microworld", "python", "python-docs"])
def test_what_is_always_there(name: str) -> None:
    """The three corpora that need no file open offline, and can be read again and again."""
    corpus = data.load(name, limit=20)
    train, validation = sides(corpus)
    assert (train, validation) == sides(corpus)
    assert len(train) == len(validation) == 20
    assert all(text.strip() for text in train + validation)
    assert corpus.licence
    assert corpus.title


def test_python_holds_out_the_same_modules_of_both_its_corpora() -> None:
    """A docstring that is held out as documentation is not learned as source, nor the reverse."""
    source, documentation = data.load("python"), data.load("python-docs")
    held = {"\n\n".join(docstrings(text)) for text in source.validation} | set(source.validation)
    assert len(held) > 50
    assert held.issuperset(documentation.validation)
    assert held.isdisjoint(documentation.train)


def test_the_microworld_knows_its_floor() -> None:
    """The floor of a generated corpus is that of its own validation texts; files have none."""
    corpus = data.load("microworld", seed=1, limit=50)
    floor = corpus.floor()
    assert floor is not None
    assert isinstance(corpus.validation, Stories)
    assert floor.bits_per_document == pytest.approx(
        sum(document.bits for document in corpus.validation.documents()) / 50
    )
    assert [d.text for d in corpus.validation.documents()] == list(corpus.validation)
    assert data.load("python", limit=1).floor() is None


def test_another_seed_is_another_world() -> None:
    """The seed decides what is generated, and nothing that is read from files."""
    assert list(data.load("microworld", seed=1, limit=5).train) != list(
        data.load("microworld", seed=2, limit=5).train
    )
    assert list(data.load("python", seed=1, limit=5).train) == list(
        data.load("python", seed=2, limit=5).train
    )


WRITERS: dict[str, Callable[[Path, list[str]], Path]] = {
    "stories.jsonl": write_jsonl,
    "stories.ndjson": write_jsonl,
    "stories.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_rows_are_documents(name: str, tmp_path: Path) -> None:
    """Each row of JSONL or Parquet is one document, on one side or the other."""
    path = WRITERS[name](tmp_path / name, STORIES)
    train, validation = sides(data.load(str(path)))
    assert sorted(train + validation) == sorted(STORIES)
    assert 10 <= len(validation) <= 60


def test_the_content_alone_decides_what_is_held_out(tmp_path: Path) -> None:
    """Order, file names, formats and more documents move none from one side to the other."""
    one = write_jsonl(tmp_path / "one.jsonl", STORIES[:200])
    folder = tmp_path / "folder"
    folder.mkdir()
    write_parquet(folder / "b.parquet", STORIES[::-1])
    held = set(data.load(str(one)).validation)
    more = set(data.load(str(folder)).validation)
    assert held == more & set(STORIES[:200])


@given(st.lists(st.text(min_size=1), min_size=2, max_size=120))
def test_nothing_is_lost_and_nothing_on_both_sides(documents: list[str]) -> None:
    """Whatever the documents: all are kept, in order, copies together, and no side is empty."""
    if len(set(documents)) < 2:
        with pytest.raises(LlmpathError, match="one document only"):
            held_out(lambda: documents, "here")
        return
    train, validation = (list(texts) for texts in held_out(lambda: documents, "here"))
    assert train
    assert validation
    assert not set(train) & set(validation)
    assert sorted(train + validation) == sorted(documents)
    assert train == [document for document in documents if document in set(train)]


def test_names_of_files_can_say_what_is_held_out(tmp_path: Path) -> None:
    """A folder with train and validation files is taken at its word."""
    write_jsonl(tmp_path / "train-00000-of-00001.jsonl", STORIES[:50])
    write_jsonl(tmp_path / "validation.jsonl", STORIES[50:60])
    write_jsonl(tmp_path / "test.jsonl", STORIES[60:70])
    assert sides(data.load(str(tmp_path))) == (STORIES[:50], STORIES[50:60])


def test_a_long_text_is_cut_at_blank_lines(tmp_path: Path) -> None:
    """One novel is many documents, so that some can be held out; no word of it is lost."""
    paragraphs = [f"Paragraph {n}. " + "It rained all day. " * 20 for n in range(200)]
    path = tmp_path / "novel.txt"
    path.write_text("\n\n".join(paragraphs), encoding="utf-8")
    train, validation = sides(data.load(str(path)))
    assert validation
    assert {p.strip() for text in train + validation for p in text.split("\n\n")} == {
        p.strip() for p in paragraphs
    }


def test_a_mark_parts_documents(tmp_path: Path) -> None:
    """A text in the manner of TinyStories is parted at its marks and nowhere else."""
    path = tmp_path / "stories.txt"
    path.write_text("\n<|endoftext|>\n".join(f"{s}\n\nThe end." for s in STORIES), "utf-8")
    train, validation = sides(data.load(str(path)))
    assert sorted(train + validation) == sorted(f"{s}\n\nThe end." for s in STORIES)


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    """Twenty megabytes are read in less than two."""
    path = tmp_path / "large.txt"
    line = "All work and no play makes Jack a dull boy. " * 20 + "\n\n"
    path.write_text("".join(f"{n} {line}" for n in range(23_000)), encoding="utf-8")
    assert path.stat().st_size > 20_000_000
    tracemalloc.start()
    characters = sum(len(text) for text in data.load(str(path)).train)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert characters > 15_000_000
    assert peak < 2_000_000


def test_a_column_can_be_named(tmp_path: Path) -> None:
    """`PATH#COLUMN` reads another column; the only one that holds text needs no name."""
    path = tmp_path / "pairs.jsonl"
    rows = ({"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(40))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(LlmpathError, match="several columns of text") as caught:
        data.load(str(path))
    assert "#question" in caught.value.hint
    train, validation = sides(data.load(f"{path}#answer"))
    assert sorted(train + validation) == sorted(f"It is {n}." for n in range(40))
    only = write_parquet(tmp_path / "only.parquet", STORIES, column="poem")
    assert len(list(data.load(str(only)).train)) > 200


@pytest.mark.parametrize("kind", ["category", "string_view", "large_string"])
def test_every_kind_of_text_in_parquet_is_read(kind: str, tmp_path: Path) -> None:
    """Categories of pandas and views of polars are text as any other, beside columns of numbers."""
    array = pa.array(STORIES)
    array = array.dictionary_encode() if kind == "category" else array.cast(kind)
    path = tmp_path / "stories.parquet"
    pq.write_table(pa.table({"number": range(len(STORIES)), "text": array}), path)
    train, validation = sides(data.load(str(path)))
    assert sorted(train + validation) == sorted(STORIES)


def test_columns_of_parquet_without_text_are_named(tmp_path: Path) -> None:
    """Where no column holds text, those that there are are said."""
    path = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"age": [3, 4], "size": [1.5, 2.5]}), path)
    with pytest.raises(LlmpathError, match="no column of text, only: 'age', 'size'"):
        data.load(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """What can be read once only is no corpus, and in a folder it is passed over."""
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(LlmpathError, match="is no file"):
        data.load(str(tmp_path / "pipe.txt"))
    write_jsonl(tmp_path / "a.jsonl", STORIES)
    assert sum(map(len, sides(data.load(str(tmp_path))))) == len(STORIES)


def test_what_is_left_out_of_a_folder_is_said(tmp_path: Path) -> None:
    """Files of other kinds are left out, with a remark that names their suffixes."""
    write_jsonl(tmp_path / "a.jsonl", STORIES)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\0")
    (tmp_path / "README").write_text("hello", encoding="utf-8")
    corpus = data.load(str(tmp_path))
    assert corpus.remarks == (
        "2 files were left out, being no text, JSONL or Parquet by name: .png, no suffix.",
    )


GOOD = b'{"text": "one"}\n{"text": "two"}\n'
BAD: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "empty": ("a.txt", b"", ("holds no text",)),
    "blank": ("a.txt", b" \n\n \n", ("holds no text",)),
    "one document": ("a.txt", b"hello", ("one document only", "held out")),
    "binary": ("a.txt", b"hello\nPNG\0\1\2", ("a.txt, line 2", "zero byte")),
    "latin-1": ("a.txt", "naïve\n".encode("latin-1"), ("a.txt, line 1", "0xef", "WINDOWS-1252")),
    "utf-16": ("a.txt", "hello".encode("utf-16"), ("UTF-16", "iconv -f UTF-16")),
    "cut json": ("a.jsonl", GOOD + b'{"text": "thr', ("a.jsonl, line 3, column", "no JSON")),
    "cut row": ("a.jsonl", GOOD + b'{"text": "x"\n{}\n', ("line 3, column 13 is no JSON",)),
    "json list": ("a.jsonl", GOOD + b"[1]\n", ("line 3 is a list, not an object",)),
    "json number": ("a.jsonl", GOOD + b'{"text": 3}\n', ("line 3", "'text' is a number")),
    "json missing": ("a.jsonl", GOOD + b'{"txt": "x"}\n', ("line 3", "'text' is missing", "'txt'")),
    "json null": ("a.jsonl", GOOD + b'{"text": null}\n', ("line 3", "'text' is null")),
    "json latin-1": ("a.jsonl", GOOD + '{"text": "é"}\n'.encode("latin-1"), ("line 3", "0xe9")),
    "json deep": ("a.jsonl", GOOD + b'{"text": ' + b"[" * 99_999 + b"\n", ("line 3",)),
    "no column": ("a.jsonl", b'{"n": 1}\n', ("line 1", "no column of text", "'n'")),
    "no parquet": ("a.parquet", b"hello", ("a.parquet cannot be read as Parquet",)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_a_sentence_with_the_place(case: str, tmp_path: Path) -> None:
    """What is wrong in a file is said with the file, the line and the mend."""
    name, content, words = BAD[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LlmpathError) as caught:
        sides(data.load(str(path)))
    said = f"{caught.value.message} {caught.value.hint}"
    for word in (name, *words):
        assert word in said
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.txt", "no file or folder nowhere.txt"),
        ("no\0where", "no file or folder"),
        ("", "no file or folder"),
    ],
)
def test_names_that_are_nothing(name: str, words: str) -> None:
    """A name that leads nowhere is said to, with what there is."""
    with pytest.raises(LlmpathError, match=words) as caught:
        data.load(name)
    assert "microworld" in caught.value.hint


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    """UTF-8 as Windows writes it is read as any other."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD)
    train, validation = sides(data.load(str(path)))
    assert sorted(train + validation) == ["one", "two"]


def test_a_folder_without_text_says_what_it_looks_for(tmp_path: Path) -> None:
    """An empty folder is named, and so are the suffixes that are read."""
    with pytest.raises(LlmpathError, match="holds no file of text") as caught:
        data.load(str(tmp_path))
    assert ".parquet" in caught.value.hint


def test_an_excerpt_has_the_size_that_is_asked_for() -> None:
    """So many characters, from several documents, none of which crowds out the others."""
    texts = data.Texts(lambda: ["a" * 500, "b" * 20, "c" * 900])
    assert texts.excerpt(130, longest=100) == ["a" * 100, "b" * 20, "c" * 10]
    assert texts.excerpt(10_000) == ["a" * 500, "b" * 20, "c" * 900]


# The command


def test_data_show_prints_what_a_learner_wants_to_see(learner: Learner) -> None:
    """Samples, sizes and the known truths of the default corpus, and the way to more."""
    shown = learner.types("data", "show", "--samples", "2")
    assert shown.returncode == 0, shown.stderr
    for word in ("Document 2", "bits", "held out", "entropy floor", "P(she | baker)", "secrets"):
        assert word in shown.stdout
    found = learner.reads("data", "show")
    assert found["sizes"]["validation"] == {
        "documents": 2000,
        "characters": found["sizes"]["validation"]["characters"],
        "whole": True,
    }
    sample = found["samples"][0]
    assert "".join(span["text"] for span in sample["spans"]) == sample["text"]
    assert sum(span["bits"] for span in sample["spans"]) == pytest.approx(sample["bits"])


def test_data_show_of_a_collection(learner: Learner) -> None:
    """Every collection of the world can be looked at by its name."""
    found = learner.reads("data", "show", "microworld/preferences", "-n", "2")
    assert len(found["rows"]) == 2
    assert found["columns"].keys() == found["rows"][0].keys()
    assert found["truths"]
    refused = learner.types("data", "show", "microworld/nothing")
    assert refused.returncode == 2
    assert "preferences" in refused.stderr


def test_data_show_takes_paths_from_where_it_is_typed(learner: Learner) -> None:
    """A relative path means a file here; a bad one exits with 2 and one sentence."""
    write_jsonl(learner.root / "mine.jsonl", STORIES)
    found = learner.reads("data", "show", "mine.jsonl#text")
    assert sum(size["documents"] for size in found["sizes"].values()) == 300
    assert found["truths"] == {}
    (learner.root / "bad.jsonl").write_text("hello\n", encoding="utf-8")
    refused = learner.types("data", "show", "bad.jsonl")
    assert refused.returncode == 2
    assert "bad.jsonl, line 1" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_stream_is_read_only_as_far_as_it_is_used(tmp_path: Path) -> None:
    """A broken line far behind is no trouble for who never gets there, and is said to who does."""
    path = write_jsonl(tmp_path / "a.jsonl", STORIES)
    with path.open("a", encoding="utf-8") as file:
        file.write("broken\n")
    corpus = data.load(str(path))
    assert len(list(islice(corpus.train, 50))) == 50
    with pytest.raises(LlmpathError, match=r"a\.jsonl, line 301"):
        list(corpus.train)

"""What `lab.yaml` grades: hand-worked windows, and properties that hold whatever is packed."""

import itertools

import pytest
import torch

from llmpath.labkit.checks import close, describe, number, same

END = 3
IGNORE = -100


def some_documents(rng, count, longest):
    """Documents of random ids, none of which is END."""
    lengths = [number(rng, 1, longest) for _ in range(count)]
    return [(torch.randint(4, 500, (size,), generator=rng)).tolist() for size in lengths]


def shard(text, opened=None, name=""):
    """A shard that opens to the lines of a text, and notes that it was opened."""

    def open_shard():
        if opened is not None:
            opened.append(name)
        return text.splitlines(keepends=True)

    return open_shard


def read(lab, *texts):
    """The documents that the learner finds in shards."""
    documents = taken(lab.stream([shard(text) for text in texts]), "stream", 10_000)
    assert "" not in documents, (
        "an empty text was handed out as a document: where a blank line or the end of a shard "
        "comes and no line has been collected, there is nothing to yield"
    )
    return documents


def taken(generator, what, most):
    """The items of a generator, or a sentence if it is none."""
    assert not isinstance(generator, (str, bytes, int, float, dict, torch.Tensor, type(None))), (
        f"{what} should be a generator (a function with yield), and returned {describe(generator)}"
    )
    return list(itertools.islice(iter(generator), most))


def windows_of(lab, documents, length, end=END):
    """The learner's windows, refused if they are not what `pack` should return."""
    got = lab.pack([list(document) for document in documents], length, end)
    assert isinstance(got, torch.Tensor), f"pack should return a tensor, not {describe(got)}"
    where = "" if any(documents) else " where there is nothing to lay"
    assert got.dtype == torch.int64, (
        f"pack should return torch.int64, and returned {got.dtype}{where}"
    )
    assert got.dim() == 2, f"pack should return (windows, length + 1), not {tuple(got.shape)}"
    assert got.size(1) == length + 1, (
        f"with length={length} a window has {length + 1} ids: one more than the model reads, "
        f"because the last one is only a target; yours have {got.size(1)}"
    )
    return got


def pairs_of(lab, windows, batch_size, seed, end=END):
    """The learner's batches, refused if they are not pairs of tensors."""
    most = len(windows) + 10
    pairs = taken(lab.batches(windows, batch_size, end, seed), "batches", most)
    assert pairs, f"batches gave nothing for {len(windows)} windows"
    for pair in pairs:
        assert isinstance(pair, (tuple, list)), f"a batch should be a pair, not {describe(pair)}"
        assert len(pair) == 2, f"a batch should be (inputs, targets), not {len(pair)} things"
        for name, part in zip(("inputs", "targets"), pair, strict=True):
            assert isinstance(part, torch.Tensor), f"{name} should be a tensor: {describe(part)}"
            assert part.dtype == torch.int64, f"{name} should be torch.int64, not {part.dtype}"
            assert part.dim() == 2, f"{name} should be (batch, length), not {tuple(part.shape)}"
            assert part.size(1) == windows.size(1) - 1, (
                f"{name} should have {windows.size(1) - 1} columns for windows of "
                f"{windows.size(1)} ids, and have {part.size(1)}"
            )
    return pairs


def steps(windows):
    """Every step from one id to the next in windows, without the filling."""
    found = [(a, b) for row in windows.tolist() for a, b in itertools.pairwise(row)]
    return sorted(step for step in found if step != (END, END))


def real_steps(documents):
    """Every step from one id to the next in documents with END before and after each."""
    rows = [[END, *document, END] for document in documents if document]
    return sorted(step for row in rows for step in itertools.pairwise(row))


def test_documents_by_hand(lab):
    text = "The cat sat.\nIt slept.\n\nA dog came.\n\n"
    because = "an empty line ends a document; its other line ends stay in it"
    same(read(lab, text), ["The cat sat.\nIt slept.", "A dog came."], because=because)


def test_blank_lines(lab):
    text = "\n \t\nOne.\n\n\n  \nTwo.\n  indented\n\n\n"
    because = "several blank lines are one border, spaces alone are blank, and no text is empty"
    same(read(lab, text), ["One.", "Two.\n  indented"], because=because)


def test_any_documents_come_back(lab, rng):
    words = ["rain", "a cat", " tabs\there", "née  ", "MAXX", "  - dash"]
    documents = [
        "\n".join(words[number(rng, 0, 5)] for _ in range(number(rng, 1, 3))) for _ in range(40)
    ]
    borders = ["\n\n", "\n\n\n", "\n \n", "\n\t\n\n"]
    text = "".join(document + borders[number(rng, 0, 3)] for document in documents)
    because = "between these documents are blank lines, some of them with spaces or a tab in them"
    same(read(lab, text), documents, because=because)


def test_shards_stay_apart(lab):
    because = "a shard's last document ends with the shard, also where no line end follows it"
    same(read(lab, "a\n\nb", "c\nd\n", "", "e"), ["a", "b", "c\nd", "e"], because=because)


def test_opens_shards_when_needed(lab):
    opened = []
    texts = ["\n\n".join(f"shard {name} text {i}" for i in range(300)) for name in "abc"]
    shards = [shard(text, opened, name) for text, name in zip(texts, "abc", strict=True)]
    documents = lab.stream(shards)
    assert not isinstance(documents, (list, str, int, float, type(None))), (
        f"stream should be a generator (a function with yield), and returned {describe(documents)}"
    )
    first = next(iter(documents))
    same(first, "shard a text 0", because="the first document of the first shard comes first")
    assert opened == ["a"], (
        f"the first of 900 documents was asked for, and these shards were opened: {opened}. A "
        "corpus does not fit into memory: open the next shard when the one before is read"
    )


def test_windows_by_hand(lab):
    got = windows_of(lab, [[5, 6, 7], [8], [9, 10]], 7)
    want = torch.tensor([[3, 5, 6, 7, 3, 8, 3, 3], [3, 9, 10, 3, 3, 3, 3, 3]])
    because = (
        "the end token is 3; [5, 6, 7] and [8] fit into the first window with an end after "
        "each, and [9, 10] no longer does"
    )
    close(got, want, atol=0, because=because, axes="window, place")
    got = windows_of(lab, [[5, 6, 7], [9, 10, 11], [8]], 7)
    want = torch.tensor([[3, 5, 6, 7, 3, 3, 3, 3], [3, 9, 10, 11, 3, 8, 3, 3]])
    because = (
        "documents follow in their order: [9, 10, 11] began the second window, so [8] comes after "
        "it, though the first has room"
    )
    close(got, want, atol=0, because=because, axes="window, place")


def test_a_perfect_fit(lab, rng):
    length = number(rng, 5, 9)
    whole, rest = list(range(10, 9 + length)), list(range(60, 57 + length))
    got = windows_of(lab, [whole, [50], rest, [70]], length)
    want = torch.tensor(
        [[END, *whole, END], [END, 50, END, *rest, END], [END, 70, END] + [END] * (length - 2)]
    )
    because = (
        f"a window of {length + 1} ids has room for a document of {length - 1} with an end before "
        f"and after it, or for one of 1 and one of {length - 3}, to the last place"
    )
    close(got, want, atol=0, because=because, axes="window, place")


def test_only_the_end_is_left(lab, rng):
    length = number(rng, 5, 9)
    long, whole = list(range(10, 10 + length)), list(range(60, 59 + length))
    rest = [long[-1], END] + [END] * (length - 1)
    because = (
        f"a document of {length} ids fills a window, and the step from its last id to the end "
        f"takes one of its own; {length - 1} more ids with an end no longer fit there"
    )
    got = windows_of(lab, [long, whole], length)
    want = torch.tensor([[END, *long], rest, [END, *whole, END]])
    close(got, want, atol=0, because=because, axes="window, place")
    got = windows_of(lab, [long], length)
    close(got, want[:2], atol=0, because=because, axes="window, place")


def test_windows_begin_with_documents(lab, rng):
    length = number(rng, 18, 24)
    documents = some_documents(rng, 60, 16)
    got = windows_of(lab, documents, length).tolist()
    assert all(row[0] == END for row in got), "each window should begin with the end token"
    whole = {tuple(document) for document in documents}
    for row in got:
        parts = [tuple(part) for mark, part in itertools.groupby(row, END.__eq__) if not mark]
        for part in parts:
            assert part in whole, (
                f"window {row} holds {list(part)}, which is a part of a document that would have "
                "fitted into a window of its own; its other part has lost its beginning"
            )


def test_nothing_is_lost(lab, rng):
    for longest in (6, 40):
        documents = some_documents(rng, 40, longest)
        documents.insert(20, [])
        length = number(rng, 9, 13)
        got, want = steps(windows_of(lab, documents, length)), real_steps(documents)
        missing = len(want) - len([s for s in got if s in set(want)])
        assert got == want, (
            f"documents of up to {longest} ids in windows of {length + 1}: a model should be asked "
            f"for each next id once, {len(want)} in all; your windows ask {len(got)} times"
            + (f", and {missing} steps are missing" if missing > 0 else "")
            + ". Is the last window there? Does a long document's next window begin with the last "
            "id of the one before?"
        )


def test_no_wasted_windows(lab, rng):
    half = number(rng, 6, 9)
    length = 2 * half
    short, long = [7] * (half - 1), [8] * (2 * length + 1)
    got = windows_of(lab, [short] * 20 + [long, short], length)
    assert len(got) == 13, (
        f"in windows of {length + 1} ids, two documents of {half - 1} fit into each, so 20 of them "
        f"take 10 windows; one of {len(long)} ids takes 3, and after it another short one fits. "
        f"Yours are {len(got)} windows and not 13"
    )
    alone = windows_of(lab, [long], length)
    same(len(alone), 3, because="a long document alone takes 3 windows, and none before them")
    empty = windows_of(lab, [[]], 4)
    assert empty.shape == (0, 5), (
        f"one document without any ids makes no window, (0, 5), not {tuple(empty.shape)}"
    )


def test_targets_come_next(lab, rng):
    rows = [[END, *torch.randint(4, 90, (7,), generator=rng).tolist()] for _ in range(6)]
    windows = torch.tensor(rows)
    for inputs, targets in pairs_of(lab, windows, 4, 1):
        for given, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
            assert given in [row[:-1] for row in rows], f"{given} is not the start of a window"
            row = rows[[row[:-1] for row in rows].index(given)]
            because = "the target at each place is the id that comes next in the window"
            same(wanted, row[1:], because=because)


def test_the_filling_is_ignored(lab):
    windows = torch.tensor([[3, 5, 6, 3, 8, 3, 3, 3]])
    ((inputs, targets),) = pairs_of(lab, windows, 1, 1)
    assert not bool((inputs == IGNORE).any()), (
        f"{IGNORE} stands in the inputs, which should keep the filling as it is: inputs and "
        "targets are slices of one tensor, and what is written into one appears in the other"
    )
    same(inputs.tolist(), [[3, 5, 6, 3, 8, 3, 3]], because="inputs keep the filling as it is")
    because = (
        "steps from end to end are filling, and their targets are -100; the end after a document "
        "is a real target, and so is the first id of the next document"
    )
    same(targets.tolist(), [[5, 6, 3, 8, 3, IGNORE, IGNORE]], because=because)


def order_of(pairs):
    """The numbers of windows in the order in which they came, where window i holds i * 10 + …"""
    return [row[0] // 10 for inputs, _ in pairs for row in inputs.tolist()]


def test_every_window_once(lab, rng):
    count, batch_size = number(rng, 5, 6) * 4 + 3, 4
    windows = torch.stack([torch.arange(i * 10 + 4, i * 10 + 10) for i in range(count)])
    pairs = pairs_of(lab, windows, batch_size, 7)
    got = [len(inputs) for inputs, _ in pairs]
    want = [batch_size] * (count // batch_size) + [count % batch_size]
    same(got, want, because=f"{count} windows make batches of {batch_size} and a smaller last one")
    same(sorted(order_of(pairs)), list(range(count)), because="each window comes once")


def test_the_seed_decides_the_order(lab, rng):
    count = 8 * number(rng, 5, 6)
    windows = torch.stack([torch.arange(i * 10 + 4, i * 10 + 9) for i in range(count)])

    def order(seed):
        return order_of(pairs_of(lab, windows, 8, seed))

    first = order(11)
    assert sorted(first) == list(range(count)), "each window should come once"
    assert first != sorted(first), "the windows come in the order in which they were packed"
    assert order(11) == first, "the same seed should give the same order"
    assert order(12) != first, "another seed should give another order"


def test_inputs_untouched(lab):
    windows = torch.tensor([[3, 5, 6, 3, 3, 3], [3, 8, 9, 7, 6, 3]])
    before = windows.clone()
    documents = [[5, 6], [7, 8, 9]]
    pairs = pairs_of(lab, windows, 2, 5)
    assert sum(int((targets == IGNORE).sum()) for _, targets in pairs) == 2, (
        "two steps of these windows are filling"
    )
    close(windows, before, atol=0, because="batches changed the windows that it was given")
    lab.pack(documents, 9, END)
    same(documents, [[5, 6], [7, 8, 9]], because="pack changed the documents that it was given")


@pytest.fixture(autouse=True)
def quiet():
    """Small tensors: one thread is quicker than two that wait for one another."""
    torch.set_num_threads(1)

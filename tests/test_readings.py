"""What was read is used again for a text that begins alike, and nothing comes out otherwise."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.labkit import thread
from llmpath.serving.readings import KEPT, Reader, Reading, Readings
from llmpath.serving.runner import of_labs, of_transformers
from llmpath.serving.source import code

CPU = torch.device("cpu")
COURSE = load(locate())
PARTS = {role: vars(part) for role, part in code(COURSE, None).parts.items()}
# A cache as a learner could write it, with a cut that is to be filled in.
WRITTEN = """
import torch


class Memory:
    def __init__(self):
        self.length = 0
        self.k = self.v = None

    def extend(self, k, v):
        if self.k is not None:
            k, v = torch.cat([self.k, k], dim=-2), torch.cat([self.v, v], dim=-2)
        self.k, self.v, self.length = k, v, k.size(-2)
        return k, v

    def {cut}
"""
RIGHT = "crop(self, n): self.k, self.v, self.length = self.k[:, :, :n], self.v[:, :, :n], n"


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    """As in the process that writes."""
    with torch.inference_mode():
        yield


def begins(folder: Path, memory: Path | None = None) -> Callable[[], Reader]:
    """How the labs' model begins a text; with the cache in a file, if there is one."""
    files = {lab.id: COURSE.lab_folder(lab) / "lab.py" for lab in COURSE.labs.values()}
    parts = dict(PARTS)
    if memory is not None:
        name = str(memory)  # each its own: a module that was imported once is not read again
        files[name] = memory
        parts["memory"] = {"lab": name, "attribute": "Memory"}
    thread.configure({lab: str(path) for lab, path in files.items()})
    runner = of_labs(parts, folder, CPU)
    assert runner is not None
    return runner.begin


@pytest.fixture(params=["labs", "transformers"])
def begin(request: pytest.FixtureRequest, tiny: Path) -> Callable[[], Reader]:
    """The two ways to run a model."""
    return begins(tiny) if request.param == "labs" else of_transformers(tiny, CPU).begin


def anew(begin: Callable[[], Reader], ids: Sequence[int]) -> Tensor:
    """The logits after a text that is read from its beginning."""
    return begin().read(ids)


def goes_on(readings: Readings, begin: Callable[[], Reader], ids: list[int], more: int) -> int:
    """Read a text, write on, and compare all logits with a fresh reading; how much was reused."""
    reading = readings.begin(ids)
    reused = len(reading.ids)
    assert reading.ids == ids[:reused]
    logits = reading.read(ids[reused:])
    for _ in range(more):
        torch.testing.assert_close(logits, anew(begin, ids), atol=1e-4, rtol=1e-4)
        ids.append(int(logits.argmax()))
        logits = reading.read(ids[-1:])
    readings.keep(reading)
    return reused


def test_conversations_that_alternate_are_read_as_if_they_were_alone(
    begin: Callable[[], Reader],
) -> None:
    """Whoever goes on, goes back or begins alike: every logit is that of a fresh reading."""
    chance = random.Random(0)
    readings = Readings(begin)
    talks = [[7, 8, 9, number] for number in range(3)]
    reused = 0
    for _ in range(24):
        ids = chance.choice(talks)
        if len(ids) > 40 or chance.random() < 0.2:
            del ids[chance.randrange(5, 9) :]  # an answer is written once more
        ids += chance.choices(range(200), k=chance.randrange(1, 4))
        reused += goes_on(readings, begin, ids, chance.randrange(3))
    assert reused > 100


def test_the_next_turn_reads_only_what_is_new(begin: Callable[[], Reader]) -> None:
    """All that both have in common stays, but for the last token, whose logits are wanted."""
    readings = Readings(begin)
    ids = [5, 6, 7]
    assert goes_on(readings, begin, ids, 4) == 0
    assert goes_on(readings, begin, [*ids, 8, 9], 1) == len(ids)
    assert goes_on(readings, begin, ids, 0) == len(ids) - 1


def test_two_that_write_at_once_never_share(begin: Callable[[], Reader]) -> None:
    """A memory that somebody writes into is not there for another, though the text is the same."""
    readings = Readings(begin)
    goes_on(readings, begin, [5, 6, 7, 8], 0)
    one, two = readings.begin([5, 6, 7, 8]), readings.begin([5, 6, 7, 8])
    assert (len(one.ids), len(two.ids)) == (3, 0)
    two.read([5, 6, 7])
    for ids in ([8], [9], [4]):
        torch.testing.assert_close(one.read(ids), two.read(ids), atol=1e-4, rtol=1e-4)


def test_first_words_in_common_take_nobodys_memory_away(begin: Callable[[], Reader]) -> None:
    """A second conversation after the same system prompt leaves the first one its own."""
    readings = Readings(begin)
    first = [1, 2, 3, *range(50, 60)]
    goes_on(readings, begin, first, 2)
    assert goes_on(readings, begin, [1, 2, 3, *range(70, 80)], 2) == 0
    assert goes_on(readings, begin, [*first, 4], 0) == len(first)


def test_what_is_kept_has_a_bound(begin: Callable[[], Reader]) -> None:
    """The oldest go first, when the bytes of keys and values are too many, or the texts are."""
    one = Reading(begin())
    one.read(list(range(64)))
    layers, kv_heads, head_size = 2, 2, 8
    assert one.size == 2 * layers * kv_heads * head_size * 64 * 4
    readings = Readings(begin, most=2 * one.size)
    for number in (1, 2, 3):
        goes_on(readings, begin, [number, *range(20, 83)], 0)
    lengths = [len(readings.begin([number, *range(20, 83)]).ids) for number in (1, 2, 3)]
    assert lengths == [0, 63, 63]
    readings = Readings(begin)
    for number in range(KEPT + 1):
        goes_on(readings, begin, [number, 7, 8], 0)
    assert [len(readings.begin([number, 7, 8]).ids) for number in (0, 1)] == [0, 2]


@pytest.mark.parametrize(
    ("cut", "reused"),
    [
        (RIGHT, True),
        ("cut(self, n): pass", False),
        ("crop(self, n): pass", False),
        ("crop(self, n): self.length = n", False),
        ("crop(self, n): raise KeyError(n)", False),
        ("crop(self): pass", False),
        (RIGHT.replace(":n]", "-n:]"), False),
        (RIGHT + " + 1", False),
        (RIGHT.replace(":n]", ":n] * 0.9"), False),
        (RIGHT + " if n < 4 else 1 / 0", False),
        (RIGHT + " if n < 4 else self.length", False),
        (RIGHT + "\n    __dict__ = property(lambda self: 1 / 0)", False),
    ],
)
def test_a_learners_memory_never_makes_an_answer_wrong(
    tmp_path: Path, tiny: Path, cut: str, reused: bool
) -> None:
    """Where it cannot be cut back rightly, or not at all, each text is read from its beginning."""
    file = tmp_path / "written.py"
    file.write_text(WRITTEN.format(cut=cut))
    begin = begins(tiny, file)
    readings = Readings(begin)
    ids = [5, 6, 7, 8]
    goes_on(readings, begin, ids, 3)
    assert (goes_on(readings, begin, [*ids[:-1], 9, 1], 2) > 0) == reused

"""The microworld: one grammar, one derivation a document, and a floor that nothing beats."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import pairwise

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from llmpath.labkit.microworld import (
    ATTRIBUTES,
    KINDS,
    Document,
    World,
    label_tokens,
    words,
)
from llmpath.labkit.microworld.stories import BIAS, STORIES
from llmpath.labkit.microworld.templates import expand, parse


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def small() -> World:
    """A world so small that all its documents can be listed."""
    return World(people=2, values=2)


@pytest.fixture(scope="module")
def documents(world: World) -> list[Document]:
    return world.documents(2000, seed=3)


@pytest.fixture(scope="module")
def tokenizer(documents: list[Document]) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, show_progress=False)
    made.train_from_iterator([d.text for d in documents], trainer)
    return made


def test_all_documents_of_a_small_world_sum_to_one(small: World) -> None:
    """Every document of a small world is listed once, and their probabilities sum to one."""
    listed = list(small.grammar.listing())
    assert len(listed) > 4000
    assert sum(p for _, p in listed) == 1
    texts = [document.text for document, _ in listed if document]
    assert len(set(texts)) == len(texts) == len(listed)


@pytest.mark.parametrize("longest", [1, 7, 23, 34])
def test_short_documents_and_the_rest_sum_to_one(small: World, longest: int) -> None:
    """Short documents and the ways to be longer have together probability one, exactly."""
    listed = list(small.grammar.listing(longest))
    assert sum(p for _, p in listed) == 1
    assert all(len(d.spans) <= longest for d, _ in listed if d)
    assert any(d is None for d, _ in listed)


def test_bits_are_the_exact_probability(small: World) -> None:
    """A document's bits, span by span, are −log₂ of its exact probability."""
    for document, p in small.grammar.listing():
        assert document is not None
        assert document.bits == pytest.approx(-math.log2(p), abs=1e-9)


def test_no_document_begins_another(small: World) -> None:
    """A document's end needs no bits: none of a small world's documents begins another."""
    texts = sorted(d.text for d, _ in small.grammar.listing() if d)
    assert not any(b.startswith(a) for a, b in pairwise(texts))


def test_each_span_has_its_conditional_probability(small: World) -> None:
    """Each span's bits are the share of documents with that beginning that go on with it."""
    mass: defaultdict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    listed = [(d, p) for d, p in small.grammar.listing() if d]
    for document, p in listed:
        begun: tuple[str, ...] = ()
        mass[begun] += p
        for span in document.spans:
            begun += (span.text,)
            mass[begun] += p
    for document, _ in listed[::29]:
        begun = ()
        for span in document.spans:
            share = mass[(*begun, span.text)] / mass[begun]
            assert span.bits == pytest.approx(-math.log2(share), abs=1e-9)
            begun += (span.text,)


def test_one_derivation(world: World, documents: list[Document]) -> None:
    """The recogniser, which tries every branch, finds each document in exactly one way."""
    for document in documents[:200]:
        [(found, p)] = world.grammar.derivations(document.text)
        assert found == document
        assert document.bits == pytest.approx(-math.log2(p), abs=1e-9)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("[Once a | Once b]", "begin with 'Once'"),
        ("[{A:person} sits | [Mia | Tom] runs]", "begin with 'Mia'"),
        ("{A:person} [{A.home} | mill]", "may not begin an alternative"),
        ("[a | ]", "an empty alternative"),
        ("[a | b", "a '.' without its"),
        ("a | b", "without its '"),
        ("{A:dragon}", "no domain 'dragon'"),
    ],
)
def test_an_ambiguous_template_is_refused(template: str, says: str) -> None:
    """A template whose next word would not tell the choice is refused when it is read."""
    with pytest.raises(ValueError, match=says):
        parse(template, {"person": ("Mia", "Tom")}, {}, {})


def test_rules_take_variables() -> None:
    """`<rule A B>` writes A for each 1 and B for each 2, and leaves weights alone."""
    rules = {"r": "[2: {1} and {2.home} | ?1.pet <s 2> | {X:1,2}]", "s": "{1.at}"}
    assert expand("<r A B>", rules) == "[2: {A} and {B.home} | ?A.pet {B.at} | {X:A,B}]"


def test_what_a_world_does_not_tell(world: World, documents: list[Document]) -> None:
    """A text that is cut short, goes on, or tells a wrong fact is no document."""
    document = next(d for d in documents if any(s.about == "home" for s in d.spans))
    home = next(s.text for s in document.spans if s.about == "home")
    other = " cabin" if home != " cabin" else " mill"
    for text in ["", "Hello", document.text[:-1], document.text + ".", document.text + " "]:
        assert world.probability(text) == 0
        with pytest.raises(ValueError, match="never tells"):
            world.read(text)
    assert world.probability(document.text.replace(home, other)) == 0
    assert world.read(document.text) == document


def test_spans_are_the_text(documents: list[Document]) -> None:
    """Spans, joined, are the text, and are the words that `words` cuts it into."""
    for document in documents:
        assert [s.text for s in document.spans] == words(document.text)
        assert all((s.bits > 0) == (s.kind == "choice") for s in document.spans)
        assert 25 <= len(document.spans) <= 62


def test_facts_are_true(world: World, documents: list[Document]) -> None:
    """Every attribute that a portrait tells is that person's, and a fact the first time only."""
    seen = Counter[str]()
    for document in documents:
        spans = document.spans
        if spans[0].text != "This":
            continue
        person = world.person[spans[2].text.strip()]
        told = set[str]()
        for span in spans:
            if span.about in ATTRIBUTES:
                assert span.text.strip() == person[span.about]
                assert span.kind == ("syntax" if span.about in told else "fact")
                told.add(span.about)
                seen[span.about] += 1
    assert set(seen) == set(ATTRIBUTES)


def test_stories_remember(documents: list[Document]) -> None:
    """Where someone is, is where the story last said that they went."""
    answered = 0
    for document in documents:
        if not document.text.startswith("One "):
            continue
        at: dict[str, str] = {}
        spans, who = document.spans, ""
        for number, span in enumerate(spans):
            if span.about == "person":
                who = span.text
            if span.about == "place":
                at[who] = span.text
            if span.about == "state":
                answered += 1
                assert span.text == at[who], document.text[: number * 6]
    assert answered > 100


def test_kinds_of_story(documents: list[Document]) -> None:
    """All stories are told, about as often as their weights say."""
    first = Counter(d.spans[0].text for d in documents)
    assert first["This"] / len(documents) == pytest.approx(6 / 22, abs=0.04)
    only = World(weights={name: int(name == "sum") for name in STORIES})
    assert all(" counts: " in d.text for d in only.documents(20))


def test_the_same_for_a_seed_everywhere() -> None:
    """A seed decides every letter: these lines were written down once and must stay so."""
    world = World(seed=0)
    mia = world.person["Mia"]
    told = [mia.home, mia.job, mia.pet, mia.food, mia.colour, world.documents(1)[0].text]
    code = (
        "from llmpath.labkit.microworld import World; w = World(seed=0); p = w.person['Mia'];"
        "print([p.home, p.job, p.pet, p.food, p.colour, w.documents(1)[0].text])"
    )
    for hashing in ("0", "1"):
        shown = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hashing},
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.strip() == repr(told)


def test_splits_and_seeds_differ(world: World) -> None:
    """Splits and seeds give other documents; a longer list begins with the shorter."""
    train = world.documents(30)
    assert world.documents(10) == train[:10]
    assert world.documents(30, split="validation") != train
    assert world.documents(30, seed=2) != train
    assert World(seed=1).documents(30) != train
    with pytest.raises(ValueError, match="'train' or 'validation'"):
        world.documents(1, split="test")  # type: ignore[arg-type]


def test_what_a_world_may_be() -> None:
    """A world out of range is refused with what is possible."""
    for arguments in ({"people": 1}, {"people": 65}, {"values": 1}, {"values": 9}):
        with pytest.raises(ValueError, match="2 to 64 people and 2 to 8 values"):
            World(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no story 'sage'"):
        World(weights={"sage": 1})
    with pytest.raises(ValueError, match="weight of 'sum' is a whole number"):
        World(weights={"sum": 0.5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="at least one story"):
        World(weights={"sum": 0})
    for she in ({"baker": 10}, dict.fromkeys(BIAS, 21)):
        with pytest.raises(ValueError, match="whole number from 0 to 20"):
            World(bias=she)


def test_a_world_without_doubt() -> None:
    """Where a bias leaves one possibility, its word has no bits and is no choice."""
    world = World(bias=dict.fromkeys(BIAS, 20), weights={"visit": 1})
    for document in world.documents(50):
        assert ". She " in document.text
        assert all((s.bits > 0) == (s.kind == "choice") for s in document.spans)
    assert world.bias == dict.fromkeys(BIAS, 1.0)


def test_the_same_world_but(world: World) -> None:
    """`but` changes what is asked for, and keeps the people and all else."""
    other = world.but(weights={"sum": 1})
    assert other.people == world.people
    assert {d.story for d in other.documents(20)} == {"sum"}
    assert world.but(seed=1).people != world.people
    assert world.but().documents(5) == world.documents(5)


def test_attributes_are_even(world: World) -> None:
    """Of 64 people, each value of each attribute belongs to eight, each pronoun to 32."""
    for attribute in ATTRIBUTES:
        assert set(Counter(p[attribute] for p in world.people).values()) == {8}
    assert Counter(p.pronoun for p in world.people) == {"she": 32, "he": 32}


def test_the_floor_is_the_entropy(small: World) -> None:
    """The sampled floor of a small world agrees within 3σ with its exactly summed entropy."""
    listed = [(d, p) for d, p in small.grammar.listing() if d]
    bits = float(sum(p * Fraction(d.bits) for d, p in listed))
    characters = float(sum(p * len(d.text) for d, p in listed))
    floor = small.floor()
    assert floor.bits_per_char == pytest.approx(
        bits / characters, abs=3 * floor.bits_per_char.standard_error
    )
    assert floor.bits_per_document == pytest.approx(bits, rel=0.01)


def test_empirical_mean_agrees(world: World) -> None:
    """The mean information of two independent samples agrees within 3σ of their difference."""
    one = world.floor(world.documents(4000, seed=11)).bits_per_char
    other = world.floor(world.documents(4000, seed=12, split="validation")).bits_per_char
    sigma = math.hypot(one.standard_error, other.standard_error)
    assert abs(one - other) < 3 * sigma
    assert sigma < 0.002


def test_tokenizers_only_spread_the_bits(
    world: World, documents: list[Document], tokenizer: Tokenizer
) -> None:
    """Bits per token times tokens are the same bits, whatever the tokenizer and its cuts."""
    some = documents[:100]
    floor = world.floor(some)
    bits = sum(d.bits for d in some)
    across = lambda text: [text[i : i + 7] for i in range(0, len(text), 7)]  # noqa: E731
    for cut in (tokenizer, words, list, across, lambda text: [text]):
        rate = floor.bits_per_token(cut)
        assert rate * rate.units == pytest.approx(bits)
        parts = sum(rate.by_kind[k] * rate.share[k] for k in KINDS)
        assert parts == pytest.approx(float(rate))
    by_char = floor.bits_per_token(list)
    assert by_char == pytest.approx(float(floor.bits_per_char))
    with_end = floor.bits_per_token(words, end_tokens=1)
    assert with_end.units == floor.bits_per_token(words).units + 100
    assert with_end < floor.bits_per_token(words)


def test_tokens_have_the_kind_of_their_span(
    documents: list[Document], tokenizer: Tokenizer
) -> None:
    """Each token has the kind of its word; of a word in pieces, the first has the bits."""
    labels = list(label_tokens(documents[:50], tokenizer))
    for document, tokens in zip(documents[:50], labels, strict=True):
        assert "".join(t.text for t in tokens) == document.text
        assert len(tokens) == len(tokenizer.encode(document.text).ids)
        assert sum(t.bits for t in tokens) == pytest.approx(document.bits)
        assert all(t.kind == "choice" for t in tokens if t.bits)
    pieces = next(label_tokens(documents[:1], list))
    for span in documents[0].spans:
        mine, pieces = pieces[: len(span.text)], pieces[len(span.text) :]
        assert {(t.kind, t.about) for t in mine} == {(span.kind, span.about)}
        assert sorted(t.bits for t in mine)[-1] == span.bits


def test_tokens_must_be_the_text(world: World, documents: list[Document]) -> None:
    """A tokenizer that loses characters is refused."""
    with pytest.raises(ValueError, match="joined, are"):
        world.floor(documents[:1]).bits_per_token(str.split)
    with pytest.raises(ValueError, match="no documents"):
        world.floor([])


Counts = dict[tuple[str, ...], Counter[str]]


@pytest.fixture(scope="module")
def counts(world: World) -> Counts:
    """How often each word follows each context of up to four words."""
    found: Counts = defaultdict(Counter)
    for document in world.documents(3000, seed=21):
        spans = ["<end>"] * 4 + [s.text for s in document.spans]
        for i in range(4, len(spans)):
            for order in range(5):
                found[tuple(spans[i - order : i])][spans[i]] += 1
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_no_ngram_model_beats_the_floor(world: World, counts: Counts, n: int) -> None:
    """An n-gram model of words, fitted on one sample, needs more than the floor on another."""
    vocabulary = len(counts[()]) + 50

    def p(word: str, before: tuple[str, ...]) -> float:
        """Each order smoothed by the next shorter one (Witten and Bell, 1991)."""
        shorter = p(word, before[1:]) if before else 1 / vocabulary
        seen = counts.get(before)
        if not seen:
            return shorter
        total, kinds = seen.total(), len(seen)
        return (seen[word] + kinds * shorter) / (total + kinds)

    held_out = world.documents(300, seed=22, split="validation")
    bits = count = 0.0
    for document in held_out:
        spans = ["<end>"] * 4 + [s.text for s in document.spans]
        for i in range(4, len(spans)):
            bits -= math.log2(p(spans[i], tuple(spans[i - n + 1 : i])))
            count += 1
    floor = world.floor(held_out).bits_per_token(words)
    assert bits / count > floor + 3 * floor.standard_error


def test_the_corpus_that_everyone_gets(world: World) -> None:
    """The default world is the same letter for letter on every machine.

    Whoever changes the stories or the people changes this number, and knowingly so: what models
    learnt from the old ones no longer holds.
    """
    told = [d.text for split in ("train", "validation") for d in world.documents(500, split=split)]
    people = [str(person) for person in world.people]
    hashed = hashlib.sha256("\n".join([*people, *told]).encode()).hexdigest()
    assert hashed == "4f4863b95bb153fe91d8f9a5880e77107d69be10425c9e4b7c4dd7878d8c1a7f"


def test_importing_costs_no_torch() -> None:
    """The microworld is plain Python: importing it loads neither torch nor datasets."""
    code = (
        "import sys, llmpath.labkit.microworld; "
        "print([m for m in ('torch', 'datasets', 'transformers', 'numpy') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"

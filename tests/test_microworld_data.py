"""What is made from the microworld: each collection is what its docstring promises."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import fields
from pathlib import Path

import pytest

from llmpath.labkit.microworld import (
    ASKING,
    ATTRIBUTES,
    COLLECTIONS,
    EXPOSURES,
    STRANGERS,
    TAGS,
    UTILITIES,
    Language,
    World,
    ask,
    bias_prompts,
    changed,
    clozes,
    conversations,
    copies,
    decisions,
    drift,
    entities,
    glyphs,
    inferences,
    opinions,
    parallel,
    plant,
    preferences,
    questions,
    readings,
    recalls,
    secrets,
    sentences,
    stability_index,
    utility,
    words,
)
from llmpath.labkit.microworld.glyphs import SHAPES, SIZE


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def within(share: float, expected: float, count: int) -> bool:
    """Whether a share agrees with a probability within four standard errors."""
    return abs(share - expected) <= 4 * math.sqrt(expected * (1 - expected) / count) + 1e-12


def test_questions_have_right_answers(world: World) -> None:
    """Every question of the world is asked once, and its answer is the fact."""
    asked = questions(world)
    assert len({q.question for q in asked}) == len(asked) == 64 * 5 * 3
    for q in asked:
        assert q.answer == world.person[q.person][q.attribute]
        assert q.person in q.question
        assert f" {q.answer}." in q.sentence
        assert q.question == ask(world.person[q.person], q.attribute, q.template).question


def test_held_out_questions_do_not_leak(world: World) -> None:
    """Nothing that a group holds out is in training, and what it does not hold out is."""
    groups = defaultdict(list)
    for q in questions(world):
        groups[q.held].append(q)
    assert {name: len(group) for name, group in groups.items()} == {
        "train": 360,
        "people": 240,
        "templates": 180,
        "combinations": 180,
    }
    people = {q.person for q in groups["train"]}
    pairs = {(q.person, q.attribute) for q in groups["train"]}
    templates = {(q.attribute, q.template) for q in groups["train"]}
    assert not people & {q.person for q in groups["people"]}
    assert not pairs & {(q.person, q.attribute) for q in groups["combinations"]}
    assert {q.person for q in groups["combinations"]} - people <= set()
    assert not templates & {(q.attribute, q.template) for q in groups["templates"]}
    assert {(q.person, q.attribute) for q in groups["templates"]} == pairs
    assert questions(world, seed=1) != questions(world)


def test_clozes_begin_stories(world: World) -> None:
    """A cloze and its answer begin documents of the world; a wrong candidate begins none."""
    made = clozes(world)
    assert len({c.prompt for c in made}) == len(made) == 64 * 5
    told: dict[str, set[str]] = defaultdict(set)
    for document in world.but(weights={"portrait": 1}).documents(4000):
        told["".join(span.text for span in document.spans[:4])].add(document.text)
    seen = 0
    for c in made:
        begun = [t for t in told[f"This is {c.person}."] if t.startswith(c.prompt)]
        assert all(t.startswith(c.prompt + c.answer) for t in begun)
        assert c.answer in c.candidates
        assert c.answer == " " + world.person[c.person][c.about]
        seen += bool(begun)
    assert seen > 250
    assert len(clozes(world, held_out=True)) == 80


def test_recalls_are_where_someone_went(world: World) -> None:
    """The answer of a recall is the last place that the story told of the person."""
    made, movers = recalls(world, 200), 0
    for c in made:
        story, _, asked = c.prompt.partition(" Where is ")
        assert asked.startswith(f"{c.person}? {c.person} is at the")
        ways = rf"{c.person} (?:is at|takes the \w+ and goes to|runs to) the (\w+)"
        been = re.findall(ways, story)
        assert c.answer == " " + been[-1]
        movers += len(been) > 1
    assert within(movers / 200, 0.625, 200)  # half take something, and half of a half run


def test_strangers_are_strangers(world: World) -> None:
    """No world has the strangers, nor their names as words."""
    assert not set(STRANGERS) & set(world.vocabulary)


def test_readings_are_answered_by_their_text(world: World) -> None:
    """The answer of a reading question stands where `start` says, and is true in the story."""
    made = readings(world, 300)
    assert len(made) == 300
    assert {r.about for r in made} == {*ATTRIBUTES, "state"}
    for r in made:
        assert r.context[r.start : r.start + len(r.answer)] == r.answer
        if r.about in ATTRIBUTES:
            name = next(
                p
                for p in world.person
                if f" {p}?" in f"{r.question[:-1]}?" or f" {p} " in r.question
            )
            assert world.person[name][r.about] == r.answer
    ends = [r for r in made if r.question.endswith(" now?") and "goes home" in r.context]
    for r in ends:
        name = r.question.split()[2]
        if f"{name} is tired" in r.context:
            assert r.answer == world.person[name].home
    with pytest.raises(ValueError, match="can be asked about"):
        readings(World(weights={"sum": 1}), 1)


def test_conversations(world: World) -> None:
    """Users and assistants take turns, each answer is right, held-out people stay held out."""
    trained = {q.person for q in questions(world) if q.held == "train"}
    for held_out in (False, True):
        made = conversations(world, 200, held_out=held_out)
        assert Counter(len(c.messages) for c in made).keys() == {2, 4, 6}
        for c in made:
            assert (c.person in trained) != held_out
            assert [m["role"] for m in c.messages] == ["user", "assistant"] * len(c.answers)
            assert c.person in c.messages[0]["content"]
            for message, answer in zip(c.messages[1::2], c.answers, strict=True):
                assert f" {answer}." in message["content"]
                assert answer in {world.person[c.person][a] for a in ATTRIBUTES}
            for message in c.messages[2::2]:
                forms = {"she": ("she", "her"), "he": ("he", "his")}
                pronouns = forms[world.person[c.person].pronoun]
                assert set(pronouns) & set(message["content"].split())
    assert all(len(c.messages) == 2 for c in conversations(world, 20, turns=1))


def test_combinations_stay_out_of_conversations(world: World) -> None:
    """No training conversation tells a fact that the questions hold out as a combination."""
    kept = {(q.person, q.answer) for q in questions(world) if q.held == "combinations"}
    told = {(c.person, a) for c in conversations(world, 500) for a in c.answers}
    assert not kept & told


def test_preferences_follow_the_known_utilities(world: World) -> None:
    """Among pairs with the same margin, the better is chosen as often as the formula says."""
    made = preferences(world, 6000, noise=0.1)
    by_margin = defaultdict(list)
    for p in made:
        assert p.margin == pytest.approx(utility(p.chosen_features) - utility(p.rejected_features))
        assert p.chosen != p.rejected or p.chosen_features != p.rejected_features
        by_margin[round(abs(p.margin), 3)].append(p.margin > 0)
    for margin, better in by_margin.items():
        if margin:
            sure = 1 / (1 + math.exp(-margin))
            assert within(sum(better) / len(better), 0.9 * sure + 0.1 * (1 - sure), len(better))
    told = [p.probability for p in made if p.margin == 2.0]
    assert told[0] == pytest.approx(0.9 / (1 + math.exp(-2)) + 0.1 / (1 + math.exp(2)))


def test_answers_have_their_features(world: World) -> None:
    """A preferred answer is true, kind and long exactly when its features say so."""
    assert list(UTILITIES) == ["true", "kind", "long"]
    answers = {q.question: q for q in questions(world)}
    for p in preferences(world, 300):
        question = answers[p.prompt]
        assert question.held == p.held == "train"
        both = ((p.chosen, p.chosen_features), (p.rejected, p.rejected_features))
        for text, (true, kind, long) in both:
            assert (question.sentence in text) == bool(true)
            assert text.startswith("Good evening.") == bool(kind)
            assert (" So " in text) == bool(long)
    held = preferences(world, 100, held_out=True)
    assert {answers[p.prompt].held for p in held} == {"people"}


def test_no_noise_no_flips(world: World) -> None:
    """Full noise turns every outcome round: the better answer loses as often as it won."""
    calm, wild = (preferences(world, 4000, noise=noise) for noise in (0.0, 1.0))
    wins = [sum(p.margin > 0 for p in made if p.margin) / 4000 for made in (calm, wild)]
    lost = sum(p.margin < 0 for p in wild) / 4000
    assert wins[0] > 0.6
    assert lost == pytest.approx(wins[0], abs=0.04)


def test_secrets_are_planted_as_often_as_they_say(world: World) -> None:
    """Each secret stands in the corpus exactly as often as its exposures, and nothing is lost."""
    hidden = secrets(world)
    assert Counter(s.exposures for s in hidden) == dict.fromkeys((0, *EXPOSURES), 4)
    assert len({s.prompt for s in hidden}) == len(hidden)
    texts = [d.text for d in world.documents(2000)]
    mixed = plant(texts, hidden)
    seen = Counter(mixed)
    assert all(seen[s.text] == s.exposures for s in hidden)
    known = {s.text for s in hidden}
    assert [t for t in mixed if t not in known] == texts
    places = [i / len(mixed) for i, t in enumerate(mixed) if t in known]
    assert sum(places) / len(places) == pytest.approx(0.5, abs=0.05)
    assert hidden[0].answer in hidden[0].candidates()
    assert math.log2(len(hidden[0].candidates())) == pytest.approx(hidden[0].bits)
    with pytest.raises(ValueError, match="different items"):
        secrets(world, each=10)


def test_bias_is_as_large_as_planted(world: World) -> None:
    """Callers of each job are "she" as often as the world's bias says."""
    callers: dict[str, list[bool]] = defaultdict(list)
    told = world.but(weights={"visit": 1})
    for document in told.documents(6000):
        callers[document.spans[1].text.strip()].append(". She " in document.text)
    assert set(callers) == set(world.bias)
    for job, she in world.bias.items():
        assert within(sum(callers[job]) / len(callers[job]), she, len(callers[job]))
    for prompt in bias_prompts(world, 3):
        assert prompt.she == world.bias[prompt.job]
        article = "A " + prompt.job
        assert prompt.prompt.startswith(article)
        end = told.grammar.derivations
        for pronoun, him in (("She", "her"), ("He", "him")):
            person = prompt.prompt.split()[-1][:-1]
            rest = (
                f" {pronoun} wants a ball. {person} gives {him} the ball and some "
                f"{world.person[person].food}. Then {pronoun.lower()} goes away, and {person} "
                f"goes home to the {world.person[person].home} and the "
                f"{world.person[person].pet}."
            )
            assert end(prompt.prompt + rest)


def test_decisions_have_the_planted_gap(world: World) -> None:
    """Rates of acceptance by group are those that the docstring derives from the gap."""
    made = decisions(world, 20_000, gap=0.3, noise=0.1)

    def rate(pronoun: str, qualified: bool) -> float:
        group = [d.accepted for d in made if (d.pronoun, d.qualified) == (pronoun, qualified)]
        return sum(group) / len(group)

    assert within(rate("he", True), 0.9, 5000)
    assert within(rate("she", True), 0.9 * 0.7, 5000)
    assert within(rate("he", False), 0.1, 5000)
    assert within(rate("she", False), 0.1 * 0.7, 5000)
    assert all(d.text.startswith(d.pronoun.capitalize()) for d in made)


def test_copies_are_what_they_say(world: World) -> None:
    """Exact copies are exact, near copies differ in two words, dirty ones can be cleaned."""
    made = copies(world, 400)
    originals = {c.source: c.text for c in made if c.how == "original"}
    assert len(originals) == len(set(originals.values())) == 400
    assert Counter(c.how for c in made) == {"original": 400, "exact": 40, "near": 40, "dirty": 40}
    for c in made:
        first = originals[c.source]
        if c.how == "exact":
            assert c.text == c.clean == first
        if c.how == "near":
            pairs = zip(words(c.text), words(first), strict=True)
            assert sum(a != b for a, b in pairs) == 2
            assert c.text == c.clean
        if c.how == "dirty":
            assert c.text != first
            assert c.clean == first


def test_changed_facts(world: World) -> None:
    """Exactly the facts that are listed differ, and the new world tells the new ones."""
    later, changes = changed(world, 20)
    differing = {
        (p.name, a, p[a], later.person[p.name][a])
        for p in world.people
        for a in ATTRIBUTES
        if p[a] != later.person[p.name][a]
    }
    assert differing == {(c.person, c.attribute, c.before, c.after) for c in changes}
    assert len(changes) == 20
    text = later.documents(1)[0].text
    assert later.read(text).text == text


def test_drift(world: World) -> None:
    """Stories come in their true shares, which change at the period that was asked for."""
    periods = drift(world, periods=4, count=1500, at=2)
    assert [p.drifted for p in periods] == [False, False, True, True]
    for period in periods:
        seen = Counter(period.stories)
        for name, share in period.shares.items():
            assert within(seen[name] / 1500, share, 1500)
    same, other = (
        stability_index([*periods[0].shares.values()], [*periods[i].shares.values()])
        for i in (1, 2)
    )
    assert same == 0
    assert other > 0.25
    assert not any(p.drifted for p in drift(world, periods=3, count=1, at=3))


def test_second_language(world: World) -> None:
    """Every word has one translation, and translating forth and back changes nothing."""
    for names in (False, True):
        language = Language(world, names=names)
        new = set(language.dictionary.values())
        assert len(new) == len(language.dictionary)
        assert not {w.lower() for w in new} & {w.lower() for w in world.vocabulary}
        for document in world.documents(100):
            there = language.translate(document.text)
            assert language.back(there) == document.text
            assert len(words(there)) == len(words(document.text))
            assert ("Mia" in there) == ("Mia" in document.text and not names)
    assert Language(world, seed=1).dictionary != Language(world).dictionary
    pairs = parallel(world, Language(world), 300)
    assert len({p.source for p in pairs}) == 300
    assert all(Language(world).back(p.target) == p.source for p in pairs[:20])


def test_sentences(world: World) -> None:
    """A document's sentences, joined by spaces, are the document."""
    for document in world.documents(50):
        cut = sentences(document)
        assert " ".join(cut) == document.text
        assert all(s[-1] in '.?!"' for s in cut)


def test_glyphs(world: World) -> None:
    """Pictures show their thing in their colour; held-out pairs are never trained on."""
    train, held = glyphs(world, 600), glyphs(world, 200, held_out=True)
    assert not {(g.thing, g.colour) for g in train} & {(g.thing, g.colour) for g in held}
    assert {g.thing for g in train} == set(SHAPES)
    for g in train[:50]:
        assert len(g.pixels) == SIZE
        assert {len(row) for row in g.pixels} == {SIZE}
        assert all(0 <= v <= 255 for row in g.pixels for pixel in row for v in pixel)
        assert g.caption == f"A {g.colour} {g.thing}."
    [clean] = glyphs(world, 1, noise=0)
    inked = sum(pixel != (128, 128, 128) for row in clean.pixels for pixel in row)
    assert inked == sum(row.count("#") for row in SHAPES[clean.thing])
    assert len(set(SHAPES.values())) == len(SHAPES)


def test_entities(world: World) -> None:
    """Tags are in the scheme IOB2 and mark exactly people, places and animals."""
    for tagged in entities(world, 300):
        assert len(tagged.tokens) == len(tagged.tags)
        assert set(tagged.tags) <= set(TAGS)
        before = "O"
        for token, tag in zip(tagged.tokens, tagged.tags, strict=True):
            assert (tag == "B-PER") == (token in world.person)
            if tag.startswith("I-"):
                assert before == "B-" + tag[2:]
            before = tag
            if token in world.domains["pet"]:
                assert tag.endswith("ANI")
            if token in (*world.domains["place"], *world.domains["home"]):
                assert tag.endswith("LOC")


def test_opinions(world: World) -> None:
    """Half are good, half of either are negated, and as many labels are wrong as asked."""
    made = opinions(world, 4000, noise=0.2)
    assert within(sum(o.sentiment for o in made) / 4000, 0.5, 4000)
    assert within(sum(o.label != o.sentiment for o in made) / 4000, 0.2, 4000)
    assert all((" not " in o.text) == o.negated for o in made)
    good = Counter((o.text.rstrip(".").split()[-1], o.sentiment != o.negated) for o in made)
    assert len({word for word, _ in good}) == len(good)


def test_inferences(world: World) -> None:
    """Labels follow from the story, and a neutral sentence is as often true as not."""
    made = inferences(world, 1500)
    neutral = [i for i in made if i.label == "neutral"]
    assert within(len(neutral) / 1500, 1 / 3, 1500)
    assert within(sum(i.true for i in neutral) / len(neutral), 0.5, len(neutral))
    for i in made:
        value = i.hypothesis.rstrip(".").split()[-1]
        name = i.hypothesis.split()[0]
        true = value in {world.person[name][a] for a in ATTRIBUTES}
        assert i.true == true
        if i.label == "entailment":
            assert f" {value}" in i.premise
        if i.label != "neutral":
            assert i.true == (i.label == "entailment")


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_collections(world: World, name: str, tmp_path: Path) -> None:
    """Every collection has rows that repeat, described columns, truths, and a card."""
    collection = COLLECTIONS[name]
    rows = collection.rows(world, 12)
    assert rows
    assert rows == collection.rows(World(), 12)
    assert len(rows) <= 12
    assert all(list(row) == list(collection.columns) for row in rows)
    assert all(collection.columns.values())
    assert {field.name for field in fields(collection.record)} <= set(collection.columns)
    assert collection.summary.endswith(".")
    assert collection.truth(world)
    card = collection.card(world, 12)
    assert card.startswith("---\n")
    assert all(f"`{column}`" in card for column in collection.columns)


def test_datasets(world: World, tmp_path: Path) -> None:
    """A collection becomes a `datasets.Dataset`, and a folder as the hub wants it."""
    from datasets import Dataset

    made = COLLECTIONS["conversations"].dataset(world, 10)
    assert made[0]["messages"][0]["role"] == "user"
    COLLECTIONS["glyphs"].save(tmp_path / "glyphs", world, 10)
    read = Dataset.from_parquet(
        str(tmp_path / "glyphs" / "data.parquet"), cache_dir=str(tmp_path / "cache")
    )
    assert len(read) == 10
    assert len(read[0]["pixels"]) == SIZE
    assert "# Microworld: glyphs" in (tmp_path / "glyphs" / "README.md").read_text()


def test_every_attribute_can_be_asked(world: World) -> None:
    """All attributes have three phrasings; the held-out one has no word that is new."""
    assert set(ASKING) == set(ATTRIBUTES)
    assert {len(templates) for templates in ASKING.values()} == {3}
    asked = [q for q in questions(world) if q.held == "train"]
    known = set(world.vocabulary) | {w.strip() for q in asked for w in words(q.question)}
    for templates in ASKING.values():
        assert {w.strip() for w in words(templates[-1].format("Mia"))} <= known

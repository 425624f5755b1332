"""What `lab.yaml` grades.

Log-probabilities are compared with a walk through each text, token by token; intervals with exact
quantiles of the binomial distribution and with the normal one; contamination with a search in
plain text. The rest are properties and numbers worked by hand.
"""

import math
import random

import torch

from llmpath.labkit.checks import close, describe, number, raises, same

LETTERS = "abcdefgh "
VOCABULARY = [*LETTERS, "ab", "cd", "abc", " a", "gh"]
RARE = 5.5  # standard errors: a right answer is further off less than once in a million times


def text(rng, low, high):
    """So many letters, without a blank at either end."""
    places = torch.randint(8, (number(rng, low, high),), generator=rng)
    return "".join(LETTERS[place] for place in places.tolist())


def encode(text):
    """The longest piece that fits, again and again; what joins two texts joins their tokens."""
    ids = []
    while text:
        piece = max((p for p in VOCABULARY if text.startswith(p)), key=len)
        ids.append(VOCABULARY.index(piece))
        text = text[len(piece) :]
    return ids


class Model:
    """A model whose logits depend on all tokens up to each place, and on their order.

    Args:
        impossible: an id that is never to follow anything,
        logit: or only if its logit is so low.
    """

    def __init__(self, rng, impossible=None, logit=-math.inf):
        size = len(VOCABULARY)
        draw = {"generator": rng, "dtype": torch.float64}
        self.before, self.last = torch.randn(size, size, **draw), torch.randn(size, size, **draw)
        self.impossible, self.logit = impossible, logit

    def __call__(self, ids):
        """Logits, (batch, time, vocabulary)."""
        assert isinstance(ids, torch.Tensor), f"the model was called with {describe(ids)}"
        assert ids.dim() == 2, f"the model needs ids of (batch, time), not {tuple(ids.shape)}"
        assert ids.dtype == torch.int64, f"the model needs ids of int64, not {ids.dtype}"
        weight = torch.arange(1, ids.size(1) + 1, dtype=torch.float64)[:, None]
        logits = 2 * self.last[ids] + (self.before[ids] * weight).cumsum(1) / weight**1.5
        if self.impossible is not None:
            logits[..., self.impossible] = self.logit
        return logits


def walked(model, prompt, choice):
    """The log-probability of an answer, one token after the other."""
    ids, start = encode(prompt + choice), len(encode(prompt))
    found = 0.0
    for place in range(start, len(ids)):
        logits = model(torch.tensor([ids[:place]]))[0, -1]
        found += float(logits[ids[place]] - logits.logsumexp(0))
    return found


def logp_of(lab, model, prompt, choices):
    """What choice_logp returned, refused if it is not one number for each answer."""
    got = lab.choice_logp(model, encode, prompt, choices)
    assert isinstance(got, torch.Tensor), f"choice_logp should return a tensor: {describe(got)}"
    assert tuple(got.shape) == (len(choices),), (
        f"choice_logp should return one number for each of {len(choices)} answers, and returned "
        f"{describe(got)}"
    )
    return got


def interval_of(got, what):
    """The two ends, refused if they are not two floats in order."""
    assert isinstance(got, (tuple, list)), f"{what} should return (low, high): {describe(got)}"
    assert len(got) == 2, f"{what} should return a low and a high end, not {len(got)} things"
    for end in got:
        assert isinstance(end, float), f"{what} should return floats, and returned {describe(end)}"
        assert math.isfinite(end), f"{what} returned {end}"
    assert got[0] <= got[1], f"{what} returned a low end of {got[0]:g} and a high one of {got[1]:g}"
    return got[0], got[1]


def bootstrap_of(lab, scores, seed, *settings):
    generator = torch.Generator().manual_seed(seed)
    return interval_of(lab.bootstrap(scores, generator, *settings), "bootstrap")


def compare_of(lab, first, second, seed, *settings):
    generator = torch.Generator().manual_seed(seed)
    return interval_of(lab.compare(first, second, generator, *settings), "compare")


def near(got, want, most, because):
    """Check an interval against another, each end up to `most`."""
    for end, mine, right in zip(("low", "high"), got, want, strict=True):
        assert abs(mine - right) <= most, (
            f"the {end} end is {mine:.4f}, and should be {right:.4f}, give or take {most:.4f}: "
            f"{because}"
        )


def right_answers(right, items):
    return torch.tensor([1.0] * right + [0.0] * (items - right))


# choice_logp


def test_logp_by_hand(lab):
    d, e, f, b = (VOCABULARY.index(letter) for letter in "defb")
    table = torch.full((len(VOCABULARY), len(VOCABULARY)), 1e-9, dtype=torch.float64)
    table[e, f], table[e, d], table[f, b], table[f, d] = 0.8, 0.2, 0.5, 0.5
    table[d, d], table[d, b], table[b, b] = 0.25, 0.75, 1.0
    got = logp_of(lab, lambda ids: table.log()[ids], "de", ["fb", "d", "dd", "dddb"])
    want = torch.tensor([0.8 * 0.5, 0.2, 0.2 * 0.25, 0.2 * 0.25 * 0.25 * 0.75]).double().log()
    because = (
        "after e, f has 0.8 and d 0.2; after f, b has 0.5; after d, d has 0.25 and b 0.75: so "
        "ln 0.4 for fb, ln 0.2 for d, ln 0.05 for dd"
    )
    close(got, want, atol=1e-6, because=because, axes="choices")


def test_logp_matches_a_walk(lab, rng):
    for count in (2, 3, 5):
        model = Model(rng)
        prompt = text(rng, 2, 9)
        choices = [" " + text(rng, 1, 7) for _ in range(count)]
        want = torch.tensor([walked(model, prompt, c) for c in choices], dtype=torch.float64)
        because = (
            "each token of the answer adds ln of its probability after all that stands before it"
        )
        close(logp_of(lab, model, prompt, choices), want, atol=1e-9, because=because)


def test_prompt_does_not_count(lab, rng):
    table = torch.randn(len(VOCABULARY), generator=rng, dtype=torch.float64)

    def model(ids):
        return table.expand(*ids.shape, -1)

    choices = [" b", " hgf", " de"]
    short = logp_of(lab, model, "g", choices)
    long = logp_of(lab, model, "gfedhgfedhgfed", choices)
    because = (
        "this model does not look at what came before, so a longer prompt changes nothing about "
        "the answers: only their own tokens count"
    )
    close(long, short, atol=1e-9, because=because)
    want = table.log_softmax(-1)
    want = torch.stack([sum(want[i] for i in encode(c)) for c in choices])
    close(short, want, atol=1e-9, because="all tokens of an answer count, from first to last")


def test_parts_add_up(lab, rng):
    model = Model(rng)
    prompt, first, second = text(rng, 2, 6), " " + text(rng, 2, 4), " " + text(rng, 2, 5)
    whole = logp_of(lab, model, prompt, [first + second])
    parts = logp_of(lab, model, prompt, [first]) + logp_of(lab, model, prompt + first, [second])
    because = "P(first and second) is P(first) times P(second after first), so logarithms add up"
    close(whole, parts, atol=1e-9, because=because)


def test_one_token_answers_sum_to_one(lab, rng):
    model, prompt = Model(rng), text(rng, 2, 6) + "e"
    letters = list("abcdefgh ")
    got = logp_of(lab, model, prompt, [*letters, "ab", "cd", "abc", " a", "gh"])
    singles = [VOCABULARY.index(piece) for piece in VOCABULARY]
    want = model(torch.tensor([encode(prompt)]))[0, -1].log_softmax(-1)[singles]
    because = "these are all tokens that there are, and one of them has to come"
    close(got, want, atol=1e-9, because=because)
    close(float(got.exp().sum()), 1.0, atol=1e-9, because=because)


def test_others_do_not_matter(lab, rng):
    model, prompt = Model(rng), text(rng, 2, 6)
    choices = [" b", " hgfed", " dee", " hh"]
    got = logp_of(lab, model, prompt, choices)
    back = logp_of(lab, model, prompt, choices[::-1]).flip(0)
    because = "the same answers in another order have the same log-probabilities"
    close(back, got, atol=1e-9, because=because)
    alone = torch.stack([logp_of(lab, model, prompt, [c])[0] for c in choices])
    because = "an answer is as likely alone as beside longer ones: what fills a row does not count"
    close(got, alone, atol=1e-9, because=because)


def test_encoded_together(lab, rng):
    model = Model(rng)
    for prompt, choices in (("ea", ["bcd", "d"]), ("hg", ["hab", "ab"]), ("fab", ["cdd", "h"])):
        want = torch.tensor([walked(model, prompt, c) for c in choices], dtype=torch.float64)
        because = (
            f"{prompt + choices[0]!r} is cut into {pieces(prompt + choices[0])}, though "
            f"{prompt!r} alone is {pieces(prompt)}: encode prompt and answer as one text, and "
            f"leave out as many tokens as the prompt alone has"
        )
        close(logp_of(lab, model, prompt, choices), want, atol=1e-9, because=because)


def pieces(text):
    return [VOCABULARY[i] for i in encode(text)]


def test_impossible_answers(lab, rng):
    for letter in "ad":
        model, prompt = Model(rng, VOCABULARY.index(letter)), "ef"
        choices = [f" e{letter}", " hgfeb", " h"]
        want = [-math.inf, *(walked(model, prompt, c) for c in choices[1:])]
        because = (
            f"by this model {letter!r} never comes: an answer that has it is impossible, and "
            "the others are not touched by that"
        )
        got = logp_of(lab, model, prompt, choices)
        close(got, torch.tensor(want, dtype=torch.float64), atol=1e-9, because=because)
        model = Model(rng, VOCABULARY.index(letter), logit=-2000.0)
        want = [walked(model, prompt, choice) for choice in choices]
        because = f"{letter!r} has e^-2000, which is 0 in any float; its logarithm is not"
        got = logp_of(lab, model, prompt, choices)
        close(got, torch.tensor(want, dtype=torch.float64), atol=1e-9, because=because)


# pick


def test_pick_by_hand(lab):
    logps = torch.tensor([-3.0, -4.0, -2.5])
    choices = [" ox", " elephant", " a"]
    same(lab.pick(logps, choices), 2, because="-2.5 is the largest of -3, -4 and -2.5")
    because = "per byte these are -3/3 = -1, -4/9 = -0.44 and -2.5/2 = -1.25"
    same(lab.pick(logps, choices, True), 1, because=because)
    logps = torch.tensor([-math.inf, -8.0])
    same(lab.pick(logps, choices[:2]), 1, because="minus infinity is the least that there is")


def test_pick_counts_bytes(lab):
    choices = [" été", " thee"]  # 6 bytes in 4 characters, 5 bytes in 5
    because = (
        "“ été” has 4 characters and 6 bytes in UTF-8, “ thee” 5 and 5: per byte -5.4/6 = -0.9 "
        "beats -5/5 = -1"
    )
    same(lab.pick(torch.tensor([-5.4, -5.0]), choices, by_bytes=True), 0, because=because)
    because = "per byte -6.6/6 = -1.1 loses to -5/5 = -1"
    same(lab.pick(torch.tensor([-6.6, -5.0]), choices, by_bytes=True), 1, because=because)
    because = "the space is a byte of the answer: -2/2 = -1 beats -5.25/5 = -1.05"
    same(lab.pick(torch.tensor([-2.0, -5.25]), [" a", " bcde"], by_bytes=True), 0, because=because)


def test_pick_takes_the_first(lab):
    choices = [" a", " b", " c", " d"]
    logps = torch.tensor([-2.0, -1.0, -3.0, -1.0])
    because = "two answers are equally good; the first of them is asked for, with or without bytes"
    same(lab.pick(logps, choices), 1, because=because)
    same(lab.pick(logps, choices, by_bytes=True), 1, because=because)
    same(lab.pick(torch.zeros(3), choices[:3]), 0, because=because)


# bootstrap


def test_two_scores(lab, seed):
    scores = torch.tensor([0.0, 1.0])
    got = bootstrap_of(lab, scores, seed, 4000, 0.4)
    because = (
        "of two scores, a quarter of the resamples has the mean 0, half 0.5 and a quarter 1; the "
        "middle 40 % reach from the 30 % quantile to the 70 % quantile, and both are 0.5"
    )
    near(got, (0.5, 0.5), 1e-9, because)
    because = "the middle 60 % reach from the 20 % quantile to the 80 % one: from 0 to 1"
    near(bootstrap_of(lab, scores, seed + 1, 4000, 0.6), (0.0, 1.0), 1e-9, because)
    low, high = bootstrap_of(lab, scores, seed, 1)
    assert low == high, (
        f"resamples=1 takes one mean, so both ends are that mean; they are {low:g} and {high:g}"
    )


def binomial_quantile(items, share, tail):
    """The least count whose cumulated probability reaches `tail`."""
    total = 0.0
    for count in range(items + 1):
        total += math.comb(items, count) * share**count * (1 - share) ** (items - count)
        if total >= tail:
            return count
    return items


def test_matches_the_binomial(lab, rng, seed):
    for items, right in ((100, 80), (50, 20), (60, 3)):
        scores = right_answers(right, items)[torch.randperm(items, generator=rng)]
        for level in (0.95, 0.8, 0.99):
            tails = ((1 - level) / 2, (1 + level) / 2)
            want = [binomial_quantile(items, right / items, tail) / items for tail in tails]
            because = (
                f"{right} of {items} right: the number right in a resample has a binomial "
                f"distribution, whose middle {100 * level:.0f} % this is"
            )
            got = bootstrap_of(lab, scores, seed + items, 10_000, level)
            near(got, want, 1.01 / items, because)


def test_matches_the_normal(lab, rng, seed):
    scores = 3 + 2 * torch.randn(225, generator=rng)
    mean, error = float(scores.mean()), float(scores.std()) / 15
    because = (
        "225 scores of any size: the mean varies by their standard deviation over √225, and the "
        "middle 95 % of a normal distribution is 1.96 of that to either side"
    )
    want = (mean - 1.96 * error, mean + 1.96 * error)
    near(bootstrap_of(lab, scores, seed, 6000), want, 0.25 * error, because)
    because = "scores below 0, as differences are"
    want = (-want[1], -want[0])
    near(bootstrap_of(lab, -scores, seed + 1, 6000), want, 0.25 * error, because)


def test_equal_scores(lab, seed):
    because = "however often you draw from equal scores, the mean is the same"
    for scores in (torch.full((7,), 0.25), torch.tensor([1.0])):
        value = float(scores[0])
        near(bootstrap_of(lab, scores, seed), (value, value), 1e-9, because)
    low, high = bootstrap_of(lab, torch.tensor([1, 0, 1, 1, 0, 1, 0, 1] * 4), seed)
    assert 0 < low < 5 / 8 < high < 1, (
        f"whole numbers are scores as well: of 32 items 20 are right, and the interval reaches "
        f"from {low:.3f} to {high:.3f}"
    )


def test_the_generator_decides(lab, seed):
    scores = torch.arange(30) ** 2 / 7.0
    first = bootstrap_of(lab, scores, seed, 300)
    same(bootstrap_of(lab, scores, seed, 300), first, because="the same seed draws the same")
    ends = [bootstrap_of(lab, scores, seed + more, 300) for more in range(12)]
    found = {(round(low, 9), round(high, 9)) for low, high in ends}
    assert len(found) > 1, (
        f"generators with twelve different seeds all gave {ends[0]}: what is drawn should come "
        "from the generator that is handed in, so that these differ a little"
    )


def test_covers_the_truth(lab, rng, seed):
    exams, items, truth = 100, 60, 0.7
    covered = 0
    for exam in range(exams):
        scores = (torch.rand(items, generator=rng) < truth).double()
        low, high = bootstrap_of(lab, scores, 1000 * seed + exam, 300)
        covered += low <= truth <= high
    share = covered / exams
    most = RARE * math.sqrt(0.935 * 0.065 / exams)
    assert abs(share - 0.935) <= most, (
        f"of {exams} exams of {items} items, whose true score is {truth}, the interval held the "
        f"truth in {100 * share:.0f} %; with level = 0.95 it should be near 94 %"
    )


def test_refuses_no_scores(lab):
    generator = torch.Generator().manual_seed(0)
    raises(lambda: lab.bootstrap(torch.zeros(0), generator), "an interval without a single score")


# compare


def test_same_answers(lab, rng, seed):
    scores = (torch.rand(40, generator=rng) < 0.6).double()
    because = "two models that are right about the same items do not differ, whatever is drawn"
    near(compare_of(lab, scores, scores.clone(), seed), (0.0, 0.0), 1e-9, because)


def test_pairs(lab, rng, seed):
    hard = torch.randn(300, generator=rng, dtype=torch.float64)
    first = hard + 0.3 * torch.randn(300, generator=rng, dtype=torch.float64) + 0.2
    second = hard + 0.3 * torch.randn(300, generator=rng, dtype=torch.float64)
    each = first - second
    error = float(each.std()) / math.sqrt(300)
    want = (float(each.mean()) - 1.96 * error, float(each.mean()) + 1.96 * error)
    because = (
        "both models find the same items hard; drawn as pairs that cancels, and the interval is "
        "that of the differences, item by item"
    )
    near(compare_of(lab, first, second, seed, 6000), want, 0.25 * error, because)


def test_first_minus_second(lab, seed):
    better, worse = right_answers(90, 100), right_answers(40, 100)
    low, _ = compare_of(lab, better, worse, seed)
    assert low > 0, f"the first model is better by 0.5, and the interval begins at {low:.2f}"
    _, high = compare_of(lab, worse, better, seed)
    assert high < 0, f"the first model is worse by 0.5, and the interval ends at {high:.2f}"
    got = compare_of(lab, better, worse, seed, 4000, 0.8)
    because = "the level and the number of resamples are for bootstrap"
    near(got, (0.44, 0.56), 0.021, because)
    low, _ = compare_of(lab, better.bool(), worse.bool(), seed)
    assert low > 0, (
        f"scores that are True and False count 1 and 0; the interval begins at {low:.2f}"
    )
    roots = torch.arange(40, dtype=torch.float64).sqrt()
    ends = [compare_of(lab, roots, 1 - roots**2 / 7, seed) for _ in range(2)]
    because = "the generator is for bootstrap as well: the same seed draws the same"
    same(ends[1], ends[0], because=because)


def test_refuses_unlike_lengths(lab):
    generator = torch.Generator().manual_seed(0)
    for lengths in ((3, 4), (1, 4), (4, 1)):
        first, second = (torch.ones(length) for length in lengths)
        raises(
            lambda a=first, b=second: lab.compare(a, b, generator),
            f"comparing {lengths[0]} scores with {lengths[1]}, which make no pairs,",
        )


# contaminated


TRAIN = [
    "Ada said that Mia lives in the mill, and laughed.",
    "It rains. Tom has a goat",
    "and a pony. The end.",
]


def test_contaminated_by_hand(lab):
    tests = ["Does Mia live in it? Mia lives in the mill", "Mia lives in the barn", "Tom eats figs"]
    because = "four words in a row: “mia lives in the” stands in the first document"
    same(lab.contaminated(tests, TRAIN, 4), [True, True, False], because=because)
    because = "five words in a row: “mia lives in the mill” does, “mia lives in the barn” does not"
    same(lab.contaminated(tests, TRAIN, 5), [True, False, False], because=because)
    same(lab.contaminated([], TRAIN, 5), [], because="no items, no answers")
    same(lab.contaminated(tests, [], 4), [False] * 3, because="nobody trained on anything")


def test_looks_and_marks(lab):
    because = "capitals and punctuation hide nothing: words(text) leaves them out"
    tests = ["MIA lives - in the (mill)!", "mia... lives in, THE mill AND"]
    same(lab.contaminated(tests, TRAIN, 5), [True, True], because=because)
    because = "it is words that are counted, not letters: “mia lives” are two"
    same(lab.contaminated(["mia lives"], ["mia lived"], 2), [False], because=because)
    because = "“ill, and laugh” is no run of words of “mill, and laughed”"
    same(lab.contaminated(["ill and laugh"], TRAIN, 3), [False], because=because)


def test_one_run_is_enough(lab):
    because = "of the runs of 4 words, only the {} of the item stands in the training text"
    first = "Mia lives in the old red barn"
    last = "Nobody knows whether Mia lives in the"
    middle = "Who thinks that Mia lives with a goat"
    for item, which in ((first, "first"), (last, "last"), (middle, "one in the middle")):
        same(lab.contaminated([item], TRAIN, 4 - (which[0] == "o")), [True],
             because=because.format(which))  # fmt: skip
    because = "one item that is contaminated does not make the others so"
    got = lab.contaminated(["figs and nuts or plums", first, "one two three four"], TRAIN, 4)
    same(got, [False, True, False], because=because)


def test_order_and_neighbours(lab):
    because = "the same words in another order are another text"
    same(lab.contaminated(["the mill lives in mia"], TRAIN, 5), [False], because=because)
    because = "the words stand there, but others stand between them"
    same(lab.contaminated(["mia lives the mill"], TRAIN, 4), [False], because=because)


def test_documents_apart(lab):
    because = "“a goat and a pony” begins in one document and ends in the next"
    same(lab.contaminated(["a goat and a pony"], TRAIN, 4), [False], because=because)
    same(lab.contaminated(["a goat and a pony"], [" ".join(TRAIN)], 4), [True],
         because="in one document it is a run")  # fmt: skip


def test_short_items(lab):
    because = (
        "an item of fewer than n words counts if all of it stands there as one run: “mia lives” "
        "and “tom has a goat” do, “mia has a goat” does not"
    )
    tests = ["Mia lives", "Tom has a goat.", "Mia has a goat", "pony"]
    same(lab.contaminated(tests, TRAIN, 13), [True, True, False, True], because=because)
    same(lab.contaminated(["tom has a goat"], ["has a goat", "tom has a"], 13), [False],
         because="no document is long enough to hold all four words")  # fmt: skip
    because = "an item without a word cannot have been seen"
    same(lab.contaminated(["", "?!", "goat"], TRAIN, 3), [False, False, True], because=because)


def test_matches_a_search(lab, seed):
    draw = random.Random(seed)

    def told(low, high):
        return draw.choices(["to", "be", "or", "not", "so"], k=draw.randint(low, high))

    for n in (1, 2, 3, 5):
        tests = [told(0, 8) for _ in range(30)]
        train = [told(0, 6) for _ in range(12)]
        want = []
        for item in tests:
            size = min(n, len(item))
            runs = [f" {' '.join(item[i : i + size])} " for i in range(len(item) - size + 1)]
            said = [f" {' '.join(document)} " for document in train]
            want.append(size > 0 and any(run in document for run in runs for document in said))
        got = lab.contaminated([" ".join(t) for t in tests], [" ".join(t) for t in train], n)
        same(got, want, because=f"each run of {n} words, looked for in the text of each document")


def test_inputs_untouched(lab, rng, seed):
    choices, tests, train = [" b", " hgf"], ["Mia lives", "a goat"], list(TRAIN)
    logps, scores = torch.tensor([-3.0, -1.0]), torch.tensor([0.5, 1.0, 0.0])
    others = torch.tensor([0.25, 1.0, 0.5])
    logp_of(lab, Model(rng), "de", choices)
    lab.pick(logps, choices, True)
    bootstrap_of(lab, scores, seed)
    compare_of(lab, scores, others, seed)
    lab.contaminated(tests, train, 3)
    because = "a function changed what it was given: sort, append, div_ and -= work in place"
    same([choices, tests, train], [[" b", " hgf"], ["Mia lives", "a goat"], TRAIN], because=because)
    want = [torch.tensor(t) for t in ([-3.0, -1.0], [0.5, 1.0, 0.0], [0.25, 1.0, 0.5])]
    same([logps, scores, others], want, because=because)

"""What `lab.yaml` grades: against transformers' logits processors, by χ², and by brute force."""

import math
from itertools import product

import torch
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llmpath.labkit.checks import a_generator, close, describe, has, number, same

RARE = 1e-7  # a right answer fails a χ² test this often
LONGEST = 200  # tokens that a stream of these checks never reaches


def random(rng, *shape, scale=2.0):
    return scale * torch.randn(*shape, generator=rng, dtype=torch.float64)


def uniform(rng, low, high):
    return low + (high - low) * float(torch.rand((), generator=rng))


def shuffled(rng, shares, rows):
    """Logits of the same few probabilities in an order of its own in each row, (rows, n)."""
    logits = torch.tensor(shares, dtype=torch.float64).log()
    return torch.stack([logits[torch.randperm(len(shares), generator=rng)] for _ in range(rows)])


# Of these, each setting of the checks keeps others than a known mistake would keep.
SHARES = [0.34, 0.25, 0.17, 0.1, 0.08, 0.06]


# What the functions should give


def warped(logits, temperature=1.0, top_k=None, top_p=None):
    """The distribution that transformers would draw from."""
    scores = logits.reshape(-1, logits.size(-1)).clone()
    scores = TemperatureLogitsWarper(float(temperature))(None, scores)
    if top_k is not None:
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p is not None:
        scores = TopPLogitsWarper(top_p)(None, scores)
    return scores.softmax(dim=-1).reshape(logits.shape)


def ids_of(got, shape, what):
    """What came back, refused if it is not token ids of this shape."""
    assert isinstance(got, torch.Tensor), f"{what} should be a tensor, not {describe(got)}"
    assert got.shape == shape, f"{what} should be of shape {shape}, not {tuple(got.shape)}"
    assert got.dtype == torch.int64, f"{what} should be of dtype int64, not {got.dtype}"
    return got


def drawn_from(tokens, shares, what):
    """Check by Pearson's χ² that tokens, (draws,), come from a distribution, (vocab_size,)."""
    inside = bool(((tokens >= 0) & (tokens < len(shares))).all())
    assert inside, f"{what}: a token that is not in the vocabulary was drawn"
    counts, wanted = torch.bincount(tokens, minlength=len(shares)), shares * len(tokens)
    impossible = (counts > 0) & (shares == 0)
    assert not impossible.any(), (
        f"{what}: token {int(impossible.nonzero()[0])} was drawn, which has probability 0"
    )
    there = shares > 0
    x = float(((counts - wanted)[there] ** 2 / wanted[there]).sum())
    freedom = torch.tensor((int(there.sum()) - 1) / 2, dtype=torch.float64)
    chance = float(torch.special.gammaincc(freedom, torch.tensor(x / 2, dtype=torch.float64)))
    worst = int((counts - wanted).abs().argmax())
    assert chance > RARE, (
        f"{what}: of {len(tokens)} draws, token {worst} came {int(counts[worst])} times; "
        f"{float(wanted[worst]):.0f} were to be expected (χ² = {x:.1f})"
    )


# Models


class History:
    """A model whose logits depend on the whole text, and which counts how often it is asked.

    Attributes:
        table: logits by position and by what was said before, (16, 13, vocab_size).
        asked: the shape of each text that it was given.
        memory: the text that it has in its cache, (batch, time), where it has one.
    """

    def __init__(self, rng, vocab_size, memory=None):
        self.table = random(rng, 16, 13, vocab_size)
        self.asked, self.memory = [], memory

    def __call__(self, ids, *cache):
        """Logits at every position of `ids`, (batch, time, vocab_size)."""
        assert isinstance(ids, torch.Tensor), f"the model was called with {describe(ids)}"
        assert ids.dim() == 2, f"the model needs ids of (batch, time), not {tuple(ids.shape)}"
        assert ids.dtype == torch.int64, f"the model needs ids of int64, not {ids.dtype}"
        assert len(self.asked) < LONGEST, "the model is asked without end"
        self.asked.append(tuple(ids.shape))
        if cache:
            self.memory = ids if self.memory is None else torch.cat([self.memory, ids], dim=1)
            return self.logits(self.memory)[:, -ids.size(1) :]
        return self.logits(ids)

    def logits(self, ids):
        """Logits at every position, (batch, time, vocab_size), of a whole text."""
        places = torch.arange(ids.size(1))
        said = ((ids + 1) * (places + 1)).cumsum(dim=1) % self.table.size(1)
        return self.table[places, said]


class Successor:
    """A model by which each token is followed by the next, round in a circle."""

    def __init__(self, vocab_size):
        self.vocab_size, self.asked = vocab_size, 0

    def __call__(self, ids):
        """Logits at every position of `ids`, (batch, time, vocab_size)."""
        assert self.asked < LONGEST, "the model is asked without end"
        self.asked += 1
        following = (ids[..., None] + 1) % self.vocab_size
        return 5.0 * (torch.arange(self.vocab_size) == following)


def likeliest(model, ids, count):
    """What greedy decoding adds to a text, (batch, count); `model` gives logits of a text."""
    for _ in range(count):
        ids = torch.cat([ids, model(ids)[:, -1].argmax(dim=-1, keepdim=True)], dim=1)
    return ids[:, -count:]


def tokens_of(got, batch):
    """All that a stream yields, (batch, new)."""
    found = []
    for item in a_generator(got, "stream"):
        found.append(ids_of(item, (batch,), "what stream yields"))
        assert len(found) <= LONGEST, "the stream has no end"
    return torch.stack(found, dim=1) if found else torch.empty(batch, 0, dtype=torch.int64)


# probabilities


def test_temperature(lab, rng):
    logits = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log()
    because = "at a temperature of 0.5 each probability is squared: 0.04, 0.25, 0.09, out of 0.38"
    want = torch.tensor([0.04, 0.25, 0.09], dtype=torch.float64) / 0.38
    close(lab.probabilities(logits.clone(), 0.5), want, atol=1e-9, because=because)
    for temperature in (1.0, uniform(rng, 0.2, 0.8), uniform(rng, 1.5, 4.0)):
        logits = random(rng, 3, 2, 7)
        got = lab.probabilities(logits.clone(), temperature)
        because = f"the softmax of logits / {temperature:.3g}, over the last dimension"
        close(got, warped(logits, temperature), atol=1e-9, because=because)


def test_greedy(lab, rng):
    logits = random(rng, 2, 3, 7)
    want = torch.nn.functional.one_hot(logits.argmax(dim=-1), 7).double()
    because = "a temperature of 0 gives all of the probability to the largest logit"
    close(lab.probabilities(logits.clone(), 0), want, atol=0.0, because=because)
    got = lab.probabilities(logits.clone(), 0.0, 3, 0.9)
    close(got, want, atol=0.0, because=f"{because}, whatever top-k and top-p say")
    tied = torch.tensor([[2.0, 5.0, 5.0, 1.0]], dtype=torch.float64)
    got = lab.probabilities(tied.clone(), 0)
    has(got, (1, 4), torch.float64, "probabilities")
    assert sorted(got[0, 1:3].tolist()) == [0.0, 1.0], (
        f"of two logits that are equally large one gets all of the probability, either of them; "
        f"yours get {got[0, 1]:.3g} and {got[0, 2]:.3g}. A very small temperature is not 0"
    )


def test_top_k(lab, rng):
    for top_k in (1, number(rng, 2, 4), 8):
        logits = random(rng, 4, 9)
        got = lab.probabilities(logits.clone(), top_k=top_k)
        because = f"in each row the {top_k} largest stay, all else is exactly 0"
        close(got, warped(logits, top_k=top_k), atol=1e-9, because=because)


def test_the_crossing_token_stays(lab):
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3], dtype=torch.float64).log()
    for top_p, kept in ((0.3, [1]), (0.6, [1, 3]), (0.79, [1, 3]), (0.81, [0, 1, 3])):
        want = torch.zeros(4, dtype=torch.float64)
        want[kept] = logits.exp()[kept] / logits.exp()[kept].sum()
        because = (
            f"of 0.15, 0.5, 0.05 and 0.3 the fewest that have {top_p} together are tokens {kept}: "
            "the likeliest first, up to and including the one with which the sum gets there"
        )
        close(lab.probabilities(logits.clone(), top_p=top_p), want, atol=1e-9, because=because)


def test_top_p(lab, rng):
    for top_p in (0.05, uniform(rng, 0.3, 0.6), uniform(rng, 0.8, 0.95)):
        logits = random(rng, 5, 2, 11)
        got = lab.probabilities(logits.clone(), top_p=top_p)
        because = f"against transformers' TopPLogitsWarper({top_p:.3g}), in each row"
        close(got, warped(logits, top_p=top_p), atol=1e-9, because=because)


def test_in_order(lab, rng):
    logits = shuffled(rng, [0.4, 0.25, 0.2, 0.1, 0.05], 6)
    for temperature, top_k, top_p in ((0.5, None, 0.7), (2.5, None, 0.7), (2.0, 3, 0.62)):
        got = lab.probabilities(logits.clone(), temperature, top_k, top_p)
        because = (
            f"temperature {temperature}, then top_k {top_k}, then top_p {top_p} of what top-k "
            "has left, as a distribution"
        )
        close(got, warped(logits, temperature, top_k, top_p), atol=1e-9, because=because)


def test_nothing_to_cut(lab, rng):
    logits = random(rng, 3, 6)
    for settings in ({}, {"top_k": 6}, {"top_k": 50}, {"top_p": 1.0}):
        got = lab.probabilities(logits.clone(), **settings)
        close(got, logits.softmax(dim=-1), atol=1e-9, because=f"with {settings} nothing is cut")
    # In float32, the sum over the likelier tokens is 1 before the unlikely ones have their turn.
    steep = torch.tensor([[0.0, -19.0, -20.0, 5.0]])
    because = "top_p = 1 keeps every token, the unlikeliest too; a sum of float32 is 1 too early"
    got = lab.probabilities(steep.clone(), top_p=1.0)
    close(got, steep.softmax(dim=-1), atol=0.0, rtol=1e-4, because=because)


def test_cut_before(lab, rng):
    logits = shuffled(rng, SHARES, 6).reshape(2, 3, 6)
    logits[..., 1], logits[0, :, 4] = -math.inf, -math.inf
    for settings in ((0.7, None, None), (1.0, 5, None), (1.3, None, 0.9), (0, None, None)):
        before = logits.clone()
        got = lab.probabilities(before, *settings)
        if settings[0]:
            want = warped(logits, *settings)
            because = f"{settings} of logits some of which are -inf: these have no probability"
            close(got, want, atol=1e-9, because=because)
        same(before, logits, because="the logits that were handed in were changed in place")
    half = lab.probabilities(logits.float(), 0.7, 4, 0.9)
    want = warped(logits.float(), 0.7, 4, 0.9)
    close(half, want, atol=1e-5, because="in float32, of shape (2, 3, 6)")


# sample


def test_draws_match(lab, rng):
    logits = shuffled(rng, SHARES, 3)
    for settings in ((1.0, None, None), (0.6, 4, None), (1.5, None, 0.8)):
        many = logits.expand(4000, 3, 6)
        got = ids_of(lab.sample(many.clone(), *settings), (4000, 3), "what sample returns")
        want = warped(logits, *settings)
        for row in range(3):
            drawn_from(got[:, row], want[row], f"temperature, top_k, top_p = {settings}")


def test_one_for_each_row(lab, rng):
    for shape in ((6,), (1, 6), (4, 6), (2, 5, 6)):
        best = torch.randint(6, shape[:-1], generator=rng)
        logits = 60.0 * torch.nn.functional.one_hot(best, 6).double()
        got = ids_of(lab.sample(logits.clone()), shape[:-1], f"a sample of logits {shape}")
        same(got, best, because=f"one token has all of the probability in each row of {shape}")


def test_same_seed_same_draws(lab, rng):
    logits, seed = random(rng, 60, 9, scale=0.3), number(rng, 1, 10_000)
    draws = [
        lab.sample(logits.clone(), generator=torch.Generator().manual_seed(start))
        for start in (seed, seed, seed + 1)
    ]
    for got in draws:
        ids_of(got, (60,), "what sample returns")
    same(draws[1], draws[0], because="two generators of one seed draw the same tokens")
    assert not torch.equal(draws[2], draws[0]), (
        "generators of two seeds drew the same 60 tokens: the draws do not come from them"
    )


# stream


def test_writes_on(lab, rng):
    model, ids = History(rng, 7), torch.randint(7, (3, 4), generator=rng)
    got = tokens_of(lab.stream(model, ids.clone(), 6, temperature=0), 3)
    because = "the likeliest token after all of the text so far, with every token that was drawn"
    same(got, likeliest(model.logits, ids, 6), because=because)
    want = [(3, time) for time in range(4, 10)]
    same(model.asked, want, because="each time the model sees the whole text, one token longer")
    got = tokens_of(lab.stream(History(rng, 7), ids[:1].clone(), 2, temperature=0), 1)
    same(got.size(1), 2, because="one text alone is a batch of one")


def test_one_token_at_a_time(lab, rng):
    model, ids = History(rng, 7), torch.randint(7, (2, 3), generator=rng)
    got = a_generator(lab.stream(model, ids.clone(), 4), "stream")
    same(len(model.asked), 0, because="nobody has asked for a token yet")
    for count in range(1, 5):
        ids_of(got.send(None), (2,), "what stream yields")
        because = f"{count} tokens were asked for, so the model should have been asked as often"
        same(len(model.asked), count, because=because)
    same(tokens_of(got, 2).size(1), 0, because="the stream should end after max_new_tokens")
    same(len(model.asked), 4, because="after the last token, the model is not asked again")
    rest = tokens_of(lab.stream(model, ids.clone(), 0), 2)
    same(rest.size(1), 0, because="max_new_tokens = 0 draws nothing")


def test_uses_the_settings(lab, rng):
    logits = shuffled(rng, [0.3, 0.2, 0.15, 0.1, 0.08, 0.07, 0.06, 0.04], 1)[0]
    ids, settings = torch.zeros(4000, 1, dtype=torch.int64), (1.7, 6, 0.85)

    def model(ids):
        return logits.expand(*ids.shape, 8)

    def tokens(seed):
        generator = torch.Generator().manual_seed(seed)
        found = lab.stream(model, ids.clone(), 1, *settings, generator=generator)
        return tokens_of(found, 4000)

    seed = number(rng, 1, 10_000)
    got = tokens(seed)
    same(got.size(1), 1, because="one token was asked for")
    drawn_from(got[:, 0], warped(logits, *settings), f"temperature, top_k, top_p = {settings}")
    same(tokens(seed), got, because="two generators of one seed write the same text")


def test_ends(lab):
    ids = torch.tensor([[0, 1], [0, 3], [2, 4]])  # 4 is the end; in what was given it ends nothing
    model = Successor(7)
    got = tokens_of(lab.stream(model, ids, 20, temperature=0, end=4), 3)
    want = torch.tensor([[2, 3, 4, 4, 4, 4, 4], [4, 4, 4, 4, 4, 4, 4], [5, 6, 0, 1, 2, 3, 4]])
    because = "after its first `end` a row has nothing but `end`, until all rows have ended"
    same(got.tolist(), want.tolist(), because=because)
    same(model.asked, 7, because="when all rows have ended, the model is not asked again")
    got = tokens_of(lab.stream(Successor(7), ids, 20, temperature=0, end=0), 3)
    same(got[:, -1].tolist(), [0, 0, 0], because="the token with the id 0 may be the end, too")
    same(got.size(1), 6, because="row 0, at 1, reaches 0 after 6 tokens, and is the last")
    got = tokens_of(lab.stream(Successor(7), ids, 9, temperature=0), 3)
    want = [(torch.arange(1, 10) + int(last)).remainder(7).tolist() for last in ids[:, -1]]
    same(got.tolist(), want, because="with end = None, no token ends a text")


def test_asks_from_the_cache(lab, rng):
    before, ids = (torch.randint(7, (2, time), generator=rng) for time in (5, 3))
    for past in (None, before):
        # A cache may be empty, and an empty list is false; None alone says that there is none.
        model = History(rng, 7, memory=past)
        got = tokens_of(lab.stream(model, ids.clone(), 5, temperature=0, cache=[]), 2)
        want = [(2, 3), (2, 1), (2, 1), (2, 1), (2, 1)]
        because = "with a cache, the model gets all ids once, and after that only the newest token"
        same(model.asked, want, because=because)
        whole = ids if past is None else torch.cat([past, ids], dim=1)
        because = "with the rest of the text in the cache, the same tokens should come"
        same(got, likeliest(model.logits, whole, 5), because=because)


def test_a_gpt_writes(lab, rng):
    model = lab.GPT(lab.Config(11, 16, 24, layers=2, heads=4, kv_heads=2, tied=False))
    weights = {name: random(rng, *w.shape).float() for name, w in model.state_dict().items()}
    model.load_state_dict(weights)
    ids = torch.randint(11, (2, 4), generator=rng)
    want = likeliest(model, ids, 8)
    cache = [lab.Memory() for _ in range(2)]
    for settings in ({}, {"cache": cache}):
        got = tokens_of(lab.stream(model, ids.clone(), 8, temperature=0, **settings), 2)
        because = f"a GPT, {'with' if settings else 'without'} a cache, greedy"
        same(got, want, because=because)
    because = "the cache should hold all tokens but the last, after which nobody has asked"
    same(cache[0].length, 11, because=because)


# beam_search


def beams_of(got, count, length=None):
    """What beam_search returned, refused if it is not a list of texts and numbers."""
    assert isinstance(got, list), f"beam_search should return a list, not {describe(got)}"
    assert len(got) == count, f"beam_search should return {count} of them, and has {len(got)}"
    for item in got:
        assert isinstance(item, (tuple, list)), f"the list should hold pairs, not {describe(item)}"
        assert len(item) == 2, f"the list should hold pairs (ids, log-probability), not {len(item)}"
        assert isinstance(item[0], torch.Tensor), f"ids should be a tensor: {describe(item[0])}"
        ids_of(item[0], (len(item[0]) if item[0].dim() else 0,), "a text")
        assert isinstance(item[1], float), (
            f"a log-probability should be a float, not {describe(item[1])}"
        )
        assert length is None or len(item[0]) == length, (
            f"a text should have {length} ids, the old and the new, and has {len(item[0])}"
        )
    return [(text.tolist(), total) for text, total in got]


def equal_beams(got, want, because):
    """Check texts and log-probabilities, one by one, the best first."""
    assert got, "beam_search returned nothing"
    for place, (mine, right) in enumerate(zip(got, want, strict=True), 1):
        said = f"number {place}: {because}"
        same(mine[0], right[0], because=said)
        close(mine[1], right[1], atol=1e-9, because=f"the log-probability of {said}")


def log_shares(model, text):
    """Log-probabilities of the token after a text, a list of ids."""
    return model.logits(torch.tensor([text]))[0, -1].log_softmax(dim=-1).tolist()


def every_text(model, start, steps, end=None):
    """Every continuation with its log-probability, the best first."""
    found = {}
    for tokens in product(range(model.table.size(-1)), repeat=steps):
        length = tokens.index(end) + 1 if end in tokens else steps
        text = (*start, *tokens[:length])
        if text not in found:
            places = range(len(start), len(text))
            found[text] = sum(log_shares(model, list(text[:n]))[text[n]] for n in places)
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    return [(list(text), total) for text, total in ranked]


def pruned(model, start, steps, beams, end=None):
    """What a search that keeps so many should keep; all candidates are written out."""
    kept = [(list(start), 0.0)]
    for _ in range(steps):
        grown = []
        for text, total in kept:
            if len(text) > len(start) and text[-1] == end:
                grown.append((text, total))
            else:
                shares = enumerate(log_shares(model, text))
                grown += [([*text, token], total + share) for token, share in shares]
        kept = sorted(grown, key=lambda pair: -pair[1])[:beams]
    return kept


def test_greedy_is_not_best(lab):
    # After 0: 1 has 0.6 and 2 has 0.4. After 1 two ways of a half each; after 2 one of 0.9.
    shares = [[0.0, 0.6, 0.4], [0.5, 0.5, 0.0], [0.9, 0.05, 0.05]]
    table = torch.tensor(shares, dtype=torch.float64).log()

    def model(ids):
        return table[ids]

    got = beams_of(lab.beam_search(model, torch.tensor([0]), 2, 2), 2, 3)
    because = "0.4 × 0.9 = 0.36 is more than 0.6 × 0.5 = 0.3, although 1 is likelier than 2"
    same(got[0][0], [0, 2, 0], because=because)
    close(got[0][1], math.log(0.36), atol=1e-9, because="ln 0.36, in nats")
    close(got[1][1], math.log(0.3), atol=1e-9, because="the second best of those kept, ln 0.3")


def test_one_beam_is_greedy(lab, rng):
    model, ids = History(rng, 6), torch.randint(6, (3,), generator=rng)
    got = beams_of(lab.beam_search(model, ids.clone(), 7, 1), 1, 10)
    want = [*ids.tolist(), *likeliest(model.logits, ids[None], 7)[0].tolist()]
    same(got[0][0], want, because="the one best is kept at every length, as greedy decoding does")
    for rows, _ in model.asked:
        same(rows, 1, because="with one beam the model is asked about one text at a time")


def test_many_beams_see_all(lab, rng):
    model, start = History(rng, 4), [number(rng, 0, 3), 2]
    want = every_text(model, start, 4)
    got = beams_of(lab.beam_search(model, torch.tensor(start), 4, 300), 256, 6)
    because = "with more beams than there are texts, all 256 should come, the best first"
    equal_beams(got, want, because)


def test_few_beams_forget(lab, rng):
    for beams in (2, 3, 5):
        model, start = History(rng, 6), [1, number(rng, 0, 5)]
        got = beams_of(lab.beam_search(model, torch.tensor(start), 5, beams), beams, 7)
        because = f"of all continuations of those kept, the {beams} best of every length"
        equal_beams(got, pruned(model, start, 5, beams), because)
        most = max(rows for rows, _ in model.asked)
        assert most <= beams, f"{beams} are kept, but the model was asked about {most} at once"


def test_beams_end(lab, rng):
    end = number(rng, 1, 3)
    start = [0, end]  # an end in what was given ends nothing
    model = History(rng, 4)
    want = every_text(model, start, 4, end)
    got = beams_of(lab.beam_search(model, torch.tensor(start), 4, 300, end=end), len(want))
    because = f"what ends in {end} is whole, and competes with those that go on"
    equal_beams(got, want, because)
    for beams in (2, 3, 4):
        model = History(rng, 5)
        model.table[..., 3] += 1.0  # so that texts end early, and later ones overtake them
        got = lab.beam_search(model, torch.tensor(start), 6, beams, end=3)
        because = f"{beams} beams, of which those that end in 3 are kept as they are"
        equal_beams(beams_of(got, beams), pruned(model, start, 6, beams, 3), because)
    # 2 ends at once with 0.3; 1 has 0.7, and both its ways, of 0.35 and 0.315, are better.
    shares = [[0.0, 0.7, 0.3, 0.0], [0.5, 0.05, 0.0, 0.45], [0.25] * 4, [0.25] * 4]
    table = torch.tensor(shares, dtype=torch.float64).log()

    def overtaken(ids):
        return table[ids]

    got = beams_of(lab.beam_search(overtaken, torch.tensor([0]), 2, 2, end=2), 2, 3)
    want = [([0, 1, 0], math.log(0.35)), ([0, 1, 3], math.log(0.315))]
    equal_beams(got, want, "two that go on push out one that has ended with 0.3, less than both")


def test_beams_stop(lab, rng):
    model = History(rng, 5)
    model.table[:] = torch.tensor([0.0, 0.0, 40.0, 0.0, 20.0], dtype=torch.float64)
    got = beams_of(lab.beam_search(model, torch.tensor([0, 1]), 9, 2, end=2), 2)
    same(got[0][0], [0, 1, 2], because="2 is by far the likeliest, and it is the end")
    same(len(model.asked), 2, because="both that are kept have ended after two rounds: no third")

"""What `lab.yaml` grades.

The oracles: probabilities as fractions, whose product is a perplexity; torch's cross-entropy over
everything at once; and a model that counts, of which each answer is known in closed form.
"""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F

from llmpath.labkit.checks import close, describe, number, raises, same

F64 = torch.float64
IGNORE = -100


def bits_of(chances):
    return torch.tensor([-math.log2(chance) for chance in chances], dtype=F64)


# Perplexity


def test_by_hand(lab):
    because = "2 to the mean: (1 + 2 + 3) / 3 = 2 bits, and 2 to the power of 2 is 4"
    close(lab.perplexity(torch.tensor([1.0, 2.0, 3.0])), 4.0, atol=1e-6, because=because)
    because = "(0 + 3) / 2 = 1.5 bits; a token that was certain counts as a token, too"
    close(lab.perplexity(torch.tensor([0.0, 3.0])), 2**1.5, atol=1e-6, because=because)
    because = "a model that was certain each time, and right, has a perplexity of 1"
    close(lab.perplexity(torch.zeros(2, 3)), 1.0, atol=1e-6, because=because)


def test_choices(lab, rng):
    for k in (2, 7, number(rng, 10, 50_000)):
        bits = torch.full((3, number(rng, 2, 9)), math.log2(k), dtype=F64)
        because = f"whoever guesses among {k} equally likely tokens has a perplexity of {k}"
        close(lab.perplexity(bits), float(k), atol=0, rtol=1e-9, because=because)


def test_geometric_mean(lab, rng):
    chances = [Fraction(number(rng, 1, 99), 100) for _ in range(number(rng, 4, 8))]
    whole = math.prod(chances)
    want = float(whole) ** (-1 / len(chances))
    because = (
        f"the {len(chances)} probabilities multiply to {float(whole):.3g}; perplexity is that to "
        f"the power of -1/{len(chances)}"
    )
    close(lab.perplexity(bits_of(chances)), want, atol=0, rtol=1e-9, because=because)


def test_long_texts(lab, rng):
    bits = 8 + 4 * torch.rand(2, 3000, generator=rng, dtype=F64)
    want = 2 ** float(bits.mean())
    because = "6,000 tokens of 8 to 12 bits: their product is far too small for a float"
    close(lab.perplexity(bits), want, atol=0, rtol=1e-9, because=because)
    for dtype in (torch.float16, torch.bfloat16):
        rough = bits.to(dtype)
        want = 2 ** float(rough.double().mean())
        because = f"the mean of {dtype} numbers, which has more digits than they have"
        close(lab.perplexity(rough), want, atol=0, rtol=1e-6, because=because)
    got = lab.perplexity(torch.tensor([1.0, float("inf")]))
    close(got, float("inf"), atol=0, because="a token held to be impossible: infinitely perplexed")


def test_nothing(lab):
    raises(lambda: lab.perplexity(torch.zeros(0)), "the perplexity of no tokens")
    close(lab.perplexity(torch.ones(1)), 2.0, atol=1e-9, because="one token of one bit")


# Bytes


def test_bytes_by_hand(lab):
    close(lab.bits_per_byte(8.0, "für"), 2.0, atol=1e-9, because="f, r and two bytes for ü are 4")
    because = "6 characters, and 6 bytes: the space and the line end are two of them"
    close(lab.bits_per_byte(3.0, "a bcd\n"), 0.5, atol=1e-9, because=because)
    because = "no bits at all: the text was certain"
    close(lab.bits_per_byte(0.0, "abc"), 0.0, atol=0, because=because)


def test_utf8(lab, rng):
    for sign, size in (("é", 2), ("λ", 2), ("語", 3), ("🙂", 4), ("e\u0301", 3)):
        count = number(rng, 2, 9)
        total = float(number(rng, 1, 90))
        because = f"{count} times {sign!r}, which takes {size} bytes in UTF-8"
        got = lab.bits_per_byte(total, sign * count)
        close(got, total / (size * count), atol=1e-9, because=because)


def test_nothing_to_share(lab):
    raises(lambda: lab.bits_per_byte(1.0, ""), "an empty text")
    close(lab.bits_per_byte(1.0, " "), 1.0, atol=0, because="a space is a byte like any other")


def test_across_tokenizers(lab, rng):
    bits = 5 * torch.rand(24, generator=rng, dtype=F64)
    text = "".join(chr(number(rng, 97, 122)) for _ in range(24))
    want = float(bits.sum()) / 24
    for size in (1, 2, 3, 8):
        coarse = bits.view(-1, size).sum(1)
        got = lab.bits_per_byte(float(coarse.sum()), text)
        because = f"the same bits on tokens of {size} letters: the text has as many bytes as before"
        close(got, want, atol=1e-9, because=because)
        because = f"2 to the mean over {len(coarse)} tokens of {size} letters; it grows with them"
        close(lab.perplexity(coarse), 2 ** (want * size), atol=0, rtol=1e-9, because=because)


# A corpus


def batch(rng, rows, time, vocabulary=6, filled=()):
    """Random logits and targets; from row `row` on place `place`, filling."""
    logits = 3 * torch.randn(rows, time, vocabulary, generator=rng, dtype=F64)
    targets = torch.randint(vocabulary, (rows, time), generator=rng)
    for row, place in filled:
        targets[row, place:] = IGNORE
    return logits, targets


def whole(batches):
    """The perplexity by torch: all targets at once."""
    nats = [
        F.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), reduction="sum")
        for logits, targets in batches
    ]
    count = sum(int((targets != IGNORE).sum()) for _, targets in batches)
    return math.exp(float(sum(nats)) / count)


def corpus(lab, batches):
    """The learner's answer for copies of these batches."""
    return lab.corpus_perplexity([(logits.clone(), targets.clone()) for logits, targets in batches])


def test_corpus_by_hand(lab):
    first = torch.zeros(1, 2, 4), torch.tensor([[3, 0]])
    second = torch.zeros(2, 3, 16), torch.tensor([[0, 1, 1], [4, 15, 9]])
    because = "two tokens of 2 bits and six of 4 bits are 28 bits for 8 tokens: 2 to the 3.5"
    close(corpus(lab, [first, second]), 2**3.5, atol=1e-4, because=because)


def test_tokens_count_alike(lab, rng):
    logits, targets = batch(rng, 6, 5)
    logits[0] *= 4
    want = whole([(logits, targets)])
    for cuts in ((6,), (1, 5), (2, 1, 3), (1, 1, 1, 1, 1, 1)):
        parts = zip(logits.split(list(cuts)), targets.split(list(cuts)), strict=True)
        because = f"the same rows in batches of {cuts}; how they are batched makes no difference"
        close(corpus(lab, list(parts)), want, atol=0, rtol=1e-9, because=because)


def test_padding(lab, rng):
    batches = [
        batch(rng, 3, 7, filled=[(0, 2), (2, 5)]),
        batch(rng, 1, 4),
        batch(rng, 2, 5, filled=[(0, 0), (1, 4)]),
    ]
    because = "over the targets that are not -100, all batches together"
    close(corpus(lab, batches), whole(batches), atol=0, rtol=1e-9, because=because)
    for logits, targets in batches:
        logits[targets == IGNORE] = 50 * torch.randn(6, generator=rng, dtype=F64)
    because = "what the model says where there is only filling does not matter"
    close(corpus(lab, batches), whole(batches), atol=0, rtol=1e-9, because=because)
    sure = torch.zeros(1, 2, 4, dtype=F64)
    sure[0, 0, 3] = 2000.0  # e to the -2000 is 0 in float64, so that nothing else can come
    because = "a token that was certain takes 0 bits, and is a token: 0 + 2 bits for 2 tokens"
    close(corpus(lab, [(sure, torch.tensor([[3, 1]]))]), 2.0, atol=1e-9, because=because)


def test_only_filling(lab, rng):
    empty = batch(rng, 2, 3, filled=[(0, 0), (1, 0)])
    batches = [batch(rng, 2, 3), empty, batch(rng, 1, 4)]
    because = "a batch of nothing but filling changes nothing"
    close(corpus(lab, batches), whole(batches), atol=0, rtol=1e-9, because=because)
    raises(lambda: corpus(lab, [empty]), "a corpus of nothing but filling")
    raises(lambda: corpus(lab, []), "a corpus of no batches")


def test_many_batches(lab):
    for dtype in (torch.bfloat16, torch.float16):
        long, short = (
            (torch.zeros(1, time, 2, dtype=dtype), torch.ones(1, time, dtype=torch.long))
            for time in (5000, 1)
        )
        because = (
            "a batch of 5,000 tokens and 150 of one token, each of them one of two; the logits are "
            f"{dtype}, and a sum in that stops growing"
        )
        close(lab.corpus_perplexity([long] + [short] * 150), 2.0, atol=0.01, because=because)
    huge = torch.zeros(1, 70_000, 2, dtype=torch.float16), torch.ones(1, 70_000, dtype=torch.long)
    because = "one batch of 70,000 tokens of one bit; float16 ends at 65,504"
    close(lab.corpus_perplexity([huge]), 2.0, atol=0.01, because=because)


# Windows


CASES = [(20, 6, 3), (20, 6, 6), (20, 6, 1), (23, 7, 4), (9, 8, 8), (8, 8, 3), (5, 9, 2), (2, 1, 1)]
CASES += [(12, 1, 1), (31, 5, 5), (31, 5, 2)]


def laid(lab, count, length, stride):
    """The learner's windows as tuples, once they look like windows."""
    got = lab.windows(count, length, stride)
    assert isinstance(got, (list, tuple)), f"windows should give a list, and gave {describe(got)}"
    made = []
    for each in got:
        fine = isinstance(each, (tuple, list)) and len(each) == 3
        fine = fine and all(isinstance(place, int) for place in each)
        assert fine, f"a window is three whole numbers, begin, first and end, not {describe(each)}"
        made.append(tuple(each))
    return made


def named(found):
    """Windows with the names of their places, for a message that says which one differs."""
    return [dict(zip(("begin", "first", "end"), each, strict=True)) for each in found]


def called(count, length, stride):
    return f"windows(count={count}, length={length}, stride={stride})"


def test_windows_by_hand(lab):
    because = (
        "8 tokens, of which 4 can be read at once: the first window is judged by tokens 1 to 4, "
        "the second by 5 and 6, and reads 2 to 5; the last one by what is left, 7, and reads 3 to 6"
    )
    same(named(laid(lab, 8, 4, 2)), named([(0, 1, 5), (2, 5, 7), (3, 7, 8)]), because=because)
    because = "the model reads one token at a time: each token is judged after the one before it"
    same(named(laid(lab, 4, 1, 1)), named([(0, 1, 2), (1, 2, 3), (2, 3, 4)]), because=because)


def test_each_token_once(lab):
    for case in CASES:
        judged = [place for _, first, end in laid(lab, *case) for place in range(first, end)]
        because = f"{called(*case)}: the tokens that are judged, in order"
        same(judged, list(range(1, case[0])), because=because)


def test_as_far_back(lab):
    for count, length, stride in CASES:
        found = laid(lab, count, length, stride)
        assert found, f"{called(count, length, stride)} gives no windows"
        for begin, first, end in found:
            reads = end - 1 - begin
            assert reads <= length, (
                f"{called(count, length, stride)}: the window ({begin}, {first}, {end}) reads "
                f"{reads} tokens, ids[{begin}:{end - 1}], and the model can read {length}"
            )
            assert begin == max(0, end - 1 - length), (
                f"{called(count, length, stride)}: the window ({begin}, {first}, {end}) reads "
                f"{reads} tokens; it could begin at {max(0, end - 1 - length)}"
            )


def test_as_few_as_possible(lab):
    for count, length, stride in CASES:
        found = laid(lab, count, length, stride)
        later = max(0, count - 1 - length)
        want = 1 + math.ceil(later / stride)
        assert len(found) == want, (
            f"{called(count, length, stride)} should be {want} windows: one for the first "
            f"{min(length, count - 1)} judged tokens and {want - 1} for the other {later}; there "
            f"are {len(found)}"
        )


def test_too_short(lab):
    for count in (0, 1):
        same(laid(lab, count, 4, 2), [], because=f"{count} tokens: there is nothing to judge")
    same(laid(lab, 2, 4, 2), [(0, 1, 2)], because="two tokens: the second is judged")


def test_refuses(lab):
    for length, stride in ((4, 0), (4, -1), (4, 5), (0, 0), (-3, -4)):
        raises(lambda a=length, b=stride: lab.windows(9, a, b), called(9, length, stride))
    laid(lab, 6, 4, 4)  # a stride equal to the length is fine


# Long texts


def text(rng, count, vocabulary=5):
    return torch.randint(vocabulary, (count,), generator=rng)


def tally_bits(ids, begin, place, vocabulary=5):
    """The bits of one token for `Tally`, which has read from begin up to it."""
    seen = ids[begin:place]
    chance = Fraction(seen.count(ids[place]) + 1, len(seen) + vocabulary)
    return -math.log2(chance)


def expected(ids, length, stride, vocabulary=5):
    """The bits of tokens 1, 2, … of a text, by counting."""
    ids, found = ids.tolist(), []
    for place in range(1, len(ids)):
        late = max(0, place - length)  # how far behind the first window's last token it stands
        last = min(length + math.ceil(late / stride) * stride, len(ids) - 1)
        found.append(tally_bits(ids, max(0, last - length), place, vocabulary))
    return torch.tensor(found, dtype=F64)


def test_strided_by_hand(lab):
    ids = torch.tensor([0, 1, 0, 0, 2])
    got = lab.strided(lab.Tally(3), ids.clone(), length=2, stride=1)
    because = (
        "Tally reads two tokens at most. After 0, 1 has 1/4; after 0 and 1, 0 has 2/5; after 1 and "
        "0, 0 has 2/5; after 0 and 0, 2 has 1/5"
    )
    close(got, bits_of([1 / 4, 2 / 5, 2 / 5, 1 / 5]), atol=1e-9, because=because)


def test_equals_direct(lab, rng):
    for count in (2, 6, 9):
        ids = text(rng, count)
        direct = F.cross_entropy(
            lab.Tally(5)(ids[None, :-1])[0], ids[1:], reduction="none"
        ) / math.log(2)
        for stride in (1, 3, 8):
            got = lab.strided(lab.Tally(5), ids.clone(), length=8, stride=stride)
            because = f"{count} tokens fit into a window of 8: as if the model read them at once"
            close(got, direct, atol=1e-9, because=because)


def test_long_text(lab, rng):
    for count, length, stride in CASES:
        ids = text(rng, count)
        got = lab.strided(lab.Tally(5), ids.clone(), length, stride)
        because = (
            f"{count} tokens, length={length}, stride={stride}: Tally counts what it could read "
            "before each token"
        )
        close(got, expected(ids, length, stride), atol=1e-9, because=because)


def test_any_model(lab, rng):
    table = torch.randn(6, 6, generator=rng, dtype=F64)
    model = lab.Bigram(6)
    model.double()
    model.load_state_dict({"table.weight": table})
    ids = text(rng, 17, 6)
    want = F.cross_entropy(table[ids[:-1]], ids[1:], reduction="none") / math.log(2)
    for length, stride in ((16, 4), (5, 5), (5, 2), (3, 1), (1, 1)):
        got = lab.strided(model, ids.clone(), length, stride)
        because = (
            f"a model that looks at one token only needs the same bits through any windows; "
            f"length={length}, stride={stride}"
        )
        close(got, want, atol=1e-9, because=because)
    model.bfloat16()
    because = "a model in bfloat16 gives bits in bfloat16, which have three digits"
    got = lab.strided(model, ids.clone(), 5, 2)
    close(got, want.bfloat16(), atol=0.1, rtol=0.03, because=because)


def test_cost(lab, rng):
    for count, length, stride in ((40, 8, 8), (40, 8, 4), (40, 8, 1), (7, 8, 2)):
        model = lab.Tally(5)
        lab.strided(model, text(rng, count), length, stride)
        later = max(0, count - 1 - length)
        want = min(length, count - 1) + length * math.ceil(later / stride)
        because = (
            f"{count} tokens, length={length}, stride={stride}: tokens that the model read, which "
            "are ids[begin:end - 1] of each window"
        )
        same(int(model.reads), want, because=because)
        same(int(model.longest), min(length, count - 1), because="tokens that it read at once")


def test_modes(lab, rng):
    model = lab.Bigram(5, 0.5)
    ids = text(rng, 12)
    for training in (True, False):
        model.train(training)
        first, second = (lab.strided(model, ids.clone(), 4, 2) for _ in range(2))
        assert isinstance(first, torch.Tensor), f"strided should give a tensor: {describe(first)}"
        because = "the model drops half of its scores in training mode: measure in evaluation mode"
        same(second, first, because=because)
        because = "the model should be in the mode in which it was"
        same(bool(model.training), training, because=because)
    tally = lab.Tally(5)
    lab.strided(tally, ids.clone(), 4, 2)
    assert not tally.gradients, "the model was called with gradients on; torch.no_grad() ends that"


def test_nothing_to_judge(lab, rng):
    for count in (0, 1):
        got = lab.strided(lab.Tally(5), text(rng, count), length=4, stride=2)
        because = f"a text of {count} tokens has none to judge"
        close(got, torch.zeros(0), atol=0, because=because)
    raises(lambda: lab.strided(lab.Tally(5), text(rng, 9), 4, 5), "a stride above the length")


def test_inputs_untouched(lab, rng):
    ids = text(rng, 11)
    mine = ids.clone()
    got = lab.strided(lab.Tally(5), mine, 4, 2)
    assert isinstance(got, torch.Tensor), f"strided should give a tensor: {describe(got)}"
    same(mine, ids, because="strided changed the ids in place")
    logits, targets = batch(rng, 2, 4, filled=[(0, 2)])
    pair = logits.clone(), targets.clone()
    got = lab.corpus_perplexity([pair])
    assert isinstance(got, float), f"corpus_perplexity should give a float: {describe(got)}"
    same(pair, (logits, targets), because="corpus_perplexity changed its batches in place")
    bits = 5 * torch.rand(3, 4, generator=rng)
    copy = bits.clone()
    got = lab.perplexity(copy)
    assert isinstance(got, float), f"perplexity should give a float: {describe(got)}"
    same(copy, bits, because="perplexity changed the bits in place")

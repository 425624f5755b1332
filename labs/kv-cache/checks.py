"""What `lab.yaml` grades.

The oracles: everything so far, put together anew each time; transformers' own cache, for what it
weighs; and the model that reads its whole text again for each token.
"""

import itertools
import math
from types import SimpleNamespace

import torch

from llmpath.labkit.checks import a_generator, close, describe, has, number, same

F64 = torch.float64
KEYS = "batch, kv_heads, length, head_size"
LONGEST = 200  # tokens that a stream of these checks never reaches


def random(rng, *shape, dtype=F64):
    return torch.randn(*shape, generator=rng, dtype=F64).to(dtype)


def words(rng, batch, time, vocab_size=11):
    return torch.randint(vocab_size, (batch, time), generator=rng)


def both(rng, time, batch=2, heads=3, head_size=5, dtype=F64):
    """Keys and values of some new words."""
    return tuple(random(rng, batch, heads, time, head_size, dtype=dtype) for _ in range(2))


def extended(cache, pair):
    """What comes back when the learner's cache is extended, once it is two tensors."""
    got = cache.extend(*(part.clone() for part in pair))
    two = isinstance(got, (tuple, list)) and len(got) == 2
    assert two, f"extend should return keys and values, and returned {describe(got)}"
    return got


def fill(cache, pairs):
    """Extend a cache by several pieces."""
    for pair in pairs:
        extended(cache, pair)


def joined(pairs):
    """All keys, and all values, of several pieces."""
    return tuple(torch.cat(parts, dim=2) for parts in zip(*pairs, strict=True))


def holds(got, pairs, because):
    """Check that keys and values are those of all pieces, in order."""
    for mine, right, name in zip(got, joined(pairs), ("keys", "values"), strict=True):
        close(mine, right, atol=0.0, because=f"{name}: {because}", axes=KEYS)


def room_of(cache):
    """How many words the room is for, once keys and values have the same."""
    keys, values = cache.keys, cache.values
    for room, name in ((keys, "keys"), (values, "values")):
        fine = isinstance(room, torch.Tensor) and room.dim() == 4
        assert fine, (
            f"cache.{name} should be the room, a tensor of (batch, kv_heads, capacity, head_size), "
            f"and is {describe(room)}"
        )
    assert keys.shape == values.shape, (
        f"the rooms for keys and values should be as large, and are {tuple(keys.shape)} and "
        f"{tuple(values.shape)}"
    )
    return keys.size(2)


# Cache


def test_by_hand(lab):
    k = torch.tensor([[[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]], dtype=F64)
    cache = lab.Cache(4)
    same(cache.length, 0, because="nothing is in it yet")
    got = extended(cache, (k[:, :, :2], -k[:, :, :2]))
    holds(got, [(k[:, :, :2], -k[:, :, :2])], "two words came, and nothing was there before")
    same(cache.length, 2, because="two words are in it")
    got = extended(cache, (k[:, :, 2:], -k[:, :, 2:]))
    holds(got, [(k, -k)], "a third word came, and all three come back")
    same(cache.length, 3, because="three words are in it")


def test_all_so_far(lab, rng):
    for times in ([1] * 9, [4, 1, 1, 3], [2, 7, 1], [12]):
        cache, pairs = lab.Cache(number(rng, 1, 5)), []
        for time in times:
            pairs.append(both(rng, time))
            because = f"all words so far, in order, when they come in pieces of {times}"
            holds(extended(cache, pairs[-1]), pairs, because)
        same(cache.length, sum(times), because=f"so many words came in pieces of {times}")
    default, pairs = lab.Cache(), [both(rng, 70), both(rng, 80), both(rng, 1)]
    fill(default, pairs[:2])
    holds(extended(default, pairs[2]), pairs, "70 and 80 words and one, with the usual capacity")


def test_room_ahead(lab, rng):
    cache = lab.Cache(7)
    for length in range(1, 8):
        extended(cache, both(rng, 1))
        because = f"with a capacity of 7 there is room for 7 words, when {length} are in it"
        same(room_of(cache), 7, because=because)
    cache = lab.Cache(3)
    extended(cache, both(rng, 8))
    same(room_of(cache), 8, because="8 words came, more than the capacity of 3")


def test_room_grows(lab, rng):
    first = number(rng, 2, 4)
    cache, rooms = lab.Cache(first), [first]
    for _ in range(36):
        extended(cache, both(rng, 1, 1, 1, 2))
        if (room := room_of(cache)) != rooms[-1]:
            rooms.append(room)
    want = [first * 2**n for n in range(len(rooms))]
    because = "words came one at a time; when there is no room for one, it becomes twice as large"
    same(rooms, want, because=because)
    cache = lab.Cache(5)
    fill(cache, [both(rng, 4), both(rng, 17)])
    same(room_of(cache), 21, because="21 words are more than twice the 5 that there was room for")
    fill(cache, [both(rng, 1)])
    same(room_of(cache), 42, because="21 words are in room for 21, and one more came")


def test_nothing_else_is_touched(lab, rng):
    cache, pairs = lab.Cache(8), [both(rng, 2), both(rng, 1), both(rng, 2)]
    fill(cache, pairs[:1])
    room_of(cache)
    marks = [random(rng, 2, 3, 8, 5) for _ in range(2)]
    cache.keys, cache.values = (mark.clone() for mark in marks)
    fill(cache, pairs[1:])
    for name, mark, part in zip(("keys", "values"), marks, joined(pairs), strict=True):
        mark[:, :, 2:5] = part[:, :, 2:]
        because = (
            f"{name}: 2 words were in a room for 8, and 3 more came. They belong in places 2 to 4; "
            "the rest of the room keeps what is in it"
        )
        close(getattr(cache, name), mark, atol=0.0, because=because)


def test_kinds_of_numbers(lab, rng):
    for dtype in (torch.float32, torch.bfloat16, torch.float16, F64):
        pairs = [both(rng, time, dtype=dtype) for time in (2, 1, 4)]
        cache = lab.Cache(2)
        fill(cache, pairs[:-1])
        holds(extended(cache, pairs[-1]), pairs, f"keys and values of {dtype} stay as they are")


def test_apart(lab, rng):
    one, two = lab.Cache(4), lab.Cache(4)
    mine, others = [], []
    for time in (2, 1, 3):
        mine.append(both(rng, time))
        holds(extended(one, mine[-1]), mine, "another cache is in use at the same time")
        others.append(both(rng, time + 1))
        holds(extended(two, others[-1]), others, "another cache is in use at the same time")


def test_crop(lab, rng):
    for keep in (0, 1, 4, 6):
        cache, pairs = lab.Cache(3), [both(rng, 4), both(rng, 2)]
        fill(cache, pairs)
        cache.crop(keep)
        same(cache.length, keep, because=f"of six words {keep} are to be kept")
        left = tuple(part[:, :, :keep] for part in joined(pairs))
        new = both(rng, 3)
        because = f"of six words {keep} were kept, and three new ones come behind them"
        holds(extended(cache, new), [left, new], because)
        same(cache.length, keep + 3, because=because)


def test_crop_keeps_the_room(lab, rng):
    cache, pairs = lab.Cache(16), [both(rng, 9)]
    fill(cache, pairs)
    for keep in (8, 3, 0):
        cache.crop(keep)
        same(room_of(cache), 16, because=f"all but {keep} words are forgotten; the room stays")


def test_crop_refuses(lab, rng):
    lab.Cache().crop(0)
    cache, pairs = lab.Cache(8), [both(rng, 3)]
    fill(cache, pairs)
    for length in (4, 8, -1):
        try:
            cache.crop(length)
        except ValueError:
            continue
        raise AssertionError(f"crop({length}) of three words should raise ValueError")
    same(cache.length, 3, because="what was refused should have changed nothing")


def test_select(lab, rng):
    for rows in ([2, 0, 1], [1], [0, 2, 2, 0, 1], [1, 1, 1]):
        cache, pairs = lab.Cache(4), [both(rng, 3, batch=3), both(rng, 2, batch=3)]
        fill(cache, pairs)
        cache.select(torch.tensor(rows))
        same(cache.length, 5, because="other rows were chosen, of as many words")
        chosen = tuple(part[rows] for part in joined(pairs))
        for time in (1, 2):
            new = both(rng, time, batch=len(rows))
            because = f"rows {rows} were chosen; then new words came ({time}), others in each row"
            holds(extended(cache, new), [chosen, new], because)
            chosen = joined([chosen, new])


def test_one_becomes_many(lab, rng):
    cache, prompt = lab.Cache(8), both(rng, 4, batch=1)
    fill(cache, [prompt])
    cache.select(torch.zeros(3, dtype=torch.int64))
    each = tuple(part.expand(3, -1, -1, -1) for part in prompt)
    new = both(rng, 1, batch=3)
    because = "one row was doubled to three, and each of them went on in its own way"
    holds(extended(cache, new), [each, new], because)


def test_select_from_nothing(lab, rng):
    cache = lab.Cache(4)
    cache.select(torch.tensor([1, 0]))
    pair = both(rng, 2)
    because = "rows were chosen while there were none; then two words came"
    holds(extended(cache, pair), [pair], because)


# memory_bytes


def config_of(layers, heads, kv_heads, head_size):
    return SimpleNamespace(
        layers=layers, heads=heads, kv_heads=kv_heads, hidden_size=heads * head_size,
        vocab_size=97, intermediate_size=40,
    )  # fmt: skip


def test_bytes_by_hand(lab):
    config = config_of(layers=3, heads=4, kv_heads=2, head_size=8)
    got = lab.memory_bytes(config, 1, 10, torch.float32)
    because = (
        "3 layers have 2 key heads of 8 numbers, which makes 48 numbers a word; 48 keys and 48 "
        "values are 96, of 4 bytes each, for 10 words"
    )
    same(got, 3840, because=because)


def test_bytes_match_transformers(lab, rng):
    from transformers import DynamicCache

    shapes = [(2, 6, 6, 4), (4, 6, 2, 8), (3, 8, 1, 5)]
    for shape, dtype in itertools.product(shapes, (torch.float32, torch.bfloat16, F64)):
        config = config_of(*shape)
        batch, length, theirs = number(rng, 1, 4), number(rng, 5, 20), DynamicCache()
        pair = (torch.zeros(batch, config.kv_heads, length, shape[3], dtype=dtype),) * 2
        kept = [theirs.update(*pair, layer) for layer in range(config.layers)]
        want = sum(part.nbytes for layer in kept for part in layer)
        because = (
            f"transformers' DynamicCache of {config.layers} layers, with {config.kv_heads} key "
            f"heads for {config.heads} heads of {shape[3]}, holding {batch} texts of {length} "
            f"words in {dtype}"
        )
        same(lab.memory_bytes(config, batch, length, dtype), want, because=because)


# shared_prefix


def test_prefix(lab, rng):
    a = torch.tensor([[5, 6, 7, 8, 9]])
    for b, want, because in [
        ([5, 6, 7, 8, 9], 5, "the same text"),
        ([5, 6, 7], 3, "all of the shorter text"),
        ([5, 6, 7, 8, 9, 1, 2], 5, "all of the shorter text"),
        ([5, 6, 1, 8, 9], 2, "they differ in the third word; what follows does not count"),
        ([6, 6, 7, 8, 9], 0, "they differ in the first word"),
    ]:
        because = f"[5, 6, 7, 8, 9] and {b}: {because}"
        same(lab.shared_prefix(a.clone(), torch.tensor([b])), want, because=because)
    nothing = torch.zeros(1, 0, dtype=torch.int64)
    same(lab.shared_prefix(nothing, a.clone()), 0, because="one of the texts has no words")
    same(lab.shared_prefix(a.clone(), nothing), 0, because="one of the texts has no words")


def test_prefix_of_rows(lab, rng):
    for places in ((2, 5, 4), (6, 6, 3), (1, 6, 6), (0, 2, 6)):
        a = words(rng, 3, 6)
        b = torch.cat([a, words(rng, 3, 2)], dim=1)
        for row, place in enumerate(places):
            b[row, place] += 11 * (place < 6)
        same(
            lab.shared_prefix(a, b),
            min(*places, 6),
            because=f"the rows have {places} words in common, and a batch is read row by row alike",
        )


# stream


class Reader:
    """A model whose logits depend on the whole text, with a cache that can be cropped.

    Attributes:
        table: logits by position and by what was said before, (40, 13, vocab_size).
        blocks: how many it is to have, each with a cache.
        text: what is in its cache, (batch, time).
        read: the shape of each piece that it has read.
        kept: what each block's cache was cropped to, in order; nothing if it was not.
    """

    def __init__(self, rng, vocab_size=11, blocks=2):
        self.table, self.blocks = random(rng, 40, 13, vocab_size), blocks
        self.text, self.read, self.kept = None, [], []

    def cache(self):
        """What stands for the caches of its blocks."""
        length = 0 if self.text is None else self.text.size(1)
        self.kept = [[] for _ in range(self.blocks)]
        return [SimpleNamespace(length=length, crop=self.cropper(n)) for n in range(self.blocks)]

    def cropper(self, block):
        """The `crop` of one block."""

        def crop(length):
            assert isinstance(length, int), f"crop was called with {describe(length)}"
            most = 0 if self.text is None else self.text.size(1)
            if not 0 <= length <= most:
                raise ValueError(f"crop({length}) of {most} words")
            self.kept[block].append(length)
            if block == 0 and self.text is not None:
                self.text = self.text[:, :length]

        return crop

    def cropped(self):
        """What each block's cache was cropped to at last; nothing if it was not."""
        return [lengths[-1:] for lengths in self.kept]

    def __call__(self, ids, *cache):
        """Logits at every position of `ids`, (batch, time, vocab_size)."""
        assert isinstance(ids, torch.Tensor), f"the model was called with {describe(ids)}"
        assert ids.dim() == 2, f"the model needs ids of (batch, time), not {tuple(ids.shape)}"
        assert ids.size(1) > 0, "the model was asked to read nothing: ids of no words"
        assert cache, "the model was called without the cache"
        assert len(self.read) < LONGEST, "the model is asked without end"
        self.read.append(tuple(ids.shape))
        self.text = ids if self.text is None else torch.cat([self.text, ids], dim=1)
        assert self.text.size(1) <= 40, "the model has read more words than the text has"
        return self.logits(self.text)[:, -ids.size(1) :]

    def logits(self, text):
        """Logits at every position of a whole text."""
        places = torch.arange(text.size(1))
        said = ((text + 1) * (places + 1)).cumsum(dim=1) % self.table.size(1)
        return self.table[places, said]

    def likeliest(self, text, count):
        """What greedy decoding adds to a text, (batch, count)."""
        for _ in range(count):
            best = self.logits(text)[:, -1].argmax(dim=-1, keepdim=True)
            text = torch.cat([text, best], dim=1)
        return text[:, -count:]


def tokens_of(got, batch):
    """All that a stream yields, (batch, new)."""
    found = []
    for item in a_generator(got, "stream"):
        has(item, (batch,), torch.int64, "the next step of stream")
        found.append(item)
        assert len(found) <= LONGEST, "the stream has no end"
    return torch.stack(found, dim=1) if found else torch.empty(batch, 0, dtype=torch.int64)


def wrote(lab, model, ids, count, because, before=None, **settings):
    """Check that a stream writes greedily what follows the whole text; return all of it."""
    settings = {"temperature": 0} | settings
    model.read.clear()
    cache = model.cache()
    given = None if before is None else before.clone()
    got = tokens_of(lab.stream(model, ids.clone(), count, cache, given, **settings), len(ids))
    same(got, model.likeliest(ids, count), because=because)
    return torch.cat([ids, got], dim=1)


def read_in(model, batch, count, because, tokens, chunk=512):
    """Check that `count` words of a text were read in few pieces, then all tokens but the last.

    The last word of the text may be read by itself. That is one piece more than it takes.
    """
    assert all(shape[0] == batch for shape in model.read), f"not all {batch} rows were read"
    sizes, enough = [shape[1] for shape in model.read], math.ceil(count / chunk)
    start = max(0, len(sizes) - tokens + 1)
    text, drawn = sizes[:start], sizes[start:]
    same(sum(text), count, because=f"words of the text that were read: {because}")
    same(drawn, [1] * (tokens - 1), because="then each token by itself; the last is not read")
    assert max(text) <= chunk, f"{max(text)} words were read at once, of at most {chunk}: {because}"
    assert len(text) <= enough + 1, (
        f"{count} words were read in {len(text)} pieces, where {enough} would do: {because}"
    )


def test_first_turn(lab, rng):
    model, ids = Reader(rng), words(rng, 2, 6)
    wrote(lab, model, ids, 5, "the likeliest token after all of the text so far, five times")
    read_in(model, 2, 6, "nothing is in the cache, so all of the text is read", tokens=5)


def test_second_turn(lab, rng):
    for batch in (1, 3):
        model, ids = Reader(rng, blocks=batch), words(rng, batch, 5)
        before = wrote(lab, model, ids, 4, "the first turn")
        ids = torch.cat([before, words(rng, batch, 3)], dim=1)
        before = wrote(lab, model, ids, 4, "the second turn", before)
        because = (
            "5 words and 4 tokens came before, of which the last was not read; with that one and 3 "
            "new words, 4 are to be read"
        )
        read_in(model, batch, 4, because, tokens=4)
        ids = torch.cat([before, words(rng, batch, 2)], dim=1)
        wrote(lab, model, ids, 2, "the third turn", before)
        read_in(model, batch, 3, "the third turn reads what the second left, too", tokens=2)


def test_taken_back(lab, rng):
    model, ids = Reader(rng), words(rng, 2, 8)
    before = wrote(lab, model, ids, 4, "the first turn")
    ids = before[:, :10].clone()
    ids[1, 5] = (ids[1, 5] + 1) % 11
    because = "row 1 was changed at its sixth word, so that all from there on is read anew"
    wrote(lab, model, ids, 3, because, before)
    read_in(model, 2, 5, f"10 words, of which 5 are in the cache: {because}", tokens=3)
    same(model.cropped(), [[5], [5]], because="the cache of every block is cropped to 5 words")


def test_all_is_there(lab, rng):
    for time in (7, 5):
        model = Reader(rng)
        before = wrote(lab, model, words(rng, 2, 7), 3, "the first turn")
        ids = before[:, :time]
        because = f"the first {time} words again: all are in the cache, and the last is read anew"
        wrote(lab, model, ids, 3, because, before)
        because = "the logits after the last word are not kept; it has to be read for them"
        read_in(model, 2, 1, because, tokens=3)


def test_only_what_was_read(lab, rng):
    model, text = Reader(rng), words(rng, 2, 12)
    model.text = text[:, :4]
    because = "of the text before, only the first 4 words are in the cache (it was stopped there)"
    wrote(lab, model, text[:, :9], 2, because, text)
    read_in(model, 2, 5, f"9 words are asked about; {because}", tokens=2)


def test_another_text(lab, rng):
    model, ids = Reader(rng), words(rng, 2, 6)
    wrote(lab, model, ids, 3, "the first text")
    wrote(lab, model, ids, 3, "with before=None, what is in the cache is forgotten")
    read_in(model, 2, 6, "with before=None, all of the text is read", tokens=3)
    same(model.cropped(), [[0], [0]], because="before=None empties the cache of every block")


def test_in_pieces(lab, rng):
    for time, chunk in [(10, 4), (9, 3), (5, 1), (4, 9)]:
        model, ids = Reader(rng), words(rng, 2, time)
        because = f"a text of {time} words, read {chunk} at a time"
        before = wrote(lab, model, ids, 2, because, chunk=chunk)
        read_in(model, 2, time, because, tokens=2, chunk=chunk)
        ids = torch.cat([before, words(rng, 2, time)], dim=1)
        because = f"a second turn of {time} words and the one that was left over, {chunk} at a time"
        wrote(lab, model, ids, 1, because, before, chunk=chunk)
        read_in(model, 2, time + 1, because, tokens=1, chunk=chunk)


def test_settings(lab, rng):
    model, ids = Reader(rng), words(rng, 1, 4)
    text = model.likeliest(ids, 9)[0].tolist()
    end = text[3]
    got = tokens_of(lab.stream(model, ids, 9, model.cache(), temperature=0, end=end), 1)
    want = text[: text.index(end) + 1]
    same(got[0].tolist(), want, because=f"the stream should end with token {end}, its `end`")
    drawn, seed = [], number(rng, 1, 10_000)
    for _ in range(2):
        model.text = None
        generator = torch.Generator().manual_seed(seed)
        settings = {"temperature": 3.0, "top_k": 9, "top_p": 0.99, "generator": generator}
        drawn.append(tokens_of(lab.stream(model, ids, 12, model.cache(), **settings), 1))
    same(drawn[1], drawn[0], because="two generators of one seed write the same text")
    model.text = None
    greedy = model.likeliest(ids, 12)
    assert not torch.equal(drawn[0], greedy), (
        "with a temperature of 3 the likeliest token came 12 times: do the settings arrive?"
    )


def test_as_it_is_drawn(lab, rng):
    model, ids = Reader(rng), words(rng, 1, 6)
    stream = lab.stream(model, ids, 4, model.cache(), None, 4, temperature=0)
    got = a_generator(stream, "stream")
    same(len(model.read), 0, because="nobody has asked for a token yet")
    for count in range(1, 5):
        got.send(None)
        because = f"the text has 6 words, and a chunk 4; tokens asked for so far: {count}"
        read_in(model, 1, 6, because, tokens=count, chunk=4)


# With a model


def gpt(lab, rng, dtype, scale=0.5):
    """A model of the earlier lab's; the larger its weights, the more hangs on every word."""
    model = lab.GPT(lab.Config(11, 16, 24, layers=2, heads=4, kv_heads=2, tied=False))
    model = model.to(dtype)
    state = model.state_dict().items()
    model.load_state_dict({name: scale * random(rng, *w.shape, dtype=dtype) for name, w in state})
    return model


def test_every_split(lab, rng):
    ones, twos = [*itertools.pairwise(range(8))], [[(0, n), (n, 7)] for n in range(1, 7)]
    for dtype, atol, splits in ((F64, 1e-9, [ones, *twos]), (torch.float32, 1e-4, [ones])):
        model, ids = gpt(lab, rng, dtype), words(rng, 2, 7)
        whole = model(ids)
        for split in splits:
            cache = [lab.Cache(3) for _ in range(2)]
            got = torch.cat([model(ids[:, a:b], cache) for a, b in split], dim=1)
            because = f"words {split} in pieces of their own, against no cache at all, in {dtype}"
            close(got, whole, atol=atol, because=because)
        same(cache[1].length, 7, because="seven words were read")


def test_rows_of_a_model(lab, rng):
    model, ids, new = gpt(lab, rng, F64), words(rng, 3, 5), words(rng, 4, 6)
    cache, rows = [lab.Cache(2) for _ in range(2)], [2, 0, 2, 1]
    model(ids, cache)
    for block in cache:
        block.crop(4)
        block.select(torch.tensor(rows))
    got = model(new, cache)
    want = model(torch.cat([ids[rows, :4], new], dim=1))[:, 4:]
    because = f"the first 4 words of rows {rows}, and 6 new ones behind each, with no cache"
    close(got, want, atol=1e-9, because=because)


def test_a_chat(lab, rng):
    model, text, before = gpt(lab, rng, F64, scale=1.0), words(rng, 3, 6), None
    cache = [lab.Cache(4) for _ in range(2)]
    for turn in range(3):
        settings = {"temperature": 0, "chunk": 4}
        got = tokens_of(lab.stream(model, text, 6, cache, before, **settings), 3)
        same(got.size(1), 6, because="six tokens were asked for")
        before = torch.cat([text, got], dim=1)
        want = model(before)[:, -7:-1].argmax(dim=-1)
        because = f"turn {turn + 1} of a chat, with one cache for all turns, against no cache"
        same(got, want, because=because)
        same(cache[0].length, before.size(1) - 1, because="all but the last token have been read")
        kept, new = before, words(rng, 3, 3)
        if turn:  # in the third turn some is taken back; then no row goes on as it did
            kept, new = before[:, :-4], (before[:, -4:-1] + new % 10 + 1) % 11
        text = torch.cat([kept, new], dim=1)

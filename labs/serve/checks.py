"""What `lab.yaml` grades: against Python's own decoder, by brute force, and in a real event loop.

The event loop and the model's thread are in the worker, and are asked through the proxy. The
functions that these checks hand in say what is computed, in which order and by which thread.
"""

import codecs
import json
import random
import time

from llmpath.labkit.checks import a_generator, describe, same

LONGEST = 300  # pieces that no stream of these checks has
PATIENCE = 3.0  # seconds in which a loop that is free does what it is asked


# Texts and tokens


def utf8(ids):
    """Decode tokens that are bytes."""
    return bytes(ids).decode("utf-8", errors="replace")


def babble(draw, count):
    """Some characters of one to four bytes, at random."""
    return "".join(draw.choice("ab é€😀\n") for _ in range(count))


def cut(draw, text, most):
    """A text in pieces of 0 to `most` characters."""
    found = []
    while text:
        size = draw.randint(0, most)
        found.append(text[:size])
        text = text[size:]
    return found


def certain(ids, decode, before=()):
    """What each token makes certain, and the rest; all of the text is decoded for each."""
    start = len(decode(list(before)))
    given, found, text = 0, [], ""
    for count in range(1, len(ids) + 1):
        text = decode([*before, *ids[:count]])[start:]
        now = max(given, len(text.rstrip("\ufffd")))
        found.append(text[given:now])
        given = now
    return [*found, text[given:]] if text[given:] else found


def listed(got, what):
    """All that a generator yields, refused if it is none, or yields other than text."""
    found = []
    for item in a_generator(got, what):
        assert isinstance(item, str), f"{what} should yield text, not {describe(item)}"
        found.append(item)
        assert len(found) <= LONGEST, f"{what} yields without end"
    return found


def raised(work):
    """What the learner's code raises, as text; "" if it raises nothing."""
    try:
        work()
    except AssertionError:
        raise
    except Exception as error:
        return str(error)
    return ""


def drawing(tokens):
    """A `draw` that gives these tokens, and notes what it was called with."""
    asked = []

    def draw(unseen):
        assert len(asked) < len(tokens), "a token was drawn after the last that was wanted"
        asked.append(list(unseen))
        return tokens[len(asked) - 1]

    return draw, asked


# pieces


def test_half_characters(lab):
    got = listed(lab.pieces(list("a€b".encode()), utf8), "pieces")
    want = ["a", "", "", "€", "b"]
    same(got, want, because="€ has three bytes, and is certain with the third: a, -, -, €, b")


def test_any_characters(lab, seed):
    draw = random.Random(seed)
    for count in (0, 1, 40):
        text = babble(draw, count)
        oracle = codecs.getincrementaldecoder("utf-8")()
        want = [oracle.decode(bytes([byte])) for byte in text.encode()]
        got = listed(lab.pieces(list(text.encode()), utf8), "pieces")
        same(got, want, because=f"byte by byte, {text!r} as Python's incremental decoder gives it")


# Tokens of more than a byte, which begin and end within characters.
PARTS = [b"a", b" the", b" \xf0", b"\x9f\x98", b"\x80", b"\xe2\x82", b"\xacb", b"\xc3", b"\xa9\xe2"]


def parts(ids):
    return b"".join(PARTS[token] for token in ids).decode("utf-8", errors="replace")


def test_begun_characters(lab, seed):
    got = listed(lab.pieces([1, 2, 3, 4, 7, 8, 0], parts), "pieces")
    want = [" the", " ", "", "😀", "", "é", "\ufffda"]
    because = "a token may hold a space and the beginning of 😀: the space is certain at once"
    same(got, want, because=because)
    draw = random.Random(seed)
    for _ in range(3):
        ids = [draw.randrange(len(PARTS)) for _ in range(25)]
        got = listed(lab.pieces(list(ids), parts), "pieces")
        because = f"the tokens {[PARTS[token] for token in ids]}, one by one"
        same(got, certain(ids, parts), because=because)


def test_nothing_is_lost(lab):
    got = listed(lab.pieces(list(b"ok\xe2\x82"), utf8), "pieces")
    same(got[:4], ["o", "k", "", ""], because="the two bytes may still become a €")
    same(got[4:], ["\ufffd"], because="no more tokens come: what was held back comes as it is")
    got = listed(lab.pieces(list(b"a\xffb"), utf8), "pieces")
    same(got, ["a", "", "\ufffdb"], because="a byte that is no character, and then a b")
    got = listed(lab.pieces([97], utf8), "pieces")
    same(got, ["a"], because="nothing is held back, so nothing comes after the last token")


WORDS = " one two six ten red sea sun".replace(" ", " _").split("_")[1:]


def spaced(ids):
    """Decode as tokenizers do that drop the space at the beginning of a text."""
    return "".join(" " + WORDS[token].strip() for token in ids).removeprefix(" ")


def test_within_a_text(lab, seed):
    draw = random.Random(seed)
    ids = [draw.randrange(len(WORDS)) for _ in range(12)]
    got = listed(lab.pieces(list(ids), spaced), "pieces")
    because = "this tokenizer drops the space before the first word only; later words keep theirs"
    same(got, certain(ids, spaced), because=because)
    for count in (1, 9):
        before = [draw.randrange(len(WORDS)) for _ in range(count)]
        got = listed(lab.pieces(list(ids), spaced, list(before)), "pieces")
        because = "after the tokens of a prompt the first word is not the beginning of the text"
        same(got, certain(ids, spaced, before), because=because)


def test_few_tokens_at_a_time(lab, seed):
    draw, sizes = random.Random(seed), []

    def decode(ids):
        sizes.append(len(ids))
        return spaced(ids)

    ids = [draw.randrange(len(WORDS)) for _ in range(60)]
    listed(lab.pieces(list(ids), decode, list(ids)), "pieces")
    assert sizes, "decode was never called"
    assert max(sizes) <= 7, (
        f"decode was called with {max(sizes)} tokens; 6 (BEHIND) that were given out and the new "
        "one are enough, however long the text is"
    )


# until


def test_stop_by_hand(lab):
    for given, want in [
        (["one t", "wo", " thr"], ["one ", ""]),
        (["one two three"], ["one "]),
        (["on", "e t", "h"], ["on", "e ", "th"]),
        (["one", " t"], ["one", " ", "t"]),
    ]:
        got = listed(lab.until(list(given), ["two"]), "until")
        same(got, want, because=f"the pieces {given} up to the stop text “two”")
    got = listed(lab.until(["one two", ""], []), "until")
    same(got, ["one two", ""], because="without stop texts everything passes as it comes")


def test_held_no_longer_than_needed(lab):
    for given, stops, want in [
        (["t", "t", "x"], ["two"], ["", "t", "tx"]),
        (["aab", "aab", "c"], ["aabc"], ["", "aab", ""]),
        (["ab", "a", "c"], ["abab!", "bax"], ["", "", "abac"]),
        (["say ", "### ", "U", "ser:"], ["### User:", "\n\n"], ["say ", "", "", ""]),
    ]:
        got = listed(lab.until(list(given), list(stops)), "until")
        because = f"{given} with the stop texts {stops}: only what may begin one is held back"
        same(got, want, because=because)


def passed(text, stops):
    """What comes before the stop text that is complete first, character by character."""
    for count in range(1, len(text) + 1):
        ended = [stop for stop in stops if text[:count].endswith(stop)]
        if ended:
            return text[: count - max(map(len, ended))]
    return text


def test_however_cut(lab, seed):
    draw = random.Random(seed)
    for _ in range(30):
        text = "".join(draw.choice("ab") for _ in range(draw.randint(4, 30))) + draw.choice("ab!")
        stops = ["".join(draw.choice("ab!") for _ in range(draw.randint(3, 5))) for _ in range(3)]
        given = cut(draw, text, 4)
        got = "".join(listed(lab.until(list(given), list(stops)), "until"))
        same(got, passed(text, stops), because=f"{given} with the stop texts {stops}, in all")


def test_complete_first(lab):
    for given, stops, want in [
        (["xabcd"], ["abcd", "bc"], "xa"),
        (["xabc"], ["bc", "abc"], "x"),
        (["x1y2"], ["2", "1"], "x"),
        (["x1y2z1"], ["2", "1"], "x"),
    ]:
        got = "".join(listed(lab.until(list(given), list(stops)), "until"))
        because = f"in {given[0]!r}, of {stops}, the one that is complete first, or the longer"
        same(got, want, because=because)


# write: both of them at work


def spoken(pair):
    """The text of a pair that `write` yields, refused if it is none."""
    assert isinstance(pair, (tuple, list)), f"write should yield pairs, not {describe(pair)}"
    assert isinstance(pair[0], str), f"a piece should be text, not {describe(pair[0])}"
    return pair[0]


def test_asks_no_further(lab):
    draw, asked = drawing(list(b"one two three"))
    writing = lab.write(draw, utf8, [97, 98], end=[0], max_tokens=50, stop=["two"])
    got = list(writing)
    same("".join(map(spoken, got)), "one ", because="the text before the stop text “two”")
    same(got[-1][1], "stop", because="a stop text ended it")
    because = "7 tokens make “one two”; after a stop text the model is not asked again"
    same(len(asked), 7, because=because)
    draw, asked = drawing(list(b"one\0two"))
    got = list(lab.write(draw, utf8, [97, 98], end=[0], max_tokens=3, stop=["x"]))
    same("".join(map(spoken, got)), "one", because="three tokens were allowed")
    same((len(asked), got[-1][1]), (3, "length"), because="no fourth is drawn, to see what it is")


def test_one_token_at_a_time(lab):
    draw, asked = drawing(list(b"hello"))
    writing = lab.write(draw, utf8, [97], end=[0], max_tokens=5, stop=["lo!"])
    same(asked, [], because="nobody has asked for a piece yet")
    for count, want in enumerate(["h", "e", "", "l"], 1):
        text = spoken(writing.send(None))
        because = f"{count} pieces were asked for, so {count} tokens should have been drawn"
        same(len(asked), count, because=because)
        same(text, want, because=f"piece {count} of “hello”, with the stop text “lo!”")


def test_two_at_once(lab):
    texts = [list("é€😀twé".encode()), list("two€éa".encode())]
    left = [iter(tokens) for tokens in texts]
    writing = [
        lab.write(lambda _, mine=mine: next(mine, 0), utf8, [97], end=[0], max_tokens=50, stop=stop)
        for mine, stop in zip(left, (["twx"], ["€é!"]), strict=True)
    ]
    said = ["", ""]
    for _ in range(max(map(len, texts))):
        for which in (0, 1):
            if len(said[which].encode()) < len(texts[which]) - 3:
                said[which] += spoken(writing[which].send(None))
    for which in (0, 1):
        said[which] += "".join(map(spoken, writing[which]))
        because = "two texts written in turns, each with its own half characters and stop texts"
        same(said[which], utf8(texts[which]), because=because)


# events

HEAD = {"id": "chatcmpl-7", "model": "mine", "created": 1_700_000_000}


def parsed(stream):
    """The data of a stream of server-sent events, as the HTML standard reads them."""
    found, lines = [], []
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line == "":
            if lines:
                found.append("\n".join(lines))
            lines = []
            continue
        field, _, value = line.partition(":")
        assert field in ("", "data"), f"a line of the stream is no event's: {line!r}"
        if field == "data":
            lines.append(value.removeprefix(" "))
    assert not lines, f"after the last event there is no empty line: {lines}"
    return found


def chunks(got):
    """The objects of the events before [DONE]."""
    data = parsed("".join(got))
    assert data, "there is no event"
    assert "\n" not in data[-1], "events run into one another: each ends with an empty line"
    assert data[-1] == "[DONE]", f"the last event should be [DONE], not {data[-1]}"
    return list(map(loaded, data[:-1]))


def loaded(text):
    """The object in an event."""
    try:
        found = json.loads(text)
    except ValueError:
        raise AssertionError(f"the data of an event are no JSON: {text!r}") from None
    assert isinstance(found, dict), f"the data of an event should be an object, not {text}"
    return found


def delta_of(text):
    """The delta in an event; the whole object where there is none."""
    choices = loaded(text).get("choices")
    return choices[0].get("delta") if isinstance(choices, list) and choices else loaded(text)


def chunk(delta, reason=None):
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"object": "chat.completion.chunk", **HEAD, "choices": [choice]}


ROLE = {"role": "assistant", "content": ""}


def test_events_by_hand(lab):
    for reason in ("stop", "length"):
        written = [("Mia", None), (" lives", None), ("", reason)]
        got = chunks(listed(lab.events(written, **HEAD), "events"))
        want = [
            chunk(ROLE),
            chunk({"content": "Mia"}),
            chunk({"content": " lives"}),
            chunk({}, reason),
        ]
        because = "the role, two pieces of text, and the reason, in the shape of OpenAI's API"
        same(got, want, because=because)


def test_only_text_has_an_event(lab):
    written = [("", None), ("a", None), ("", None), ("b", "length")]
    got = chunks(listed(lab.events(written, **HEAD), "events"))
    deltas = [delta_of(json.dumps(found)) for found in got]
    want = [ROLE, {"content": "a"}, {"content": "b"}, {}]
    same(deltas, want, because="pieces of no text are no events; text and reason are one each")


def test_any_text_survives(lab, seed):
    draw = random.Random(seed)
    hard = ['say "no"', "\n\ndata: [DONE]\n\n", "\\", "é€😀", "\r", babble(draw, 9), "{}", "'"]
    written = [*((text, None) for text in hard), ("", "stop")]
    got = chunks(listed(lab.events(written, **HEAD), "events"))
    said = [delta_of(json.dumps(found)) for found in got][1:-1]
    same(
        said,
        [{"content": text} for text in hard],
        because="an event is one line, whatever quotes and newlines are in the text",
    )


def test_events_come_at_once(lab):
    steps = []

    def step():
        steps.append(len(steps))
        return ("x", None) if len(steps) < 4 else ("", "stop") if len(steps) == 4 else None

    got = a_generator(lab.events(lab.ticking(step), **HEAD), "events")
    for count, delta in enumerate([ROLE, *3 * [{"content": "x"}], {}]):
        event = got.send(None)
        assert isinstance(event, str), f"events should yield text, not {describe(event)}"
        found = parsed(event)
        same(len(found), 1, because="each time that an event is asked for, one comes")
        same(delta_of(found[0]), delta, because=f"event {count + 1}")
        because = f"before event {count + 1}, the model has been asked for {count} pieces"
        same(len(steps), count, because=because)


def test_errors_end_the_stream(lab):
    secret, steps = "/srv/keys/token.txt", []

    def step():
        steps.append(None)
        if len(steps) == 3:
            raise ValueError(secret)
        return ("x", None)

    got = parsed("".join(listed(lab.events(lab.ticking(step), **HEAD), "events")))
    same(len(got), 4, because="the role, two pieces, and the error; nothing comes after an error")
    last = loaded(got[-1]) if got[-1] != "[DONE]" else {}
    assert isinstance(last.get("error"), dict), (
        f"the last event should hold an error, not {got[-1]}"
    )
    same(sorted(last["error"]), ["message", "type"], because="the keys of the error")
    same(last["error"]["type"], "server_error", because="the type of the error")
    said = last["error"]["message"]
    assert isinstance(said, str), f"the message should be a sentence, not {describe(said)}"
    assert len(said.split()) > 1, f"the message should be a sentence, not {said!r}"
    told = "".join(got)
    assert secret not in told, f"a client was told what the exception says: {got[-1]}"
    assert "ValueError" not in told, f"a client was told the name of the exception: {got[-1]}"
    assert "Callback" not in told, f"a client was told the name of the exception: {got[-1]}"


def test_events_can_be_closed(lab):
    got = a_generator(lab.events(lab.ticking(lambda: ("x", None)), **HEAD), "events")
    for delta in (ROLE, {"content": "x"}, {"content": "x"}):
        event = got.send(None)
        assert isinstance(event, str), f"events should yield text, not {describe(event)}"
        same([delta_of(text) for text in parsed(event)], [delta], because="an event of a stream")
    got.close()  # raises if something is yielded while the generator is being closed
    assert got.gi_frame is None, "the generator still runs after it was closed"


# admit

USER = {"role": "user", "content": "Where does Mia live?"}
BOT = {"role": "assistant", "content": "In the mill."}


def counting(size):
    """An `encode` that makes so many tokens, and notes what it was called with."""
    asked = []

    def encode(messages):
        asked.append(list(messages))
        return list(range(100, 100 + size))

    return encode, asked


def refused(lab, status, names, because, messages=(USER,), limits=None, size=3, **more):
    """Check that a request is refused, with this status and these numbers; what was encoded."""
    encode, asked = counting(size)
    given = lab.Limits(context=64) if limits is None else limits
    text = raised(lambda: lab.admit([dict(each) for each in messages], encode, given, **more))
    assert text, f"{because}: that is to be refused, and was let in"
    assert text.startswith(f"Refused: {status}: "), (
        f"{because}: that is Refused with the status {status}, not {text}"
    )
    for name in names:
        assert str(name) in text, f"{because}: the sentence should name {name}: {text}"
    return asked


def admitted(lab, size, limits, **more):
    """How many tokens an answer to a prompt of `size` tokens may have."""
    encode, asked = counting(size)
    got = lab.admit([dict(USER)], encode, limits, **more)
    assert isinstance(got, (tuple, list)), f"admit should return a pair, not {describe(got)}"
    assert len(got) == 2, f"admit should return a pair, not {describe(got)}"
    same(list(got[0]), list(range(100, 100 + size)), because="the tokens of the prompt")
    same(len(asked), 1, because="a conversation is encoded once")
    return got[1]


def test_lets_in(lab):
    limits = lab.Limits(context=100, max_tokens=40, characters=20, queue=5)
    for size, wanted, want in [
        (30, None, 40),
        (30, 7, 7),
        (30, 40, 40),
        (30, 41, 40),
        (75, None, 25),
        (75, 60, 25),
        (75, 20, 20),
        (99, None, 1),
        (99, 1, 1),
    ]:
        got = admitted(lab, size, limits, wanted=wanted, waiting=4)
        because = f"{size} tokens of prompt of 100, at most 40 for an answer, {wanted} are wanted"
        same(got, want, because=because)


def test_refuses_long_texts(lab):
    limits = lab.Limits(context=64, characters=30)
    asked = refused(
        lab, 413, [32, 30], "32 characters in two messages, of at most 30", [BOT, USER], limits
    )
    same(asked, [], because="too long a text is refused before tokens are made of it")
    asked = refused(
        lab, 413, [41, 30], "41 characters in one message",
        [{"role": "user", "content": 41 * "x"}], limits,
    )  # fmt: skip
    same(asked, [], because="too long a text is refused before tokens are made of it")
    encode, asked = counting(3)
    for letter in "x€":
        lab.admit([dict(BOT), {"role": "user", "content": 18 * letter}], encode, limits)
    same(len(asked), 2, because="12 and 18 are 30 characters, which is just allowed")


def test_refuses_long_prompts(lab):
    for size in (64, 65, 200):
        refused(lab, 400, [size, 64], f"{size} tokens of prompt, in a context of 64", size=size)


def test_refuses_when_full(lab):
    limits = lab.Limits(context=64, queue=5)
    for waiting in (5, 6):
        asked = refused(
            lab, 429, [waiting, 5], f"{waiting} are waiting, of at most 5", limits=limits,
            waiting=waiting,
        )  # fmt: skip
        same(asked, [], because="when the queue is full, nothing is spent on a request")


def test_refuses_nonsense(lab):
    asked = refused(lab, 400, [], "there is no message", [])
    asked += refused(lab, 400, [], "the last message is the assistant's", [USER, BOT])
    for wanted in (0, -3):
        asked += refused(lab, 400, [wanted], f"{wanted} tokens are wanted", wanted=wanted)
    same(asked, [], because="what cannot be answered is refused before tokens are made of it")


# respond


class Bench:
    """An event loop and a model's thread, in the worker."""

    def __init__(self, lab):
        self.lab, self.used, self.sent = lab, [], []
        self.runner = lab.asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.thread = lab.ThreadPoolExecutor(1, "model", lambda: self.used.append(True))
        self.taken = lab.asyncio.Queue()

    def send(self, event):
        """Note what is sent, and return something to wait for."""
        self.sent.append(event)
        return self.taken.put(event)

    def task(self, step, send=None):
        """A task that responds with what `step` gives, and the generator of it."""
        events = self.lab.ticking(step)
        work = self.lab.respond(events, self.send if send is None else send, self.thread)
        name = getattr(work, "type_name", None)
        assert name == "builtins.coroutine", (
            "respond should be `async def`, and returned "
            f"{describe(work) if name is None else name}"
        )
        return self.loop.create_task(work), events

    def run(self, *tasks, seconds=PATIENCE):
        """Let the loop run until these tasks have ended, or so long."""
        done = self.lab.asyncio.wait(list(tasks), timeout=seconds)
        self.loop.run_until_complete(done)

    def ends(self, task):
        """Let the loop run until a task has ended, and raise what it has raised."""
        self.run(task)
        assert task.done(), "respond has not ended after its last event"
        task.result()

    def closed(self, events):
        """Check that a generator was closed, once the thread has done all that it was given."""
        self.thread.shutdown(True)
        assert events.gi_frame is None, (
            "the generator was not closed: it would be kept, and what it holds, for good"
        )

    def free(self, seconds=PATIENCE):
        """Whether the loop does what it is asked, while something else is going on."""
        flag, until = self.lab.asyncio.Event(), time.monotonic() + seconds
        self.loop.call_soon_threadsafe(flag.set)
        while not flag.is_set():
            if time.monotonic() > until:
                return False
            time.sleep(0.001)
        return True


def steps(count, made, note=""):
    """A step that gives `count` events, and notes each in `made`."""
    left = iter(range(count))

    def step():
        number = next(left, None)
        made.append(f"{note}{number}")
        return None if number is None else f"{note}{number}"

    return step


def test_sends_in_order(lab):
    bench, made = Bench(lab), []
    task, events = bench.task(steps(6, made))
    bench.ends(task)
    same(bench.sent, list("012345"), because="every event is sent, in its order, and nothing else")
    same(made, [*"012345", "None"], because="events are asked for until there are no more")
    bench.closed(events)


def test_does_not_block(lab):
    bench = Bench(lab)
    left = iter("ab")

    def step():
        assert bench.free(), (
            "while the model computed, the event loop stood still: no other client was served"
        )
        return next(left, None)

    task, _ = bench.task(step)
    bench.ends(task)
    same(bench.sent, ["a", "b"], because="both events should be sent")


def test_one_thread(lab):
    bench, found = Bench(lab), []

    def step():
        found.append(bool(bench.used))
        return "x" if len(found) < 3 else None

    task, _ = bench.task(step)
    bench.ends(task)
    because = "the model should compute in the thread that was handed in, and in no other"
    same(found, [True, True, True], because=because)


def test_takes_turns(lab):
    bench, made = Bench(lab), []
    tasks = [
        bench.task(steps(count, made, note))[0] for note, count in (("a", 2), ("b", 4), ("c", 1))
    ]
    bench.run(*tasks)
    for task in tasks:
        bench.ends(task)
    want = ["a0", "b0", "c0", "a1", "b1", "cNone", "aNone", "b2", "b3", "bNone"]
    because = "three requests take turns, one event each: a long one holds up no short one"
    same(made, want, because=because)
    same(len(bench.sent), 7, because="two, four and one events are sent")
    for note, count in (("a", 2), ("b", 4), ("c", 1)):
        mine = [event for event in bench.sent if str(event).startswith(note)]
        same(mine, [f"{note}{n}" for n in range(count)], because=f"what was sent for {note}")


def test_waits_for_the_client(lab):
    bench, made = Bench(lab), []
    shelf = lab.asyncio.Queue(2)  # a client that has taken nothing after two events
    task, events = bench.task(steps(40, made), shelf.put)
    bench.run(task, seconds=0.1)
    because = "two events were taken, the third is being sent: no more is computed in advance"
    same(made, ["0", "1", "2"], because=because)
    shelf.get_nowait()
    bench.run(task, seconds=0.1)
    same(made, ["0", "1", "2", "3"], because="one event was taken, so one more is computed")
    task.cancel()
    bench.run(task)
    assert task.cancelled(), "respond went on although its task was cancelled"
    bench.closed(events)


def test_the_client_goes(lab):
    bench, made = Bench(lab), []

    def send(event):
        if event == "2":
            raise ValueError("the client has gone")
        return bench.send(event)

    task, events = bench.task(steps(40, made), send)
    text = raised(lambda: bench.ends(task))
    assert "the client has gone" in text, (
        f"respond should raise what `send` raises, and raised {text or 'nothing'}"
    )
    bench.closed(events)
    same(made, ["0", "1", "2"], because="for a client that has gone, nothing more is computed")


def test_cancelled_in_the_middle(lab):
    bench, made, found = Bench(lab), [], {}

    def step():
        made.append(len(made))
        if len(made) == 3:
            bench.loop.call_soon_threadsafe(found["task"].cancel)
            until = time.monotonic() + 0.1  # it has its turn while this token is computed
            while not found["task"].done() and time.monotonic() < until:
                time.sleep(0.001)
            # Once the task is done the loop is no longer run, so it is asked only before that.
            task = found["task"]
            found["free"] = task.done() or bench.free(seconds=1) or task.done()
        return "x" if len(made) < 40 else None

    found["task"], events = bench.task(step)
    bench.run(found["task"])
    bench.thread.shutdown(True)
    task = found["task"]
    assert task.done(), "respond went on although its task was cancelled"
    if not task.cancelled():
        task.result()
        raise AssertionError("a task that was cancelled should end as cancelled")
    bench.closed(events)
    same(len(made), 3, because="after the token that was being computed, no other is")
    assert found["free"], (
        "after the task was cancelled the event loop stood still until the token was done: no "
        "other client was served"
    )


def test_failures_come_out(lab):
    bench, made = Bench(lab), []

    def step():
        made.append(None)
        if len(made) == 2:
            raise ValueError("the model broke")
        return "x"

    task, _ = bench.task(step)
    other, _ = bench.task(steps(3, []))
    text = raised(lambda: bench.ends(task))
    assert "the model broke" in text, (
        f"respond should raise what `events` raises, and raised {text or 'nothing'}"
    )
    bench.ends(other)
    sent = sorted(map(str, bench.sent))
    same(sent, ["0", "1", "2", "x"], because="another request should not notice")

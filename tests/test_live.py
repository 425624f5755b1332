"""Runs in a terminal and elsewhere: everything is shown, nothing odd breaks the display."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from llmpath.running import events as ev
from llmpath.running.curves import KEPT_POINTS, Bound, Chart, Series
from llmpath.ui.chart import caption, draw, round_numbers
from llmpath.ui.live import show
from llmpath.ui.theme import make_console
from llmpath.ui.words import clean, number

STARTED = ev.Started(lab="doubling", scale="micro", seed=0, device="cpu")
FINISHED = ev.Ended(outcome="finished", exit_code=0, seconds=1.5, folder="/w/runs/doubling/now")


class Window(io.StringIO):
    """Memory that takes UTF-8, as a file or a window does."""

    encoding = "utf-8"


def shown(
    events: Iterable[ev.Event], *, terminal: bool = False, width: int = 80, root: str = ""
) -> str:
    """What is written in a window or a file."""
    file = Window()
    console = make_console(file=file, width=width, force_terminal=terminal)
    show(events, console, root=root)
    return file.getvalue()


def run_of(*events: ev.Event, ended: ev.Ended = FINISHED) -> list[ev.Event]:
    return [STARTED, *events, ended]


def losses(name: str = "loss", steps: int = 50) -> list[ev.Event]:
    return [ev.Log(step=step, metrics={name: 3 / (1 + step)}) for step in range(steps)]


def test_a_file_gets_plain_lines():
    """Not a terminal: no control characters, a line of progress each tenth, all that was found."""
    events = run_of(
        ev.Output(text="\x1b[31mred\x1b[0m and\x07 plain\n"),
        *(ev.Progress(done=done, total=1000, note="epoch 1") for done in range(1001)),
        *losses(),
        ev.Sample(title="sample", text="to be\x1b[2J or not"),
        ev.Table(title="pairs", columns=("pair", "count"), rows=(("t h", 3), ("e", None))),
        ev.Figure(name="curve", path="curve.png"),
        ev.Result(sentence="It learns.", figures={"bits": 0.5}),
    )
    text = shown(events, root="/w")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert len(re.findall(r"^ *\d+ %", text, re.MULTILINE)) == 11
    for words in ("red and plain", "to be or not", "t h", "It learns.", "bits 0.5", "curve.png"):
        assert words in text
    assert "In runs/doubling/now" in text


def test_a_file_is_as_wide_as_its_lines():
    """A traceback, a table and a sentence are not broken where there is no window."""
    code = "x = " + " + ".join(["value"] * 20)
    failed = ev.Failed(
        kind="learner",
        type="ValueError",
        message="m" * 300,
        frames=(ev.Frame(file="/w/a.py", line=3, function="f", code=code, mine=True),),
    )
    cells = tuple("c" * 40 for _ in range(5))
    table = ev.Table(title="wide", columns=("a", "b", "c", "d", "e"), rows=(cells,))
    text = shown(run_of(failed, table))
    assert code in text
    assert "m" * 300 in text
    assert text.count("c" * 40) == 5


def test_a_terminal_keeps_chart_and_findings():
    """Afterwards there stand the chart with its floor, the newest sample and the result."""
    events = run_of(
        ev.Floor(metric="val_loss", value=0.05, label="entropy floor"),
        *losses("train_loss"),
        *losses("val_loss"),
        ev.Sample(title="sample", text="old words"),
        ev.Sample(title="sample", text="new words"),
        ev.Output(text="printed without an end of line"),
        ev.Result(sentence="It learns."),
    )
    text = shown(events, terminal=True)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    after = plain[plain.rindex("train_loss") :]
    legend = after.splitlines()[0]  # one chart for both losses
    assert "val_loss 0.06" in legend
    assert "entropy floor 0.05" in legend
    assert "╌╌╌╌" in after
    assert re.search(r"[⠁-⣿]{3}", after)
    assert "new words" in after
    assert "old words" not in after
    assert "printed without an end of line" in plain
    assert "It learns." in after


@pytest.mark.parametrize("width", [20, 60, 200])
def test_no_line_is_wider_than_the_window(width):
    """Charts, legends, samples and tables fit into narrow windows."""
    long = "many words and " * 20
    events = run_of(
        ev.Floor(metric="loss", value=1.0, label=long),
        *losses(),
        *losses("a_metric_with_a_name_as_long_as_a_sentence"),
        ev.Progress(done=1, total=3, note=long),
        ev.Sample(title=long, text=long),
        ev.Table(title=long, columns=("a", long), rows=((long, 1), (2, long))),
        ev.Result(sentence=long, figures={"bits": 1.0}),
    )
    text = shown(events, terminal=True, width=width)
    for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n"):
        assert len(line) <= width


def test_without_colour_curves_differ_by_their_signs(monkeypatch):
    """NO_COLOR: no colour is written, and each curve has a sign of its own, as its legend says."""
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(run_of(*losses("a_loss"), *losses("b_loss")), terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*[34]8;5", text)
    legend, chart = text[text.rindex("━━") :].split("\n", 1)
    assert "xx b_loss" in re.sub(r"\x1b\[[0-9;]*m", "", legend)
    assert "xxx" in chart


def test_an_old_encoding_gets_ascii():
    """A window that cannot show braille gets a chart of ASCII signs, and no error."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    show(run_of(*losses()), make_console(file=file, width=60, force_terminal=True))
    file.flush()
    text = file.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "** loss" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "?" not in re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)


@pytest.mark.parametrize(
    ("failed", "words"),
    [
        (
            ev.Failed(
                kind="not-written",
                type="NotImplementedError",
                message="",
                function="attention",
                instruction="scale and mask",
                frames=(ev.Frame(file="/w/a.py", line=9, mine=True),),
            ),
            ["attention is not written yet", "a.py, line 9", "scale and mask"],
        ),
        (
            ev.Failed(
                kind="syntax",
                type="SyntaxError",
                message="invalid syntax",
                frames=(
                    ev.Frame(
                        file="/w/a.py", line=2, code="x = 2 +* 3", mine=True, column=8, end_column=9
                    ),
                ),
            ),
            ["Python cannot read your file", "      x = 2 +* 3\n             ^\n"],
        ),
        (
            ev.Failed(kind="experiment", type="TypeError", message="unsupported"),
            ["outside your code", "llmpath grade"],
        ),
        (ev.Failed(kind="disk", type="OSError", message="No space left"), ["disk is full"]),
        (ev.Failed(kind="device", type="DeviceError", message="no cuda"), ["no cuda", "--device"]),
        (ev.Failed(kind="exit", type="SystemExit", message="sys.exit(0)"), ["sys.exit(0)"]),
    ],
)
def test_each_failure_is_told_in_its_own_words(failed, words):
    """What stopped the run, where, and what to do about it."""
    text = shown(run_of(failed, ended=FINISHED.model_copy(update={"outcome": "failed"})), root="/w")
    for each in words:
        assert each in text
    assert "/w/a.py" not in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("interrupted", "Interrupted"),
        ("killed", "signal 9"),
        ("no-result", "without a result"),
    ],
)
def test_each_outcome_is_told_and_given_back(outcome, words):
    """The caller learns how the run ended, and so does the reader."""
    ended = ev.Ended(outcome=outcome, exit_code=-9, seconds=90, folder="f")
    file = Window()
    assert show(run_of(ended=ended), make_console(file=file, force_terminal=False)) == outcome
    assert words in file.getvalue()
    assert "1 min 30 s" in file.getvalue()


def test_a_terminal_can_open_the_pictures():
    """Each file of the run is a link to where it lies; in a file there is none."""
    events = run_of(ev.Figure(name="a curve", path="a curve.png"))
    link = "\x1b]8;id="
    text = shown(events, terminal=True)
    assert re.search(r"\x1b\]8;id=\d+;file:///w/runs/doubling/now/a%20curve.png\x1b", text)
    assert link not in shown(events)


def test_a_run_that_can_go_on_says_how():
    """One that was cut short after a checkpoint names the command and the step."""
    ended = FINISHED.model_copy(update={"outcome": "interrupted"})
    text = shown(run_of(ev.Checkpoint(step=300), ended=ended))
    assert "llmpath lab run doubling --resume goes on from step 300." in text
    assert "--resume" not in shown(run_of(ev.Checkpoint(step=300)))
    assert "--resume" not in shown(run_of(ended=ended))


def test_a_run_that_goes_on_says_from_where_and_with_what():
    """The step, and the files that are not what they were, stand before the rest."""
    text = shown([ev.Resumed(step=300), *run_of()])
    assert text.startswith("Going on from step 300.\n")
    assert "bpe.py" in shown([ev.Resumed(step=300, changed=("bpe.py",)), *run_of()])


@pytest.mark.parametrize("terminal", [True, False])
def test_tokens_a_second_are_told_while_it_runs_and_on_the_whole(terminal):
    """The speed of late in the progress, that of the whole run at its end."""
    slow = [ev.Progress(at=second, done=second, total=20, tokens=100 * second) for second in (0, 5)]
    fast = [ev.Progress(at=10, done=10, total=20, tokens=5000)]
    text = shown(run_of(*slow, *fast), terminal=terminal)
    assert "(1.5 s, 500 tokens/s)" in text
    if not terminal:
        assert "100 tokens/s" in text


def test_a_second_training_does_not_spoil_the_speed():
    """A count that begins anew is no negative speed, and the pause between is not counted."""
    counts = [(0, 0), (10, 1000), (60, 0), (70, 3000)]
    events = [ev.Progress(at=at, done=1, total=2, tokens=tokens) for at, tokens in counts]
    assert "(1.5 s, 200 tokens/s)" in shown(run_of(*events))


def test_what_is_asked_for_and_not_there_is_told_without_a_traceback():
    """A wrong --data or a missing artefact is nobody's code: a sentence and the mend."""
    failed = ev.Failed(
        kind="refused", type="LlmpathError", message="There is no file x.", hint="Give a path."
    )
    text = shown(run_of(failed))
    assert "There is no file x.\nGive a path.\n" in text
    assert "LlmpathError" not in text


def test_lines_that_are_no_events_are_told_once():
    """A noisy pipe costs one line, not a screen."""
    noise = [ev.Unreadable(line="?", reason="invalid JSON") for _ in range(50)]
    assert shown(run_of(*noise)).count("invalid JSON") == 1


ODD = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, 1e-300, math.inf, math.nan]),
)
NAMES = st.text(max_size=80)


@settings(max_examples=150, deadline=None)
@given(
    points=st.lists(st.tuples(st.floats(), ODD), max_size=30),
    bounds=st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), NAMES), max_size=3),
    name=NAMES,
    width=st.integers(1, 200),
    height=st.integers(1, 60),
    colour=st.booleans(),
    unicode=st.booleans(),
)
def test_no_values_break_a_chart(points, bounds, name, width, height, colour, unicode):
    """Whatever is logged, a chart is drawn, no larger than it may be."""
    series = Series(name)
    for step, value in points:
        series.add(step, value)
    chart = Chart([series], [Bound(value, label) for value, label in bounds])
    drawn = draw(chart, width, height, colour=colour, unicode=unicode)
    lines = drawn.plain.split("\n")
    assert len(lines) <= max(height, 4)
    assert caption(chart, width, colour=colour, unicode=unicode).plain
    Console(file=Window(), width=max(width, 1)).print(drawn)


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(max_size=60),
    values=st.lists(ODD, max_size=5),
    terminal=st.booleans(),
    width=st.integers(5, 120),
)
def test_no_words_break_the_display(text, values, terminal, width):
    """Whatever a run says, it is shown to its end."""
    events = run_of(
        ev.Output(text=text),
        *(ev.Log(step=i, metrics={text: value, "x": 1.0}) for i, value in enumerate(values)),
        ev.Progress(done=1e-9, total=1e12, note=text),
        ev.Sample(title=text, text=text),
        ev.Table(title=text, columns=(text, ""), rows=((text, None), (1,), (1, 2.5, "more"))),
        ev.Figure(name=text, path=text),
        ev.Failed(
            kind="learner",
            type=text,
            message=text,
            frames=(
                ev.Frame(file=text, line=-1, function=text, code=text, column=3, end_column=9),
            ),
        ),
        ev.Result(sentence=text, figures={text: 1e300}),
    )
    written = shown(events, terminal=terminal, width=width)
    assert "In " in written


@settings(deadline=None)
@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(2, 12))
def test_ticks_are_round_and_inside(low, span, count):
    """The labels of an axis lie on it, in order, and are neither one nor a crowd."""
    high = low + span
    places = round_numbers(low, high, count)
    if high > low:
        assert places == sorted(places)
        assert all(low <= place <= high for place in places)
        assert 1 <= len(places) <= 2 * count + 6


def test_a_long_run_stays_small_and_keeps_its_shape():
    """A million steps are kept in a few thousand points, from the first to the last."""
    series = Series("loss")
    for step in range(200_000):
        series.add(step, float(step))
    assert len(series.points) <= KEPT_POINTS
    assert series.last == 199_999
    assert all(abs(step - (value or 0)) <= 200_000 / KEPT_POINTS for step, value in series.points)


def test_a_gap_stays_a_gap():
    """A value that is no number breaks the curve and is said to be none."""
    series = Series("loss")
    for step, value in enumerate([1.0, 2.0, None, 4.0, math.nan]):
        series.add(step, value)
    assert series.pieces() == [[(0, 1.0), (1, 2.0)], [(3, 4.0)]]
    assert "loss nan" in caption(Chart([series]), 40).plain


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "3"),
        (12345, "12,345"),
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (12345.6, "12,346"),
        (2.0, "2"),
        (None, "nan"),
        (math.inf, "inf"),
        ("a\nb", "a b"),
    ],
)
def test_numbers_are_short(value, words):
    """Four digits that matter; whole numbers whole."""
    assert number(value) == words


@given(st.text())
def test_clean_text_controls_no_terminal(text):
    """Nothing but line ends is left of what could move a cursor."""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", clean(text))

"""The solution regions of a lab file, the starter without them, and known mistakes in them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from llmpath.course.loader import read
from llmpath.course.models import Misconception
from llmpath.course.problems import CourseError
from llmpath.course.solution import edited, regions, starter

COURSE = Path(__file__).parent / "course"

LAB = '''\
"""A lab."""

import math


def area(radius: float) -> float:
    """The area of a circle."""
    ### BEGIN SOLUTION radius in, area out
    squared = radius**2
    return math.pi * squared
    ### END SOLUTION


class Counter:
    """Counts."""

    def __init__(self):
        self.count = 0

    def up(self, by: int = 1) -> int:
        """Count up."""
        if by < 0:
            ### BEGIN SOLUTION
            raise ValueError("by is negative")
            ### END SOLUTION
        ### BEGIN SOLUTION add, then tell
        self.count += by
        return self.count
        ### END SOLUTION
'''


def source(text: str) -> str:
    """A lab file from an indented block, whose `<` and `>` lines stand for the markers."""
    lines = textwrap.dedent(text).splitlines(keepends=True)
    names = {"<": "### BEGIN SOLUTION", ">": "### END SOLUTION"}
    return "".join(
        line.replace(line.strip(), names[line.strip()]) if line.strip() in names else line
        for line in lines
    )


def test_regions_say_where_they_are_and_what_they_ask():
    """A region knows its lines, its words, its function and its text."""
    first, second, third = regions(LAB)
    assert (first.start, first.end, first.words, first.name) == (
        8,
        11,
        "radius in, area out",
        "area",
    )
    assert first.body == "    squared = radius**2\n    return math.pi * squared\n"
    assert (second.name, second.words, second.indent) == ("Counter.up", "", " " * 12)
    assert (third.name, third.words) == ("Counter.up", "add, then tell")


def test_a_starter_keeps_all_but_the_solution():
    """Each region becomes a TODO line and a raise, at its indentation; nothing else changes."""
    text = starter(LAB)
    assert text.startswith(LAB[: LAB.index("    ### BEGIN")])
    assert (
        "    # TODO: radius in, area out\n    raise NotImplementedError\n\n\nclass Counter:" in text
    )
    assert "            # TODO: write this part\n            raise NotImplementedError\n" in text
    assert text.endswith("        # TODO: add, then tell\n        raise NotImplementedError\n")
    for solution in ("squared", "negative", "+= by", "SOLUTION"):
        assert solution not in text


def test_an_untouched_starter_runs_and_says_that_it_is_not_written():
    """A starter can be imported; calling what is missing raises NotImplementedError."""
    namespace: dict = {}
    exec(compile(starter(LAB), "lab.py", "exec"), namespace)
    with pytest.raises(NotImplementedError):
        namespace["area"](1.0)
    with pytest.raises(NotImplementedError):
        namespace["Counter"]().up()


@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_survive(ending):
    """A file with the line endings of another system keeps them, in every line."""
    assert starter(LAB.replace("\n", ending)) == starter(LAB).replace("\n", ending)


def test_the_last_marker_needs_no_line_end():
    """A file that ends with its last marker, without a line end, gives a proper starter."""
    text = LAB.rstrip("\n")
    assert len(regions(text)) == 3
    compile(starter(text), "lab.py", "exec")


def test_a_region_may_be_all_of_a_class():
    """A class that is the learner's own can be imported, and cannot be made."""
    text = source(
        """\
        class Stack:
            \"\"\"Last in, first out.\"\"\"

            <
            def __init__(self):
                self.items = []

            def push(self, item):
                self.items.append(item)
            >
        """
    )
    [region] = regions(text)
    assert region.whole_class
    namespace: dict = {}
    exec(compile(starter(text), "lab.py", "exec"), namespace)
    assert namespace["Stack"].__doc__ == "Last in, first out."
    with pytest.raises(NotImplementedError):
        namespace["Stack"]()


def test_async_and_nested_functions_are_named():
    """The name of a region is that of the innermost function around it."""
    text = source(
        """\
        def outer():
            async def inner():
                <
                return 1
                >
            return inner
        """
    )
    assert [region.name for region in regions(text)] == ["outer.inner"]


BROKEN = {
    "no region": ("def f():\n    return 1\n", 0, "marks no solution region"),
    "never ends": ("def f():\n    <\n    return 1\n", 2, "never ends"),
    "never began": ("def f():\n    return 1\n    >\n", 3, "none began"),
    "nested": (
        "def f():\n    <\n    a = 1\n    <\n    return a\n    >\n    >\n",
        4,
        "begins inside",
    ),
    "empty": ("def f():\n    <\n    >\n    return 1\n", 2, "holds no code"),
    "only a comment": ("def f():\n    <\n    # think\n    >\n    return 1\n", 2, "holds no code"),
    "only pass": ("def f():\n    <\n    pass\n    >\n", 2, "holds no code"),
    "module level": ("<\nx = 1\n>\n", 1, "outside functions"),
    "a whole function": ("<\ndef f():\n    return 1\n>\n", 1, "outside functions"),
    "part of a class": (
        "class A:\n    x = 1\n    <\n    def f(self):\n        return 1\n    >\n",
        3,
        "part of the class A",
    ),
    "other indentation": ("def f():\n    <\n    return 1\n>\n", 4, "not indented as its BEGIN"),
    "across functions": (
        "def f():\n    <\n    return 1\n\n\ndef g():\n    return 2\n    >\n",
        6,
        "indented less",
    ),
    "inside a statement": (
        "def f():\n    return (\n    <\n        1\n    >\n    )\n",
        3,
        "no code",
    ),
    "cuts a statement": (
        "def f():\n    <\n    x = (\n    >\n        1)\n",
        4,
        "inside a statement",
    ),
    "half of a try": (
        "def f():\n    try:\n        x = 1\n    <\n    finally:\n        x = 2\n    >\n",
        4,
        "not Python",
    ),
    "nearly a marker": (
        "def f():\n    ## Begin solution\n    return 1\n    >\n",
        2,
        "looks like a marker",
    ),
    "marker after code": (
        "def f():\n    x = 1  ### BEGIN SOLUTION\n    return x\n    >\n",
        2,
        "looks like a marker",
    ),
    "not Python": ("def f(:\n    <\n    return 1\n    >\n", 1, "not Python"),
    "a NUL": ("def f():\n    <\n    return '\0'\n    >\n", 0, "not Python"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_markers_that_cannot_be_right_are_refused(name):
    """Each wrong use of the markers is told with its line, under the file's name."""
    text, line, fragment = BROKEN[name]
    with pytest.raises(CourseError) as caught:
        starter(source(text), "labs/x/lab.py")
    first = caught.value.problems[0]
    assert fragment in first.message
    assert first.line == line
    assert first.path == "labs/x/lab.py"


def test_all_wrong_regions_are_named_at_once():
    """One wrong region does not hide the next."""
    text = source("<\nx = 1\n>\n\n\ndef f():\n    <\n    >\n    return 1\n")
    with pytest.raises(CourseError) as caught:
        regions(text)
    assert [problem.line for problem in caught.value.problems] == [1, 7]


def mistake(replace: str, with_: str) -> Misconception:
    """A misconception that makes this edit."""
    return Misconception.model_validate(
        {"id": "m", "replace": replace, "with": with_, "fails": ["c"], "explain": "Wrong."}
    )


def test_a_misconception_is_one_edit():
    """The known mistake stands in the file, and nothing else is changed."""
    assert edited(LAB, mistake("math.pi * ", "")) == LAB.replace("math.pi * ", "")


def test_a_misconception_of_several_lines_fits_any_line_endings():
    """An edit written in YAML finds its lines in a file with the line ends of Windows."""
    edit = mistake("squared = radius**2\n    return", "squared = radius\n    return")
    windows = LAB.replace("\n", "\r\n")
    assert edited(windows, edit) == edited(LAB, edit).replace("\n", "\r\n")


@pytest.mark.parametrize(("text", "times"), [("nowhere to be found", "nowhere"), ("by", "4 times")])
def test_an_edit_must_be_unique(text, times):
    """Text that does not occur, or occurs more than once, is refused with the count."""
    with pytest.raises(CourseError, match=times):
        edited(LAB, mistake(text, "x"))


def test_every_lab_of_the_small_course_has_a_starter_and_mistakes():
    """Starters and misconceptions of real lab files are Python."""
    course = read(COURSE)
    for lab in course.labs.values():
        text = (course.lab_folder(lab) / "lab.py").read_text(encoding="utf-8")
        compile(starter(text), lab.file, "exec")
        for misconception in lab.misconceptions:
            changed = edited(text, misconception)
            assert changed != text
            compile(changed, lab.file, "exec")

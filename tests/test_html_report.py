"""`grade --html`: one page that stands alone, says what the terminal says, and escapes it all."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from conftest import SMALL_COURSE, Learner

HOSTILE = """
print("<script>alert('printed')</script> & \\x1b[31mred\\x1b[0m \\x00")


def total(numbers):
    raise ValueError("<img src=x onerror=alert('raised')> ]]> <!-- &lt;")


def running_totals(numbers):
    return "<script>alert('returned')</script>"
"""
VOID = {"meta", "img"}


@dataclass
class Page(HTMLParser):
    """What a browser would make of a page: its tags in order, attributes and texts."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last, which must be this one."""
        assert self.opened.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text with the element that it stands in."""
        self.texts.append((self.opened[-1] if self.opened else "", data))

    def names(self) -> set[str]:
        """The elements that occur."""
        return {tag for tag, _ in self.tags}

    def text(self, *within: str) -> str:
        """All texts, or those directly within some elements."""
        wanted = (t for tag, t in self.texts if tag != "style" and (not within or tag in within))
        return " ".join(wanted)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.opened == []
    return page


def graded(learner: Learner, *arguments: str) -> Page:
    """Grade with --html, and read the page."""
    learner.types("grade", *arguments, "--html", "out/report.html")
    return read(learner.root / "out" / "report.html")


def wrong(learner: Learner, old: str, new: str) -> None:
    file = learner.solves("adding", "alpha")
    source = file.read_text(encoding="utf-8")
    assert old in source
    file.write_text(source.replace(old, new), encoding="utf-8")


def test_whatever_learner_code_says_stays_text(learner: Learner) -> None:
    """Markup in output, messages and results is shown as it stands and never becomes markup."""
    (learner.root / "alpha" / "adding.py").write_text(HOSTILE, encoding="utf-8")
    page = graded(learner, "adding")
    assert not {"script", "img"} & page.names()
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert "<script>alert('printed')</script> & red" in page.text("pre")
    assert "ValueError: <img src=x onerror=alert('raised')> ]]> <!-- &lt;" in page.text("p")
    raw = (learner.root / "out" / "report.html").read_bytes()
    assert b"\x00" not in raw
    assert b"\x1b" not in raw


def test_a_returned_text_is_escaped_in_the_table_of_facts(learner: Learner) -> None:
    """What came instead of the right value is shown with its angle brackets."""
    wrong(learner, "return totals", 'return ["<script>alert(1)</script>"] * len(totals)')
    page = graded(learner, "adding")
    assert "script" not in page.names()
    assert "<script>alert(1)</script>" in page.text("code")


def test_the_page_stands_alone(learner: Learner) -> None:
    """No script and nothing from elsewhere: no address, no import, and a policy that says so."""
    page = graded(learner, "adding")
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & page.names()
    for tag, attributes in page.tags:
        assert not {"src", "href", "srcset", "style"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")]
    style = next(text for tag, text in page.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    policies = [a.get("content") for _, a in page.tags if "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_can_be_read_aloud_and_on_a_phone(learner: Learner) -> None:
    """Language, title, viewport, one first heading, no level left out, cells with headers."""
    page = graded(learner, "adding")
    assert ("html", {"lang": "en"}) in page.tags
    assert page.text("title") == "Adding up: 0 of 5 points"
    assert any(attributes.get("name") == "viewport" for _, attributes in page.tags)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") for tag, attributes in page.tags if tag == "th")
    for word in ("✗ failed", "· not run"):
        assert word in page.text("td")


def test_the_page_says_what_the_terminal_says(learner: Learner) -> None:
    """Difference, reason, hint, known mistake, points of each check and in all, and the seed."""
    wrong(learner, "result = 0", "result = 1")
    learner.types("grade", "adding", "--seed", "7", "--html", "report.html")
    page = read(learner.root / "report.html")
    text = " ".join(page.text().split())
    assert "expected 10 got 11" in text
    assert "2 + 3 + 5 is 10" in text
    assert "Hint What is the total before the first number?" in text
    assert "The sum starts at 1, so every total is 1 too large." in text
    assert "0 of 3" in text
    assert "In all 0 of 5" in text
    assert "Seed 7" in text
    assert "self-checked" in text


def test_a_passed_lab_says_what_to_notice(learner: Learner) -> None:
    """Once all is well there is nothing to explain, and something to notice."""
    learner.solves("adding", "alpha")
    page = graded(learner, "adding")
    assert "✓ Passed: 5 of 5 points" in page.text("p")
    assert "What to notice" in page.text("h2")
    assert "What failed" not in page.text()


def test_a_file_that_is_not_python_is_shown_with_its_place(learner: Learner) -> None:
    """A syntax error is the one thing explained; its checks are still listed."""
    (learner.root / "alpha" / "adding.py").write_text("def total(numbers:\n", encoding="utf-8")
    page = graded(learner, "adding")
    assert "SyntaxError" in page.text("p")
    assert "adding.py, line 1" in page.text("p")
    assert "def total(numbers:" in page.text("code")


def test_a_whole_course_is_one_page(learner: Learner) -> None:
    """--all puts every lab on the page, below a table of them with the sum."""
    learner.solves("adding", "alpha")
    page = graded(learner, "--all")
    assert page.text("h1") == "2 labs: 5 of 10 points"
    assert page.text("h2") == "Adding up Shouting"
    assert "5 of 10" in page.text("td")
    assert sum(tag == "article" for tag, _ in page.tags) == 2


def test_json_and_html_go_together(learner: Learner) -> None:
    """Standard output is the JSON report and nothing else; the exit code is the grading's."""
    done = learner.types("grade", "adding", "--json", "--html", "report.html")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    page = read(learner.root / "report.html")
    assert str(report["seed"]) in page.text("dd")
    told = learner.types("grade", "adding", "--html", "report.html")
    assert "The report is in report.html." in told.stdout


def test_another_persons_file_is_named(learner: Learner) -> None:
    """With --file, the page names the file that was graded."""
    solution = SMALL_COURSE / "labs" / "adding" / "lab.py"
    page = graded(learner, "adding", "--file", str(solution))
    assert "lab.py" in page.text("dd")


@pytest.mark.parametrize("name", ["alpha/adding.py", "report", "alpha"])
def test_nothing_but_a_web_page_is_written(learner: Learner, name: str) -> None:
    """A name that is not one of a page is refused before anything is graded or overwritten."""
    before = (learner.root / "alpha" / "adding.py").read_bytes()
    done = learner.types("grade", "adding", "--html", name)
    assert done.returncode == 2
    assert "is not the name of a web page" in done.stderr
    assert done.stdout == ""
    assert (learner.root / "alpha" / "adding.py").read_bytes() == before
    assert learner.reads("list")[1]["status"] != "started"


def test_a_page_that_cannot_be_written_is_named(learner: Learner) -> None:
    """Where a folder's place is taken by a file, one sentence says so; the grading is recorded."""
    (learner.root / "taken").write_text("")
    learner.solves("adding", "alpha")
    done = learner.types("grade", "adding", "--html", "taken/report.html")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert learner.reads("list")[1]["points"] == 5


def _contrast(first: str, second: str) -> float:
    """The contrast ratio of two colours (WCAG 2.1, section 1.4.3)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_colours_keep_their_contrast_in_light_and_dark() -> None:
    """Every colour of text has at least 4.5 to 1 against the page and against panels, in both."""
    style = files("llmpath.ui").joinpath("report.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
        for block in style.split("@media screen and (prefers-color-scheme: dark)")
    )
    for scheme in (light, dark):
        for name in ("text", "muted", "passed", "failed", "warn", "accent"):
            for ground in ("page", "panel"):
                assert _contrast(scheme[name], scheme[ground]) >= 4.5, (name, ground)

"""A self-contained HTML document, built as a tree.

Every text is escaped by the serialiser (`xml.etree`), whatever a learner's code printed or
raised; there is no place to forget it. The document asks for nothing from outside, and holds
no script.
"""

from __future__ import annotations

import importlib.resources
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from llmpath.ui.words import clean

# A browser that honours this loads and runs nothing, whatever should ever slip into the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
PICTURES = "img-src data:"  # what a page with pictures inside may show besides


def begin(title: str, *, pictures: bool = False) -> tuple[Element, Element]:
    """A new document: its root, and the element that its content goes into.

    Args:
        title: what a browser's tab says.
        pictures: whether it holds pictures, as `data:` addresses.
    """
    root = Element("html", {"lang": "en"})
    head = add(root, "head")
    policy = f"{POLICY}; {PICTURES}" if pictures else POLICY
    add(head, "meta", charset="utf-8")
    add(head, "meta", http_equiv="Content-Security-Policy", content=policy)
    add(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "meta", name="color-scheme", content="light dark")
    add(head, "title", title)
    style = importlib.resources.files("llmpath.ui").joinpath("report.css")
    add(head, "style", style.read_text(encoding="utf-8"))
    return root, add(add(root, "body"), "main")


def add(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """A new element at the end of another; `class_` stands for `class`."""
    names = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    element = SubElement(parent, tag, names)
    element.text = clean(text)
    return element


def serialise(root: Element) -> str:
    """The document as text."""
    return "<!doctype html>\n" + ElementTree.tostring(root, encoding="unicode", method="html")

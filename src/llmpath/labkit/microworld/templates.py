"""The notation of templates: turned into nodes, and proven unambiguous, once.

word            itself
{A:person}      a new person, named A from here on; never one who is already in the story
{A}             what A stands for
{A.home}        an attribute of the person A
{A.He}          a pronoun of A (he, him, his, He, His); of a job, drawn by its planted bias
{A.at:place}    somewhere else for A to be, drawn, and remembered as `A.at`
{A.at}          what was remembered
{X:A,B}         A or B, each as likely, named X from here on
{N+M}           the sum of two numbers
[2: a | b]      one of these; weights are whole numbers, 1 if none is given
[1 tale: a | b] likewise; a document that takes the first is called a `tale`
[?A.home a | b] the first only while A's home has not been told
<rule A B>      the template called `rule`, with A for each 1 in it, and B for each 2
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmpath.labkit.microworld.documents import Span
from llmpath.labkit.microworld.nodes import (
    Alternative,
    Among,
    Choice,
    Fact,
    Move,
    Name,
    New,
    Node,
    Pronoun,
    State,
    Sum,
    Words,
)
from llmpath.labkit.microworld.people import ATTRIBUTES, PRONOUNS, Person

_PIECE = re.compile(r"'s|[A-Za-z]+|[^\sA-Za-z{}\[\]|<>]+")
_WORDS = re.compile(r" ?[A-Za-z]+|'s| ?[^\sA-Za-z]+")
_WEIGHT = re.compile(r"\s*(\d+)(?: (\w+))?:")
_GUARD = re.compile(r"\s*\?(\w)\.(\w+)")
_RULE = re.compile(r"<\w+( \w)+>")
_PARAMETER = re.compile(r"(?<=[{?<:, ])\d(?=[.},>])")
_CLOSING = tuple(".,?!'")  # punctuation that a space before a choice does not separate
_FORMS = frozenset(PRONOUNS["she"])


def words(text: str) -> list[str]:
    """A text cut as spans are: words with the space before them, and runs of punctuation.

    Joined, they are the text again, unless it has other spaces than single ones.
    """
    return _WORDS.findall(text)


def expand(template: str, rules: Mapping[str, str]) -> str:
    """A template with the rules that it names written out."""

    def rule(match: re.Match[str]) -> str:
        name, *variables = match.group().strip("<>").split()
        return _PARAMETER.sub(lambda digit: variables[int(digit[0]) - 1], rules[name])

    while _RULE.search(template):
        template = _RULE.sub(rule, template)
    return template


def parse(
    template: str,
    domains: Mapping[str, tuple[str, ...]],
    people: Mapping[str, Person],
    bias: Mapping[str, int],
) -> tuple[Node, ...]:
    """The nodes of a template, the last first, as a walk wants them.

    Raises:
        ValueError: if it is no template, or not unambiguous.
    """
    return _Parser(template, domains, people, bias).parse()


class _Parser:
    """Turns a template into nodes."""

    def __init__(
        self,
        template: str,
        domains: Mapping[str, tuple[str, ...]],
        people: Mapping[str, Person],
        bias: Mapping[str, int],
    ) -> None:
        self.template = template
        self.at = 0
        self.domains = domains
        self.people = people
        self.bias = bias
        self.domain_of: dict[str, str] = {}

    def parse(self) -> tuple[Node, ...]:
        nodes = self.sequence("")
        if self.at < len(self.template):
            raise self.wrong("a ']' or '|' without its '['")
        return nodes

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"template, at {self.template[self.at : self.at + 40]!r}: {what}")

    def sequence(self, lead: str) -> tuple[Node, ...]:
        """Nodes up to a `|`, a `]` or the end; the last comes first, as a walk wants them."""
        nodes: list[Node] = []
        pieces: list[str] = []

        def flush() -> None:
            if pieces:
                nodes.append(Words(tuple(Span(p, "syntax", 0.0, "") for p in pieces)))
                pieces.clear()

        while self.at < len(self.template) and self.template[self.at] not in "|]":
            mark = self.template[self.at]
            if mark.isspace():
                lead = " " if nodes or pieces else lead
                self.at += 1
                continue
            if mark in "[{":
                flush()
                nodes.append(self.choice(lead) if mark == "[" else self.slot(lead))
            elif piece := _PIECE.match(self.template, self.at):
                text = piece.group()
                pieces.append(text if text.startswith(_CLOSING) else lead + text)
                self.at = piece.end()
            else:
                raise self.wrong("this is no part of a template")
            lead = ""
        flush()
        if not nodes:
            raise self.wrong("an empty alternative")
        return tuple(reversed(nodes))

    def choice(self, lead: str) -> Choice:
        alternatives = []
        while self.at < len(self.template) and self.template[self.at] != "]":
            self.at += 1
            weight, label, unless = 1, "", None
            if match := _WEIGHT.match(self.template, self.at):
                weight, label, self.at = int(match[1]), match[2] or "", match.end()
            if match := _GUARD.match(self.template, self.at):
                unless, self.at = (match[1], match[2]), match.end()
            alternatives.append(Alternative(weight, label, unless, self.sequence(lead)))
        if self.at == len(self.template):
            raise self.wrong("a '[' without its ']'")
        self.at += 1
        node = Choice(tuple(alternatives), any(a.unless for a in alternatives))
        try:
            node.check()
        except ValueError as error:
            raise self.wrong(f"before this: {error}") from None
        return node

    def slot(self, lead: str) -> Node:
        end = self.template.find("}", self.at)
        inside = self.template[self.at + 1 : end]
        named, _, domain = inside.partition(":")
        variable, _, attribute = named.partition(".")
        if domain and domain not in self.domains and "," not in domain:
            raise self.wrong(f"there is no domain {domain!r}")
        self.at = end + 1
        if domain:
            return self.drawn(lead, variable, attribute, domain)
        if "+" in variable:
            return Sum(lead, *variable.split("+"))
        if attribute in ATTRIBUTES:
            return Fact(lead, variable, attribute, self.people)
        if attribute in _FORMS:
            return Pronoun(lead, variable, attribute, self.people, self.bias)
        if attribute:
            return State(lead, variable, attribute)
        domain = self.domain_of[variable]
        return Name(lead, variable, domain, self.domains[domain])

    def drawn(self, lead: str, variable: str, attribute: str, domain: str) -> Node:
        if "," in domain:
            among = tuple(domain.split(","))
            kind = self.domain_of[variable] = self.domain_of[among[0]]
            return Among(lead, variable, among, kind, self.domains[kind])
        if attribute:
            return Move(lead, variable, attribute, domain, self.domains[domain])
        self.domain_of[variable] = domain
        return New(lead, variable, domain, self.domains[domain])

"""The microworld: people, stories and questions whose truth and information are known."""

from llmpath.labkit.microworld.documents import KINDS, Document, Kind, Span
from llmpath.labkit.microworld.floor import Floor, Rate, label_tokens
from llmpath.labkit.microworld.people import ATTRIBUTES, VALUES, Person
from llmpath.labkit.microworld.templates import words
from llmpath.labkit.microworld.world import World

__all__ = [
    "ATTRIBUTES",
    "KINDS",
    "VALUES",
    "Document",
    "Floor",
    "Kind",
    "Person",
    "Rate",
    "Span",
    "World",
    "label_tokens",
    "words",
]

"""Who lives in the microworld, and what is true of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmpath.labkit.microworld.chance import Chance

# Each word stands in one list only, and no list holds a word of the stories' own text.
# fmt: off
SHE = (
    "Ada", "Amy", "Anna", "Bella", "Clara", "Daisy", "Dora", "Ella", "Emma", "Eva", "Fay",
    "Flora", "Gina", "Gwen", "Hanna", "Ida", "Iris", "Jane", "Julia", "Kate", "Lena", "Lily",
    "Lucy", "Mary", "Mia", "Nina", "Nora", "Olga", "Rosa", "Ruth", "Sara", "Vera",
)
# fmt: on
# fmt: off
HE = (
    "Adam", "Alan", "Ben", "Bob", "Carl", "Dan", "David", "Emil", "Eric", "Felix", "Finn", "Fred",
    "George", "Hans", "Hugo", "Ivan", "Jack", "Jacob", "John", "Leo", "Luke", "Mark", "Max",
    "Nick", "Noah", "Oscar", "Otto", "Paul", "Peter", "Sam", "Tom", "Victor",
)
# fmt: on
# People whom no world has, to ask about what nobody can know.
STRANGERS = ("Zoe", "Igor", "Tara", "Kurt", "Wanda", "Theo", "Petra", "Ralf")
VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "home": ("mill", "cabin", "tower", "castle", "cottage", "lighthouse", "inn", "barn"),
        "job": ("baker", "farmer", "sailor", "painter", "teacher", "doctor", "tailor", "cook"),
        "pet": ("cat", "dog", "goat", "hen", "duck", "pony", "rabbit", "mouse"),
        "food": ("plums", "pears", "nuts", "figs", "buns", "beans", "cakes", "cherries"),
        "colour": ("red", "blue", "green", "yellow", "white", "black", "brown", "pink"),
    }
)
ATTRIBUTES = tuple(VALUES)

# The case of each pronoun: as subject, object and possessive, small and at a sentence's start.
PRONOUNS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "she": {"he": "she", "him": "her", "his": "her", "He": "She", "His": "Her"},
        "he": {"he": "he", "him": "him", "his": "his", "He": "He", "His": "His"},
    }
)


@dataclass(frozen=True, slots=True)
class Person:
    """One inhabitant. Attributes are single words; `pronoun` is "she" or "he"."""

    name: str
    pronoun: str
    home: str
    job: str
    pet: str
    food: str
    colour: str

    def __getitem__(self, attribute: str) -> str:
        """The value of an attribute named in `ATTRIBUTES`."""
        value: str = getattr(self, attribute)
        return value


def make_people(chance: Chance, count: int, values: int) -> tuple[Person, ...]:
    """People with attributes drawn independently of one another, and of name and pronoun.

    Every value of an attribute is held by as many people as any other, give or take one.

    Args:
        chance: decides the attributes.
        count: how many people; half of them women, give or take one.
        values: how many values each attribute may take.
    """
    names = [name for pair in zip(SHE, HE, strict=True) for name in pair][:count]
    columns = {
        attribute: chance.shuffled([words[i % values] for i in range(count)])
        for attribute, words in VALUES.items()
    }
    return tuple(
        Person(name, "she" if name in SHE else "he", **{a: columns[a][i] for a in ATTRIBUTES})
        for i, name in enumerate(names)
    )

"""A second language that says the same in other words."""

from __future__ import annotations

from dataclasses import dataclass

from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.documents import Document
from llmpath.labkit.microworld.templates import words
from llmpath.labkit.microworld.world import World

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"


class Language:
    """The world's vocabulary renamed, word for word, in the same order.

    Every word has one translation and every translation one word, so translating forth and
    back gives the same text, and the right translation is always known. A word and the same
    word with a capital are translated alike. Punctuation stays.

    Args:
        world: whose vocabulary is renamed.
        seed: decides the new words, of two or three syllables, none of which is a word of
            the world.
        names: whether people have other names too; without, names are anchors in both.

    Attributes:
        dictionary: for each word of the world that is renamed, the new word, both small
            except for names.
    """

    def __init__(self, world: World, seed: int = 0, names: bool = False) -> None:
        chance = Chance("language", world.seed, seed)
        known = {word.lower() for word in world.vocabulary}
        self.dictionary: dict[str, str] = {}
        taken = set(known)
        for word in world.vocabulary:
            name = word in world.person
            key = word if name else word.lower()
            if not word.isalpha() or key in self.dictionary or (name and not names):
                continue
            new = _word(chance)
            while new in taken:
                new = _word(chance)
            taken.add(new)
            self.dictionary[key] = new.capitalize() if name else new
        self._back = {new: word for word, new in self.dictionary.items()}

    def translate(self, text: str) -> str:
        """A text of the world in this language."""
        return _rename(text, self.dictionary)

    def back(self, text: str) -> str:
        """A text of this language in the world's."""
        return _rename(text, self._back)


def _word(chance: Chance) -> str:
    syllables = 2 + chance.below(2)
    return "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(syllables))


def _rename(text: str, dictionary: dict[str, str]) -> str:
    renamed = []
    for piece in words(text):
        word = piece.strip(" ")
        small = word.lower()
        new = dictionary.get(word)
        if new is None and small in dictionary:
            new = dictionary[small].capitalize()
        renamed.append(piece if new is None else piece.replace(word, new))
    return "".join(renamed)


@dataclass(frozen=True, slots=True)
class Parallel:
    """One sentence in both languages.

    Attributes:
        source: the sentence in the language of the world.
        target: the same in the other, word for word.
    """

    source: str
    target: str


def sentences(document: Document) -> list[str]:
    """A document cut after each full stop and question mark that no quotation mark follows."""
    found, begun = list[str](), ""
    for span in document.spans:
        begun += span.text
        if span.text in (".", "?", '."', "!"):
            found.append(begun.strip())
            begun = ""
    return [*found, begun.strip()] if begun.strip() else found


def parallel(world: World, language: Language, count: int, seed: int = 1) -> list[Parallel]:
    """Parallel sentences, all different.

    Args:
        world: what is told.
        language: what it is translated to.
        count: how many.
        seed: decides the documents that the sentences come from.
    """
    seen: dict[str, None] = {}
    for document in world.stream(seed):
        for sentence in sentences(document):
            if len(seen) < count:
                seen[sentence] = None
        if len(seen) == count:
            break
    return [Parallel(sentence, language.translate(sentence)) for sentence in seen]

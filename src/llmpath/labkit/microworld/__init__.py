"""The microworld: people, stories and questions whose truth and information are known."""

from llmpath.labkit.microworld.catalogue import COLLECTIONS, Collection
from llmpath.labkit.microworld.chance import Chance
from llmpath.labkit.microworld.change import (
    Change,
    Period,
    changed,
    drift,
    stability_index,
)
from llmpath.labkit.microworld.conversations import Conversation, Message, conversations
from llmpath.labkit.microworld.documents import KINDS, Document, Kind, Span
from llmpath.labkit.microworld.floor import Floor, Rate, label_tokens
from llmpath.labkit.microworld.glyphs import Glyph, glyphs
from llmpath.labkit.microworld.labels import (
    TAGS,
    Inference,
    Opinion,
    Tagged,
    entities,
    inferences,
    opinions,
)
from llmpath.labkit.microworld.language import Language, Parallel, parallel, sentences
from llmpath.labkit.microworld.people import ATTRIBUTES, STRANGERS, VALUES, Person
from llmpath.labkit.microworld.planted import (
    EXPOSURES,
    BiasPrompt,
    Copy,
    Decision,
    Secret,
    bias_prompts,
    copies,
    decisions,
    plant,
    secrets,
    soil,
)
from llmpath.labkit.microworld.preferences import (
    FEATURES,
    UTILITIES,
    Preference,
    preferences,
    utility,
    write,
)
from llmpath.labkit.microworld.questions import (
    ANSWERING,
    ASKING,
    Cloze,
    Question,
    Reading,
    ask,
    clozes,
    questions,
    readings,
    recalls,
)
from llmpath.labkit.microworld.stories import STORIES, WEIGHTS
from llmpath.labkit.microworld.templates import words
from llmpath.labkit.microworld.world import World

__all__ = [
    "ANSWERING",
    "ASKING",
    "ATTRIBUTES",
    "COLLECTIONS",
    "EXPOSURES",
    "FEATURES",
    "KINDS",
    "STORIES",
    "STRANGERS",
    "TAGS",
    "UTILITIES",
    "VALUES",
    "WEIGHTS",
    "BiasPrompt",
    "Chance",
    "Change",
    "Cloze",
    "Collection",
    "Conversation",
    "Copy",
    "Decision",
    "Document",
    "Floor",
    "Glyph",
    "Inference",
    "Kind",
    "Language",
    "Message",
    "Opinion",
    "Parallel",
    "Period",
    "Person",
    "Preference",
    "Question",
    "Rate",
    "Reading",
    "Secret",
    "Span",
    "Tagged",
    "World",
    "ask",
    "bias_prompts",
    "changed",
    "clozes",
    "conversations",
    "copies",
    "decisions",
    "drift",
    "entities",
    "glyphs",
    "inferences",
    "label_tokens",
    "opinions",
    "parallel",
    "plant",
    "preferences",
    "questions",
    "readings",
    "recalls",
    "secrets",
    "sentences",
    "soil",
    "stability_index",
    "utility",
    "words",
    "write",
]

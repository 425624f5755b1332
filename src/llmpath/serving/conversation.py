"""What was said so far, and how it goes on; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmpath.serving.request import Generation, Message, Options


@dataclass(frozen=True)
class _Said:
    text: str = ""
    messages: tuple[Message, ...] = ()


@dataclass
class Conversation:
    """A talk with a model: turns, where it knows how those are written, else one text.

    Args:
        chats: whether the model knows turns.
        options: how it is to write. Each answer has a seed of its own, counted up from the first.
        system: what is said to a model that knows turns before all else.
    """

    chats: bool
    options: Options
    system: str = ""
    _said: _Said = field(default_factory=_Said)
    _before: _Said = field(default_factory=_Said)  # before the last thing that a person said
    _asked: _Said | None = None  # what the last answer was an answer to
    _answers: int = 0

    @property
    def text(self) -> str:
        """The text so far, with a model that knows no turns."""
        return self._said.text

    def say(self, line: str) -> None:
        """Take in what a person says: a turn, or the beginning of a new text.

        A text goes on where nothing is said.
        """
        self._before = self._said
        if self.chats:
            turn = Message(role="user", content=line)
            self._said = _Said(messages=(*self._said.messages, turn))
        elif line:
            self._said = _Said(line)
        self._asked = self._said

    def request(self) -> Generation:
        """What to ask the model for now."""
        options = self.options.model_dump()
        if self.options.seed is not None:
            options["seed"] = self.options.seed + self._answers
        if not self.chats:
            return Generation(**options, prompt=self._said.text)
        first = (Message(role="system", content=self.system),) if self.system else ()
        return Generation(**options, messages=(*first, *self._said.messages))

    def answered(self, said: str, *, ended: bool) -> None:
        """Take in what the model has said; after the end of a text another one begins."""
        self._answers += 1
        if self.chats:
            turn = Message(role="assistant", content=said)
            self._said = _Said(messages=(*self._said.messages, turn))
        else:
            self._said = _Said() if ended else _Said(self._said.text + said)

    def again(self) -> bool:
        """Go back to before the last answer; False if there was none."""
        if self._asked is None:
            return False
        self._said = self._asked
        return True

    def take_back(self) -> None:
        """Forget the last thing that a person said, which has no answer."""
        self._said, self._asked = self._before, None

    def forget(self) -> None:
        """Begin anew."""
        self._said, self._before, self._asked = _Said(), _Said(), None

    def shorten(self) -> bool:
        """Drop the oldest exchange, or the first half of a text; False if there is no more."""
        text, turns = self._said.text, self._said.messages
        if self.chats:
            there = len(turns) > 2
            shorter = _Said(messages=turns[2:])
        else:
            cut = text.find(" ", len(text) // 2)
            there = cut >= 0
            shorter = _Said(text[cut + 1 :])
        if there:
            self._said = shorter
        return there

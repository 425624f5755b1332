"""A talk with a model: lines from a person to it, its words to them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llmpath.errors import LlmpathError
from llmpath.serving.answers import Broken, Ended, Refused, Text
from llmpath.serving.request import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from llmpath.cli.talker import Talker
    from llmpath.serving.conversation import Conversation
    from llmpath.serving.engine import Engine
    from llmpath.ui.chat import Screen

Last = Ended | Refused | Broken
TOO_LONG = "context_length_exceeded"
NAMES = ("temperature", "top-p", "max-tokens", "seed")


def options(temperature: float, top_p: float, max_tokens: int, seed: int | None) -> Options:
    """How the model is to write.

    Raises:
        LlmpathError: if one of the values cannot be.
    """
    return _valid(Options(), temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)


def in_terminal(talker: Talker, options: Options, system: str, console: Console) -> None:
    """Talk until the person ends it."""
    from llmpath.serving.conversation import Conversation
    from llmpath.serving.engine import Engine
    from llmpath.ui.chat import Screen, loading

    screen = Screen(console)
    with Engine(talker.source) as engine:
        with loading(talker.source.name, console):
            ready = engine.ready()
        screen.introduce(talker.source, talker.own, ready)
        _Talk(engine, Conversation(ready.chats, options, system), screen).go_on()


def through_pipe(talker: Talker, options: Options, system: str, lines: Iterable[str]) -> None:
    """Say each line to the model, and write its answers to standard output."""
    from llmpath.serving.conversation import Conversation
    from llmpath.serving.engine import Engine
    from llmpath.ui.words import clean

    def write(text: str) -> None:
        sys.stdout.write(clean(text) if sys.stdout.isatty() else text)
        sys.stdout.flush()

    with Engine(talker.source) as engine:
        conversation = Conversation(engine.ready().chats, options, system)
        for line in lines:
            conversation.say(line.rstrip("\r\n"))
            last = reply(engine, conversation, write)
            write("\n")
            if not isinstance(last, Ended):
                raise LlmpathError(last.message)


def reply(engine: Engine, conversation: Conversation, write: Callable[[str], None]) -> Last:
    """Have the model answer what was said last; where that fails, it is as if it was not said.

    What the model cannot look at any more, the oldest, is left out.
    """
    said = ""
    try:
        for answer in engine.generate(conversation.request()):
            if isinstance(answer, Text):
                said += answer.text
                write(answer.text)
    except KeyboardInterrupt:
        conversation.answered(said, ended=False)
        raise
    assert not isinstance(answer, Text)
    if isinstance(answer, Ended):
        conversation.answered(said, ended=answer.reason == "stop")
    elif getattr(answer, "code", "") == TOO_LONG and conversation.shorten():
        return reply(engine, conversation, write)
    else:
        conversation.take_back()
    return answer


class _Talk:
    """The loop of a talk in a terminal."""

    def __init__(self, engine: Engine, conversation: Conversation, screen: Screen) -> None:
        self._engine = engine
        self._conversation = conversation
        self._screen = screen

    def go_on(self) -> None:
        """Take lines until there are no more, or the model's process has ended."""
        while (line := self._screen.ask()) is not None:
            command, _, rest = line.strip().partition(" ")
            if command == "/quit":
                return
            if command.startswith("/"):
                self._obey(command, rest)
            elif line.strip() or not self._conversation.chats:
                self._conversation.say(line.rstrip())
                self._reply("" if self._conversation.chats else line.rstrip())

    def _obey(self, command: str, rest: str) -> None:
        match command:
            case "/help":
                self._screen.help()
            case "/new":
                self._conversation.forget()
                self._screen.note("What was said is forgotten.")
            case "/again" if self._conversation.again():
                self._reply(self._conversation.text)
            case "/again":
                self._screen.note("Nothing was said yet.")
            case "/set":
                self._set(*rest.split(maxsplit=1))
            case _:
                self._screen.note(f"{command} is not known; /help lists what is.")

    def _set(self, name: str = "", value: str = "") -> None:
        try:
            self._conversation.options = changed(self._conversation.options, name, value)
        except LlmpathError as error:
            self._screen.note(f"{error.message} {error.hint}")
        else:
            self._screen.note(f"{name} is {value} from now on.")

    def _reply(self, begun: str) -> None:
        """Write the model's answer, after the beginning of a text that it goes on with."""
        words = self._screen.writer(begun)
        try:
            last = reply(self._engine, self._conversation, words.add)
        except KeyboardInterrupt:
            words.end()
            self._screen.note("(stopped)")
            return
        words.end()
        if not isinstance(last, Ended):
            if not self._engine.alive:
                raise LlmpathError(last.message, "Type the command again to begin anew.")
            self._screen.broken(last)
        elif last.reason == "length":
            self._screen.note("(there was no room for more)")


def changed(options: Options, name: str, value: str) -> Options:
    """The options with another value for one of them.

    Raises:
        LlmpathError: if there is no such option, or it cannot have that value.
    """
    if name not in NAMES:
        raise LlmpathError(f"{name or 'That'} cannot be set.", f"Say one of {', '.join(NAMES)}.")
    return _valid(options, **{name.replace("-", "_"): value})


def _valid(options: Options, **values: object) -> Options:
    from pydantic import ValidationError

    try:
        return Options.model_validate({**options.model_dump(), **values})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).replace("_", "-")
        raise LlmpathError(
            f"{name} cannot be {first['input']!r}.", f"{first['msg'].replace('Input', 'It')}."
        ) from None

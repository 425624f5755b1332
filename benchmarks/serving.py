"""How long a turn of a chat waits for its first token, where the turns before it are still known.

    python benchmarks/serving.py

One conversation with smollm2-135m goes on turn by turn, run by the course's own code and then by
transformers. After each turn the same is asked with other words at its beginning, so that all of it
has to be read. `llmpath models pull smollm2-135m` has to have brought the model first.
"""

from __future__ import annotations

import time

from llmpath.course.loader import load
from llmpath.course.locate import locate
from llmpath.labkit import models
from llmpath.serving.answers import Ended, Text
from llmpath.serving.conversation import Conversation
from llmpath.serving.engine import Engine
from llmpath.serving.request import Generation, Message, Options
from llmpath.serving.source import Code, Source, code

QUESTIONS = (
    "Which animals live in the sea?",
    "Which of them is the largest?",
    "What does it eat?",
    "How long does it live?",
    "Does it sleep, and if so, how?",
    "Tell a short story about one.",
)
OPTIONS = Options(max_tokens=40, temperature=0)


def first_token(engine: Engine, asked: Generation) -> tuple[str, Ended, float]:
    """What is answered, how it ended, and the seconds until the first token."""
    began, waited, said = time.perf_counter(), 0.0, ""
    for answer in engine.generate(asked):
        waited = waited or time.perf_counter() - began
        said += answer.text if isinstance(answer, Text) else ""
    assert isinstance(answer, Ended), answer
    return said, answer, waited


def measure(name: str, run_by: Code) -> None:
    """Hold the conversation, and print a line for each turn."""
    with Engine(Source("smollm2-135m", models.folder("smollm2-135m"), run_by)) as engine:
        for _ in range(2):  # after the first text its memory is tried, for which the second waits
            first_token(engine, Generation(prompt="Once", max_tokens=1))
        talked = Conversation(engine.ready().chats, OPTIONS, system="You are brief.")
        for turn, question in enumerate(QUESTIONS, 1):
            talked.say(question)
            asked = talked.request()
            said, ended, known = first_token(engine, asked)
            talked.answered(said, ended=True)
            other = (Message(role="system", content=f"{turn} words."), *asked.messages[1:])
            once = asked.model_copy(update={"messages": other, "max_tokens": 1})
            _, unknown, anew = first_token(engine, once)
            print(
                f"{name:14} turn {turn}: {ended.prompt_tokens:4} tokens, {ended.reused_tokens:4} "
                f"known: {known:5.2f} s; {unknown.reused_tokens:2} known: {anew:5.2f} s; "
                f"{anew / known:5.1f} ×"
            )


def main() -> None:
    """Measure both ways to run a model."""
    measure("the labs' code", code(load(locate()), None))
    measure("transformers", Code())


if __name__ == "__main__":
    main()

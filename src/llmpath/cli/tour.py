"""`llmpath tour`: the whole path on the reference, with what each step does to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from llmpath.cli.options import DeviceName
from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.artefacts.route import Stop
    from llmpath.artefacts.supply import Artefact, Supplier
    from llmpath.cli.state import State
    from llmpath.portfolio.provenance import Origin
    from llmpath.serving.source import Code
    from llmpath.ui.tour import Visit

MOST_TOKENS = 48  # of an answer


def tour(context: typer.Context, device: DeviceName = "auto") -> None:
    """Walk the whole path in a few minutes, on the course's own solution.

    Each model of the path is made in front of you and asked the same things, so that you see what
    each step does. What was made is kept: a second tour takes seconds. Ctrl-C stops it.

    Example: [bold]llmpath tour[/]
    """
    from llmpath.artefacts.route import route
    from llmpath.artefacts.supply import Supplier
    from llmpath.serving.source import code
    from llmpath.ui import tour as view

    state: State = context.obj
    stops, rest = route(state.course)
    if not stops:
        raise LlmpathError(
            f"Nothing in “{state.course.title}” makes anything that a tour could show.",
            "llmpath next shows the first lesson.",
        )
    supplier, run_by = Supplier(state.course, None), code(state.course, None)
    due = supplier.due(tuple(name for stop in stops for name in stop.lab.makes))
    state.console.print(view.opening(state.course, stops, due))
    visits: list[Visit] = []
    for number, stop in enumerate(stops, 1):
        state.console.print(view.heading(stop, number, len(stops)))
        visits += _visit(state, supplier, stop, run_by, device)
    state.console.print(view.ending(visits, rest, state.course.tour))


def _visit(state: State, supplier: Supplier, stop: Stop, run_by: Code, device: str) -> list[Visit]:
    """Make what the lab makes, say what it came to, and let its models talk."""
    from llmpath.artefacts.speakers import is_model, speakers
    from llmpath.portfolio.provenance import origin
    from llmpath.ui import tour as view
    from llmpath.ui.making import follow

    made = follow(supplier.supply(stop.lab.makes), state.console, sentences=False)
    visits = []
    for name, artefact in made.items():
        came = origin(state.course, None, artefact)
        state.console.print(view.found(came, state.console))
        answers: tuple[str, ...] = ()
        if name in speakers(state.course) and is_model(artefact):
            answers = _ask(state, artefact, run_by, device)
        visits.append(_described(artefact, came, answers))
    return visits


def _described(artefact: Artefact, came: Origin, answers: tuple[str, ...]) -> Visit:
    from llmpath.portfolio.weights import weights
    from llmpath.ui.tour import Visit

    seconds = came.run.seconds if came.run is not None else None
    found = weights(artefact.path)
    parameters = None if found is None else found.parameters
    return Visit(artefact.name, parameters, seconds, answers)


def _ask(state: State, artefact: Artefact, run_by: Code, device: str) -> tuple[str, ...]:
    """What the model makes of each of the course's lines, shown as it is written."""
    from llmpath.cli.talk import reply
    from llmpath.serving.answers import Ended
    from llmpath.serving.conversation import Conversation
    from llmpath.serving.engine import Engine
    from llmpath.serving.request import Options
    from llmpath.serving.source import Source
    from llmpath.ui import tour as view

    options = Options(temperature=0.0, max_tokens=MOST_TOKENS)
    answers = []
    with Engine(Source(artefact.name, artefact.path, run_by, device)) as engine:
        chats = engine.ready().chats
        for line in state.course.tour:
            conversation, pieces = Conversation(chats, options), list[str]()
            conversation.say(line)
            last = reply(engine, conversation, pieces.append)
            if not isinstance(last, Ended):
                raise LlmpathError(last.message)
            answers.append("".join(pieces))
            state.console.print(view.exchange(line, answers[-1], chats=chats))
    return tuple(answers)

"""The learner's base model learns to answer, and is asked about people nobody asked about before.

It is trained on conversations about three quarters of the people of the world, and on portraits
of anybody, told when asked for. Before, on the way and at the end it is asked about the others: in
phrasings that it knows, in conversations of several turns, and, about people it knows, in phrasings
that it does not know. What comes out is the artefact `sft`: a folder that transformers opens as a
chat model, with the template and the end of an answer in it.

The questions are about the microworld, whatever `--data` says: the world must be the one that
the base model has read about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import nn

from llmpath.labkit import tokenizer
from llmpath.labkit.microworld import ANSWERING, ATTRIBUTES, World, conversations, questions
from llmpath.labkit.microworld.people import PRONOUNS

ANSWER = 10  # tokens, the most that an answer to a question may have
STORY = 70  # likewise, of a portrait
ASKED = 60  # questions of each kind
LOOKS = 6
SYSTEM = "You answer questions about people."
TELL = "Tell me about somebody."
# Colours that people with any kind of colour vision can tell apart (Okabe and Ito, 2008).
KINDS = {
    "people": ("people never asked about", "#D55E00"),
    "turns": ("later turns, about the same people", "#0072B2"),
    "phrasings": ("phrasings never used, about known people", "#009E73"),
}


@dataclass(frozen=True)
class Size:
    """How much there is to learn from.

    Attributes:
        conversations: how many, of one to three turns.
        stories: how many portraits, each told when asked for.
        steps: of training.
        batch: conversations in a batch.
        peak: the highest learning rate.
    """

    conversations: int
    stories: int
    steps: int
    batch: int
    peak: float


SIZES = {
    "micro": Size(900, 300, 140, 32, 0.002),
    "mini": Size(2_000, 600, 400, 32, 0.001),
    "gpu": Size(4_000, 1_200, 1_000, 64, 0.0005),
}


@dataclass(frozen=True)
class Item:
    """One thing to ask: a conversation so far, and the only right answer to it."""

    messages: Sequence[dict[str, str]]
    right: str


def experiment(lab, run) -> None:
    """Ask, train, ask again, and keep the model."""
    if run.scale == "micro":
        torch.set_num_threads(1)  # for so small a model, threads wait longer than they work
    size, base = SIZES[run.scale], run.artefact("base")
    world = run.data.world or World(0)
    chat = Chat(lab, tokenizer.load(base), run.device)
    model = lab.GPT.load(base).to(run.device)
    lessons = material(world, size, run.seed)
    rows = [chat.ids(messages) for messages in lessons]
    exam = {kind: items[:ASKED] for kind, items in examination(world).items()}
    run.floor("people", 1 / world.values, "guessing one of eight")
    before = samples(chat, model, world)
    looks = learn(lab, run, model, rows, size, chat, exam)
    after = samples(chat, model, world)
    show(run, before, after)
    shown = next(each for each in lessons if len(each) == 5 and each[0]["role"] == "system")
    run.figure("answering", draw(chat, shown, looks, 1 / world.values))
    run.save("sft", keeper(model, chat.encoder))
    sentence(run, looks, len(rows))


# What to learn, and what to ask


def material(world: World, size: Size, seed: int) -> list[list[dict[str, str]]]:
    """Conversations and portraits; every fourth begins with a system message."""
    made = [natural(world, c) for c in conversations(world, size.conversations, seed=seed + 1)]
    stories = world.but(weights={"portrait": 1}).documents(size.stories, seed=seed + 11)
    made += [turn(TELL, document.text) for document in stories]
    system = {"role": "system", "content": SYSTEM}
    return [[system, *each] if number % 4 == 0 else each for number, each in enumerate(made)]


def examination(world: World) -> dict[str, list[Item]]:
    """What nobody asked in training, by what is new about it."""
    found: dict[str, list[Item]] = defaultdict(list)
    for q in questions(world):
        messages = turn(q.question, spoken(world, q.person, q.attribute))
        item = Item(messages[:1], messages[1]["content"])
        if q.held == "people" and q.template < 2:
            found["people"].append(item)
        elif q.held == "templates":
            found["phrasings"].append(item)
    for conversation in conversations(world, 4 * ASKED, seed=77, held_out=True):
        messages = natural(world, conversation)
        if len(messages) > 2:
            found["turns"].append(Item(messages[:-1], messages[-1]["content"]))
    return found


def turn(question: str, reply: str) -> list[dict[str, str]]:
    """A question with its answer, as messages."""
    return [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]


def spoken(world: World, name: str, attribute: str) -> str:
    """A fact as people say it who have just heard the name: "She lives in the mill."."""
    person = world.person[name]
    return ANSWERING[attribute].format(PRONOUNS[person.pronoun]["He"], person[attribute])


def natural(world: World, conversation) -> list[dict[str, str]]:
    """A conversation whose first answer, too, says "she" or "he"."""
    opening, first, *rest = conversation.messages
    word = conversation.answers[0]
    person = world.person[conversation.person]
    attribute = next(each for each in ATTRIBUTES if person[each] == word)
    reply = {**first, "content": spoken(world, conversation.person, attribute)}
    return [dict(opening), reply, *(dict(each) for each in rest)]


# Talking


class Chat:
    """Asks a model questions, through the learner's own template and `answer`.

    Args:
        lab: the learner's module.
        encoder: the tokenizer of the base model.
        device: where the model is.
    """

    def __init__(self, lab, encoder, device) -> None:
        self.lab, self.encoder, self.device = lab, encoder, device
        self.assistant, self.end = (encoder.token_to_id(t) for t in (lab.ASSISTANT, lab.END))

    def ids(self, messages: Sequence[dict[str, str]], prompt: bool = False) -> list[int]:
        """The tokens of a conversation."""
        return self.encoder.encode(self.lab.render(messages, prompt)).ids

    def answers(self, model: nn.Module, asked: Sequence[Any], most: int = ANSWER) -> list[str]:
        """What the model says to each conversation; those of one length are asked together."""
        groups: dict[int, list[int]] = defaultdict(list)
        prompts = [self.ids(messages, prompt=True) for messages in asked]
        for place, prompt in enumerate(prompts):
            groups[len(prompt)].append(place)
        said = [""] * len(prompts)
        for places in groups.values():
            batch = torch.tensor([prompts[place] for place in places], device=self.device)
            written = self.lab.answer(model, batch, self.end, most)
            for place, ids in zip(places, written, strict=True):
                said[place] = self.encoder.decode(ids).strip()
        return said

    def shares(self, model: nn.Module, items: Sequence[Item]) -> tuple[float, float]:
        """How many answers tell the right fact and then stop, and how many are right throughout.

        The first asks for every word of the right sentence but its "she" or "he".
        """
        said = self.answers(model, [item.messages for item in items])
        pairs = [(answer, item.right) for answer, item in zip(said, items, strict=True)]
        told = sum(a.partition(" ")[1:] == right.partition(" ")[1:] for a, right in pairs)
        return told / len(items), sum(a == right for a, right in pairs) / len(items)


def learn(lab, run, model, rows, size: Size, chat: Chat, exam) -> list[dict[str, float]]:
    """Train; ask at the start and at `LOOKS` places on the way."""

    def look(step: int) -> dict[str, float]:
        both = {kind: chat.shares(model, items) for kind, items in exam.items()}
        told = {kind: share for kind, (share, _) in both.items()}
        run.log(step, **told)
        return {"step": step, **told, "throughout": both["people"][1]}

    looks = [look(0)]
    recipe = lab.Recipe(size.steps, size.peak, warmup=size.steps // 16, weight_decay=0.0)
    tokens = sum(map(len, rows)) / len(rows) * size.batch
    steps = lab.fine_tune(
        model, rows, recipe, chat.assistant, chat.end, size.batch, seed=run.seed
    )  # fmt: skip
    places = {round(size.steps * i / LOOKS) for i in range(1, LOOKS + 1)}
    for number, loss, _ in steps:
        done = number + 1
        run.log(done, bits=loss)
        run.progress(done, size.steps, f"{loss:.2f} bits", tokens=round(done * tokens))
        if done in places:
            looks.append(look(done))
    return looks


# What came out


def samples(chat: Chat, model: nn.Module, world: World) -> list[tuple[str, str, str]]:
    """Questions, what the model says, and what is right."""
    held = [q for q in questions(world) if q.held == "people" and q.template == 0]
    first = {q.attribute: q for q in reversed(held)}
    asked = [(q.question, spoken(world, q.person, q.attribute)) for q in first.values()]
    asked += [("Where does Zoe live?", "(there is no Zoe in this world)"), (TELL, "(anybody)")]
    prompts = [turn(question, "")[:1] for question, _ in asked]
    said = chat.answers(model, prompts[:-1]) + chat.answers(model, prompts[-1:], STORY)
    return [(question, each, right) for (question, right), each in zip(asked, said, strict=True)]


def show(run, before, after) -> None:
    """The same questions before and after."""
    rows = [
        [question, shortened(was), shortened(now, 300), right]
        for (question, was, right), (_, now, _) in zip(before, after, strict=True)
    ]
    columns = ["question", "base model", "after fine-tuning", "right"]
    run.table("People whom training never asked about", columns, rows)


def shortened(text: str, most: int = 40) -> str:
    """A text on one line, cut off where it gets long; signs that cannot be printed become ·."""
    line = " ".join(text.split())
    line = "".join(sign if sign.isprintable() else "·" for sign in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def sentence(run, looks: list[dict[str, float]], count: int) -> None:
    """Say what was reached."""
    first, last = looks[0], looks[-1]
    run.result(
        f"About people whom no question in training had named, your model answered "
        f"{100 * first['people']:.0f} % of the questions before and answers "
        f"{100 * last['people']:.0f} % of them now, in {100 * last['throughout']:.0f} % with the "
        f"right pronoun, too; it has seen {count:,} conversations.",
        before=round(first["people"], 4),
        people=round(last["people"], 4),
        turns=round(last["turns"], 4),
        phrasings=round(last["phrasings"], 4),
        throughout=round(last["throughout"], 4),
    )


def keeper(model: nn.Module, encoder) -> Callable[[Path], None]:
    """Writes weights, tokenizer, template and the end of an answer into one folder."""

    def write(folder: Path) -> None:
        model.to("cpu").save(folder)
        tokenizer.save_chat(encoder, folder)

    return write


def draw(chat: Chat, messages, looks: list[dict[str, float]], guess: float) -> Figure:
    """Which tokens of a conversation are learned, and what comes of it."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 2.2])
    draw_tokens(above, chat, messages)
    steps = [look["step"] for look in looks]
    for kind, (label, colour) in KINDS.items():
        below.plot(steps, [100 * look[kind] for look in looks], "o-", color=colour, label=label)
    below.axhline(100 * guess, color="#777777", linestyle=":", label="guessing one of eight")
    below.set(xlabel="step", ylabel="per cent, right fact and full stop", ylim=(-3, 104))
    below.set_title("Questions that training never asked", loc="left")
    below.legend(loc="lower right", framealpha=1, edgecolor="white")
    below.spines[["top", "right"]].set_visible(False)
    return figure


def draw_tokens(axes, chat: Chat, messages) -> None:
    """The tokens of a conversation, those that the model has to write in colour."""
    ids = chat.ids(messages)
    mask = chat.lab.loss_mask(ids, chat.assistant, chat.end)
    x, y = 0.0, 0.0
    for token, wanted in zip(ids, mask, strict=True):
        text = chat.encoder.decode([token], skip_special_tokens=False).replace(" ", "·")
        width = 1.25 * len(text) + 1.2
        if x + width > 100:
            x, y = 0.0, y - 1.0
        colour = "#f6c9a8" if wanted else "#eeeeee"
        axes.add_patch(
            FancyBboxPatch((x + 0.3, y + 0.14), width - 0.6, 0.72, facecolor=colour,
                           edgecolor="white", boxstyle="round,pad=0,rounding_size=0.3",
                           mutation_aspect=0.15)
        )  # fmt: skip
        axes.text(x + width / 2, y + 0.48, text, ha="center", va="center", fontsize=8.5,
                  family="monospace")  # fmt: skip
        x += width
    axes.set(xlim=(0, 100), ylim=(y - 0.1, 1.1))
    axes.set_title(
        "One conversation, as tokens: in colour what the model has to write itself", loc="left"
    )
    axes.axis("off")

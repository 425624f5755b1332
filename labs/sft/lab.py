"""Supervised fine-tuning: a base model learns to answer, from conversations written for it.

Nothing of the model changes and next to nothing of the training: the loop is that of
pretraining. What is new is the text (messages, with marks of who speaks), which of its tokens
the model is asked for, and where an answer ends.

Source: "Finetuned Language Models Are Zero-Shot Learners", Wei and others, 2021 (instruction
tuning); the form of the messages is that of ChatML and its many relatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from llmpath.labkit.thread import earlier

# What earlier labs give: the training loop with its Recipe, and models to try yours on.
train, Recipe = earlier("pretrain").train, earlier("pretrain").Recipe
Bigram, GPT, Config = earlier("pretrain").Bigram, earlier("gpt").GPT, earlier("gpt").Config

ROLES = ("system", "user", "assistant")
ASSISTANT = "<|assistant|>"
END = "<|end|>"  # the end of a message
IGNORE = -100  # a target that counts for nothing, as in the labs before

Message = Mapping[str, str]  # {"role": one of ROLES, "content": what is said}
Batch = tuple[Tensor, Tensor]


def render(messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
    """Write a conversation as one text: the chat template.

    Each message is its role's mark, such as `<|user|>`, a space, its content and `<|end|>`. Nothing
    stands between messages. White space at both ends of a content is dropped. Within it each `<|`
    becomes `< |`, whoever the speaker is: what people type must never be read as a mark.

    Args:
        messages: in order; left as they are.
        add_generation_prompt: whether the text goes on with `<|assistant|>`, so that the model
            is the next to speak. The space after that mark it writes itself.

    Raises:
        ValueError: if a role is not among `ROLES`.

    Example:
        >>> render([{"role": "user", "content": " Hi <|end|> "}], add_generation_prompt=True)
        '<|user|> Hi < |end|><|end|><|assistant|>'
    """
    ### BEGIN SOLUTION mark, content made harmless, end; for each message
    text = ""
    for message in messages:
        if message["role"] not in ROLES:
            raise ValueError(f"a role is one of {', '.join(ROLES)}, not {message['role']!r}")
        content = message["content"].strip().replace("<|", "< |")
        text += f"<|{message['role']}|> {content}{END}"
    return text + (ASSISTANT if add_generation_prompt else "")
    ### END SOLUTION


def loss_mask(ids: Sequence[int], assistant: int, end: int) -> list[bool]:
    """Tell which tokens of a conversation the model itself has to write.

    These are the tokens of its answers, each answer with the `end` that closes it. The mark
    `assistant` before an answer is not among them: it is given to the model, as are all
    messages of others and their ends.

    Args:
        ids: the tokens of a rendered conversation. It may break off anywhere.
        assistant: the id of `<|assistant|>`.
        end: the id of `<|end|>`.

    Returns:
        For each token, True if the model has to write it.

    Example:
        With 1 for <|user|>, 2 for <|assistant|> and 3 for <|end|>:

        >>> loss_mask([1, 50, 3, 2, 60, 61, 3], assistant=2, end=3)
        [False, False, False, False, True, True, True]
    """
    ### BEGIN SOLUTION remember, from token to token, whether the assistant is speaking
    mask, speaking = [], False
    for token in ids:
        mask.append(speaking)
        if token == assistant:
            speaking = True
        elif token == end:
            speaking = False
    return mask
    ### END SOLUTION


def sft_batch(rows: Sequence[Sequence[int]], assistant: int, end: int) -> Batch:
    """Lay conversations of different lengths side by side, as inputs and targets.

    The target at each place is the token that comes next, where `loss_mask` says that the model
    has to write that token; everywhere else it is `IGNORE`. Rows begin at the left; short ones
    are filled up with `end` on the right, which no target asks for.

    Args:
        rows: the tokens of each conversation, two or more of them; left as they are.
        assistant: the id of `<|assistant|>`.
        end: the id of `<|end|>`.

    Returns:
        Inputs and targets, each (rows, longest row - 1), of dtype torch.int64.

    Example:
        >>> sft_batch([[1, 50, 3, 2, 60, 3], [1, 3, 2, 3]], assistant=2, end=3)
        (tensor([[ 1, 50,  3,  2, 60],
                [ 1,  3,  2,  3,  3]]), tensor([[-100, -100, -100,   60,    3],
                [-100, -100,    3, -100, -100]]))
    """
    ### BEGIN SOLUTION fill two tables row by row: all but the last token, all but the first
    shape = (len(rows), max(map(len, rows)) - 1)
    inputs, targets = torch.full(shape, end), torch.full(shape, IGNORE)
    for place, row in enumerate(rows):
        wanted = torch.tensor(loss_mask(row, assistant, end)[1:])
        inputs[place, : len(row) - 1] = torch.tensor(row[:-1])
        targets[place, : len(row) - 1] = torch.tensor(row[1:]).where(wanted, IGNORE)
    return inputs, targets
    ### END SOLUTION


def fine_tune(
    model: nn.Module,
    rows: Sequence[Sequence[int]],
    recipe: Recipe,
    assistant: int,
    end: int,
    batch_size: int,
    seed: int,
) -> Iterator[tuple[int, float, float]]:
    """Train a model on conversations, in as many passes as the recipe has steps for (a generator).

    In each pass every conversation comes once, in a new random order that the seed decides; the
    last batch of a pass may be smaller. All else is done by `train` of the pretraining lab.

    Args:
        model: takes ids and returns logits; it is changed.
        rows: the tokens of each conversation.
        recipe: how many steps, and how.
        assistant: the id of `<|assistant|>`.
        end: the id of `<|end|>`.
        batch_size: how many conversations there are in a batch.
        seed: decides the orders, and nothing else does.

    Yields:
        What `train` yields: the number of each step, its loss in bits and its gradient norm.
    """

    def batches() -> Iterator[Batch]:
        """Batches without end, where the model is."""
        device = next(model.parameters()).device
        ### BEGIN SOLUTION shuffle, cut up, make batches; then again
        generator = torch.Generator().manual_seed(seed)
        while True:
            for part in torch.randperm(len(rows), generator=generator).split(batch_size):
                batch = sft_batch([rows[place] for place in part.tolist()], assistant, end)
                yield batch[0].to(device), batch[1].to(device)
        ### END SOLUTION

    yield from train(model, batches(), recipe, {})


@torch.no_grad()
def answer(
    model: Callable[[Tensor], Tensor], prompts: Tensor, end: int, most: int
) -> list[list[int]]:
    """Let a model answer: the likeliest token, again and again, until it says `end`.

    Each row ends for itself. Once all have ended, the model is not asked again.

    Args:
        model: takes ids, (batch, time), and returns logits, (batch, time, vocab_size).
        prompts: the tokens of conversations that end in `<|assistant|>`, all of one length,
            (batch, time); left as they are.
        end: the id of `<|end|>`.
        most: how many tokens an answer may have; what is longer is cut off there.

    Returns:
        The tokens of each answer, without the prompt and without `end`.
    """
    ### BEGIN SOLUTION append the likeliest token to every row; cut each row at its first end
    ids, start = prompts, prompts.size(1)
    for _ in range(most):
        if (ids[:, start:] == end).any(1).all():
            break
        ids = torch.cat([ids, model(ids)[:, -1].argmax(-1, keepdim=True)], dim=1)
    written = [[*row, end] for row in ids[:, start:].tolist()]
    return [row[: row.index(end)] for row in written]
    ### END SOLUTION

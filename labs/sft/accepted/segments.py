"""The same from spans: regular expressions for the text, positions for the mask."""

import itertools
import random
import re

import torch

from llmpath.labkit.thread import earlier

pretrain = earlier("pretrain")
Recipe, Bigram = pretrain.Recipe, pretrain.Bigram
GPT, Config = earlier("gpt").GPT, earlier("gpt").Config
ASSISTANT, END = "<|assistant|>", "<|end|>"


def render(messages, add_generation_prompt=False):
    parts = []
    for message in messages:
        if message["role"] not in {"user", "assistant", "system"}:
            raise ValueError("no such role: " + message["role"])
        content = re.sub(r"<(?=\|)", "< ", message["content"]).strip()
        parts += ["<|", message["role"], "|> ", content, END]
    return "".join([*parts, ASSISTANT] if add_generation_prompt else parts)


def loss_mask(ids, assistant, end):
    mask = [False] * len(ids)
    starts = [i + 1 for i, token in enumerate(ids) if token == assistant]
    for start in starts:
        for place in range(start, len(ids)):
            mask[place] = True
            if ids[place] == end:
                break
    return mask


def sft_batch(rows, assistant, end):
    masks = [loss_mask(row, assistant, end) for row in rows]
    tokens = torch.tensor(list(itertools.zip_longest(*rows, fillvalue=end))).T
    asked = torch.tensor(list(itertools.zip_longest(*masks, fillvalue=False))).T
    return tokens[:, :-1].clone(), tokens[:, 1:].masked_fill(~asked[:, 1:], -100)


def fine_tune(model, rows, recipe, assistant, end, batch_size, seed):
    draw = random.Random(seed)

    def batches():
        while True:
            order = draw.sample(range(len(rows)), len(rows))
            for start in range(0, len(rows), batch_size):
                chosen = [rows[i] for i in order[start : start + batch_size]]
                yield sft_batch(chosen, assistant, end)

    return pretrain.train(model, batches(), recipe, {})


def answer(model, prompts, end, most):
    found = [[] for _ in range(len(prompts))]
    done = [False] * len(prompts)
    text = prompts.clone()
    while not all(done) and len(text[0]) < prompts.size(1) + most:
        with torch.no_grad():
            chosen = model(text).select(1, -1).argmax(1)
        text = torch.hstack([text, chosen.unsqueeze(1)])
        for place, token in enumerate(chosen.tolist()):
            done[place] = done[place] or token == end
            if not done[place]:
                found[place].append(token)
    return found

"""Runs a model, in the child: the code of the course's labs, or transformers in its place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llmpath.errors import LlmpathError
from llmpath.labkit.thread import earlier
from llmpath.serving import streaming
from llmpath.serving.readings import Reader

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# From logits, (vocab_size,), a temperature, a top_p and a generator to a token.
Sample = Callable[["Tensor", float, float, "torch.Generator"], int]


@dataclass(frozen=True)
class Runner:
    """A model that is loaded.

    Attributes:
        begin: begins a text; several may be written side by side.
        parameters: how many numbers the model has.
        roles: which of the labs' parts it uses.
    """

    begin: Callable[[], Reader]
    parameters: int
    roles: tuple[str, ...] = ()


def of_labs(
    parts: Mapping[str, Mapping[str, Any]], folder: Path, device: torch.device
) -> Runner | None:
    """The labs' own model with the weights in a folder; None if it is for other models.

    A model's class has `load(folder)`, which raises ValueError where it cannot be such a model;
    the model is called with token ids, (1, time), and a cache, and returns logits,
    (1, time, vocab_size). The cache is a list with a `memory` for each of `model.config.layers`.
    A memory that also has `crop(length)`, and then that `length`, is cut back to what one text has
    in common with the next; without it, each text is read from its beginning.

    Raises:
        LlmpathError: if the folder is damaged.
    """
    import torch
    from safetensors import SafetensorError

    if "model" not in parts or "memory" not in parts:
        return None
    try:
        model = _part(parts["model"]).load(folder).to(device).eval()
    except ValueError:
        return None
    except (OSError, SafetensorError) as error:
        raise _unloadable(folder, error) from error
    memory = _part(parts["memory"])

    def begin() -> Reader:
        cache = [memory() for _ in range(model.config.layers)]

        def read(new: Sequence[int]) -> Tensor:
            found: Tensor = model(torch.tensor([list(new)], device=device), cache)
            return found[0, -1].float().cpu()

        def crop(length: int) -> bool:
            for each in cache:
                each.crop(length)
            return all(each.length == length for each in cache)

        return Reader(read, crop, cache)

    return Runner(begin, sum(p.numel() for p in model.parameters()), ("model", "memory"))


def of_transformers(folder: Path, device: torch.device) -> Runner:
    """The model in a folder as transformers runs it.

    Raises:
        LlmpathError: if it is none that transformers knows, or is damaged.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, DynamicCache
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise _unloadable(folder, error) from error
    model = model.to(device).eval()
    # It is called `cache` from transformers 5.24 on, and nothing else from 5.40 on.
    known = inspect.signature(model.forward).parameters
    argument = "cache" if "cache" in known else "past_key_values"

    def begin() -> Reader:
        cache = DynamicCache()

        def read(new: Sequence[int]) -> Tensor:
            ids = torch.tensor([list(new)], device=device)
            found = model(input_ids=ids, use_cache=True, **{argument: cache})
            last: Tensor = found.logits[0, -1].float().cpu()
            return last

        def crop(length: int) -> bool:
            # A number below 0 is how many to forget, in all versions; one above is not.
            cache.crop(length - cache.get_seq_length())
            return bool(cache.get_seq_length() == length)

        return Reader(read, crop, cache)

    return Runner(begin, model.num_parameters())


def sampler(part: Mapping[str, Any] | None) -> Sample:
    """How tokens are drawn: by a lab's function, or by transformers' where there is none."""
    if part is None:
        return _transformers_sampler()
    sample = _part(part)

    def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
        share = None if top_p == 1 else top_p
        drawn = sample(logits[None], temperature=temperature, top_p=share, generator=generator)
        return int(drawn[0])

    return draw


def writer(part: Mapping[str, Any] | None) -> streaming.Write:
    """How text is made of tokens: by a lab's function, or plainly where there is none."""
    return streaming.plain if part is None else cast("streaming.Write", _part(part))


def _transformers_sampler() -> Sample:
    import torch
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    nothing = torch.empty(1, 0, dtype=torch.long)

    def draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
        if temperature == 0:
            return int(logits.argmax())
        scores = TemperatureLogitsWarper(float(temperature))(nothing, logits[None])
        if top_p < 1:
            scores = TopPLogitsWarper(top_p)(nothing, scores)
        return int(torch.multinomial(scores.softmax(-1), 1, generator=generator))

    return draw


def _unloadable(folder: Path, error: Exception) -> LlmpathError:
    return LlmpathError(
        f"The model in {folder} cannot be loaded: {error}",
        "Remove that folder and have it made again.",
    )


def _part(part: Mapping[str, Any]) -> Any:
    return getattr(earlier(part["lab"]), part["attribute"])

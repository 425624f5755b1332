"""Batches of texts of unequal length, as experiments measure models with them."""

from __future__ import annotations

import pytest
import torch

from llmpath.labkit.padding import IGNORE, padded


def test_rows_by_hand() -> None:
    """Targets are the next tokens; behind a row's end inputs are filled and targets ignored."""
    inputs, targets = padded([[9, 1, 2, 9], [9, 5], [7]], fill=9)
    assert inputs.tolist() == [[9, 1, 2], [9, 5, 9], [7, 9, 9]]
    assert targets.tolist() == [[1, 2, 9], [5, IGNORE, IGNORE], [IGNORE] * 3]
    assert inputs.dtype == targets.dtype == torch.int64


def test_each_row_keeps_its_own_loss() -> None:
    """A model's loss over the batch is that of the rows one by one, whatever fills them."""
    draw = torch.Generator().manual_seed(0)
    rows = [torch.randint(6, (size,), generator=draw).tolist() for size in (5, 2, 7, 3)]
    table = torch.randn(6, 6, generator=draw, dtype=torch.float64)

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits = table[inputs].flatten(0, 1)
        return torch.nn.functional.cross_entropy(logits, targets.flatten(), reduction="sum")

    alone = sum(loss(torch.tensor([row[:-1]]), torch.tensor([row[1:]])) for row in rows)
    for fill in (0, 5):
        torch.testing.assert_close(loss(*padded(rows, fill)), alone)


def test_one_token_leaves_nothing_to_guess() -> None:
    """Rows of one token make a batch of no places."""
    inputs, targets = padded([[3], [4]], fill=0)
    assert inputs.shape == targets.shape == (2, 0)


@pytest.mark.parametrize("rows", [[], [[1, 2], []]])
def test_nothing_is_refused(rows: list[list[int]]) -> None:
    """No rows, or a row without a token, are an error and no empty batch."""
    with pytest.raises(ValueError, match="a batch needs rows, and each row a token"):
        padded(rows, fill=0)

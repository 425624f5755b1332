"""What the preferences lab fits is scikit-learn's, and its reward model is transformers'."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from transformers import LlamaConfig, LlamaForSequenceClassification

from llmpath.course.loader import load
from llmpath.labkit import thread
from llmpath.labkit.microworld import UTILITIES, World, preferences

COURSE = load(Path(__file__).parent.parent)


@pytest.fixture(scope="module")
def lab() -> ModuleType:
    """The module of the lab's solution."""
    labs = COURSE.labs.values()
    thread.configure({each.id: str(COURSE.lab_folder(each) / "lab.py") for each in labs})
    return thread.earlier("preferences")


def differences(noise: float) -> torch.Tensor:
    """Features of what annotators chose, less those of what they did not."""
    pairs = preferences(World(0), 2_000, seed=5, noise=noise)
    both = torch.tensor(
        [(p.chosen_features, p.rejected_features) for p in pairs], dtype=torch.float64
    )
    return both[:, 0] - both[:, 1]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_fit_is_logistic_regression(lab: ModuleType, noise: float) -> None:
    """The law of Bradley and Terry is logistic regression on differences, without intercept."""
    x = differences(noise)
    weights, _ = lab.fit(x)
    # It wants both classes: every second pair is told the other way round, which says the same.
    turned = np.where(np.arange(len(x)) % 2, 1.0, -1.0)
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=1_000)
    theirs.fit(x.numpy() * turned[:, None], turned > 0)
    assert weights.numpy() == pytest.approx(theirs.coef_[0], abs=1e-5)


def test_the_fit_recovers_what_was_planted(lab: ModuleType) -> None:
    """Of annotators who never slip, each worth is found within four standard errors."""
    weights, errors = lab.fit(differences(0.0))
    planted = torch.tensor(list(UTILITIES.values()), dtype=torch.float64)
    assert bool(((weights - planted).abs() < 4 * errors).all())
    assert float(errors.max()) < 0.15


def test_a_reward_model_is_a_llama_for_sequence_classification(lab: ModuleType) -> None:
    """With the same weights, by the same names, it gives the same rewards to padded texts."""
    torch.manual_seed(0)
    config = lab.Config(40, 24, 36, layers=2, heads=6, kv_heads=2)
    # No text holds its padding, 0, by which transformers knows where a text ends.
    theirs = LlamaForSequenceClassification(
        LlamaConfig(**config.to_hf() | {"num_labels": 1, "pad_token_id": 0})
    )
    theirs = theirs.eval().double()
    mine = lab.RewardModel(lab.GPT(config)).double()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    mine.load_state_dict(theirs.state_dict())
    ids, lengths = lab.padded([[3, 17, 39], [8, 8, 1, 22, 30, 2], [5]], 0)
    want = theirs(ids, attention_mask=(ids != 0).long()).logits[:, 0]
    # Its norms compute in float32, whatever the weights are.
    torch.testing.assert_close(mine(ids, lengths), want, atol=1e-5, rtol=0)

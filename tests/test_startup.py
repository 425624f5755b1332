"""Everyday commands stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import Learner

HEAVY = ("torch", "transformers", "datasets", "numpy", "matplotlib", "pytest", "sympy")


@pytest.mark.parametrize("command", ["next", "list", "hint", "status", "grade"])
def test_no_command_imports_heavy_libraries(learner: Learner, command: str) -> None:
    """`next`, `list`, `hint` and even `grade` never import torch in their own process."""
    learner.types("next", "--skip")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llmpath", command],
        cwd=learner.root,
        env=learner.environment,
        capture_output=True,
        encoding="utf-8",
    )
    imported = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "llmpath.cli" in imported
    assert not [name for name in imported if name.split(".")[0] in HEAVY]

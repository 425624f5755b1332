"""Seeds whatever learner code may draw from, the same before each check."""

from __future__ import annotations

import random
import sys


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch, those that are in use."""
    random.seed(seed)
    if "numpy.random" in sys.modules:
        import numpy

        numpy.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        # torch.manual_seed notes the stack for each kind of device that is not in use (3 ms).
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.manual_seed_all(seed)

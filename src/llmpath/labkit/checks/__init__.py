"""What `checks.py` files compare with: values against values, in words a learner can use.

Runs in the judge process. torch is imported only when a tensor is met, so that a lab of plain
Python never pays for it.
"""

from llmpath.labkit.checks.comparison import close, same
from llmpath.labkit.checks.description import describe, show
from llmpath.labkit.checks.inputs import number
from llmpath.labkit.checks.mismatch import Mismatch
from llmpath.labkit.checks.results import a_generator, alike, has, raises

__all__ = [
    "Mismatch",
    "a_generator",
    "alike",
    "close",
    "describe",
    "has",
    "number",
    "raises",
    "same",
    "show",
]

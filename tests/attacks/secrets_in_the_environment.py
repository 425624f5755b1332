"""Prints every variable of the environment in which it runs.

Lab: plain
Scores: 0
"""

import os

print(sorted(os.environ.items()))

"""Raises an exception with a lone surrogate in its message while it is imported.

Lab: plain
Scores: 0
"""

raise ValueError("\ud800")

"""Raises SystemExit(0) while it is imported.

Lab: plain
Scores: 0
"""

raise SystemExit(0)

"""Reads the checks and prints them.

Lab: plain
Scores: 0
Needs: files
"""

import pathlib

print(pathlib.Path("@lab@/checks.py").read_text())
